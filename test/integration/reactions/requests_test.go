package integration_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

var _ = Describe("Changes of namespaces", func() {
	// churn changes namespaces of a scenario 300 times.
	churn := func(ctx SpecContext, s *scenario) {
		GinkgoHelper()
		var made []*corev1.Namespace
		for range 100 {
			made = append(made, s.namespace(ctx))
		}
		for _, namespace := range made {
			change(ctx, namespace, func(n *corev1.Namespace) { n.Labels["environment"] = "staging" })
		}
		for _, namespace := range made {
			Expect(env.Admin.Delete(ctx, namespace)).To(Succeed())
		}
	}

	DescribeTable("cost the API server few questions", func(ctx SpecContext, prepare func(SpecContext, *scenario)) {
		s := newScenario()
		prepare(ctx, s)
		since := time.Now()
		churn(ctx, s)
		marker(ctx)
		seconds := time.Since(since).Seconds()
		Expect(operatorQuestions(since)).NotTo(ContainElement(BeNumerically(">", seconds+10)), "in %.1f s", seconds)
	},
		Entry("while a baseline's deletion is stuck", func(ctx SpecContext, s *scenario) {
			namespace, baseline := s.namespace(ctx), s.create(ctx, s.baseline("a"))
			protects(ctx, baseline, namespace)
			patch(ctx, namespace.Name, v1alpha1.AllowDNSName, `{"metadata":{"finalizers":["example.com/mine"]}}`)
			DeferCleanup(func(ctx SpecContext) {
				patch(ctx, namespace.Name, v1alpha1.AllowDNSName, `{"metadata":{"finalizers":null}}`)
			})
			Expect(env.Admin.Delete(ctx, baseline)).To(Succeed())
			Eventually(policies).WithArguments(ctx, namespace.Name).Should(ConsistOf(HaveField("Name", v1alpha1.AllowDNSName)))
		}),
		Entry("while a baseline is in Audit", func(ctx SpecContext, s *scenario) {
			s.namespace(ctx)
			ready(ctx, s.create(ctx, s.baseline("a").Mode(v1alpha1.ModeAudit)))
		}),
	)
})

// operatorQuestions counts what the operator has asked, since a moment, about all policies and
// about the kind of baselines itself.
func operatorQuestions(since time.Time) map[string]int {
	GinkgoHelper()
	events, err := env.Cluster.ReadAudit()
	Expect(err).NotTo(HaveOccurred())
	counts := map[string]int{"get customresourcedefinitions": 0, "list networkpolicies": 0}
	for i := range events {
		event := &events[i]
		if event.User.Username != harness.OperatorUser || event.ObjectRef == nil || event.Stage != auditv1.StageResponseComplete ||
			event.RequestReceivedTimestamp.Time.Before(since) {
			continue
		}
		question := event.Verb + " " + event.ObjectRef.Resource
		if _, ok := counts[question]; ok {
			counts[question]++
		}
	}
	return counts
}

var _ = Describe("A rule that alters our policies", func() {
	It("is written against a few times, and again when the baseline asks for something else", func(ctx SpecContext) {
		s := newScenario()
		altered := []*corev1.Namespace{s.namespace(ctx, "guarded", s.id), s.namespace(ctx, "guarded", s.id), s.namespace(ctx, "guarded", s.id)}
		alterPolicies(ctx, s.id, altered[0].Name)
		since := time.Now()
		baseline := s.create(ctx, s.baseline("a"))
		Eventually(func() int32 {
			return condition(ctx, baseline, v1alpha1.ConditionReady, "False").Status.Namespaces.Failed
		}).Should(BeEquivalentTo(len(altered)))
		count := func() (counts []int) {
			for _, namespace := range altered {
				counts = append(counts, len(operatorWrites(namespace.Name, since)))
			}
			return counts
		}
		marker(ctx)
		Expect(count()).To(HaveEach(3), "each policy once")
		for range 5 { // each looks at the baseline and its namespaces again
			for _, namespace := range altered {
				change(ctx, namespace, func(n *corev1.Namespace) { n.Labels["team"] += "x" })
			}
			marker(ctx)
			Expect(count()).To(HaveEach(3), "none follows")
		}
		change(ctx, baseline, func(b *v1alpha1.ClusterNetworkBaseline) {
			b.Spec.DefaultDeny.PolicyTypes = []v1alpha1.PolicyType{"Ingress"}
		})
		Eventually(count).WithTimeout(soon).Should(HaveEach(BeNumerically(">", 3)), "another target is tried immediately")
	})
})
