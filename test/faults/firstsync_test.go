//go:build faults

package faults_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/test/faults"
	"github.com/netbaseline/netbaseline/test/faults/witness"
)

// blindness is a way in which a manager, when it starts, does not see all there is.
type blindness struct {
	name string
	// inflict puts faults in place, and returns what takes them away, one after the other.
	inflict func(*faults.Transport) (lift []func(*testing.T, *operator))
	// deceived means that the manager assumes that it sees everything, and so begins its work.
	deceived bool
}

// inOrder has the caches filled one after the other.
func inOrder(order ...string) blindness {
	return blindness{name: strings.Join(order, ", then "), inflict: func(transport *faults.Transport) []func(*testing.T, *operator) {
		var lift []func(*testing.T, *operator)
		for _, resource := range order {
			open := make(chan struct{})
			transport.Add(&faults.Rule{Match: fills(resource), Fault: faults.Until(open)})
			lift = append(lift, func(t *testing.T, o *operator) {
				close(open)
				eventually(t, func() string {
					if !o.Watching(resource) {
						return resource + " are not watched"
					}
					return ""
				})
			})
		}
		return lift
	}}
}

// fills chooses the calls for the cache of one kind.
func fills(resource string) func(faults.Call) bool {
	return func(call faults.Call) bool { return call.Resource == resource && call.ForCache() }
}

func listsOf(resource string) func(faults.Call) bool {
	return func(call faults.Call) bool { return fills(resource)(call) && call.Verb == "list" }
}

const (
	noBaselines = `{"apiVersion":"policy.netbaseline.dev/v1alpha1","kind":"ClusterNetworkBaselineList","metadata":{"resourceVersion":"1"},"items":[]}`
	// endOfNoBaselines ends the first part of a watch that begins with all there is.
	endOfNoBaselines = `{"type":"BOOKMARK","object":{"apiVersion":"policy.netbaseline.dev/v1alpha1","kind":"ClusterNetworkBaseline",` +
		`"metadata":{"resourceVersion":"1","annotations":{"k8s.io/initial-events-end":"true"}}}}` + "\n"
)

func lifted(_ *testing.T, o *operator) { o.Clear() }

var blindnesses = []blindness{
	inOrder("namespaces", "networkpolicies", "clusternetworkbaselines"),
	inOrder("namespaces", "clusternetworkbaselines", "networkpolicies"),
	inOrder("networkpolicies", "namespaces", "clusternetworkbaselines"),
	inOrder("networkpolicies", "clusternetworkbaselines", "namespaces"),
	inOrder("clusternetworkbaselines", "namespaces", "networkpolicies"),
	inOrder("clusternetworkbaselines", "networkpolicies", "namespaces"),
	{
		name: "baselines cannot be read", inflict: func(transport *faults.Transport) []func(*testing.T, *operator) {
			transport.Add(&faults.Rule{Match: fills("clusternetworkbaselines"), Fault: faults.Status(500, metav1.StatusReasonInternalError, 0)})
			return []func(*testing.T, *operator){lifted}
		},
	},
	{
		name: "the list of baselines breaks off", inflict: func(transport *faults.Transport) []func(*testing.T, *operator) {
			transport.Add(&faults.Rule{Match: fills("clusternetworkbaselines"), Fault: faults.Answer(noBaselines[:len(noBaselines)/2], closed())})
			return []func(*testing.T, *operator){lifted}
		},
	},
	{
		name: "baselines are said to be none", deceived: true, inflict: func(transport *faults.Transport) []func(*testing.T, *operator) {
			end := make(chan struct{})
			transport.Add(&faults.Rule{Match: listsOf("clusternetworkbaselines"), Fault: faults.Answer(noBaselines, closed())})
			transport.Add(&faults.Rule{Match: fills("clusternetworkbaselines"), Fault: faults.Answer(endOfNoBaselines, end)})
			return []func(*testing.T, *operator){func(_ *testing.T, o *operator) { o.Clear(); close(end) }}
		},
	},
}

func closed() <-chan struct{} {
	closed := make(chan struct{})
	close(closed)
	return closed
}

// While a manager does not see everything yet, it writes nothing; and whatever it comes to see
// first, it ends in the same way.
func TestWhateverIsSeenFirst(t *testing.T) {
	const together = 3 // as many as there are sites for
	var want map[string]witness.Count
	for batch := range slices.Chunk(blindnesses, together) {
		all := prepare(t, slices.Repeat(everyWorkload(), len(batch)))
		for i, sites := range slices.Collect(slices.Chunk(all, len(workloads))) {
			t.Run(batch[i].name, func(t *testing.T) {
				counts := batch[i].suffer(t, sites)
				if want == nil {
					want = counts
				}
				if diff := cmp.Diff(want, counts); diff != "" {
					t.Errorf("writes to each policy (-%s +%s):\n%s", blindnesses[0].name, batch[i].name, diff)
				}
			})
		}
		expectSilence(t)
		freeAll(t, all)
	}
}

// suffer has a manager start that finds the work of all workloads, and does not see everything at
// first. It returns what it writes.
func (b *blindness) suffer(t *testing.T, sites []*site) map[string]witness.Count {
	t.Helper()
	for i, w := range everyWorkload() {
		w.act(t, sites[i])
	}
	since := caughtUp(t)
	transport := newTransport()
	lift := b.inflict(transport)
	o := startBlind(t, transport)
	o.asks(t)
	for _, next := range lift {
		b.expectIdle(t, o)
		next(t, o)
	}
	all := map[string]witness.Count{}
	for i, w := range everyWorkload() {
		w.finish(t, sites[i])
		sites[i].since = since
		for policy, count := range sites[i].counts(t) {
			all[w.name+": "+policy] = count
		}
	}
	o.giveUp()
	return all
}

// expectIdle gives a manager that does not see everything some time, and fails the test if it
// writes anything.
func (b *blindness) expectIdle(t *testing.T, o *operator) {
	t.Helper()
	if b.deceived {
		eventually(t, func() string {
			held, err := o.manager.Metric("netbaseline_namespaces", map[string]string{"state": "held"})
			if err != nil || held == 0 {
				return fmt.Sprintf("%v namespaces are held, error %v", held, err)
			}
			return ""
		})
	}
	<-time.After(300 * time.Millisecond)
	for _, call := range o.Calls(faults.Call.Writes) {
		t.Errorf("a manager that does not see everything writes: %s", call)
	}
}
