package ledger_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/netbaseline/netbaseline/internal/ledger"
)

func TestWhenANamespaceArrivedIsRememberedUntilItIsProtected(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, time.May, 4, 12, 0, 0, 0, time.UTC)
	arrived := func(l *ledger.Ledger) { l.Arrived("shop", noon) }
	recorded := func(state ledger.State) func(*ledger.Ledger) {
		return func(l *ledger.Ledger) { l.Record("shop", l.Round(), ledger.Record{Baseline: "default", State: state}) }
	}
	tests := map[string]struct {
		acts      []func(*ledger.Ledger)
		want      time.Time
		wantKnown bool
	}{
		"it never did":            {},
		"it did":                  {acts: []func(*ledger.Ledger){arrived}, want: noon, wantKnown: true},
		"another did":             {acts: []func(*ledger.Ledger){func(l *ledger.Ledger) { l.Arrived("other", noon) }}},
		"it waits":                {acts: []func(*ledger.Ledger){arrived, recorded(ledger.Pending)}, want: noon, wantKnown: true},
		"it is expected":          {acts: []func(*ledger.Ledger){arrived, func(l *ledger.Ledger) { l.Expect("shop", ledger.Record{Baseline: "default"}) }}, want: noon, wantKnown: true},
		"it refuses its policies": {acts: []func(*ledger.Ledger){arrived, recorded(ledger.Failed)}, want: noon, wantKnown: true},
		"it is protected":         {acts: []func(*ledger.Ledger){arrived, recorded(ledger.Pending), recorded(ledger.Synced)}},
		"no baseline governs it":  {acts: []func(*ledger.Ledger){arrived, recorded(ledger.Unmanaged)}},
		"its policies are held":   {acts: []func(*ledger.Ledger){arrived, recorded(ledger.Held)}},
		"another is protected": {acts: []func(*ledger.Ledger){
			arrived, func(l *ledger.Ledger) { l.Record("other", 0, ledger.Record{State: ledger.Synced}) },
		}, want: noon, wantKnown: true},
		"it is gone":       {acts: []func(*ledger.Ledger){arrived, func(l *ledger.Ledger) { l.Forget("shop", 0) }}},
		"another is gone":  {acts: []func(*ledger.Ledger){arrived, func(l *ledger.Ledger) { l.Forget("other", 0) }}, want: noon, wantKnown: true},
		"it is made again": {acts: []func(*ledger.Ledger){arrived, func(l *ledger.Ledger) { l.Arrived("shop", noon.Add(1)) }}, want: noon.Add(1), wantKnown: true},
		"it is protected, gone and made again": {acts: []func(*ledger.Ledger){
			arrived, recorded(ledger.Synced), func(l *ledger.Ledger) { l.Forget("shop", 0); l.Arrived("shop", noon.Add(2)) },
		}, want: noon.Add(2), wantKnown: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := ledger.New(func(string) {})
			for _, act := range test.acts {
				act(l)
			}
			for range 2 { // it is not taken by asking
				if got, known := l.Arrival("shop"); known != test.wantKnown || !got.Equal(test.want) {
					t.Errorf("arrived %s, known %t; want %s, %t", got, known, test.want, test.wantKnown)
				}
			}
		})
	}
}

func TestArrivalsAreSafeForManyWorkers(t *testing.T) {
	t.Parallel()
	l := ledger.New(func(string) {})
	var workers sync.WaitGroup
	for worker := range 8 {
		workers.Go(func() {
			for i := range 200 {
				name := fmt.Sprintf("n%d-%d", worker, i)
				l.Arrived(name, time.Unix(int64(i), 0))
				if _, known := l.Arrival(name); !known {
					t.Errorf("%s was lost", name)
				}
				l.Record(name, 0, ledger.Record{Baseline: "default", State: ledger.Synced})
				if _, known := l.Arrival(name); known {
					t.Errorf("%s is protected, and still arriving", name)
				}
			}
		})
	}
	workers.Wait()
}
