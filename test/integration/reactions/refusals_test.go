package integration_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

var _ = Describe("A refusal in one namespace", func() {
	var (
		s                 *scenario
		refusing, willing *corev1.Namespace
	)
	BeforeEach(func(ctx SpecContext) {
		s = newScenario()
		refusing, willing = s.namespace(ctx, "guarded", s.id), s.namespace(ctx)
	})

	// expectNamed waits until the status names the namespace with a reason, and returns the Ready
	// message.
	expectNamed := func(ctx SpecContext, baseline *v1alpha1.ClusterNetworkBaseline, reason string) string {
		GinkgoHelper()
		var current *v1alpha1.ClusterNetworkBaseline
		Eventually(func() []v1alpha1.NamespaceFailure {
			current = condition(ctx, baseline, v1alpha1.ConditionReady, metav1.ConditionFalse)
			return current.Status.Failures
		}).Should(ConsistOf(And(HaveField("Namespace", refusing.Name), HaveField("Reason", reason))))
		Expect(current.Status.Namespaces).To(Equal(v1alpha1.NamespaceCounts{Matched: 2, Governed: 2, Synced: 1, Failed: 1, Unlabeled: 2}))
		condition(ctx, baseline, v1alpha1.ConditionStalled, metav1.ConditionTrue)
		return readyMessage(current)
	}

	It("by a quota is named in the status, delays no other namespace and heals by itself", func(ctx SpecContext) {
		none := corev1.ResourceList{"count/networkpolicies.networking.k8s.io": resource.MustParse("0")}
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: refusing.Name, Name: "none"}, Spec: corev1.ResourceQuotaSpec{Hard: none}}
		Expect(env.Admin.Create(ctx, quota)).To(Succeed())
		Eventually(func() (corev1.ResourceList, error) {
			err := env.Admin.Get(ctx, client.ObjectKeyFromObject(quota), quota)
			return quota.Status.Hard, err
		}).ShouldNot(BeEmpty(), "the quota controller must have seen it")

		baseline := s.create(ctx, s.baseline("a"))
		protects(ctx, baseline, willing)
		Expect(expectNamed(ctx, baseline, v1alpha1.ReasonQuotaExceeded)).To(And(
			ContainSubstring("1 of 2 namespaces not protected"), ContainSubstring(refusing.Name), ContainSubstring("exceeded quota: none")))

		Expect(env.Admin.Delete(ctx, quota)).To(Succeed())
		protects(ctx, baseline, refusing)
		Expect(ready(ctx, baseline).Status.Failures).To(BeEmpty())
	})

	It("by an admission policy is named with its own words", func(ctx SpecContext) {
		s.refuseOnFridays(ctx, refusing)

		baseline := s.create(ctx, s.baseline("a"))
		protects(ctx, baseline, willing)
		Expect(expectNamed(ctx, baseline, v1alpha1.ReasonInvalid)).To(ContainSubstring("no policies on Fridays"))
	})

	It("by a policy that alters ours is named, does not make us spin, and leaves the namespace isolated", func(ctx SpecContext) {
		alterPolicies(ctx, s.id, refusing.Name)
		since := time.Now()
		baseline := s.create(ctx, s.baseline("a"))
		protects(ctx, baseline, willing)
		Expect(expectNamed(ctx, baseline, v1alpha1.ReasonAlteredByAdmission)).To(ContainSubstring("mutating webhook or admission policy"))
		marker(ctx)
		Expect(policies(ctx, refusing.Name)).To(HaveLen(3))
		Expect(operatorWrites(refusing.Name, since)).To(HaveLen(3), "each policy is written once, and again only after a while")
	})

	It("by a tenant's finalizer does not keep the others from being released, and is explained", func(ctx SpecContext) {
		baseline := s.create(ctx, s.baseline("a"))
		protects(ctx, baseline, willing, refusing)
		patch(ctx, refusing.Name, v1alpha1.AllowDNSName, `{"metadata":{"finalizers":["example.com/mine"]}}`)
		Expect(env.Admin.Delete(ctx, baseline.DeepCopy())).To(Succeed())
		unprotected(ctx, willing)
		Eventually(func() string {
			return readyMessage(condition(ctx, baseline, v1alpha1.ConditionReady, metav1.ConditionFalse))
		}).Should(And(ContainSubstring("Removing policies"), ContainSubstring(v1alpha1.AllowDNSName), ContainSubstring("finalizer")))
		patch(ctx, refusing.Name, v1alpha1.AllowDNSName, `{"metadata":{"finalizers":null}}`)
		gone(ctx, baseline)
	})
})

var _ = Describe("A tenant who loops", func() {
	It("is reported as contested, once, while the baseline stays ready and each of our writes answers one", func(ctx SpecContext) {
		s := newScenario()
		namespace := s.namespace(ctx)
		baseline := s.create(ctx, s.baseline("a"))
		protects(ctx, baseline, namespace)
		ready(ctx, baseline)
		since := time.Now()
		for i := range 15 {
			patch(ctx, namespace.Name, v1alpha1.DefaultDenyName, fmt.Sprintf(`{"spec":{"ingress":[{"ports":[{"port":%d}]}]}}`, 1000+i))
			protects(ctx, baseline, namespace)
		}
		Eventually(func() []v1alpha1.NamespaceFailure { return ready(ctx, baseline).Status.Failures }).
			Should(ConsistOf(And(HaveField("Namespace", namespace.Name), HaveField("Reason", v1alpha1.ReasonContested))))
		protects(ctx, baseline, namespace)
		Expect(readyMessage(ready(ctx, baseline))).To(ContainSubstring("1 contested, such as " + namespace.Name))
		Expect(manager.Metric("netbaseline_contested_namespaces", nil)).To(BeEquivalentTo(1))
		Eventually(eventReasons).WithArguments(ctx, "ClusterNetworkBaseline", baseline.Name).Should(ContainElement(v1alpha1.EventContested))
		answersOnly(namespace.Name, since)
	})
})

var _ = Describe("A tenant who writes faster than we do", func() {
	It("does not win by that, and cannot keep a baseline from going", func(ctx SpecContext) {
		s := newScenario()
		namespace := s.namespace(ctx)
		baseline := s.create(ctx, s.baseline("a"))
		protects(ctx, baseline, namespace)
		ready(ctx, baseline)
		since := time.Now()
		stop := patchWithoutEnd(namespace.Name, v1alpha1.AllowDNSName)
		DeferCleanup(stop)
		Eventually(func() int { return len(operatorWrites(namespace.Name, since)) }).WithPolling(time.Second).Should(BeNumerically(">", 30), "repairs must get through")
		answersOnly(namespace.Name, since)
		Eventually(func() string { return readyMessage(ready(ctx, baseline)) }).Should(ContainSubstring("contested"))

		Expect(env.Admin.Delete(ctx, baseline.DeepCopy())).To(Succeed())
		gone(ctx, baseline)
		stop()
		Expect(policies(ctx, namespace.Name)).To(BeEmpty())
	})
})

// answersOnly expects that each repair in a namespace answers one change of another client, give or
// take what is under way.
func answersOnly(namespace string, since time.Time) {
	GinkgoHelper()
	all, err := env.Writes()
	Expect(err).NotTo(HaveOccurred())
	changes, repairs := 0, 0
	for _, write := range all {
		switch {
		case write.Namespace != namespace || write.Resource != "networkpolicies" || !write.At.After(since) || write.Code >= 300:
		case write.User == harness.OperatorUser:
			repairs++
		default:
			changes++
		}
	}
	Expect(changes).NotTo(BeZero())
	Expect(repairs).To(BeNumerically("<=", changes+5))
}

// patchWithoutEnd opens a policy again and again, from four clients in parallel, until it is
// stopped.
func patchWithoutEnd(namespace, name string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for side := range 4 {
		group.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				object := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
				merge := fmt.Sprintf(`{"spec":{"egress":[{"ports":[{"port":%d}]}]}}`, 1000+side*10_000+i%10_000)
				_ = env.Admin.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(merge))) // it may be gone
			}
		})
	}
	return func() {
		cancel()
		group.Wait()
	}
}

// refuseOnFridays has the guarded namespaces of a scenario refuse every write of a policy, and
// waits until that is in force in one of them.
func (s *scenario) refuseOnFridays(ctx SpecContext, namespace *corev1.Namespace) (client.Object, client.Object) {
	GinkgoHelper()
	rule := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: s.id},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: networkPolicyWrites(),
			Validations:      []admissionregistrationv1.Validation{{Expression: "false", Message: "no policies on Fridays"}},
		},
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: s.id},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: s.id, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}, MatchResources: guardedOnly(s.id),
		},
	}
	createForNow(ctx, rule, binding)
	Eventually(dryRunError).WithArguments(ctx, namespace.Name).Should(MatchError(ContainSubstring("Fridays")), "the guard must be in force")
	return rule, binding
}

func networkPolicyWrites() *admissionregistrationv1.MatchResources {
	return &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
		RuleWithOperations: admissionregistrationv1.RuleWithOperations{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
			Rule:       admissionregistrationv1.Rule{APIGroups: []string{networkingv1.GroupName}, APIVersions: []string{"v1"}, Resources: []string{"networkpolicies"}},
		},
	}}}
}

func guardedOnly(id string) *admissionregistrationv1.MatchResources {
	return &admissionregistrationv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"guarded": id}}}
}

// createForNow creates objects and has them deleted at the end of the spec.
func createForNow(ctx SpecContext, objects ...client.Object) {
	GinkgoHelper()
	for _, object := range objects {
		Expect(env.Admin.Create(ctx, object)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return client.IgnoreNotFound(env.Admin.Delete(ctx, object)) })
	}
}

func probePolicy(namespace string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "probe"}}
}

func dryRunError(ctx SpecContext, namespace string) error {
	return env.Admin.Create(ctx, probePolicy(namespace), client.DryRunAll)
}

// alterPolicies has an admission policy alter every policy in a scenario's guarded namespaces, and
// waits until it does in one of them.
func alterPolicies(ctx SpecContext, id, namespace string) {
	GinkgoHelper()
	alter := &admissionregistrationv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: id},
		Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
			MatchConstraints:   networkPolicyWrites(),
			ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy,
			Mutations: []admissionregistrationv1.Mutation{{
				PatchType: admissionregistrationv1.PatchTypeJSONPatch,
				JSONPatch: &admissionregistrationv1.JSONPatch{
					Expression: `[JSONPatch{op: "add", path: "/spec/podSelector/matchLabels", value: {"altered": "yes"}}]`,
				},
			}},
		},
	}
	binding := &admissionregistrationv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: id},
		Spec:       admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: id, MatchResources: guardedOnly(id)},
	}
	createForNow(ctx, alter, binding)
	Eventually(func() map[string]string {
		probe := probePolicy(namespace)
		Expect(env.Admin.Create(ctx, probe, client.DryRunAll)).To(Succeed())
		return probe.Spec.PodSelector.MatchLabels
	}).Should(HaveKey("altered"), "the guard must be in force")
}
