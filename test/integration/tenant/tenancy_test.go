package tenant_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

var namespaces atomic.Int32

// newNamespace creates a namespace in production in which dana holds the role edit. They go with
// the cluster.
func newNamespace(t *testing.T, prefix string, labels ...string) string {
	t.Helper()
	g := newGomega(t)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: fmt.Sprintf("%s%d", prefix, namespaces.Add(1)), Labels: builder.Labels(append(labels, "environment", "production")...),
	}}
	g.Expect(environment.Admin.Create(t.Context(), namespace)).To(Succeed())
	g.Expect(environment.Admin.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "dana-edits"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: tenantUser}},
	})).To(Succeed())
	g.Eventually(may).WithArguments(t.Context(), dana, authorizationv1.ResourceAttributes{
		Namespace: namespace.Name, Verb: "update", Group: networkingv1.GroupName, Resource: "networkpolicies",
	}).Should(BeTrue(), "the role edit must have its rules, and the API server must know the binding")
	return namespace.Name
}

// may asks the API server whether a user may do something.
func may(ctx context.Context, user client.Client, what authorizationv1.ResourceAttributes) (bool, error) {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &what}}
	err := user.Create(ctx, review)
	return review.Status.Allowed, err
}

// newBaseline creates a baseline of the test's own, deletes it at the end, and returns its name.
func newBaseline(t *testing.T, edits ...func(*v1alpha1.ClusterNetworkBaseline)) string {
	t.Helper()
	own := baseline(fmt.Sprintf("own-%d", namespaces.Add(1)))
	for _, edit := range edits {
		edit(own)
	}
	newGomega(t).Expect(environment.Admin.Create(t.Context(), own)).To(Succeed())
	ctx := context.WithoutCancel(t.Context())
	t.Cleanup(func() {
		if err := client.IgnoreNotFound(environment.Admin.Delete(ctx, &v1alpha1.ClusterNetworkBaseline{ObjectMeta: named(own.Name)})); err != nil {
			t.Error(err)
		}
	})
	return own.Name
}

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }

// tenancy is a namespace of the tenant that a baseline governs.
type tenancy struct {
	namespace string
	// before are its policies as they stood before the tenant did anything, by name.
	before map[string]*networkingv1.NetworkPolicy
}

// newTenancy returns one that is protected, as the evaluator says too.
func newTenancy(t *testing.T, baseline string) *tenancy {
	t.Helper()
	n := &tenancy{namespace: newNamespace(t, governedPrefix, suiteLabel, baseline), before: map[string]*networkingv1.NetworkPolicy{}}
	newGomega(t).Eventually(n.complaints).WithArguments(t.Context()).Should(BeEmpty(), "the policies must be there")
	for _, name := range policyNames {
		n.before[name] = n.get(t, name)
	}
	return n
}

func (n *tenancy) get(t *testing.T, name string) *networkingv1.NetworkPolicy {
	t.Helper()
	policy := &networkingv1.NetworkPolicy{}
	if err := environment.Admin.Get(t.Context(), client.ObjectKey{Namespace: n.namespace, Name: name}, policy); err != nil {
		t.Fatal(err)
	}
	return policy
}

// complaints says what the policies under our names, taken together, do not keep to of what the
// baseline promises.
func (n *tenancy) complaints(ctx context.Context) ([]string, error) {
	policies, err := n.policies(ctx)
	ours := make([]*networkingv1.NetworkPolicy, 0, len(policyNames))
	for _, policy := range policies {
		if v1alpha1.IsPolicyName(policy.Name) {
			ours = append(ours, policy)
		}
	}
	if err == nil && len(ours) != len(policyNames) {
		err = fmt.Errorf("%d of our policies are there", len(ours))
	}
	if err != nil {
		return nil, err
	}
	return newWorld(n.namespace, ours).complaints(), nil
}

func (n *tenancy) policies(ctx context.Context) ([]*networkingv1.NetworkPolicy, error) {
	list := &networkingv1.NetworkPolicyList{}
	err := environment.Admin.List(ctx, list, client.InNamespace(n.namespace))
	policies := make([]*networkingv1.NetworkPolicy, 0, len(list.Items))
	for i := range list.Items {
		policies = append(policies, &list.Items[i])
	}
	return policies, err
}

// gone is the damage of a policy that is not there.
const gone = "it is gone"

// damage says how a policy differs from what it was, in all that is ours: its spec, our labels and
// annotations, and that it has no owner.
func (n *tenancy) damage(ctx context.Context, name string) (string, error) {
	policy := &networkingv1.NetworkPolicy{}
	err := environment.Admin.Get(ctx, client.ObjectKey{Namespace: n.namespace, Name: name}, policy)
	if apierrors.IsNotFound(err) {
		return gone, nil
	}
	return cmp.Diff(ours(n.before[name], n.before[name]), ours(policy, n.before[name])), err
}

// ours is what a policy has of what another one has.
func ours(policy, of *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	only := func(all, keys map[string]string) map[string]string {
		some := map[string]string{}
		for key := range keys {
			if value, ok := all[key]; ok {
				some[key] = value
			}
		}
		return some
	}
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{
			Labels: only(policy.Labels, of.Labels), Annotations: only(policy.Annotations, of.Annotations),
			OwnerReferences: policy.OwnerReferences, DeletionTimestamp: policy.DeletionTimestamp,
		},
		Spec: policy.Spec,
	}
}

// isPutBack waits until a policy is what it was, and has the evaluator say what that means.
func (n *tenancy) isPutBack(t *testing.T, name string) {
	t.Helper()
	g := newGomega(t)
	g.Eventually(n.damage).WithArguments(t.Context(), name).Should(BeEmpty(), "%s must be restored in %s", name, n.namespace)
	g.Eventually(n.complaints).WithArguments(t.Context()).Should(BeEmpty(), "%s must keep to what the baseline promises", n.namespace)
}

// changes has the tenant change a policy as it is now, and returns it as it was and as it was
// stored.
func (n *tenancy) changes(t *testing.T, name string, do func(*networkingv1.NetworkPolicy)) (before, stored *networkingv1.NetworkPolicy, err error) {
	t.Helper()
	before = n.get(t, name)
	stored = &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: name}}
	err = dana.Patch(t.Context(), stored, client.RawPatch(types.MergePatchType, mergePatch(t, before, do)))
	return before, stored, err
}

// mergePatch is what makes of a policy another one.
func mergePatch(t *testing.T, before *networkingv1.NetworkPolicy, do func(*networkingv1.NetworkPolicy)) []byte {
	t.Helper()
	after := before.DeepCopy()
	do(after)
	data, err := client.MergeFrom(before).Data(after)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// open has a policy let through what the baseline does not allow, in the direction that the policy
// is about.
func open(p *networkingv1.NetworkPolicy) {
	if p.Name == v1alpha1.AllowDNSName {
		p.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}}
		return
	}
	p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
}

// opening and deleting are what the tenant does most to a policy.
func (n *tenancy) opening(t *testing.T, name string) attack {
	t.Helper()
	return n.patches(name, mergePatch(t, n.before[name], open))
}

func (n *tenancy) deleting(_ *testing.T, name string) attack {
	return func(ctx context.Context) error { return dana.Delete(ctx, wideOpen(n.namespace, name)) }
}

// replacing puts the tenant's own policy in the place of ours.
func (n *tenancy) replacing(name string) attack {
	return func(ctx context.Context) error {
		if err := client.IgnoreNotFound(dana.Delete(ctx, wideOpen(n.namespace, name))); err != nil {
			return err
		}
		return dana.Create(ctx, wideOpen(n.namespace, name))
	}
}

// opens has the tenant let everybody in through a policy.
func (n *tenancy) opens(t *testing.T, name string) {
	t.Helper()
	if _, _, err := n.changes(t, name, changes["spec.ingress"].do); err != nil {
		t.Fatal(err)
	}
}

// isLookedAt returns when the operator has reconciled the namespace after all that the tenant has
// done in it before. For that the tenant opens a policy.
func (n *tenancy) isLookedAt(t *testing.T, name string) {
	t.Helper()
	n.opens(t, name)
	n.isPutBack(t, name)
}

// another returns another one of our names.
func another(name string) string {
	if name == policyNames[0] {
		return policyNames[1]
	}
	return policyNames[0]
}
