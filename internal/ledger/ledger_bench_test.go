package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/netbaseline/netbaseline/internal/ledger"
)

// sizes are the numbers of namespaces that costs are measured at.
var sizes = []int{100, 10_000}

// filled returns a ledger with so many synced namespaces of one baseline, in 20 environments; all
// have been seen.
func filled(namespaces int) *ledger.Ledger {
	l := ledger.New(func(string) {})
	l.Observe(ledger.Observation{Name: "default", Version: new(ledger.Version{UID: "u", Generation: 1, Finalized: true})})
	l.Begin(nil, noon)
	for i := range namespaces {
		l.Record(fmt.Sprintf("n%05d", i), l.Round(), in(fmt.Sprintf("e%02d", i%20), synced("default")))
	}
	return l
}

// turns are records that one namespace comes to in turn: every kind of change.
func turns() []ledger.Record {
	return []ledger.Record{
		in("e00", synced("default")), in("e01", synced("default")), pending("default", noon), failed("default", "Forbidden", "no"),
		contested("default"), held("default", "Audit", ""),
		{},
	}
}

func BenchmarkRecord(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("changed/namespaces=%d", size), func(b *testing.B) {
			l, records := filled(size), turns()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				l.Record("n00000", 1, records[i%len(records)])
			}
		})
		b.Run(fmt.Sprintf("equal/namespaces=%d", size), func(b *testing.B) {
			l, record := filled(size), in("e00", synced("default"))
			b.ReportAllocs()
			for b.Loop() {
				l.Record("n00000", 1, record)
			}
		})
	}
}

func BenchmarkSummarize(b *testing.B) {
	for _, size := range sizes {
		// As it nearly always is, and three states in which the cost does grow, because names are
		// collected or sorted.
		states := map[string]func(i int) ledger.Record{
			"synced":           nil,
			"all-failed":       func(int) ledger.Record { return failed("default", "Forbidden", "no") },
			"all-held":         func(int) ledger.Record { return held("default", "Audit", "in Audit") },
			"own-environments": func(i int) ledger.Record { return in(fmt.Sprintf("e%05d", i), synced("default")) },
		}
		for _, state := range []string{"synced", "all-failed", "all-held", "own-environments"} {
			b.Run(fmt.Sprintf("%s/namespaces=%d", state, size), func(b *testing.B) {
				l := filled(size)
				for i := range size {
					if record := states[state]; record != nil {
						l.Record(fmt.Sprintf("n%05d", i), 1, record(i))
					}
				}
				b.ReportAllocs()
				for b.Loop() {
					l.Summarize("default")
				}
			})
		}
	}
}

func BenchmarkTotals(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("namespaces=%d", size), func(b *testing.B) {
			l := filled(size)
			b.ReportAllocs()
			for b.Loop() {
				l.Totals()
			}
		})
	}
}

// How long workers wait while a baseline is summed up, when all its namespaces fail: one pass looks
// at them without sorting. The bound is a duration, so it is for a benchmark; the test counts what
// sorting would allocate.
func BenchmarkSummarizeFailing(b *testing.B) {
	const bound = time.Millisecond
	l := filled(10_000)
	for i := range 10_000 {
		l.Record(fmt.Sprintf("n%05d", i), 1, failed("default", "Forbidden", "no"))
	}
	b.ReportAllocs()
	for b.Loop() {
		l.Summarize("default")
	}
	if each := b.Elapsed() / time.Duration(b.N); b.N > 1 && each > bound {
		b.Errorf("the lock is held for %s, want at most %s", each, bound)
	}
}

// No t.Parallel here either.
func TestSummingUpManyFailuresDoesNotCollectThem(t *testing.T) {
	summing := func(namespaces int) float64 {
		l := filled(namespaces)
		for i := range namespaces {
			l.Record(fmt.Sprintf("n%05d", i), 1, failed("default", "Forbidden", "no"))
		}
		return testing.AllocsPerRun(20, func() { l.Summarize("default") })
	}
	if few, many := summing(sizes[0]), summing(sizes[1]); many > few {
		t.Errorf("%v allocations with %d failing namespaces, and %v with %d: they are all collected", few, sizes[0], many, sizes[1])
	}
}

// What one namespace costs must not grow with how many there are. Allocations tell that without a
// clock: to sort or to collect all namespaces takes room for them. No t.Parallel here:
// testing.AllocsPerRun counts the allocations of the whole process.
func TestWhatOneNamespaceCostsDoesNotGrowWithTheirNumber(t *testing.T) {
	small, large := filled(sizes[0]), filled(sizes[1])
	const one = "n00000"
	tests := map[string]func(l *ledger.Ledger){
		"recording a change": func(l *ledger.Ledger) {
			for _, record := range turns() {
				l.Record(one, 1, record)
			}
		},
		"recording what has not changed": func(l *ledger.Ledger) { l.Record(one, 1, in("e00", synced("default"))) },
		"a namespace that comes and goes": func(l *ledger.Ledger) {
			l.Record("new", 1, synced("default"))
			l.Forget("new", 1)
		},
		"reading what is known of it": func(l *ledger.Ledger) { l.Get(one) },
		"summing up a baseline":       func(l *ledger.Ledger) { l.Summarize("default") },
		"summing up for metrics":      func(l *ledger.Ledger) { l.Totals() },
		"summing up a baseline with one namespace in trouble": func(l *ledger.Ledger) {
			l.Record(one, 1, pending("default", noon.Add(time.Second)))
			l.Summarize("default")
			l.Record(one, 1, in("e00", synced("default")))
		},
	}
	for name, act := range tests {
		t.Run(name, func(t *testing.T) {
			few := testing.AllocsPerRun(100, func() { act(small) })
			many := testing.AllocsPerRun(100, func() { act(large) })
			if few != many {
				t.Errorf("%v allocations with %d namespaces, and %v with %d: it grows", few, sizes[0], many, sizes[1])
			}
		})
	}
}
