package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/ledger"
)

// Every worker owns some namespaces, since the queue never lets two reconcile the same one; readers
// and rounds interleave.
func TestConcurrentWorkersLoseNothing(t *testing.T) {
	t.Parallel()
	const workers, perWorker, rounds = 8, 10, 20
	var notifications atomic.Int64
	l := ledger.New(func(string) { notifications.Add(1) })
	l.Observe(ledger.Observation{Name: "default", Version: new(ledger.Version{Generation: 1})})
	all := make([]string, 0, workers*perWorker)
	for i := range workers * perWorker {
		all = append(all, fmt.Sprintf("n%03d", i))
	}

	var work, reading sync.WaitGroup
	for worker := range workers {
		work.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 0))
			mine := all[worker*perWorker : (worker+1)*perWorker]
			for range rounds {
				for _, namespace := range mine {
					round := l.Round()
					l.Record(namespace, round, randomRecord(random, noon))
					l.NoteEnforced("default", namespace)
				}
				l.Forget(mine[random.IntN(perWorker)], l.Round())
			}
			for _, namespace := range mine {
				l.Record(namespace, l.Round(), synced("default"))
			}
		})
	}
	done := make(chan struct{})
	reading.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			l.Begin(all, noon.Add(time.Duration(i)))
			l.Summarize(someBaselines[i%len(someBaselines)])
			l.Totals()
			l.Get(all[i%len(all)])
			l.NoteReleased("default", all[i%len(all)])
			l.Observe(ledger.Observation{Name: "b", Version: new(ledger.Version{Generation: int64(i)})})
			l.Observe(ledger.Observation{Name: "b"})
		}
	})
	work.Wait()
	close(done)
	reading.Wait()

	want := v1alpha1.NamespaceCounts{Matched: workers * perWorker, Governed: workers * perWorker, Synced: workers * perWorker}
	if diff := cmp.Diff(want, l.Summarize("default").Counts); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, baseline := range []string{"a", "b", "c", "d"} {
		if got := l.Summarize(baseline).Counts; got != (v1alpha1.NamespaceCounts{}) {
			t.Errorf("baseline %s has %+v left, want nothing", baseline, got)
		}
	}
	enforced, _ := l.TakeTallies("default")
	if want := fmt.Sprintf("%d namespaces: ", workers*perWorker*rounds); !strings.HasPrefix(enforced.String(), want) {
		t.Errorf("enforced tells of %q, want %q", enforced, want)
	}
	if notifications.Load() == 0 {
		t.Error("no baseline was notified")
	}
}
