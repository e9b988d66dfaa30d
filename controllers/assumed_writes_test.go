package controllers

import (
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/apply"
	"github.com/netbaseline/netbaseline/internal/plan"
)

// version returns default-deny of the namespace shop under a resource version.
func version(resourceVersion string) *networkingv1.NetworkPolicy {
	object := written(v1alpha1.DefaultDenyName)
	object.Namespace, object.UID, object.ResourceVersion = "shop", "u", resourceVersion
	return object
}

func TestOwnWritesNeverHideWhatSomebodyElseDid(t *testing.T) {
	t.Parallel()
	const now, before, after = 0, assumedFor - 1, assumedFor
	tests := map[string]struct {
		cachedBefore string // resource version that the cache showed when the write was planned
		during       func(*assumedWrites)
		afterwards   func(*assumedWrites)
		cached       string // resource version that the cache shows now
		passed       time.Duration
		wantTrusted  bool
	}{
		"a create that the cache does not show yet":     {wantTrusted: true, passed: before},
		"an update that the cache does not show yet":    {cachedBefore: "6", cached: "6", wantTrusted: true, passed: now},
		"a write that the cache shows":                  {cached: "7"},
		"something newer in the cache":                  {cachedBefore: "6", cached: "8"},
		"a write that has been trusted for long enough": {passed: after},
		"a write reported before it was noted":          {during: func(o *assumedWrites) { o.shown(version("7")) }},
		"a write whose object was gone before it was noted": {during: func(o *assumedWrites) {
			o.shown(version("7"))
			o.deleted(version("8"))
		}},
		"a write whose object was gone, its creation never having been reported": {during: func(o *assumedWrites) { o.deleted(version("7")) }},
		"another state reported before":                                          {during: func(o *assumedWrites) { o.shown(version("6")) }, wantTrusted: true},
		"a write reported afterwards":                                            {afterwards: func(o *assumedWrites) { o.shown(version("7")) }},
		"an object reported gone afterwards":                                     {afterwards: func(o *assumedWrites) { o.deleted(version("7")) }},
		"a namespace where a write failed":                                       {afterwards: func(o *assumedWrites) { o.distrust("shop") }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := newAssumedWrites()
			versions := map[string]string{}
			if test.cachedBefore != "" {
				versions[v1alpha1.DefaultDenyName] = test.cachedBefore
			}
			own.begin("shop")
			if test.during != nil {
				test.during(own)
			}
			own.note("shop", []apply.Written{{Operation: plan.Create, Object: version("7")}}, versions, noon)
			if test.afterwards != nil {
				test.afterwards(own)
			}
			inventory := plan.Inventory{}
			if test.cached != "" {
				inventory[v1alpha1.DefaultDenyName] = plan.Observe(version(test.cached))
			}
			again, behind := own.overlay("shop", own.in("shop"), inventory, noon.Add(test.passed))
			trusted := inventory[v1alpha1.DefaultDenyName].ResourceVersion == "7" && test.cached != "7"
			if trusted != test.wantTrusted || (again > 0) != test.wantTrusted {
				t.Errorf("trusted %t, again in %s; want trusted %t, and a second look exactly then", trusted, again, test.wantTrusted)
			}
			if behind != (test.passed >= assumedFor) {
				t.Errorf("behind is %t: a write that the watch has not shown for so long must be read live", behind)
			}
			if !test.wantTrusted && len(own.recent) > 0 {
				t.Error("it is still remembered")
			}
			if len(own.reported) > 0 {
				t.Error("what was reported meanwhile is still remembered")
			}
		})
	}
}

// An echo starts no reconcile; another client's write must start one, or be reported by note.
func TestWhatTheWatchReportsIsAnEchoOnlyIfItIsOurs(t *testing.T) {
	t.Parallel()
	update := apply.Written{Operation: plan.Update, Object: version("7")}
	removal := apply.Written{Operation: plan.Delete, Object: version("")}
	shown := func(resourceVersion string) func(*assumedWrites) bool {
		return func(o *assumedWrites) bool { return o.shown(version(resourceVersion)) }
	}
	gone := func(o *assumedWrites) bool { return o.deleted(version("7")) }
	anotherGone := func(o *assumedWrites) bool {
		object := version("9")
		object.UID = "another"
		return o.deleted(object)
	}
	tests := map[string]struct {
		written    apply.Written
		during     []func(*assumedWrites) bool // reported while we write
		wantOthers bool                        // note reports other clients
		after      func(*assumedWrites) bool
		wantEcho   bool // for later reports
	}{
		"our update, afterwards":                         {written: update, after: shown("7"), wantEcho: true},
		"our update, meanwhile":                          {written: update, during: []func(*assumedWrites) bool{shown("7")}},
		"our update, reported twice":                     {written: update, during: []func(*assumedWrites) bool{shown("7")}, after: shown("7")},
		"another client's, afterwards":                   {written: update, after: shown("8")},
		"another client's, meanwhile":                    {written: update, during: []func(*assumedWrites) bool{shown("8")}, wantOthers: true, after: shown("7"), wantEcho: true},
		"ours and another client's, meanwhile":           {written: update, during: []func(*assumedWrites) bool{shown("7"), shown("8")}, wantOthers: true},
		"our removal, afterwards":                        {written: removal, after: gone, wantEcho: true},
		"our removal, meanwhile":                         {written: removal, during: []func(*assumedWrites) bool{gone}},
		"our removal, reported twice":                    {written: removal, during: []func(*assumedWrites) bool{gone}, after: gone},
		"a removal by another client, afterwards":        {written: update, after: gone},
		"a removal by another client, meanwhile":         {written: update, during: []func(*assumedWrites) bool{gone}, wantOthers: true},
		"a removal of another object under its name":     {written: removal, after: anotherGone},
		"a removal of another object, meanwhile":         {written: removal, during: []func(*assumedWrites) bool{anotherGone}, wantOthers: true, after: gone, wantEcho: true},
		"an update of what we removed, made just before": {written: removal, during: []func(*assumedWrites) bool{shown("6")}, wantOthers: true, after: gone, wantEcho: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := newAssumedWrites()
			own.begin("shop")
			for _, report := range test.during {
				if !report(own) {
					t.Error("reported while we write, it starts a reconcile of its own")
				}
			}
			if others := own.note("shop", []apply.Written{test.written}, nil, noon); others != test.wantOthers {
				t.Errorf("note reports others: %t, want %t", others, test.wantOthers)
			}
			if test.after != nil {
				if echo := test.after(own); echo != test.wantEcho {
					t.Errorf("taken for an echo: %t, want %t", echo, test.wantEcho)
				}
			}
			own.note("other", nil, nil, noon.Add(assumedFor+1))
			if len(own.removed)+len(own.reported) > 0 {
				t.Errorf("still remembered are %v and %v", own.removed, own.reported)
			}
		})
	}
}
