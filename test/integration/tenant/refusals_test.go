package tenant_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// countedPolicies is what a quota calls NetworkPolicies.
const countedPolicies = "count/networkpolicies.networking.k8s.io"

// subsets are all ways to refuse some of the policies.
func subsets() (all [][]string) {
	for bits := 1; bits < 1<<len(policyNames); bits++ {
		var some []string
		for i, name := range policyNames {
			if bits&(1<<i) != 0 {
				some = append(some, name)
			}
		}
		all = append(all, some)
	}
	return all
}

func except(names []string) []string {
	return slices.DeleteFunc(slices.Clone(policyNames), func(name string) bool { return slices.Contains(names, name) })
}

// What an admission rule refuses keeps nothing else from being repaired.
func TestSomePoliciesAreRefused(t *testing.T) {
	t.Parallel()
	does := map[string]func(*tenancy, *testing.T, string) attack{"opens": (*tenancy).opening, "deletes": (*tenancy).deleting}
	for what, does := range does {
		for _, refused := range subsets() {
			others := except(refused)
			if what == "deletes" && slices.Contains(refused, v1alpha1.AllowDNSName) && len(others) < 2 {
				continue // nothing would isolate egress, and what would must not come before DNS
			}
			t.Run(strings.Join(refused, ", ")+", and the tenant "+what+" the others", func(t *testing.T) {
				t.Parallel()
				g, own := newGomega(t), newBaseline(t)
				n, status := newTenancy(t, own), followStatus(t, own)
				lift := refuse(t, n.namespace, refused)
				for _, name := range refused {
					g.Expect(n.deleting(t, name)(t.Context())).To(Succeed())
				}
				g.Eventually(status.says).Should(And(ContainSubstring(n.namespace), containAnyOf(refused)), "the status must name what is refused")
				for _, name := range others {
					g.Expect(does(n, t, name)(t.Context())).To(Succeed())
					g.Eventually(n.damage).WithArguments(t.Context(), name).WithTimeout(soon).Should(BeEmpty(), "%s is not refused", name)
				}
				for _, name := range refused {
					g.Expect(n.damage(t.Context(), name)).To(Equal(gone), "it must have been refused all along: else nothing is shown")
				}
				if len(others) == 0 {
					lift()
					for _, name := range refused {
						n.isPutBack(t, name)
					}
				}
			})
		}
	}
}

// refuse has the API server refuse to create or update some policies of a namespace, until the end
// of the test or until it is lifted.
func refuse(t *testing.T, namespace string, names []string) (lift func()) {
	t.Helper()
	g, ctx := newGomega(t), context.WithoutCancel(t.Context())
	const words = "not while this test runs"
	rule := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
				ResourceNames: names,
				RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{networkingv1.GroupName}, APIVersions: []string{"v1"}, Resources: []string{"networkpolicies"}},
				},
			}}},
			Validations: []admissionregistrationv1.Validation{{Expression: "false", Message: words}},
		},
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: namespace, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
			MatchResources: &admissionregistrationv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
			},
		},
	}
	lift = func() {
		for _, object := range []client.Object{binding, rule} {
			g.Expect(client.IgnoreNotFound(environment.Admin.Delete(ctx, object))).To(Succeed())
		}
	}
	t.Cleanup(lift)
	for _, object := range []client.Object{rule, binding} {
		g.Expect(environment.Admin.Create(ctx, object)).To(Succeed())
	}
	for _, name := range names {
		g.Eventually(func() error {
			policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
			return dana.Patch(ctx, policy, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"try":"it"}}}`)), client.DryRunAll)
		}).Should(MatchError(ContainSubstring(words)), "the rule must be in force")
	}
	return lift
}

// containAnyOf matches a text with at least one of some words.
func containAnyOf(words []string) OmegaMatcher {
	matchers := make([]OmegaMatcher, 0, len(words))
	for _, word := range words {
		matchers = append(matchers, ContainSubstring(word))
	}
	return Or(matchers...)
}

// A tenant who takes the place of our policies in a quota gains no more than that place.
func TestAQuotaThatTheTenantFills(t *testing.T) {
	t.Parallel()
	for _, refused := range subsets() {
		t.Run("in place of "+strings.Join(refused, ", "), func(t *testing.T) {
			t.Parallel()
			g, own := newGomega(t), newBaseline(t)
			n, status := newTenancy(t, own), followStatus(t, own)
			limit(t, n.namespace, len(policyNames))
			theirs := n.fills(t, refused)
			g.Eventually(status.says).Should(And(ContainSubstring(n.namespace), ContainSubstring(v1alpha1.ReasonQuotaExceeded), containAnyOf(refused)))
			for _, name := range except(refused) {
				g.Expect(n.opening(t, name)(t.Context())).To(Succeed())
				g.Eventually(n.damage).WithArguments(t.Context(), name).WithTimeout(soon).Should(BeEmpty(), "%s is there, and no quota is about it", name)
			}
			for i, policy := range theirs {
				g.Expect(dana.Delete(t.Context(), policy)).To(Succeed())
				g.Eventually(n.lacking).WithArguments(t.Context()).WithTimeout(2*soon).Should(HaveLen(len(refused)-1-i), "there is room for one more of ours")
			}
			for _, name := range policyNames {
				n.isPutBack(t, name)
			}
			g.Eventually(warnings).WithArguments(t.Context(), own, n.namespace).WithTimeout(soon).ShouldNot(BeEmpty(), "an event must tell that protection was taken away")
		})
	}
}

// limit gives a namespace a quota, and waits until it counts what is there.
func limit(t *testing.T, namespace string, policies int) {
	t.Helper()
	g, count := newGomega(t), *resource.NewQuantity(int64(policies), resource.DecimalSI)
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "few"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{countedPolicies: count}},
	}
	g.Expect(environment.Admin.Create(t.Context(), quota)).To(Succeed())
	g.Eventually(func() (int64, error) {
		err := environment.Admin.Get(t.Context(), client.ObjectKeyFromObject(quota), quota)
		used := quota.Status.Used[countedPolicies]
		return used.Value(), err
	}).Should(BeEquivalentTo(policies), "the quota must count our policies")
}

// fills has the tenant delete some policies and take their place in the quota. The client that is
// first gets it, so that it may take a few attempts.
func (n *tenancy) fills(t *testing.T, names []string) (theirs []client.Object) {
	t.Helper()
	g := newGomega(t)
	for i := range names {
		policy := wideOpen(n.namespace, fmt.Sprintf("theirs-%d", i))
		policy.Spec = networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}} // of which no evaluator complains
		g.Eventually(func() error {
			for _, name := range names {
				if err := client.IgnoreNotFound(n.deleting(t, name)(t.Context())); err != nil {
					return err
				}
			}
			return dana.Create(t.Context(), policy.DeepCopy())
		}).Should(Succeed(), "the tenant must once be faster than the operator")
		theirs = append(theirs, policy)
	}
	return theirs
}

// lacking returns which of our policies are not there.
func (n *tenancy) lacking(ctx context.Context) ([]string, error) {
	policies, err := n.policies(ctx)
	return slices.DeleteFunc(slices.Clone(policyNames), func(name string) bool {
		return slices.ContainsFunc(policies, func(p *networkingv1.NetworkPolicy) bool { return p.Name == name })
	}), err
}

// warnings returns the Warning events on a baseline that name a namespace.
func warnings(ctx context.Context, baseline, namespace string) (notes []string, err error) {
	list := &eventsv1.EventList{}
	err = environment.Admin.List(ctx, list)
	for i := range list.Items {
		event := &list.Items[i]
		if event.Type == corev1.EventTypeWarning && event.Regarding.Name == baseline && strings.Contains(event.Note, namespace) {
			notes = append(notes, event.Note)
		}
	}
	return notes, err
}
