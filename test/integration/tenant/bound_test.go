package tenant_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// No rate holds back what closes an opening: after many of them the next is closed as fast as the
// first in another namespace. The two take turns, so that a busy machine is busy for both.
func TestTheLastOfManyOpeningsIsClosedLikeTheFirst(t *testing.T) {
	t.Parallel()
	const many, compared, tolerance = 15, 6, 3
	g, spent, fresh := newGomega(t), newTenancy(t, sweepBaseline), newTenancy(t, sweepBaseline)
	since := time.Now()
	for range many {
		spent.opensAll(t)
	}
	var last, first []time.Duration
	for range compared {
		last, first = append(last, spent.opensAll(t)), append(first, fresh.opensAll(t))
	}
	t.Logf("closed after %s where it has often been opened, after %s elsewhere (medians)", median(last), median(first))
	g.Expect(median(last)).To(BeNumerically("<", tolerance*median(first)), "the last must be closed like the first")
	answersOnly(t, spent.namespace, since)
}

// opensAll opens all policies at the same time, and returns how long it took until all were closed
// again.
func (n *tenancy) opensAll(t *testing.T) time.Duration {
	t.Helper()
	g, opened := newGomega(t), time.Now()
	for _, name := range policyNames {
		g.Expect(n.opening(t, name)(t.Context())).To(Succeed())
	}
	for _, name := range policyNames {
		g.Eventually(n.damage).WithArguments(t.Context(), name).WithPolling(time.Millisecond).Should(BeEmpty())
	}
	return time.Since(opened)
}

func median(of []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(of))[len(of)/2]
}

// The operator makes sure with the API server before it takes a direction back out of a policy. An
// opening does not wait for that either.
func TestAnOpeningBesideWhatHasToBeConfirmed(t *testing.T) {
	t.Parallel()
	g, n := newGomega(t), newTenancy(t, sweepBaseline)
	for range 10 {
		_, _, err := n.changes(t, v1alpha1.AllowDNSName, func(p *networkingv1.NetworkPolicy) {
			p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
		})
		g.Expect(err).NotTo(HaveOccurred())
		n.opens(t, v1alpha1.DefaultDenyName)
		g.Eventually(n.damage).WithArguments(t.Context(), v1alpha1.DefaultDenyName).WithTimeout(soon).Should(BeEmpty(), "it must not stay open")
	}
	n.isPutBack(t, v1alpha1.AllowDNSName)
}

// The tenant changes one policy from four sides without a pause. That may cost that policy its
// repair for a while, and no other one.
func TestALoopOverOnePolicyHoldsNoOtherOpen(t *testing.T) {
	t.Parallel()
	const most = 150 // writes, nearly all of them the tenant's, while default-deny is open
	patching := func(merge func(int) []byte) func(*tenancy, int) attack {
		return func(n *tenancy, i int) attack { return n.patches(v1alpha1.AllowDNSName, merge(i)) }
	}
	for what, attack := range map[string]func(*tenancy, int) attack{
		"narrows": patching(narrowing), "opens": patching(widening),
		"replaces": func(n *tenancy, _ int) attack { return n.replacing(v1alpha1.AllowDNSName) },
	} {
		t.Run("which it "+what, func(t *testing.T) {
			g, n, since := newGomega(t), newTenancy(t, sweepBaseline), time.Now()
			defer withoutEnd(t, func(i int) error { return attack(n, i)(t.Context()) })()
			g.Eventually(func() int { return len(policyWrites(t, n.namespace, since)) }).Should(BeNumerically(">", 1000), "the loop must have had its effect")
			for i := range 20 {
				opened := time.Now()
				g.Expect(n.opening(t, v1alpha1.DefaultDenyName)(t.Context())).To(Succeed())
				answered := time.Now()
				g.Eventually(n.damage).WithArguments(t.Context(), v1alpha1.DefaultDenyName).Should(BeEmpty(), "opening %d", i+1)
				closed := time.Since(opened)
				meanwhile := func() int { return before(policyWrites(t, n.namespace, answered), v1alpha1.DefaultDenyName) }
				g.Eventually(meanwhile).Should(BeNumerically(">=", 0), "the audit log must have the repair")
				t.Logf("opening %d: closed after %s and %d writes elsewhere", i+1, closed.Round(time.Millisecond), meanwhile())
				// The tenant's own speed is the measure, because a busy machine slows both.
				g.Expect(meanwhile()).To(BeNumerically("<=", most), "an opening must not wait for another policy")
			}
		})
	}
}

// before returns how many writes come before the operator's first of a policy, and -1 if there is
// none of it.
func before(writes []harness.Write, name string) int {
	return slices.IndexFunc(writes, func(w harness.Write) bool { return w.User == harness.OperatorUser && w.Name == name })
}

// withoutEnd has the tenant do something again and again, from four clients in parallel, until
// it is stopped.
func withoutEnd(t *testing.T, do func(int) error) (stop func()) {
	t.Helper()
	var stopped atomic.Bool
	var group sync.WaitGroup
	for side := range 4 {
		group.Go(func() {
			for i := side; !stopped.Load(); i += 4 {
				if err := do(i); err != nil && !isLate(err) {
					t.Error(err)
					return
				}
			}
		})
	}
	return func() {
		stopped.Store(true)
		group.Wait()
	}
}

// widening has pods reach one port of anybody, each time another one.
func widening(i int) []byte {
	return fmt.Appendf(nil, `{"spec":{"egress":[{"ports":[{"port":%d}]}]}}`, 1000+i%10_000)
}
