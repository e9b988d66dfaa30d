package ledger_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netbaseline/netbaseline/internal/ledger"
)

// totals returns the totals in a fixed order, without those of 0.
func totals(l *ledger.Ledger) ([]ledger.Total, int) {
	all, contested := l.Totals()
	all = slices.DeleteFunc(all, func(t ledger.Total) bool { return t.Namespaces == 0 })
	slices.SortFunc(all, func(a, b ledger.Total) int {
		return cmp.Or(cmp.Compare(a.Baseline, b.Baseline), cmp.Compare(a.State, b.State))
	})
	return all, contested
}

func TestTotals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		baselines     []string
		records       map[string]ledger.Record
		want          []ledger.Total
		wantContested int
	}{
		"nothing": {},
		"by baseline and state": {
			baselines: []string{"a", "b"},
			records: map[string]ledger.Record{
				"1": synced("a"), "2": synced("a"), "3": pending("a", noon), "4": failed("a", "Forbidden", ""), "5": held("a", "Audit", ""), "6": synced("b"),
			},
			want: []ledger.Total{
				{"a", ledger.Failed, 1}, {"a", ledger.Held, 1}, {"a", ledger.Pending, 1}, {"a", ledger.Synced, 2}, {"b", ledger.Synced, 1},
			},
		},
		"what is held for baselines that do not exist has no baseline": {
			baselines: []string{"a"},
			records: map[string]ledger.Record{
				"1": held("forged-1", "BaselineAbsent", ""), "2": held("forged-2", "BaselineAbsent", ""), "3": held("a", "Audit", ""), "4": held("forged-1", "BaselineAbsent", ""),
			},
			want: []ledger.Total{{"", ledger.Held, 3}, {"a", ledger.Held, 1}},
		},
		"what is held for an unknown baseline has no baseline either": {
			baselines: []string{"a"},
			records:   map[string]ledger.Record{"1": held("", "OwnerUnknown", ""), "2": held("gone", "BaselineAbsent", "")},
			want:      []ledger.Total{{"", ledger.Held, 2}},
		},
		"what is held for several is counted for each": {
			baselines: []string{"a", "b"},
			records:   map[string]ledger.Record{"1": {Baseline: "a", AlsoHeld: []string{"b"}, State: ledger.Held}},
			want:      []ledger.Total{{"a", ledger.Held, 1}, {"b", ledger.Held, 1}},
		},
		"what is being released is not failed": {
			baselines: []string{"a"},
			records:   map[string]ledger.Record{"1": {Baseline: "a", State: ledger.Releasing, Reason: "Forbidden"}},
			want:      []ledger.Total{{"a", ledger.Releasing, 1}},
		},
		"namespaces without a baseline are not counted": {
			baselines: []string{"a"},
			records:   map[string]ledger.Record{"1": {}, "2": {Selecting: []string{"a"}}},
		},
		"contested ones are counted once, whichever baseline governs them": {
			baselines:     []string{"a", "b"},
			records:       map[string]ledger.Record{"1": contested("a"), "2": contested("b"), "3": contested("b"), "4": synced("b"), "5": failed("b", "Forbidden", "")},
			want:          []ledger.Total{{"a", ledger.Synced, 1}, {"b", ledger.Failed, 1}, {"b", ledger.Synced, 3}},
			wantContested: 3,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNotebook()
			for _, baseline := range test.baselines {
				n.Observe(ledger.Observation{Name: baseline, Version: new(ledger.Version{Generation: 1})})
			}
			for namespace, record := range test.records {
				n.put(namespace, record)
			}
			got, gotContested := totals(n.Ledger)
			if diff := gocmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if gotContested != test.wantContested {
				t.Errorf("%d contested, want %d", gotContested, test.wantContested)
			}
		})
	}
}

// A series that vanishes at 0 and comes back breaks alerts and sums; so as long as a baseline is
// known, each state has its number.
func TestEveryStateOfABaselineWithNamespacesHasATotal(t *testing.T) {
	t.Parallel()
	n := newNotebook()
	n.Observe(ledger.Observation{Name: "a", Version: new(ledger.Version{Generation: 1})})
	n.put("1", synced("a"))
	all, _ := n.Totals()
	got := map[ledger.State]int32{}
	for _, total := range all {
		if total.Baseline == "a" {
			got[total.State] = total.Namespaces
		}
	}
	want := map[ledger.State]int32{ledger.Synced: 1, ledger.Pending: 0, ledger.Failed: 0, ledger.Held: 0, ledger.Releasing: 0}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A tenant can write any name into the label of our policies, again and again.
func TestForgedBaselineNamesAddNoSeries(t *testing.T) {
	t.Parallel()
	n := newNotebook()
	n.Observe(ledger.Observation{Name: "a", Version: new(ledger.Version{Generation: 1})})
	n.put("1", synced("a"))
	before, _ := n.Totals()
	for i := range 500 {
		n.put("2", held(fmt.Sprintf("forged-%d", i), "BaselineAbsent", ""))
	}
	after, _ := n.Totals()
	if len(after) != len(before) {
		t.Errorf("there were %d series and are %d: a label can add some", len(before), len(after))
	}
}

func TestTallies(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		enforced, released         []string
		wantEnforced, wantReleased string
	}{
		"nothing":                     {},
		"one":                         {enforced: []string{"a"}, wantEnforced: "1 namespace: a"},
		"three are all named":         {enforced: []string{"c", "a", "b"}, wantEnforced: "3 namespaces: a, b, c"},
		"of more, the first three":    {released: []string{"a", "b", "c", "d"}, wantReleased: "4 namespaces: a, b, c and 1 more"},
		"of many, the first three":    {released: []string{"a", "b", "c", "d", "e", "f"}, wantReleased: "6 namespaces: a, b, c and 3 more"},
		"both, without mixing them":   {enforced: []string{"a"}, released: []string{"b", "c"}, wantEnforced: "1 namespace: a", wantReleased: "2 namespaces: b, c"},
		"the same twice counts twice": {enforced: []string{"a", "a"}, wantEnforced: "2 namespaces: a, a"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNotebook()
			for _, name := range []string{"default", "other"} {
				n.Observe(ledger.Observation{Name: name, Version: new(ledger.Version{Generation: 1})})
			}
			n.NoteEnforced("other", "x")
			n.NoteReleased("other", "y")
			for _, namespace := range test.enforced {
				n.NoteEnforced("default", namespace)
			}
			for _, namespace := range test.released {
				n.NoteReleased("default", namespace)
			}
			enforced, released := n.told("default")
			if enforced != test.wantEnforced || released != test.wantReleased {
				t.Errorf("got %q and %q, want %q and %q", enforced, released, test.wantEnforced, test.wantReleased)
			}
			if enforced, released = n.told("default"); enforced != "" || released != "" {
				t.Errorf("reported again: %q and %q", enforced, released)
			}
			if enforced, released = n.told("other"); enforced != "1 namespace: x" || released != "1 namespace: y" {
				t.Errorf("of the other baseline: %q and %q", enforced, released)
			}
		})
	}
}

func TestTheTalliesOfABaselineGoWithIt(t *testing.T) {
	t.Parallel()
	n := newNotebook()
	n.Observe(ledger.Observation{Name: "default", Version: new(ledger.Version{Generation: 1})})
	n.NoteEnforced("default", "a")
	n.NoteReleased("default", "b")
	if diff := gocmp.Diff([]string{"default", "default"}, n.take()); diff != "" {
		t.Errorf("there is something to tell it (-want +got):\n%s", diff)
	}
	n.Observe(ledger.Observation{Name: "default"})
	n.NoteEnforced("default", "c")
	n.NoteReleased("default", "d")
	if got := n.take(); len(got) > 0 {
		t.Errorf("%v were notified of what was done for a baseline that is gone", got)
	}
	if enforced, released := n.told("default"); enforced != "" || released != "" {
		t.Errorf("a baseline created again under the name gets %q and %q", enforced, released)
	}
}

// told returns what happened for a baseline since the last call, in words.
func (n *notebook) told(baseline string) (enforced, released string) {
	e, r := n.TakeTallies(baseline)
	return e.String(), r.String()
}
