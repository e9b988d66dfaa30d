//go:build faults

package faults_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netbaseline/netbaseline/test/faults"
	"github.com/netbaseline/netbaseline/test/witness"
)

func newTransport(rules ...*faults.Rule) *faults.Transport { return faults.NewTransport(rules...) }

var crashes = []struct {
	when  string
	fault func(*faults.Transport) faults.Fault
}{
	{"before", (*faults.Transport).CrashBefore},
	{"after", (*faults.Transport).CrashAfter},
	{"unanswered", (*faults.Transport).CrashUnanswered},
}

// Whatever write of whatever workload a manager dies at: the next one finishes the work, with the same writes to each policy as
// without the crash, and no revision in between breaks an invariant.
func TestACrashAtEveryWrite(t *testing.T) {
	for _, w := range workloads {
		t.Run(w.name, func(t *testing.T) {
			began := time.Now()
			writes, want := w.learn(t)
			if len(writes) == 0 {
				t.Fatal("the workload makes no writes: nothing would be shown")
			}
			ran := 0
			sweep := w.prepare(t, len(writes)*len(crashes))
			for i, s := range sweep {
				at, crash := i/len(crashes), crashes[i%len(crashes)]
				name := fmt.Sprintf("%s write %d, %s", crash.when, at, writes[at])
				if diff := cmp.Diff(want, w.crash(t, s, at, crash.fault, name)); diff != "" {
					t.Errorf("%s: %s: writes to each policy (-undisturbed +crashed):\n%s", s.id, name, diff)
				}
				ran++
			}
			if ran != 3*len(writes) {
				t.Errorf("%d runs for %d writes", ran, len(writes))
			}
			expectSilence(t)
			for _, s := range sweep {
				w.finish(t, s)
				s.free(t)
			}
			expectNoViolation(t, restartBound)
			t.Logf("%d writes, %d crashes, %s", len(writes), ran, time.Since(began).Round(time.Second))
		})
	}
}

// learn runs a workload undisturbed and returns what it writes.
func (w *workload) learn(t *testing.T) ([]faults.Call, map[string]witness.Count) {
	t.Helper()
	s := w.prepare(t, 1)[0]
	o := start(t, newTransport())
	s.since = caughtUp(t)
	w.act(t, s)
	w.finish(t, s)
	o.silent(t, 1500*time.Millisecond) // a status may follow a second later
	writes, counts := o.Calls(faults.Call.Writes), s.counts(t)
	o.giveUp()
	s.free(t)
	return writes, counts
}

// crash runs a workload with a manager that dies at one write and another one that finds what it left.
func (w *workload) crash(t *testing.T, s *site, at int, fault func(*faults.Transport) faults.Fault, name string) map[string]witness.Count {
	t.Helper()
	transport := newTransport()
	transport.Add(&faults.Rule{Match: faults.Call.Writes, Skip: at, Times: 1, Fault: fault(transport)})
	doomed := start(t, transport)
	s.since = caughtUp(t)
	w.act(t, s)
	select {
	case <-transport.Died():
	case <-time.After(patience):
		t.Errorf("%s: %s: the write was never made", s.id, name)
	}
	doomed.giveUp()
	next := startBlind(t, newTransport())
	w.finish(t, s)
	next.silent(t, 100*time.Millisecond)
	next.giveUp()
	return s.counts(t)
}

// expectSilence starts a manager on what there is. It may still write a status, which the last one was cut off from, but no policy; and
// the next manager finds nothing to write at all.
func expectSilence(t *testing.T) {
	t.Helper()
	for _, statuses := range []bool{true, false} {
		o := start(t, newTransport())
		<-time.After(time.Second)
		o.silent(t, 1500*time.Millisecond)
		for _, call := range o.Calls(faults.Call.Writes) {
			if !statuses || call.Subresource != "status" {
				t.Errorf("a manager that finds everything as it must be writes: %s", call)
			}
		}
		o.giveUp()
	}
}
