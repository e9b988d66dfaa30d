//go:build faults

package faults_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/faults"
	"github.com/netbaseline/netbaseline/test/utils/builder"
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

// statusPause is longer than netbaseline waits between two statuses of a baseline: after a pause
// like that, none is to be expected.
const statusPause = 1200 * time.Millisecond

// Whatever write of whatever workload a manager dies at: the next one finishes the work, with the
// same writes to each policy as without the crash, and no revision in between breaks an invariant.
func TestACrashAtEveryWrite(t *testing.T) {
	learned := learn(t)
	runs := func(w *workload) int { return len(learned[w].writes) * len(crashes) }
	for _, group := range grouped(partOf(t, everyWorkload()), runs) {
		var chosen []*workload
		for _, w := range group {
			chosen = append(chosen, slices.Repeat([]*workload{w}, runs(w))...)
		}
		prepared := prepare(t, chosen)
		rest := prepared
		for _, w := range group {
			t.Run(w.name, func(t *testing.T) { w.sweep(t, rest[:runs(w)], learned[w]) })
			rest = rest[runs(w):]
		}
		expectSilence(t)
		for i, s := range prepared {
			if s.since > 0 { // only some workloads may have been asked for
				chosen[i].finish(t, s)
			}
		}
		freeAll(t, prepared)
	}
}

// partOf returns the workloads of the part that the flag names.
func partOf(t *testing.T, all []*workload) []*workload {
	t.Helper()
	var number, parts int
	if _, err := fmt.Sscanf(*part, "%d/%d", &number, &parts); err != nil || number < 1 || number > parts {
		t.Fatalf("-faults.part=%s: write it as 2/3", *part)
	}
	var chosen []*workload
	for i := number - 1; i < len(all); i += parts {
		chosen = append(chosen, all[i])
	}
	return chosen
}

// sweep crashes a manager at every write of a workload in every way. The one that finishes what a
// dead one has left is the next to die.
func (w *workload) sweep(t *testing.T, prepared []*site, learned *lesson) {
	began, unmet := time.Now(), 0
	name := func(i int) string {
		at := i / len(crashes)
		return fmt.Sprintf("%s: %s write %d, %s", prepared[i].id, crashes[i%len(crashes)].when, at, learned.writes[at])
	}
	o := start(t, newTransport())
	for i, s := range prepared {
		next := w.crash(t, o, s, i/len(crashes), crashes[i%len(crashes)].fault(o.Transport))
		if next == o { // how often a status or a finalizer is written depends on how fast the machine is; policies are counted below
			t.Logf("%s: the work was done with fewer writes", name(i))
			unmet++
		}
		o = next
	}
	o.silent(t, statusPause)
	o.giveUp()
	for i, s := range prepared {
		if diff := cmp.Diff(learned.counts, s.counts(t)); diff != "" {
			t.Errorf("%s: writes to each policy (-undisturbed +crashed):\n%s", name(i), diff)
		}
	}
	if len(prepared) != len(crashes)*len(learned.writes) || unmet > len(prepared)/2 {
		t.Errorf("%d runs for %d writes, %d without a crash", len(prepared), len(learned.writes), unmet)
	}
	t.Logf("%d writes, %d crashes, %s", len(learned.writes), len(prepared)-unmet, time.Since(began).Round(time.Second))
}

// crash runs a workload with a manager that dies at one write and another one that finds what it
// left, and returns that. If the first one is done with fewer writes, there is no other.
func (w *workload) crash(t *testing.T, o *operator, s *site, at int, fault faults.Fault) (next *operator) {
	t.Helper()
	writes := func(call faults.Call) bool { return call.Writes() && s.owns(call) }
	o.Add(&faults.Rule{Match: writes, Skip: at, Times: 1, Fault: fault})
	s.since = caughtUp(t)
	w.act(t, s)
	if !o.dies(t, s) {
		o.Clear()
		if !o.dead() { // nor in between
			return o
		}
	}
	o.giveUp()
	next = startBlind(t, newTransport())
	w.finish(t, s)
	return next
}

// dies waits until a manager is dead, or has nothing more to do in a site.
func (o *operator) dies(t *testing.T, s *site) (died bool) {
	t.Helper()
	eventually(t, func() string {
		if died = o.dead(); died {
			return ""
		}
		if !o.Quiet(statusPause) {
			return "the manager neither dies nor comes to rest"
		}
		return s.unsettled(t)
	})
	return died
}

func (o *operator) dead() bool {
	select {
	case <-o.Died():
		return true
	default:
		return false
	}
}

// expectSilence starts a manager on what there is, after another one has come to rest. It finds
// nothing to write, but for a status that the other one still owed, on a machine that was too busy;
// then the one after it finds nothing.
func expectSilence(t *testing.T) {
	t.Helper()
	writes := restart(t)
	if len(writes) > 0 && !slices.ContainsFunc(writes, func(call faults.Call) bool { return call.Subresource != "status" }) {
		writes = restart(t)
	}
	for _, call := range writes {
		t.Errorf("a manager that finds the desired state writes: %s", call)
	}
}

// restart starts a manager, waits until it has seen everything and come to rest, and returns what
// it wrote.
func restart(t *testing.T) []faults.Call {
	t.Helper()
	o := start(t, newTransport())
	marker := o.seesEverything(t)
	o.silent(t, statusPause)
	o.giveUp()
	return o.Calls(func(call faults.Call) bool { return call.Writes() && call.Name != marker })
}

var markers int

// seesEverything waits until a manager has looked at every namespace: only then does it call a
// baseline ready that came last, and that selects none. It returns the name of that baseline.
func (o *operator) seesEverything(t *testing.T) string {
	t.Helper()
	markers++
	marker := builder.Baseline(fmt.Sprintf("marker-%04d", markers)).Selecting(siteLabel, "none").Mode(v1alpha1.ModeAudit).Obj()
	must(t, env.Admin.Create(t.Context(), marker))
	eventually(t, func() string {
		must(t, env.Admin.Get(t.Context(), client.ObjectKeyFromObject(marker), marker))
		return unready(marker)
	})
	must(t, env.Admin.Delete(t.Context(), marker))
	return marker.Name
}
