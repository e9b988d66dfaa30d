package tenant_test

import (
	"testing"

	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Who has used up what may be written at once gains nothing by it: a repair that has to wait is made when its turn comes. That goes for those
// too of which the operator first makes sure with the API server, because they take a direction out of a policy.
func TestATenantWhoHasUsedUpTheBound(t *testing.T) {
	t.Parallel()
	g, n := newGomega(t), newTenancy(t, sweepBaseline)
	for range 2 * burst {
		n.opens(t, v1alpha1.DefaultDenyName)
		g.Eventually(n.damage).WithArguments(t.Context(), v1alpha1.DefaultDenyName).Should(BeEmpty())
	}
	_, _, err := n.changes(t, v1alpha1.AllowDNSName, func(p *networkingv1.NetworkPolicy) {
		p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	})
	g.Expect(err).NotTo(HaveOccurred())
	n.opens(t, v1alpha1.DefaultDenyName)
	g.Eventually(n.damage).WithArguments(t.Context(), v1alpha1.DefaultDenyName).WithTimeout(lasting).Should(BeEmpty(), "it must not stay open")
	n.isPutBack(t, v1alpha1.AllowDNSName)
}
