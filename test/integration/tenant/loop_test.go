package tenant_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
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
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

const (
	// How long the tenant loops, and how long from one change to the next.
	looping, pause = time.Minute, 50 * time.Millisecond
	// What the operator may write beyond one repair for each change: what was under way when a
	// count began, and after a lost answer.
	slack = 10
)

// attack is one request of the tenant.
type attack func(context.Context) error

// attacks are all that a tenant can do to the policies of a namespace, one policy after the other.
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
	onEach(func(name string) attack { return n.deleting(t, name) })
	onEach(n.replacing)
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

// A tenant who changes policies 20 times a second for a minute gains nothing that lasts, does not
// have us write more than is written against us, and does not make a baseline unready.
func TestATenantWhoLoops(t *testing.T) {
	t.Parallel()
	g, n := newGomega(t), newTenancy(t, loopBaseline)
	status, holes := followStatus(t, loopBaseline), followHoles(t, n)
	g.Eventually(status.isReady).Should(BeTrue(), "before the loop begins")

	since := time.Now()
	loop(t, n.attacks(t))
	for _, name := range policyNames {
		g.Eventually(n.opening(t, name)).WithArguments(t.Context()).Should(Succeed(), "the worst comes last")
	}
	for _, name := range policyNames {
		n.isPutBack(t, name)
	}
	g.Eventually(status.failures).Should(ConsistOf(And(HaveField("Namespace", n.namespace), HaveField("Reason", v1alpha1.ReasonContested))),
		"the status must name the namespace")
	g.Eventually(holes.areClosed).Should(BeTrue(), "the watch must have seen it too")
	g.Expect(status.lapses()).To(BeEmpty(), "the baseline must stay ready")
	holes.areFewAndShort(t)
	answersOnly(t, n.namespace, since)
}

// answersOnly expects that each repair in a namespace answers one change of the tenant's.
func answersOnly(t *testing.T, namespace string, since time.Time) {
	t.Helper()
	changes, repairs := 0, 0
	for _, write := range policyWrites(t, namespace, since) {
		switch {
		case write.Code >= 300:
		case write.User == harness.OperatorUser:
			repairs++
		case write.Verb == "deletecollection":
			changes += len(policyNames)
		default:
			changes++
		}
	}
	t.Logf("%d repairs of %d changes", repairs, changes)
	g := newGomega(t)
	g.Expect(changes).To(BeNumerically(">", slack), "nothing is shown")
	g.Expect(repairs).To(BeNumerically("<=", changes+slack), "each repair must answer a change")
}

// loop makes one attack after the other, again from the first after the last.
func loop(t *testing.T, attacks []attack) {
	t.Helper()
	var group sync.WaitGroup
	defer group.Wait()
	end, ticker := time.After(looping), time.NewTicker(pause)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-end:
			return
		case <-ticker.C:
			group.Go(func() {
				if err := attacks[i%len(attacks)](t.Context()); err != nil && !isLate(err) {
					t.Errorf("attack %d: %v", i%len(attacks), err)
				}
			})
		}
	}
}

// isLate reports whether a change did not fit what another client had done a moment before.
func isLate(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) || apierrors.IsInvalid(err)
}

// policyWrites returns what anybody has asked to write of a namespace's policies since a moment,
// oldest first.
func policyWrites(t *testing.T, namespace string, since time.Time) []harness.Write {
	t.Helper()
	writes, err := environment.Writes()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(writes, func(w harness.Write) bool {
		return w.Namespace != namespace || w.Resource != "networkpolicies" || !w.At.After(since)
	})
}

// operatorWrites returns those of the operator.
func operatorWrites(t *testing.T, namespace string, since time.Time) []harness.Write {
	t.Helper()
	return slices.DeleteFunc(policyWrites(t, namespace, since), func(w harness.Write) bool { return w.User != harness.OperatorUser })
}

// holes are the times for which a namespace was open, as a watch sees it.
type holes struct {
	mu       sync.Mutex
	standing map[string]*networkingv1.NetworkPolicy
	since    time.Time // zero while nothing is open
	closed   []time.Duration
	began    time.Time
}

func followHoles(t *testing.T, n *tenancy) *holes {
	t.Helper()
	h := &holes{standing: map[string]*networkingv1.NetworkPolicy{}, began: time.Now()}
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

// areFewAndShort expects that the namespace was closed for longer than it was open, and logs how
// long it was open.
func (h *holes) areFewAndShort(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	lasted, whole, sum := slices.Sorted(slices.Values(h.closed)), time.Since(h.began), time.Duration(0)
	h.mu.Unlock()
	g := newGomega(t)
	g.Expect(lasted).NotTo(BeEmpty(), "nothing was opened: nothing is shown")
	for _, hole := range lasted {
		sum += hole
	}
	at := func(share float64) time.Duration {
		return lasted[int(share*float64(len(lasted)-1))].Round(time.Millisecond)
	}
	t.Logf("open %d times, for %s of %s: %s in the median, %s at the 99th percentile, %s at most",
		len(lasted), sum.Round(time.Millisecond), whole.Round(time.Millisecond), at(0.5), at(0.99), at(1))
	g.Expect(sum).To(BeNumerically("<", whole/2), "it must be closed more than open")
}

// status is what a baseline says of itself, as a watch sees it.
type status struct {
	mu     sync.Mutex
	latest v1alpha1.ClusterNetworkBaselineStatus
	// since it was ready for the first time
	lapsed, fellShort []string
	once              bool
	gone              bool
}

func followStatus(t *testing.T, baseline string) *status {
	t.Helper()
	s := &status{}
	follow(t, &v1alpha1.ClusterNetworkBaselineList{}, s.see, client.MatchingFields{"metadata.name": baseline})
	return s
}

func (s *status) see(event watch.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest, s.gone = event.Object.(*v1alpha1.ClusterNetworkBaseline).Status, event.Type == watch.Deleted
	counts, ready := s.latest.Namespaces, meta.IsStatusConditionTrue(s.latest.Conditions, v1alpha1.ConditionReady)
	if s.once && !ready {
		s.lapsed = append(s.lapsed, say(&s.latest))
	}
	if s.once && counts.Synced < counts.Governed {
		s.fellShort = append(s.fellShort, fmt.Sprintf("%+v", counts))
	}
	s.once = s.once || ready && counts.Synced > 0
}

// isReady reports whether the baseline has been ready, with a namespace that it protects.
func (s *status) isReady() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.once
}

// lapses are what the status said whenever the baseline was not ready, after it had once been.
func (s *status) lapses() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lapsed)
}

// shortfalls are what it counted whenever a governed namespace was not synced, after that.
func (s *status) shortfalls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.fellShort)
}

func (s *status) isGone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone
}

func (s *status) failures() []v1alpha1.NamespaceFailure {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest.Failures
}

func (s *status) counts() v1alpha1.NamespaceCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest.Namespaces
}

// reason is why the baseline is ready, or is not.
func (s *status) reason() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ready := meta.FindStatusCondition(s.latest.Conditions, v1alpha1.ConditionReady); ready != nil {
		return ready.Reason
	}
	return ""
}

// says is all that the status says in words.
func (s *status) says() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return say(&s.latest)
}

func say(status *v1alpha1.ClusterNetworkBaselineStatus) string {
	var words []string
	for i := range status.Conditions {
		condition := &status.Conditions[i]
		words = append(words, fmt.Sprintf("%s is %s, %s: %s", condition.Type, condition.Status, condition.Reason, condition.Message))
	}
	for _, failure := range status.Failures {
		words = append(words, fmt.Sprintf("%s, %s: %s", failure.Namespace, failure.Reason, failure.Message))
	}
	return strings.Join(words, "\n")
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
