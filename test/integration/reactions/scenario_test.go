package integration_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// caseLabel keeps scenarios apart: a scenario's baselines select only the namespaces that carry its
// own value.
const caseLabel = "scenario.netbaseline.dev/id"

// scenario is a part of the cluster that no other test touches.
type scenario struct {
	id    string
	count int
}

func newScenario() *scenario { return &scenario{id: fmt.Sprintf("s%06x", rand.IntN(1<<24))} }

// namespace creates a namespace of the scenario, with labels given as key, value, key, value.
func (s *scenario) namespace(ctx context.Context, labels ...string) *corev1.Namespace {
	GinkgoHelper()
	s.count++
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: fmt.Sprintf("%s-%d", s.id, s.count), Labels: map[string]string{caseLabel: s.id},
	}}
	maps.Copy(namespace.Labels, builder.Labels(labels...))
	Expect(env.Admin.Create(ctx, namespace)).To(Succeed())
	DeferCleanup(func(ctx context.Context) error {
		return client.IgnoreNotFound(env.Admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace.Name}}))
	})
	return namespace
}

// baseline returns a baseline that selects the scenario's namespaces.
func (s *scenario) baseline(suffix string) *builder.BaselineBuilder {
	return builder.Baseline(s.id+"-"+suffix).Selecting(caseLabel, s.id)
}

// create creates a baseline and has it deleted, whatever holds it, at the end.
func (s *scenario) create(ctx context.Context, wanted *builder.BaselineBuilder) *v1alpha1.ClusterNetworkBaseline {
	GinkgoHelper()
	baseline := wanted.Obj()
	Expect(env.Admin.Create(ctx, baseline)).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		Expect(client.IgnoreNotFound(env.Admin.Delete(ctx, &v1alpha1.ClusterNetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: baseline.Name}}))).To(Succeed())
		gone(ctx, baseline)
	})
	return baseline
}

// change edits an object until the edit gets through.
func change[T client.Object](ctx context.Context, object T, edit func(T)) {
	GinkgoHelper()
	Eventually(func() error {
		if err := env.Admin.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		edit(object)
		return env.Admin.Update(ctx, object)
	}).Should(Succeed())
}

// gone waits until an object does not exist any more.
func gone(ctx context.Context, object client.Object) {
	GinkgoHelper()
	Eventually(func() error {
		return client.IgnoreNotFound(env.Admin.Get(ctx, client.ObjectKeyFromObject(object), object.DeepCopyObject().(client.Object)))
	}).Should(Succeed())
	Eventually(func() bool {
		return env.Admin.Get(ctx, client.ObjectKeyFromObject(object), object.DeepCopyObject().(client.Object)) != nil
	}).Should(BeTrue(), func() string {
		stuck := &v1alpha1.ClusterNetworkBaseline{}
		_ = env.Admin.Get(ctx, client.ObjectKeyFromObject(object), stuck) // another kind has no status to tell
		return fmt.Sprintf("%s should be gone; its status is %+v", object.GetName(), stuck.Status)
	})
}

// policies lists every policy of a namespace, live.
func policies(ctx context.Context, namespace string) []networkingv1.NetworkPolicy {
	GinkgoHelper()
	list := &networkingv1.NetworkPolicyList{}
	Expect(env.Admin.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
	return list.Items
}

// getPolicy reads one policy, live.
func getPolicy(ctx context.Context, namespace, name string) *networkingv1.NetworkPolicy {
	GinkgoHelper()
	object := &networkingv1.NetworkPolicy{}
	Expect(env.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)).To(Succeed())
	return object
}

// differences says in which way a namespace is not exactly as a baseline asks for.
func differences(ctx context.Context, baseline *v1alpha1.ClusterNetworkBaseline, name string) ([]string, error) {
	namespace := &corev1.Namespace{}
	if err := env.Admin.Get(ctx, client.ObjectKey{Name: name}, namespace); err != nil {
		return nil, err
	}
	list := &networkingv1.NetworkPolicyList{}
	if err := env.Admin.List(ctx, list, client.InNamespace(name)); err != nil {
		return nil, err
	}
	inventory := plan.Inventory{}
	for i := range list.Items {
		if v1alpha1.IsPolicyName(list.Items[i].Name) {
			inventory[list.Items[i].Name] = plan.Observe(&list.Items[i])
		}
	}
	var found []string
	desired := policy.Render(baseline, policy.Namespace{Name: name, Labels: namespace.Labels})
	for _, stage := range plan.Converge(name, desired, inventory, false) {
		for _, step := range stage {
			found = append(found, fmt.Sprintf("%s: %s still due", step.Name, step.Operation))
		}
	}
	return found, nil
}

// protects waits until namespaces are exactly as a baseline asks for.
func protects(ctx context.Context, baseline *v1alpha1.ClusterNetworkBaseline, namespaces ...*corev1.Namespace) {
	GinkgoHelper()
	for _, namespace := range namespaces {
		Eventually(differences).WithArguments(ctx, baseline, namespace.Name).Should(BeEmpty(), "policies of %s in %s", baseline.Name, namespace.Name)
	}
}

// unprotected waits until a namespace has no policy at all.
func unprotected(ctx context.Context, namespace *corev1.Namespace) {
	GinkgoHelper()
	Eventually(policies).WithArguments(ctx, namespace.Name).Should(BeEmpty(), "policies left in %s", namespace.Name)
}

// ready waits until a baseline is Ready with its current spec, and returns it.
func ready(ctx context.Context, baseline *v1alpha1.ClusterNetworkBaseline) *v1alpha1.ClusterNetworkBaseline {
	GinkgoHelper()
	return condition(ctx, baseline, v1alpha1.ConditionReady, metav1.ConditionTrue)
}

// condition waits until a condition of a baseline, for its current spec, has a status, and returns
// the baseline.
func condition(ctx context.Context, baseline *v1alpha1.ClusterNetworkBaseline, kind string, status metav1.ConditionStatus) *v1alpha1.ClusterNetworkBaseline {
	GinkgoHelper()
	current := &v1alpha1.ClusterNetworkBaseline{}
	Eventually(func(g Gomega) {
		g.Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(baseline), current)).To(Succeed())
		found := meta.FindStatusCondition(current.Status.Conditions, kind)
		g.Expect(found).NotTo(BeNil(), "condition %s", kind)
		g.Expect(found.Status).To(Equal(status), "%s: %s", found.Reason, found.Message)
		g.Expect(found.ObservedGeneration).To(Equal(current.Generation))
	}).Should(Succeed())
	return current
}

func readyMessage(baseline *v1alpha1.ClusterNetworkBaseline) string {
	return meta.FindStatusCondition(baseline.Status.Conditions, v1alpha1.ConditionReady).Message
}

// marker waits until the operator has dealt with something that happened after everything before
// this call, so that what it was going to do about that, it has done.
func marker(ctx context.Context) {
	GinkgoHelper()
	s := newScenario()
	protects(ctx, s.create(ctx, s.baseline("marker")), s.namespace(ctx))
}

// operatorWrites returns what the operator wrote in a namespace since a moment.
func operatorWrites(namespace string, since time.Time) []harness.Write {
	GinkgoHelper()
	all, err := env.OperatorWrites()
	Expect(err).NotTo(HaveOccurred())
	var writes []harness.Write
	for _, write := range all {
		if write.Namespace == namespace && write.Resource == "networkpolicies" && write.At.After(since) && write.Code < 300 {
			writes = append(writes, write)
		}
	}
	return writes
}

func verbs(writes []harness.Write) []string {
	var all []string
	for _, write := range writes {
		all = append(all, write.Verb+" "+write.Name)
	}
	return all
}

func uids(ctx context.Context, namespace string) map[string]types.UID {
	GinkgoHelper()
	all := map[string]types.UID{}
	for _, object := range policies(ctx, namespace) {
		all[object.Name] = object.UID
	}
	return all
}
