package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/ledger"
)

// How long a namespace is open counts from when it was first seen, however often it fails.
func TestAnArrivalIsRememberedUntilTheNamespaceIsProtected(t *testing.T) {
	t.Parallel()
	put := func(record ledger.Record) func(*notebook) {
		return func(n *notebook) { n.put("shop", record) }
	}
	tests := map[string]struct {
		then func(*notebook)
		want bool
	}{
		"immediately":                 {then: func(*notebook) {}, want: true},
		"while it is expected":        {then: func(n *notebook) { n.Expect("shop", synced("default")) }, want: true},
		"while it is pending":         {then: put(pending("default", noon)), want: true},
		"while it fails":              {then: put(failed("default", "Forbidden", "no")), want: true},
		"once it is protected":        {then: put(synced("default"))},
		"once it is held":             {then: put(held("default", "BaselineInAudit", ""))},
		"once no baseline governs it": {then: put(ledger.Record{})},
		"once it is gone":             {then: func(n *notebook) { n.Forget("shop", n.Round()) }},
		"after another is protected":  {then: func(n *notebook) { n.put("other", synced("default")) }, want: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNotebook()
			n.Begin([]string{"shop"}, noon)
			n.Arrived("shop", noon)
			test.then(n)
			at, ok := n.Arrival("shop")
			if ok != test.want || ok && !at.Equal(noon) {
				t.Errorf("arrived at %s: %t, want %t", at, ok, test.want)
			}
		})
	}
}

// A namespace whose first attempt hangs is in the status, and the round goes on waiting for it.
func TestANamespaceIsPendingBeforeItsFirstAttemptEnds(t *testing.T) {
	t.Parallel()
	n := newNotebook()
	n.Observe(ledger.Observation{Name: "default", Version: new(ledger.Version{Generation: 1})})
	n.Begin([]string{"shop"}, noon)
	n.take()
	n.Expect("shop", ledger.Record{Baseline: "default", Selecting: []string{"default"}, Since: noon, Reason: "Unavailable"})
	if diff := cmp.Diff([]string{"default"}, n.take()); diff != "" {
		t.Errorf("notified (-want +got):\n%s", diff)
	}
	summary := n.Summarize("default")
	want := v1alpha1.NamespaceCounts{Matched: 1, Governed: 1, Pending: 1, Unlabeled: 1}
	if diff := cmp.Diff(want, summary.Counts); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if summary.Complete() || !n.Awaited("shop") || !summary.OldestPending.Equal(noon) {
		t.Errorf("complete %t, awaited %t, oldest pending %s; want it awaited, and pending since noon", summary.Complete(), n.Awaited("shop"), summary.OldestPending)
	}
	n.put("shop", synced("default"))
	if summary = n.Summarize("default"); n.Awaited("shop") || !summary.Complete() {
		t.Error("it is awaited after its attempt has ended")
	}
}

func TestExpectingAgainKeepsWhenItBegan(t *testing.T) {
	t.Parallel()
	n := newNotebook()
	n.Expect("shop", pending("default", noon))
	n.Expect("shop", pending("default", noon.Add(time.Minute)))
	if record, _ := n.Get("shop"); !record.Since.Equal(noon) || record.State != ledger.Pending {
		t.Errorf("%s since %s, want it pending since noon", record.State, record.Since)
	}
}

func TestWhatIsHeldForNobodyIsCounted(t *testing.T) {
	t.Parallel()
	unowned := held("", v1alpha1.ReasonOwnerUnknown, "lost its label")
	tests := map[string]struct {
		act       func(*notebook)
		want      int
		wantFirst string
	}{
		"none":                             {act: func(n *notebook) { n.put("a", held("default", "BaselineInAudit", "")) }},
		"one":                              {act: func(n *notebook) { n.put("a", unowned) }, want: 1, wantFirst: "a"},
		"of several the first":             {act: func(n *notebook) { n.put("b", unowned); n.put("a", unowned); n.put("c", unowned) }, want: 3, wantFirst: "a"},
		"not one that is restored":         {act: func(n *notebook) { n.put("a", unowned); n.put("a", synced("default")) }},
		"not one that is gone":             {act: func(n *notebook) { n.put("a", unowned); n.Forget("a", n.Round()) }},
		"not one that no baseline governs": {act: func(n *notebook) { n.put("a", ledger.Record{}) }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNotebook()
			test.act(n)
			if count, first, _ := n.Unowned(); count != test.want || first != test.wantFirst {
				t.Errorf("%d, the first %q; want %d and %q", count, first, test.want, test.wantFirst)
			}
		})
	}
}

func TestHowManyFailForAReason(t *testing.T) {
	t.Parallel()
	n := newNotebook()
	n.put("a", failed("default", "Forbidden", "no"))
	n.put("b", failed("other", "Forbidden", "no"))
	n.put("c", failed("default", "QuotaExceeded", "no"))
	n.put("d", pending("default", noon))
	if got := n.Failed("Forbidden"); got != 2 {
		t.Errorf("%d, want 2", got)
	}
	n.put("a", synced("default"))
	n.Forget("b", n.Round())
	if got := n.Failed("Forbidden"); got != 0 {
		t.Errorf("%d, want 0 after one recovered and one is gone", got)
	}
}

// Objects that other clients can create without limit must leave nothing behind.
func TestNothingIsToldOfBaselinesThatAreGone(t *testing.T) {
	t.Parallel()
	n := newNotebook()
	for i := range 100 {
		n.NoteEnforced(fmt.Sprintf("gone-%d", i), "shop")
		n.NoteReleased(fmt.Sprintf("gone-%d", i), "shop")
	}
	if got := n.take(); len(got) > 0 {
		t.Errorf("%d were notified, want none", len(got))
	}
	if enforced, released := n.told("gone-1"); enforced != "" || released != "" {
		t.Errorf("reported are %q and %q, want nothing", enforced, released)
	}
}
