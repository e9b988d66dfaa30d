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
	const now, before, after = 0, ownWritesTrust - 1, ownWritesTrust
	tests := map[string]struct {
		cachedBefore string // resource version that the cache showed when the write was planned
		during       func(*ownWrites)
		afterwards   func(*ownWrites)
		cached       string // resource version that the cache shows now
		passed       time.Duration
		wantTrusted  bool
	}{
		"a create that the cache does not show yet":     {wantTrusted: true, passed: before},
		"an update that the cache does not show yet":    {cachedBefore: "6", cached: "6", wantTrusted: true, passed: now},
		"a write that the cache shows":                  {cached: "7"},
		"something newer in the cache":                  {cachedBefore: "6", cached: "8"},
		"a write that has been trusted for long enough": {passed: after},
		"a write reported before it was noted":          {during: func(o *ownWrites) { o.shown(version("7")) }},
		"a write whose object was gone before it was noted": {during: func(o *ownWrites) {
			o.shown(version("7"))
			o.deleted(version("8"))
		}},
		"a write whose object was gone, its creation never having been reported": {during: func(o *ownWrites) { o.deleted(version("7")) }},
		"another state reported before":                                          {during: func(o *ownWrites) { o.shown(version("6")) }, wantTrusted: true},
		"a write reported afterwards":                                            {afterwards: func(o *ownWrites) { o.shown(version("7")) }},
		"an object reported gone afterwards":                                     {afterwards: func(o *ownWrites) { o.deleted(version("7")) }},
		"a namespace where a write failed":                                       {afterwards: func(o *ownWrites) { o.distrust("shop") }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := newOwnWrites()
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
			if behind != (test.passed >= ownWritesTrust) {
				t.Errorf("behind is %t: what nobody has shown for so long, only the API server knows", behind)
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
