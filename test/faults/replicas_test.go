//go:build faults

package faults_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/faults"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// electing has replicas elect a leader, in a fifth of the usual time.
var electing = []string{
	"--leader-elect", "--leader-elect-lease-duration=3s", "--leader-elect-renew-deadline=2s", "--leader-elect-retry-period=500ms",
}

// startPair starts a leader and a standby.
func startPair(t *testing.T) (leader, standby *replica) {
	t.Helper()
	leader = startReplica(t, electing...)
	leader.awaitLeading(t)
	return leader, startReplica(t, electing...)
}

// The leader dies, as a process does, at any write of all workloads together; the standby takes
// over and finishes the work.
func TestTheLeaderIsKilled(t *testing.T) {
	lots := 1
	if *long {
		lots = 15
	}
	random := rand.New(rand.NewPCG(seed, 6))
	for range lots {
		const rounds = 2
		all := prepare(t, slices.Repeat(everyWorkload(), rounds))
		leader, standby := startPair(t)
		for round := range rounds {
			at, effective := random.IntN(45), random.IntN(2) == 0
			t.Run(fmt.Sprintf("at write %d, effective %t", at, effective), func(t *testing.T) {
				leader.obey(&faults.Rule{Match: faults.Call.Writes, Skip: at, Times: 1, Fault: leader.killed(effective)})
				acted := all[round*len(workloads):][:len(workloads)]
				actAll(t, acted)
				leader.ended(t)
				standby.awaitLeading(t)
				finishAll(t, acted)
			})
			leader, standby = standby, startReplica(t, electing...)
		}
		leader.silent(t, statusPause)
		must(t, leader.process.Kill())
		must(t, standby.process.Kill())
		if standby.written.Load() > 0 {
			t.Errorf("a replica that does not lead has written %d times", standby.written.Load())
		}
		concludeAll(t, all)
	}
}

// underWay is how many writes of a manager may be past its fence at the same time: a few of those
// of its 16 workers. Without the fence, a leader that is continued makes more than 18.
const underWay = 5

// loosened stops denying a direction.
var loosened = workload{
	name: "loosen", before: []func(*testing.T, *site){enforce}, policies: 9,
	act: func(t *testing.T, s *site) { s.edit(t, "a", denying(v1alpha1.PolicyTypeEgress)) },
}

func denying(directions ...v1alpha1.PolicyType) func(*v1alpha1.ClusterNetworkBaselineSpec) {
	return func(spec *v1alpha1.ClusterNetworkBaselineSpec) { spec.DefaultDeny.PolicyTypes = directions }
}

// The leader is stopped in the middle of all workloads, and continued when the other one has long
// led, and when what it was about to do would be a hole. It ends, and before that sends nothing: no
// more is stored than what was past its fence when it was stopped.
func TestTheLeaderIsStoppedAndContinued(t *testing.T) {
	moments := []struct {
		name string
		verb string
	}{
		{"when it has decided and is about to read", "get"},
		{"with a write under way", "update"},
	}
	if *long {
		moments = slices.Repeat(moments, 10)
	}
	for _, moment := range moments {
		t.Run(moment.name, func(t *testing.T) {
			all := prepare(t, append(everyWorkload(), &loosened))
			last := all[len(workloads)]
			leader, standby := startPair(t)
			held, goOn := make(chan struct{}), make(chan struct{})
			resume := sync.OnceFunc(func() { close(goOn) })
			t.Cleanup(resume)
			leader.obey(&faults.Rule{
				Match: func(call faults.Call) bool {
					return last.owns(call) && call.Resource == "networkpolicies" && call.Verb == moment.verb
				},
				Times: 1, Fault: leader.stopped(held, goOn),
			})
			loosened.act(t, last)
			actAll(t, all)
			await(t, held, "the leader was to be stopped at a call that it never made")
			standby.awaitLeading(t)
			finishAll(t, all)
			last.edit(t, "a", denying(v1alpha1.PolicyTypeIngress, v1alpha1.PolicyTypeEgress))
			for _, i := range []int{0, 1, 3, 9} { // create, edit, relabel, repair
				all[i].edit(t, "a", func(spec *v1alpha1.ClusterNetworkBaselineSpec) {
					spec.DNS.Static.Peers = []v1alpha1.DNSPeer{builder.DNSRange("10.0.0.11/32")}
				})
			}
			finishAll(t, all)
			loosened.finish(t, last)
			standby.silent(t, statusPause)
			before, after := leader.written.Load(), standby.written.Load()

			resume()
			if said := leader.ended(t); !strings.Contains(said, "leader election lost") {
				t.Errorf("the last words of the leader were: %s", said)
			}
			standby.silent(t, statusPause)
			stale, repairs := leader.written.Load()-before, standby.written.Load()-after
			if stale > underWay {
				t.Errorf("the leader was stopped until another one led, and then wrote %d times", stale)
			}
			if repairs > stale {
				t.Errorf("the new leader had to write %d times after the old one was continued, which wrote %d times", repairs, stale)
			}
			t.Logf("%d writes were under way, and took %d to repair", stale, repairs)
			finishAll(t, all)
			loosened.finish(t, last)
			must(t, standby.process.Kill())
			concludeAll(t, all)
		})
	}
}

// A manager that is killed again and again, at no moment in particular within the first 0.3 s in
// which it sees anything, still protects what it comes to; left alone, it finishes.
func TestACrashLoop(t *testing.T) {
	const mostLives = 1000
	enough, life := 20, 300*time.Millisecond
	random := rand.New(rand.NewPCG(seed, 7))
	if *long {
		enough = 120
	}
	all := prepare(t, slices.Repeat(everyWorkload(), 2))
	lives, active := 0, 0
	for ; lives < enough || active < 2 && lives < mostLives; lives++ {
		if lives >= enough { // the machine is too slow to write anything within a life
			life += life / 10
		}
		if lives < len(all) {
			workloads[lives%len(workloads)].act(t, all[lives])
		}
		r := startReplica(t)
		<-time.After(time.Duration(random.Int64N(int64(life))))
		must(t, r.process.Kill())
		if r.written.Load() > 0 {
			active++
		}
	}
	t.Logf("%d lives, %d of which wrote", lives, active)
	if active < 2 {
		t.Error("the lives were too idle: nothing is shown")
	}
	for i := lives; i < len(all); i++ {
		workloads[i%len(workloads)].act(t, all[i])
	}
	survivor := startReplica(t)
	finishAll(t, all)
	survivor.silent(t, statusPause)
	must(t, survivor.process.Kill())
	concludeAll(t, all)
}

// actAll has every workload act, on the first sites of some.
func actAll(t *testing.T, sites []*site) {
	t.Helper()
	for i := range workloads {
		workloads[i].act(t, sites[i])
	}
}

// finishAll holds sites against the end states of every workload, again and again.
func finishAll(t *testing.T, sites []*site) {
	t.Helper()
	for i := range len(sites) / len(workloads) * len(workloads) {
		workloads[i%len(workloads)].finish(t, sites[i])
	}
}

// concludeAll judges what has happened, after all managers have ended, and frees the sites.
func concludeAll(t *testing.T, sites []*site) {
	t.Helper()
	expectSilence(t)
	freeAll(t, sites)
}

// await waits for a channel to be closed.
func await(t *testing.T, closed <-chan struct{}, otherwise string) {
	t.Helper()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Fatal(otherwise)
	}
}
