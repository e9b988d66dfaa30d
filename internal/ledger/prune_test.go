package ledger

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a ledger holds must not grow with the names that a tenant writes into labels. Only a look
// inside can tell.
func TestNothingIsKeptForBaselinesThatNoRecordNames(t *testing.T) {
	t.Parallel()
	held := func(baseline string) Record { return Record{Baseline: baseline, State: Held, Reason: "BaselineAbsent"} }
	overridden := Record{Baseline: "high", State: Synced, Selecting: []string{"high", "low"}, Environment: "production"}

	tests := map[string]struct {
		act  func(*Ledger)
		want []string
	}{
		"a name replaced by another, again and again": {
			act: func(l *Ledger) {
				for i := range 100 {
					l.Record("shop", 0, held(fmt.Sprintf("forged-%d", i)))
				}
			},
			want: []string{"forged-99"},
		},
		"a name that another namespace still carries": {
			act: func(l *Ledger) {
				l.Record("shop", 0, held("kept"))
				l.Record("other", 0, held("kept"))
				l.Record("shop", 0, held("new"))
			},
			want: []string{"kept", "new"},
		},
		"the same name again": {
			act: func(l *Ledger) {
				l.Record("shop", 0, held("kept"))
				l.Record("shop", 0, Record{Baseline: "kept", State: Failed, Reason: "Forbidden"})
			},
			want: []string{"kept"},
		},
		"a namespace that is released": {
			act: func(l *Ledger) {
				l.Record("shop", 0, overridden)
				l.Record("shop", 0, Record{})
			},
		},
		"a namespace that is gone": {
			act: func(l *Ledger) {
				l.Record("shop", 0, overridden)
				l.Forget("shop", 0)
			},
		},
		"a namespace that a baseline in Audit would let go of": {
			act: func(l *Ledger) {
				l.Record("shop", 0, Record{Previewed: []Previewed{{"kept", Remove}, {"gone", Remove}}})
				l.Record("shop", 0, Record{Previewed: []Previewed{{"kept", Remove}}})
			},
			want: []string{"kept"},
		},
		"a namespace that one of two still selects": {
			act: func(l *Ledger) {
				l.Record("shop", 0, overridden)
				l.Record("shop", 0, Record{Selecting: []string{"low"}})
			},
			want: []string{"low"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := New(func(string) {})
			test.act(l)
			if diff := cmp.Diff(test.want, slices.Sorted(maps.Keys(l.sums))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestASumKeepsNothingOfWhatHasLeft(t *testing.T) {
	t.Parallel()
	l := New(func(string) {})
	l.Record("anchor", 0, Record{Baseline: "default", State: Synced, Environment: "production"})
	for i := range 100 {
		name := fmt.Sprintf("n%d", i)
		l.Record(name, 0, Record{Baseline: "default", State: Failed, Environment: name, Contested: true})
		l.Record(name, 0, Record{Baseline: "default", State: Held})
		l.Forget(name, 0)
	}
	s := l.sums["default"]
	if len(s.environments) != 1 || len(s.attention) != 0 || len(s.held) != 0 {
		t.Errorf("left are the environments %v, attention for %v and held %v; want production and nothing else", s.environments, s.attention, s.held)
	}
	if len(l.records) != 1 {
		t.Errorf("left are %d records, want 1", len(l.records))
	}
}
