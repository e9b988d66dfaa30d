package integration_test

import (
	"context"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

var _ = Describe("A baseline", func() {
	var s *scenario
	BeforeEach(func() { s = newScenario() })

	It("protects the namespaces that exist when it is created", func(ctx SpecContext) {
		production, plain := s.namespace(ctx, "environment", "production"), s.namespace(ctx)
		baseline := s.create(ctx, s.baseline("a"))
		protects(ctx, baseline, production, plain)
		status := ready(ctx, baseline).Status
		Expect(status.Namespaces).To(Equal(v1alpha1.NamespaceCounts{Matched: 2, Governed: 2, Synced: 2, Unlabeled: 1}))
		Expect(status.Environments).To(Equal([]v1alpha1.EnvironmentCount{{Name: "production", Namespaces: 1}}))
	})

	It("brings every namespace to a changed spec, removing last what is no longer wanted", func(ctx SpecContext) {
		namespace := s.namespace(ctx, "environment", "production")
		baseline := s.create(ctx, s.baseline("a"))
		protects(ctx, baseline, namespace)
		ready(ctx, baseline)
		since := time.Now()
		change(ctx, baseline, func(b *v1alpha1.ClusterNetworkBaseline) {
			b.Spec.DefaultDeny.PolicyTypes = []v1alpha1.PolicyType{v1alpha1.PolicyTypeIngress}
		})
		protects(ctx, baseline, namespace)
		Expect(verbs(operatorWrites(namespace.Name, since))).To(Equal([]string{
			"update " + v1alpha1.EnvironmentIsolationName, "update " + v1alpha1.DefaultDenyName, "delete " + v1alpha1.AllowDNSName,
		}))
		change(ctx, baseline, func(b *v1alpha1.ClusterNetworkBaseline) {
			b.Spec.DefaultDeny.PolicyTypes = []v1alpha1.PolicyType{v1alpha1.PolicyTypeIngress, v1alpha1.PolicyTypeEgress}
			b.Spec.EnvironmentIsolation.Scope = v1alpha1.IsolationScopeNone
		})
		protects(ctx, baseline, namespace)
		Expect(ready(ctx, baseline).Status.ObservedGeneration).To(Equal(baseline.Generation))
	})

	It("removes its policies when it is deleted, and is gone when they are", func(ctx SpecContext) {
		namespace := s.namespace(ctx)
		baseline := s.create(ctx, s.baseline("a"))
		protects(ctx, baseline, namespace)
		Expect(env.Admin.Delete(ctx, baseline.DeepCopy())).To(Succeed())
		gone(ctx, baseline)
		Expect(policies(ctx, namespace.Name)).To(BeEmpty(), "the finalizer must outlast the policies")
		Eventually(eventReasons).WithArguments(ctx, "ClusterNetworkBaseline", baseline.Name).Should(ContainElement(v1alpha1.EventReleased))
	})

	It("leaves its policies when it is deleted with Retain", func(ctx SpecContext) {
		namespace := s.namespace(ctx)
		baseline := s.create(ctx, s.baseline("a").DeletionPolicy(v1alpha1.DeletionPolicyRetain))
		protects(ctx, baseline, namespace)
		Expect(ready(ctx, baseline).Finalizers).To(BeEmpty(), "no cleanup is owed")
		before := uids(ctx, namespace.Name)
		Expect(env.Admin.Delete(ctx, baseline.DeepCopy())).To(Succeed())
		gone(ctx, baseline)
		marker(ctx)
		Expect(uids(ctx, namespace.Name)).To(Equal(before))
	})

	It("has its finalizer exactly while cleanup is owed", func(ctx SpecContext) {
		s.namespace(ctx)
		finalizers := func(baseline *v1alpha1.ClusterNetworkBaseline) func() []string {
			return func() []string {
				current := &v1alpha1.ClusterNetworkBaseline{}
				Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(baseline), current)).To(Succeed())
				return current.Finalizers
			}
		}
		baseline := s.create(ctx, s.baseline("a").Mode(v1alpha1.ModeAudit))
		Expect(ready(ctx, baseline).Finalizers).To(BeEmpty(), "nothing was ever written")
		change(ctx, baseline, func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.Mode = v1alpha1.ModeEnforce })
		Expect(ready(ctx, baseline).Finalizers).To(ConsistOf(v1alpha1.CleanupFinalizer))
		change(ctx, baseline, func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.Mode = v1alpha1.ModeAudit })
		Expect(ready(ctx, baseline).Finalizers).To(ConsistOf(v1alpha1.CleanupFinalizer), "policies are still there")
		change(ctx, baseline, func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain })
		Eventually(finalizers(baseline)).Should(BeEmpty())
		change(ctx, baseline, func(b *v1alpha1.ClusterNetworkBaseline) {
			b.Spec.DeletionPolicy, b.Spec.Mode = v1alpha1.DeletionPolicyDelete, v1alpha1.ModeEnforce
		})
		Eventually(finalizers(baseline)).Should(ConsistOf(v1alpha1.CleanupFinalizer))
	})

	It("has its finalizer before its first policy", func(ctx SpecContext) {
		namespace := s.namespace(ctx)
		baseline := s.create(ctx, s.baseline("a"))
		protects(ctx, baseline, namespace)
		writes, err := env.OperatorWrites()
		Expect(err).NotTo(HaveOccurred())
		finalizer := slices.IndexFunc(writes, func(w writeOf) bool { return w.Name == baseline.Name && w.Verb == "patch" })
		policy := slices.IndexFunc(writes, func(w writeOf) bool { return w.Namespace == namespace.Name })
		Expect(finalizer).To(BeNumerically(">=", 0))
		Expect(policy).To(BeNumerically(">", finalizer))
	})

	It("of higher priority takes over in place, and hands back when it goes", func(ctx SpecContext) {
		namespace := s.namespace(ctx, "environment", "production")
		low := s.create(ctx, s.baseline("low"))
		protects(ctx, low, namespace)
		before, since := uids(ctx, namespace.Name), time.Now()

		high := s.create(ctx, s.baseline("high").Priority(10).Unlabeled(v1alpha1.UnlabeledDeny))
		protects(ctx, high, namespace)
		Expect(uids(ctx, namespace.Name)).To(Equal(before))
		Eventually(func() v1alpha1.NamespaceCounts { return ready(ctx, low).Status.Namespaces }).
			Should(Equal(v1alpha1.NamespaceCounts{Matched: 1, Overridden: 1}))

		Expect(env.Admin.Delete(ctx, high.DeepCopy())).To(Succeed())
		gone(ctx, high)
		protects(ctx, low, namespace)
		Expect(uids(ctx, namespace.Name)).To(Equal(before))
		for _, write := range operatorWrites(namespace.Name, since) {
			Expect(write.Verb).To(Equal("update"), "a hand-over never deletes or creates")
		}
	})

	It("of equal priority governs by the smaller name", func(ctx SpecContext) {
		namespace := s.namespace(ctx)
		b := s.create(ctx, s.baseline("b").Priority(5))
		protects(ctx, b, namespace)
		a := s.create(ctx, s.baseline("a").Priority(5))
		protects(ctx, a, namespace)
	})

	It("in Audit writes nothing, and says what Enforce will do", func(ctx SpecContext) {
		fresh, taken := s.namespace(ctx), s.namespace(ctx, "scope", "other")
		other := s.create(ctx, s.baseline("other").Selecting("scope", "other"))
		protects(ctx, other, taken)
		since := time.Now()
		baseline := s.create(ctx, s.baseline("a").Priority(1).Mode(v1alpha1.ModeAudit))
		audits(ctx, baseline, v1alpha1.AuditCounts{Create: 1, Change: 1})
		Expect(readyMessage(ready(ctx, baseline))).To(Equal("Audit: nothing is written; 2 namespaces would be governed (1 new, 1 changed, 0 left as they are)"))
		late := s.namespace(ctx)
		audits(ctx, baseline, v1alpha1.AuditCounts{Create: 2, Change: 1})
		marker(ctx)
		for _, namespace := range []*corev1.Namespace{fresh, taken, late} {
			Expect(operatorWrites(namespace.Name, since)).To(BeEmpty(), "in Audit, nothing is written")
		}

		change(ctx, baseline, func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.Mode = v1alpha1.ModeEnforce })
		protects(ctx, baseline, fresh, taken, late)
		for _, created := range []*corev1.Namespace{fresh, late} {
			Expect(operatorWrites(created.Name, since)).To(HaveEach(HaveField("Verb", "create")))
		}
		Expect(operatorWrites(taken.Name, since)).To(And(Not(BeEmpty()), HaveEach(HaveField("Verb", "update"))))
		Expect(ready(ctx, baseline).Status.Audit).To(BeNil())
	})

	It("that goes back to Audit holds what is there, and says what has changed since", func(ctx SpecContext) {
		namespace, left := s.namespace(ctx), s.namespace(ctx)
		baseline := s.create(ctx, s.baseline("a"))
		protects(ctx, baseline, namespace, left)
		change(ctx, baseline, func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.Mode = v1alpha1.ModeAudit })
		audits(ctx, baseline, v1alpha1.AuditCounts{Leave: 2})
		Expect(ready(ctx, baseline).Status.Namespaces).To(Equal(v1alpha1.NamespaceCounts{Matched: 2, Held: 2}))
		Eventually(eventReasons).WithArguments(ctx, "ClusterNetworkBaseline", baseline.Name).Should(ContainElement(v1alpha1.EventAudit))

		since := time.Now()
		deny := getPolicy(ctx, namespace.Name, v1alpha1.DefaultDenyName)
		Expect(env.Admin.Delete(ctx, deny)).To(Succeed())
		audits(ctx, baseline, v1alpha1.AuditCounts{Change: 1, Leave: 1})
		change(ctx, left, func(n *corev1.Namespace) { delete(n.Labels, caseLabel) })
		audits(ctx, baseline, v1alpha1.AuditCounts{Change: 1, Remove: 1})
		Expect(operatorWrites(namespace.Name, since)).To(BeEmpty(), "in Audit, nothing is restored")
		Expect(operatorWrites(left.Name, since)).To(BeEmpty(), "and nothing removed")
		Expect(policies(ctx, namespace.Name)).To(HaveLen(2))

		change(ctx, baseline, func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.Mode = v1alpha1.ModeEnforce })
		protects(ctx, baseline, namespace)
		unprotected(ctx, left)
	})
})

// audits waits until the status says what the baseline would do.
func audits(ctx context.Context, baseline *v1alpha1.ClusterNetworkBaseline, want v1alpha1.AuditCounts) {
	GinkgoHelper()
	Eventually(func() *v1alpha1.AuditCounts { return ready(ctx, baseline).Status.Audit }).Should(HaveValue(Equal(want)))
}
