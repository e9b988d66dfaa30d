package integration_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

var _ = Describe("A namespace", func() {
	var s *scenario
	BeforeEach(func() { s = newScenario() })

	It("is protected when it is created, with exactly three writes", func(ctx SpecContext) {
		baseline := s.create(ctx, s.baseline("a"))
		ready(ctx, baseline)
		namespace := s.namespace(ctx, "environment", "production")
		protects(ctx, baseline, namespace)
		marker(ctx)
		Expect(verbs(operatorWrites(namespace.Name, time.Time{}))).To(ConsistOf(
			"create "+v1alpha1.AllowDNSName, "create "+v1alpha1.EnvironmentIsolationName, "create "+v1alpha1.DefaultDenyName))
		Expect(manager.Metric("netbaseline_namespace_protection_seconds", nil)).To(BeNumerically(">", 0))
	})

	It("gets DNS first and default-deny last when it is older than ten seconds", func(ctx SpecContext) {
		namespace := s.namespace(ctx, "environment", "production")
		Eventually(func() time.Duration { return time.Since(namespace.CreationTimestamp.Time) }).
			Should(BeNumerically(">", 11*time.Second), "the namespace must no longer be young")
		protects(ctx, s.create(ctx, s.baseline("a")), namespace)
		Expect(verbs(operatorWrites(namespace.Name, time.Time{}))).To(Equal([]string{
			"create " + v1alpha1.AllowDNSName, "create " + v1alpha1.EnvironmentIsolationName, "create " + v1alpha1.DefaultDenyName,
		}))
	})

	It("follows a change of its environment with one write, in place", func(ctx SpecContext) {
		baseline := s.create(ctx, s.baseline("a"))
		namespace := s.namespace(ctx, "environment", "production")
		protects(ctx, baseline, namespace)
		before, since := uids(ctx, namespace.Name), time.Now()
		change(ctx, namespace, func(n *corev1.Namespace) { n.Labels["environment"] = "staging" })
		protects(ctx, baseline, namespace)
		Expect(uids(ctx, namespace.Name)).To(Equal(before))
		Expect(verbs(operatorWrites(namespace.Name, since))).To(Equal([]string{"update " + v1alpha1.EnvironmentIsolationName}))
	})

	It("stays protected without an environment", func(ctx SpecContext) {
		baseline := s.create(ctx, s.baseline("a"))
		namespace := s.namespace(ctx, "environment", "production")
		protects(ctx, baseline, namespace)
		change(ctx, namespace, func(n *corev1.Namespace) { delete(n.Labels, "environment") })
		protects(ctx, baseline, namespace)
		Eventually(func() int32 { return ready(ctx, baseline).Status.Namespaces.Unlabeled }).Should(BeEquivalentTo(1))
	})

	It("is released when no baseline selects it any more, and protected again when one does", func(ctx SpecContext) {
		baseline := s.create(ctx, s.baseline("a"))
		namespace := s.namespace(ctx)
		protects(ctx, baseline, namespace)
		change(ctx, namespace, func(n *corev1.Namespace) { delete(n.Labels, caseLabel) })
		unprotected(ctx, namespace)
		Eventually(eventReasons).WithArguments(ctx, "ClusterNetworkBaseline", baseline.Name).Should(ContainElement(v1alpha1.EventReleased))
		change(ctx, namespace, func(n *corev1.Namespace) { n.Labels[caseLabel] = s.id })
		protects(ctx, baseline, namespace)
	})

	It("leaves the counts when it is deleted, and is protected when it is created again under its name", func(ctx SpecContext) {
		baseline := s.create(ctx, s.baseline("a"))
		namespace := s.namespace(ctx, "environment", "production")
		protects(ctx, baseline, namespace)
		repairs, err := manager.Metric("netbaseline_drift_repairs_total", nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(env.Admin.Delete(ctx, namespace.DeepCopy())).To(Succeed())
		gone(ctx, namespace)
		Eventually(func() int32 { return ready(ctx, baseline).Status.Namespaces.Governed }).Should(BeEquivalentTo(0))
		again := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace.Name, Labels: namespace.Labels}}
		Expect(env.Admin.Create(ctx, again)).To(Succeed())
		protects(ctx, baseline, again)
		Expect(manager.Metric("netbaseline_drift_repairs_total", nil)).To(Equal(repairs), "a new namespace is no drift")
	})

	It("is never governed when it is protected", func(ctx SpecContext) {
		dns, system := s.namespace(ctx), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system"}}
		ordinary := s.namespace(ctx)
		change(ctx, system, func(n *corev1.Namespace) { n.Labels[caseLabel] = s.id })
		DeferCleanup(func(ctx SpecContext) { change(ctx, system, func(n *corev1.Namespace) { delete(n.Labels, caseLabel) }) })
		baseline := s.create(ctx, s.baseline("a").DNSPeers(builder.DNSPods(dns.Name), builder.DNSPods("kube-system")))
		protects(ctx, baseline, ordinary)
		Expect(ready(ctx, baseline).Status.Namespaces.Governed).To(BeEquivalentTo(1))
		Expect(policies(ctx, "kube-system")).To(BeEmpty())
		Expect(policies(ctx, dns.Name)).To(BeEmpty())
	})

	It("loses its policies when it becomes a namespace of DNS pods", func(ctx SpecContext) {
		namespace := s.namespace(ctx)
		baseline := s.create(ctx, s.baseline("a"))
		protects(ctx, baseline, namespace)
		change(ctx, baseline, func(b *v1alpha1.ClusterNetworkBaseline) {
			b.Spec.DNS.Static.Peers = []v1alpha1.DNSPeer{builder.DNSPods(namespace.Name)}
		})
		unprotected(ctx, namespace)
	})

	It("is left alone when it is excluded by name or prefix", func(ctx SpecContext) {
		excluded, ordinary := s.namespace(ctx), s.namespace(ctx)
		baseline := s.create(ctx, s.baseline("a").Excluding(v1alpha1.NamespacePattern(excluded.Name)))
		protects(ctx, baseline, ordinary)
		Expect(policies(ctx, excluded.Name)).To(BeEmpty())
		change(ctx, baseline, func(b *v1alpha1.ClusterNetworkBaseline) {
			b.Spec.ExcludedNamespaces = []v1alpha1.NamespacePattern{v1alpha1.NamespacePattern(s.id + "-*")}
		})
		unprotected(ctx, ordinary)
	})
})
