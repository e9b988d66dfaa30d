package integration_test

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

type writeOf = harness.Write

// eventReasons returns the reasons of the events on an object, whatever namespace they are kept in.
func eventReasons(ctx context.Context, kind, name string) ([]string, error) {
	list := &eventsv1.EventList{}
	if err := env.Admin.List(ctx, list); err != nil {
		return nil, err
	}
	var reasons []string
	for i := range list.Items {
		if list.Items[i].Regarding.Kind == kind && list.Items[i].Regarding.Name == name {
			reasons = append(reasons, list.Items[i].Reason)
		}
	}
	return reasons, nil
}

// patch changes a policy as a tenant would with kubectl.
func patch(ctx context.Context, namespace, name, merge string) {
	GinkgoHelper()
	object := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	Expect(env.Admin.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(merge)))).To(Succeed())
}

var _ = Describe("A policy of ours", func() {
	var (
		s         *scenario
		baseline  *v1alpha1.ClusterNetworkBaseline
		namespace *corev1.Namespace
		since     time.Time
	)
	BeforeEach(func(ctx SpecContext) {
		s = newScenario()
		namespace = s.namespace(ctx, "environment", "production")
		baseline = s.create(ctx, s.baseline("a"))
		protects(ctx, baseline, namespace)
		ready(ctx, baseline)
		since = time.Now()
	})

	It("has each kind of damage told apart, although the recorder adds up what looks alike", func(ctx SpecContext) {
		Expect(env.Admin.Delete(ctx, getPolicy(ctx, namespace.Name, v1alpha1.DefaultDenyName))).To(Succeed())
		protects(ctx, baseline, namespace)
		patch(ctx, namespace.Name, v1alpha1.DefaultDenyName, `{"spec":{"ingress":[{}]}}`)
		protects(ctx, baseline, namespace)
		Eventually(func() ([]string, error) {
			list := &eventsv1.EventList{}
			err := env.Admin.List(ctx, list, client.InNamespace(namespace.Name))
			var notes []string
			for i := range list.Items {
				notes = append(notes, list.Items[i].Note)
			}
			return notes, err
		}).Should(ContainElements(ContainSubstring("deleted this policy"), ContainSubstring("changed this policy")))
	})

	DescribeTable("is restored with one write after a tenant",
		func(ctx SpecContext, name, merge string) {
			before := getPolicy(ctx, namespace.Name, name)
			patch(ctx, namespace.Name, name, merge)
			protects(ctx, baseline, namespace)
			after := getPolicy(ctx, namespace.Name, name)
			Expect(after.UID).To(Equal(before.UID))
			Expect(after.ResourceVersion).NotTo(Equal(before.ResourceVersion), "the tenant's change must have been stored")
			marker(ctx)
			Expect(verbs(operatorWrites(namespace.Name, since))).To(Equal([]string{"update " + name}))
			Eventually(eventReasons).WithArguments(ctx, "NetworkPolicy", name).Should(ContainElement(v1alpha1.EventRepaired))
		},
		Entry("opens ingress", v1alpha1.DefaultDenyName, `{"spec":{"ingress":[{}]}}`),
		Entry("opens egress", v1alpha1.DefaultDenyName, `{"spec":{"egress":[{}]}}`),
		Entry("drops a direction", v1alpha1.DefaultDenyName, `{"spec":{"policyTypes":["Ingress"]}}`),
		Entry("narrows the pods", v1alpha1.DefaultDenyName, `{"spec":{"podSelector":{"matchLabels":{"app":"none"}}}}`),
		Entry("widens the environment", v1alpha1.EnvironmentIsolationName, `{"spec":{"ingress":[{"from":[{"namespaceSelector":{}}]}]}}`),
		Entry("cuts DNS", v1alpha1.AllowDNSName, `{"spec":{"egress":[]}}`),
		Entry("strips our label", v1alpha1.DefaultDenyName, `{"metadata":{"labels":{"policy.netbaseline.dev/baseline":null}}}`),
		Entry("names another baseline", v1alpha1.DefaultDenyName, `{"metadata":{"labels":{"policy.netbaseline.dev/baseline":"other"}}}`),
		Entry("strips all labels and opens it", v1alpha1.DefaultDenyName, `{"metadata":{"labels":null},"spec":{"ingress":[{}]}}`),
		Entry("strips the annotations", v1alpha1.DefaultDenyName, `{"metadata":{"annotations":null}}`),
		Entry("opens it and resets managedFields", v1alpha1.DefaultDenyName, `{"metadata":{"managedFields":[{}]},"spec":{"ingress":[{}]}}`),
	)

	It("loses an owner that a tenant gives it, or is made again where garbage collection was faster", func(ctx SpecContext) {
		patch(ctx, namespace.Name, v1alpha1.DefaultDenyName,
			`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Namespace","name":"kube-system","uid":"0f0e0d0c"}]}}`)
		protects(ctx, baseline, namespace)
		Expect(getPolicy(ctx, namespace.Name, v1alpha1.DefaultDenyName).OwnerReferences).To(BeEmpty())
	})

	It("is restored although a tenant has filled its annotations to the limit", func(ctx SpecContext) {
		full, err := json.Marshal(map[string]any{
			"metadata": map[string]any{"annotations": map[string]any{
				v1alpha1.DescriptionAnnotation: nil, v1alpha1.ArgoCDCompareOptionsAnnotation: nil, v1alpha1.ArgoCDSyncOptionsAnnotation: nil,
				"x": strings.Repeat("x", 256<<10-1),
			}},
			"spec": map[string]any{"ingress": []any{map[string]any{}}},
		})
		Expect(err).NotTo(HaveOccurred())
		patch(ctx, namespace.Name, v1alpha1.DefaultDenyName, string(full))
		protects(ctx, baseline, namespace)
		Expect(getPolicy(ctx, namespace.Name, v1alpha1.DefaultDenyName).Annotations).NotTo(HaveKey("x"))
	})

	It("is not written when only managedFields are reset, or foreign metadata is added", func(ctx SpecContext) {
		patch(ctx, namespace.Name, v1alpha1.DefaultDenyName, `{"metadata":{"managedFields":[{}]}}`)
		patch(ctx, namespace.Name, v1alpha1.DefaultDenyName, `{"metadata":{"labels":{"team":"shop"},"annotations":{"note":"mine"}}}`)
		marker(ctx)
		Expect(operatorWrites(namespace.Name, since)).To(BeEmpty())
	})

	It("keeps foreign labels and annotations through a repair", func(ctx SpecContext) {
		patch(ctx, namespace.Name, v1alpha1.DefaultDenyName, `{"metadata":{"labels":{"team":"shop"},"annotations":{"note":"mine"}},"spec":{"ingress":[{}]}}`)
		protects(ctx, baseline, namespace)
		repaired := getPolicy(ctx, namespace.Name, v1alpha1.DefaultDenyName)
		Expect(repaired.Labels).To(HaveKeyWithValue("team", "shop"))
		Expect(repaired.Annotations).To(HaveKeyWithValue("note", "mine"))
	})

	It("is made again after it is deleted, each time", func(ctx SpecContext) {
		for range 3 {
			old := getPolicy(ctx, namespace.Name, v1alpha1.EnvironmentIsolationName)
			Expect(env.Admin.Delete(ctx, old)).To(Succeed())
			Eventually(func(g Gomega) {
				again := &networkingv1.NetworkPolicy{}
				g.Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(old), again)).To(Succeed())
				g.Expect(again.UID).NotTo(Equal(old.UID))
			}).Should(Succeed())
			protects(ctx, baseline, namespace)
		}
	})

	It("is made again after all are deleted together", func(ctx SpecContext) {
		Expect(env.Admin.DeleteAllOf(ctx, &networkingv1.NetworkPolicy{}, client.InNamespace(namespace.Name))).To(Succeed())
		Eventually(policies).WithArguments(ctx, namespace.Name).Should(HaveLen(3))
		protects(ctx, baseline, namespace)
	})

	It("is brought back when a tenant replaces it with their own object", func(ctx SpecContext) {
		old := getPolicy(ctx, namespace.Name, v1alpha1.DefaultDenyName)
		mine := &networkingv1.NetworkPolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: v1alpha1.DefaultDenyName},
			Spec: networkingv1.NetworkPolicySpec{
				PolicyTypes: []networkingv1.PolicyType{"Ingress"}, Ingress: []networkingv1.NetworkPolicyIngressRule{{}},
			},
		}
		Expect(env.Admin.Delete(ctx, old)).To(Succeed())
		Expect(client.IgnoreAlreadyExists(env.Admin.Create(ctx, mine))).To(Succeed())
		protects(ctx, baseline, namespace)
	})
})

var _ = Describe("A foreign policy", func() {
	var s *scenario
	BeforeEach(func() { s = newScenario() })

	foreign := func(namespace *corev1.Namespace, name string) *networkingv1.NetworkPolicy {
		return &networkingv1.NetworkPolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: name},
			Spec: networkingv1.NetworkPolicySpec{
				PolicyTypes: []networkingv1.PolicyType{"Ingress"}, Ingress: []networkingv1.NetworkPolicyIngressRule{{}},
			},
		}
	}

	It("under a claimed name is taken over in a governed namespace, and its spec is kept", func(ctx SpecContext) {
		namespace := s.namespace(ctx)
		mine := foreign(namespace, v1alpha1.DefaultDenyName)
		Expect(env.Admin.Create(ctx, mine)).To(Succeed())
		protects(ctx, s.create(ctx, s.baseline("a")), namespace)
		taken := getPolicy(ctx, namespace.Name, v1alpha1.DefaultDenyName)
		Expect(taken.UID).To(Equal(mine.UID), "in place")
		var kept networkingv1.NetworkPolicySpec
		Expect(json.Unmarshal([]byte(taken.Annotations[v1alpha1.ReplacedSpecAnnotation]), &kept)).To(Succeed())
		Expect(kept).To(Equal(mine.Spec))
		Eventually(eventReasons).WithArguments(ctx, "NetworkPolicy", v1alpha1.DefaultDenyName).Should(ContainElement(v1alpha1.EventTakenOver))
	})

	It("under a claimed name is not touched in a namespace that is not governed", func(ctx SpecContext) {
		namespace := s.namespace(ctx)
		mine := foreign(namespace, v1alpha1.DefaultDenyName)
		Expect(env.Admin.Create(ctx, mine)).To(Succeed())
		marker(ctx)
		Expect(getPolicy(ctx, namespace.Name, mine.Name).ResourceVersion).To(Equal(mine.ResourceVersion))
	})

	It("under another name is never touched, even with our label, and not when the namespace is released", func(ctx SpecContext) {
		namespace := s.namespace(ctx)
		baseline := s.create(ctx, s.baseline("a"))
		mine := foreign(namespace, "netbaseline-mine")
		mine.Labels = map[string]string{v1alpha1.BaselineLabel: baseline.Name, v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}
		Expect(env.Admin.Create(ctx, mine)).To(Succeed())
		protects(ctx, baseline, namespace)
		Expect(env.Admin.Delete(ctx, baseline.DeepCopy())).To(Succeed())
		gone(ctx, baseline)
		Expect(policies(ctx, namespace.Name)).To(HaveLen(1))
		Expect(getPolicy(ctx, namespace.Name, mine.Name).ResourceVersion).To(Equal(mine.ResourceVersion))
	})
})
