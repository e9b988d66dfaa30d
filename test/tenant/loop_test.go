package tenant_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/harness"
)

const (
	// How long the tenant loops, and how long she waits from one change to the next.
	looping, pause = time.Minute, 50 * time.Millisecond
	// The bound on what is written in one namespace: at once, a second, and by the first repair, which is before the bound.
	burst, perSecond, unbounded = 20, 10, 3
	// What is open for longer than this does not close by itself, also on a busy machine. How short it really is, test/faults measures.
	lasting = 5 * time.Second
)

// attack is one request of the tenant.
type attack func(context.Context) error

// attacks are all that she can do to the policies of a namespace, one policy after the other.
func (n *tenancy) attacks(t *testing.T) []attack {
	t.Helper()
	var all []attack
	onEach := func(do func(name string) attack) {
		for _, name := range policyNames {
			all = append(all, do(name))
		}
	}
	for _, change := range slices.Sorted(maps.Keys(changes)) {
		if changes[change].fate == putBack {
			onEach(func(name string) attack { return n.patches(name, mergePatch(t, n.before[name], changes[change].do)) })
		}
	}
	onEach(func(name string) attack {
		return func(ctx context.Context) error { return dana.Delete(ctx, wideOpen(n.namespace, name)) }
	})
	onEach(func(name string) attack {
		return func(ctx context.Context) error {
			if err := client.IgnoreNotFound(dana.Delete(ctx, wideOpen(n.namespace, name))); err != nil {
				return err
			}
			return dana.Create(ctx, wideOpen(n.namespace, name))
		}
	})
	return append(all, func(ctx context.Context) error {
		return dana.DeleteAllOf(ctx, &networkingv1.NetworkPolicy{}, client.InNamespace(n.namespace))
	})
}

func (n *tenancy) patches(name string, merge []byte) attack {
	return func(ctx context.Context) error {
		policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: name}}
		return dana.Patch(ctx, policy, client.RawPatch(types.MergePatchType, merge))
	}
}

// A tenant who changes policies 20 times a second for a minute gains nothing that lasts, does not have us write without bound, and does not
// make a baseline unready.
func TestATenantWhoLoops(t *testing.T) {
	t.Parallel()
	g, n := newGomega(t), newTenancy(t, loopBaseline)
	status, holes := followStatus(t), followHoles(t, n)
	g.Eventually(status.isReady).Should(BeTrue(), "before she begins")

	since := time.Now()
	done := loop(t, n.attacks(t))
	for _, name := range policyNames {
		g.Eventually(n.patches(name, mergePatch(t, n.before[name], changes["spec.ingress"].do))).WithArguments(t.Context()).Should(Succeed(), "she ends with the worst")
	}
	for _, name := range policyNames {
		n.isPutBack(t, name)
	}
	g.Eventually(status.failures).Should(ConsistOf(And(HaveField("Namespace", n.namespace), HaveField("Reason", v1alpha1.ReasonContested))),
		"the status must name her namespace")
	g.Eventually(holes.areClosed).Should(BeTrue(), "the watch must have seen it too")
	g.Expect(status.unready()).To(BeEmpty(), "the baseline must stay ready")

	lasted := holes.lasted()
	g.Expect(lasted).NotTo(BeEmpty(), "she opened nothing: nothing is shown")
	g.Expect(done).To(BeNumerically(">", perSecond*int(looping.Seconds())), "she was slower than the bound: nothing is shown")
	writes := slices.DeleteFunc(operatorWrites(t, n.namespace, since), func(w harness.Write) bool { return w.Code >= 300 })
	elapsed := writes[len(writes)-1].At.Sub(since)
	t.Logf("%d changes, %d repairs in %s; open %d times, for %s in the middle and %s at most",
		done, len(writes), elapsed.Round(time.Millisecond), len(lasted), lasted[len(lasted)/2], lasted[len(lasted)-1])
	g.Expect(lasted[len(lasted)-1]).To(BeNumerically("<", lasting), "no hole may last")
	g.Expect(float64(len(writes))).To(BeNumerically("<=", unbounded+burst+perSecond*elapsed.Seconds()))
}

// loop makes one attack after the other, again from the first after the last, and returns how many have changed something.
func loop(t *testing.T, attacks []attack) int {
	t.Helper()
	var done atomic.Int32
	var group sync.WaitGroup
	defer group.Wait()
	end, ticker := time.After(looping), time.NewTicker(pause)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-end:
			group.Wait()
			return int(done.Load())
		case <-ticker.C:
			group.Go(func() {
				switch err := attacks[i%len(attacks)](t.Context()); {
				case err == nil:
					done.Add(1)
				case !apierrors.IsNotFound(err) && !apierrors.IsAlreadyExists(err) && !apierrors.IsConflict(err) && !apierrors.IsInvalid(err):
					// What is tolerated is that a change does not fit what she or the operator has done a moment before.
					t.Errorf("attack %d: %v", i%len(attacks), err)
				}
			})
		}
	}
}

// operatorWrites returns what the operator has asked to write of a namespace's policies since a moment, oldest first.
func operatorWrites(t *testing.T, namespace string, since time.Time) []harness.Write {
	t.Helper()
	writes, err := environment.OperatorWrites()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(writes, func(w harness.Write) bool {
		return w.Namespace != namespace || w.Resource != "networkpolicies" || !w.At.After(since)
	})
}

// holes are the times for which a namespace was open, as a watch sees it.
type holes struct {
	mu       sync.Mutex
	standing map[string]*networkingv1.NetworkPolicy
	since    time.Time // zero while nothing is open
	closed   []time.Duration
}

func followHoles(t *testing.T, n *tenancy) *holes {
	t.Helper()
	h := &holes{standing: map[string]*networkingv1.NetworkPolicy{}}
	for name, policy := range n.before {
		h.standing[name] = policy
	}
	follow(t, &networkingv1.NetworkPolicyList{}, h.see, client.InNamespace(n.namespace))
	return h
}

func (h *holes) see(event watch.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now, policy := time.Now(), event.Object.(*networkingv1.NetworkPolicy)
	h.standing[policy.Name] = policy
	if event.Type == watch.Deleted {
		delete(h.standing, policy.Name)
	}
	open := len(newWorld(policy.Namespace, slices.Collect(maps.Values(h.standing))).opened()) > 0
	switch {
	case open && h.since.IsZero():
		h.since = now
	case !open && !h.since.IsZero():
		h.closed, h.since = append(h.closed, now.Sub(h.since)), time.Time{}
	}
}

func (h *holes) areClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.since.IsZero()
}

// lasted returns how long each hole lasted, the shortest first.
func (h *holes) lasted() []time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(slices.Values(h.closed))
}

// status is what the baseline of the loop says of itself, as a watch sees it.
type status struct {
	mu     sync.Mutex
	latest v1alpha1.ClusterNetworkBaselineStatus
	lapses []string // since it was ready for the first time
	once   bool
}

func followStatus(t *testing.T) *status {
	t.Helper()
	s := &status{}
	follow(t, &v1alpha1.ClusterNetworkBaselineList{}, s.see, client.MatchingFields{"metadata.name": loopBaseline})
	return s
}

func (s *status) see(event watch.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest = event.Object.(*v1alpha1.ClusterNetworkBaseline).Status
	ready := meta.IsStatusConditionTrue(s.latest.Conditions, v1alpha1.ConditionReady)
	if s.once && !ready {
		s.lapses = append(s.lapses, fmt.Sprintf("%+v", s.latest.Conditions))
	}
	s.once = s.once || ready
}

func (s *status) isReady() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.once
}

func (s *status) unready() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lapses
}

func (s *status) failures() []v1alpha1.NamespaceFailure {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest.Failures
}

// follow has a function see every change, one after the other, until the end of the test.
func follow(t *testing.T, list client.ObjectList, see func(watch.Event), options ...client.ListOption) {
	t.Helper()
	watching, err := admin.Watch(t.Context(), list, options...)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for event := range watching.ResultChan() {
			if event.Type != watch.Error { // that it ends
				see(event)
			}
		}
	})
	t.Cleanup(func() {
		watching.Stop()
		group.Wait()
	})
}
