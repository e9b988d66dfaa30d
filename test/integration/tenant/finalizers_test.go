package tenant_test

import (
	"testing"

	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// pluginFinalizer is that of a network plugin, which takes down by it what it has set up for a
// policy.
const pluginFinalizer = "networking.k8s.aws/resources"

// holds has the tenant put finalizers on a policy, in place of those that are there.
func (n *tenancy) holds(t *testing.T, name string, finalizers ...string) {
	t.Helper()
	if _, _, err := n.changes(t, name, func(p *networkingv1.NetworkPolicy) { p.Finalizers = finalizers }); err != nil {
		t.Fatal(err)
	}
}

// A policy that is being deleted may not be enforced any more, so that a finalizer of the tenant
// must not keep it.
func TestPoliciesAreDeletedAndKeptByAFinalizer(t *testing.T) {
	t.Parallel()
	for what, names := range map[string][]string{
		"each": nil, "all": policyNames,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			n := newTenancy(t, sweepBaseline)
			if names != nil {
				n.comesBackAlive(t, names)
				return
			}
			for _, name := range policyNames {
				t.Run(name, func(t *testing.T) { n.comesBackAlive(t, []string{name}) })
			}
		})
	}
}

func (n *tenancy) comesBackAlive(t *testing.T, names []string) {
	t.Helper()
	g, old := newGomega(t), map[string]types.UID{}
	for _, name := range names {
		n.holds(t, name, tenantFinalizer, tenantFinalizer+"-2")
		old[name] = n.get(t, name).UID
	}
	for _, name := range names {
		g.Expect(n.deleting(t, name)(t.Context())).To(Succeed())
	}
	for _, name := range names {
		g.Eventually(n.damage).WithArguments(t.Context(), name).WithTimeout(soon).Should(BeEmpty(), "%s must live", name)
		g.Expect(n.get(t, name).UID).NotTo(Equal(old[name]))
		g.Expect(n.get(t, name).Finalizers).To(BeEmpty())
	}
	g.Eventually(n.complaints).WithArguments(t.Context()).Should(BeEmpty())
}

// What a network plugin has to clean up, it must be let clean up; until then the status speaks of
// it.
func TestAPolicyIsDeletedAndKeptByANetworkPlugin(t *testing.T) {
	t.Parallel()
	for _, name := range policyNames {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, own := newGomega(t), newBaseline(t)
			n, status := newTenancy(t, own), followStatus(t, own)
			g.Eventually(status.isReady).Should(BeTrue())
			n.holds(t, name, pluginFinalizer, tenantFinalizer)
			old := n.get(t, name).UID
			g.Expect(n.deleting(t, name)(t.Context())).To(Succeed())

			g.Eventually(status.says).WithTimeout(2 * soon).Should(And(ContainSubstring(n.namespace), ContainSubstring(name), ContainSubstring(pluginFinalizer)))
			g.Eventually(status.counts).Should(And(HaveField("Governed", BeEquivalentTo(1)), HaveField("Synced", BeZero())), "it is not protected")
			n.isLookedAt(t, another(name))
			kept := n.get(t, name)
			g.Expect(kept.UID).To(Equal(old))
			g.Expect(kept.Finalizers).To(ConsistOf(pluginFinalizer), "the plugin's stays, the tenant's goes")

			n.holds(t, name)
			g.Eventually(n.damage).WithArguments(t.Context(), name).WithTimeout(soon).Should(BeEmpty(), "the plugin has cleaned up")
			g.Eventually(status.counts).Should(HaveField("Synced", BeEquivalentTo(1)))
		})
	}
}

// A foreign finalizer on a policy that lives blocks nothing.
func TestFinalizersOfALivingPolicyStay(t *testing.T) {
	onEachPolicy(t, func(t *testing.T, n *tenancy, name string) {
		g := newGomega(t)
		n.holds(t, name, tenantFinalizer, pluginFinalizer)
		n.isLookedAt(t, another(name))
		n.isLookedAt(t, name)
		g.Expect(n.get(t, name).Finalizers).To(ConsistOf(tenantFinalizer, pluginFinalizer))
		n.holds(t, name)
	})
}

// The status of a deleted baseline must report what keeps it.
func TestABaselineIsDeletedAndAPolicyKeptByAFinalizer(t *testing.T) {
	t.Parallel()
	for _, name := range policyNames {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, own := newGomega(t), newBaseline(t)
			n, status := newTenancy(t, own), followStatus(t, own)
			g.Eventually(status.isReady).Should(BeTrue())
			n.holds(t, name, tenantFinalizer)
			g.Expect(environment.Admin.Delete(t.Context(), &v1alpha1.ClusterNetworkBaseline{ObjectMeta: named(own)})).To(Succeed())
			g.Eventually(n.lacking).WithArguments(t.Context()).Should(ConsistOf(except([]string{name})), "the others go")
			g.Eventually(status.says).WithTimeout(2 * soon).Should(And(ContainSubstring(n.namespace), ContainSubstring(name), ContainSubstring(tenantFinalizer)))
			n.holds(t, name)
			g.Eventually(status.isGone).Should(BeTrue())
		})
	}
}
