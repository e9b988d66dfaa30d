package tenant_test

import (
	"encoding/json"
	"testing"

	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// wideOpen is a policy of the tenant's own that lets everybody in and out.
func wideOpen(namespace, name string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: networkingv1.NetworkPolicySpec{
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{}}, Egress: []networkingv1.NetworkPolicyEgressRule{{}},
		},
	}
}

// onEachPolicy runs a test on each of the three policies, of one namespace.
func onEachPolicy(t *testing.T, test func(*testing.T, *tenancy, string)) {
	t.Helper()
	t.Parallel()
	n := newTenancy(t, sweepBaseline)
	for _, name := range policyNames {
		t.Run(name, func(t *testing.T) { test(t, n, name) })
	}
}

func TestAPolicyIsDeletedTwiceInARow(t *testing.T) {
	onEachPolicy(t, func(t *testing.T, n *tenancy, name string) {
		g := newGomega(t)
		deleted := map[types.UID]bool{}
		for range 2 {
			policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: name}}
			g.Eventually(dana.Get).WithArguments(t.Context(), client.ObjectKeyFromObject(policy), policy).Should(Succeed(), "it must be made again")
			g.Expect(dana.Delete(t.Context(), policy, client.Preconditions{UID: &policy.UID})).To(Succeed())
			deleted[policy.UID] = true
		}
		n.isPutBack(t, name)
		g.Expect(deleted).To(HaveLen(2))
		g.Expect(deleted).NotTo(HaveKey(n.get(t, name).UID))
	})
}

func TestAPolicyIsReplacedByTheTenantsOwn(t *testing.T) {
	onEachPolicy(t, func(t *testing.T, n *tenancy, name string) {
		g := newGomega(t)
		var hers *networkingv1.NetworkPolicy
		g.Eventually(func() error {
			hers = wideOpen(n.namespace, name)
			if err := client.IgnoreNotFound(dana.Delete(t.Context(), wideOpen(n.namespace, name))); err != nil {
				return err
			}
			return dana.Create(t.Context(), hers)
		}).Should(Succeed(), "the tenant must once be faster than the operator")
		n.isPutBack(t, name)
		now := n.get(t, name)
		g.Expect(now.UID).To(Equal(hers.UID), "it is the tenant's own object that was taken over")
		var kept networkingv1.NetworkPolicySpec
		g.Expect(json.Unmarshal([]byte(now.Annotations[v1alpha1.ReplacedSpecAnnotation]), &kept)).To(Succeed())
		g.Expect(kept).To(Equal(hers.Spec), "the spec of the tenant is not lost")
	})
}

func TestAllPoliciesAreDeletedAtOnce(t *testing.T) {
	t.Parallel()
	g, n := newGomega(t), newTenancy(t, sweepBaseline)
	g.Expect(dana.Create(t.Context(), wideOpen(n.namespace, "hers"))).To(Succeed())
	for range 2 {
		g.Expect(dana.DeleteAllOf(t.Context(), &networkingv1.NetworkPolicy{}, client.InNamespace(n.namespace))).To(Succeed())
		for _, name := range policyNames {
			n.isPutBack(t, name)
		}
	}
	g.Expect(n.policies(t.Context())).To(HaveLen(len(policyNames)), "hers is her own affair")
}

// A policy under another name belongs to the tenant, even with all our labels: its openings stay.
func TestOurLabelsUnderAnotherName(t *testing.T) {
	t.Parallel()
	g, n := newGomega(t), newTenancy(t, sweepBaseline)
	for _, name := range []string{"hers", "netbaseline-default-deny-2"} {
		hers := wideOpen(n.namespace, name)
		hers.Labels, hers.Annotations = n.before[v1alpha1.DefaultDenyName].Labels, n.before[v1alpha1.DefaultDenyName].Annotations
		g.Expect(dana.Create(t.Context(), hers)).To(Succeed())
		n.isLookedAt(t, v1alpha1.DefaultDenyName)
		hers.Spec.Ingress = nil
		g.Expect(dana.Update(t.Context(), hers)).To(Succeed())
		n.isLookedAt(t, v1alpha1.DefaultDenyName)
		g.Expect(n.get(t, name).ResourceVersion).To(Equal(hers.ResourceVersion), "it must not be touched")
	}
	all, err := n.policies(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(newWorld(n.namespace, all).opened()).To(ContainElement(ContainSubstring("can send to 203.0.113.7")))
}

func TestOurNamesWhereNobodyGoverns(t *testing.T) {
	t.Parallel()
	g := newGomega(t)
	n := &tenancy{namespace: newNamespace(t, ungovernedPrefix)}
	versions := map[string]string{}
	for i, name := range policyNames {
		hers := wideOpen(n.namespace, name)
		if i > 0 {
			hers.Labels = map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}
		}
		if i > 1 {
			hers.Labels[v1alpha1.BaselineLabel] = "absent" // whose absence is no evidence that it may go
		}
		g.Expect(dana.Create(t.Context(), hers)).To(Succeed())
		hers.Spec.Egress = nil
		g.Expect(dana.Update(t.Context(), hers)).To(Succeed())
		versions[name] = hers.ResourceVersion
	}
	newTenancy(t, sweepBaseline).isLookedAt(t, v1alpha1.DefaultDenyName)
	for name, version := range versions {
		g.Expect(n.get(t, name).ResourceVersion).To(Equal(version), "%s must not be touched", name)
	}
}

func TestATenantMayNotWriteABaseline(t *testing.T) {
	t.Parallel()
	users := map[string]client.Client{"with the role edit in her namespace": dana, "with the roles edit and admin in the whole cluster": erin}
	for who, user := range users {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			g := newGomega(t)
			key := client.ObjectKey{Name: sweepBaseline}
			current := &v1alpha1.ClusterNetworkBaseline{}
			g.Eventually(func() ([]string, error) {
				err := environment.Admin.Get(t.Context(), key, current)
				return current.Finalizers, err
			}).Should(ConsistOf(v1alpha1.CleanupFinalizer))
			before := current.DeepCopy()
			merge := func(patch string) client.Patch { return client.RawPatch(types.MergePatchType, []byte(patch)) }
			for what, err := range map[string]error{
				"spec":         user.Patch(t.Context(), current.DeepCopy(), merge(`{"spec":{"mode":"Audit"}}`)),
				"finalizers":   user.Patch(t.Context(), current.DeepCopy(), merge(`{"metadata":{"finalizers":null}}`)),
				"status":       user.Status().Patch(t.Context(), current.DeepCopy(), merge(`{"status":{"failures":[]}}`)),
				"whole status": user.Status().Update(t.Context(), current.DeepCopy()),
				"everything":   user.Update(t.Context(), current.DeepCopy()),
				"deletion":     user.Delete(t.Context(), current.DeepCopy()),
				"all of them":  user.DeleteAllOf(t.Context(), current.DeepCopy()),
				"another one":  user.Create(t.Context(), baseline("another")),
			} {
				g.Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%s: %v", what, err)
			}
			g.Expect(environment.Admin.Get(t.Context(), key, current)).To(Succeed())
			g.Expect(current.Spec).To(Equal(before.Spec))
			g.Expect(current.Finalizers).To(Equal(before.Finalizers))
			g.Expect(current.DeletionTimestamp).To(BeNil())
		})
	}
}
