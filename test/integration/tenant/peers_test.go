package tenant_test

import (
	"sync"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// The peers of a baseline in Audit have no effect, so that it cannot spare a namespace.
func TestABaselineInAuditNamesTheNamespaceAsADNSPeer(t *testing.T) {
	t.Parallel()
	g, n := newGomega(t), newTenancy(t, sweepBaseline)
	status := followStatus(t, newBaseline(t, func(b *v1alpha1.ClusterNetworkBaseline) {
		b.Spec.Mode = v1alpha1.ModeAudit
		b.Spec.DNS.Static.Peers = []v1alpha1.DNSPeer{builder.DNSPods(n.namespace, "k8s-app", "kube-dns")}
	}))
	g.Eventually(status.reason).Should(Equal(v1alpha1.ReasonAudit), "the operator must know it")
	// Only if all are gone before the operator has seen that one is does anything show; hence so
	// many times.
	for i := range 30 {
		var group sync.WaitGroup
		for _, name := range policyNames {
			deleting := n.deleting(t, name)
			group.Go(func() {
				if err := deleting(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		for _, name := range policyNames {
			g.Eventually(n.damage).WithArguments(t.Context(), name).WithTimeout(2*soon).Should(BeEmpty(), "%s must come back, time %d", name, i+1)
		}
	}
	g.Expect(n.complaints(t.Context())).To(BeEmpty())
}
