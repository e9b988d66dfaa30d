package integration_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// GitOps tools take a label off a namespace and put it back within milliseconds: that must not open
// the namespace. What follows from an edit of a baseline is a decision, and is not put off.
var _ = Describe("A label of a namespace", func() {
	const key = "governed"
	var (
		s            *scenario
		namespace    *corev1.Namespace
		upper, lower *v1alpha1.ClusterNetworkBaseline
		since        time.Time
	)
	// takeOff and putBack are about the label by which the upper baseline selects.
	takeOff := func(ctx SpecContext) {
		change(ctx, namespace, func(n *corev1.Namespace) { delete(n.Labels, key) })
	}
	putBack := func(ctx SpecContext) {
		change(ctx, namespace, func(n *corev1.Namespace) { n.Labels[key] = "yes" })
	}
	begin := func(ctx SpecContext, withLower bool) {
		s = newScenario()
		namespace = s.namespace(ctx, key, "yes", "environment", "production")
		upper = s.create(ctx, s.baseline("upper").Priority(10).Scope(v1alpha1.IsolationScopeNone).Selecting(key, "yes"))
		protects(ctx, upper, namespace)
		if withLower {
			lower = s.create(ctx, s.baseline("lower"))
			Eventually(func() int32 { return ready(ctx, lower).Status.Namespaces.Overridden }).Should(BeEquivalentTo(1))
		}
		ready(ctx, upper)
		since = time.Now()
	}
	// follows waits until a namespace without the label has been released, or handed over.
	follows := func(ctx SpecContext, withLower bool, namespace *corev1.Namespace) {
		GinkgoHelper()
		if withLower {
			protects(ctx, lower, namespace)
			return
		}
		unprotected(ctx, namespace)
	}

	DescribeTable("that blinks twenty times changes nothing",
		func(ctx SpecContext, withLower bool) {
			begin(ctx, withLower)
			later := s.namespace(ctx, key, "yes")
			protects(ctx, upper, later)
			for range 20 {
				takeOff(ctx)
				putBack(ctx)
			}
			// Once a label that went later has been waited for, nothing is waited for here any
			// more.
			change(ctx, later, func(n *corev1.Namespace) { delete(n.Labels, key) })
			follows(ctx, withLower, later)
			marker(ctx)
			Expect(verbs(operatorWrites(namespace.Name, since))).To(BeEmpty())
			protects(ctx, upper, namespace)
		},
		Entry("where no other baseline selects the namespace", false),
		Entry("where a lower baseline selects it too", true),
	)

	It("that stays away releases the namespace", func(ctx SpecContext) {
		begin(ctx, false)
		takeOff(ctx)
		follows(ctx, false, namespace)
	})

	It("that stays away hands the namespace over to the next baseline, in place", func(ctx SpecContext) {
		begin(ctx, true)
		takeOff(ctx)
		follows(ctx, true, namespace)
		Expect(operatorWrites(namespace.Name, since)).NotTo(ContainElement(HaveField("Verb", "delete")))
	})

	DescribeTable("that is taken away is waited for, and later changes are not:",
		func(ctx SpecContext, withLower bool, act func(ctx SpecContext, there *corev1.Namespace, baseline *v1alpha1.ClusterNetworkBaseline)) {
			begin(ctx, withLower)
			other := newScenario()
			there := other.namespace(ctx, "environment", "production")
			baseline := other.create(ctx, other.baseline("a"))
			protects(ctx, baseline, there)
			ready(ctx, baseline)
			since = time.Now()

			takeOff(ctx)
			act(ctx, there, baseline)
			follows(ctx, withLower, namespace)
			waited, prompt := operatorWrites(namespace.Name, since), operatorWrites(there.Name, since)
			Expect(prompt).NotTo(BeEmpty())
			Expect(waited).To(HaveEach(HaveField("At", BeTemporally(">", last(prompt).At))), "the label was taken away first, and %v came last", verbs(prompt))
		},
		Entry("an edit of a selector releases before it", false, unselect),
		Entry("a deletion of a baseline releases before it", false, remove),
		Entry("another environment is followed before it", false, relabel),
		Entry("an edit of a selector releases before it hands over", true, unselect),
		Entry("a deletion of a baseline releases before it hands over", true, remove),
		Entry("another environment is followed before it hands over", true, relabel),
	)
})

func unselect(ctx SpecContext, there *corev1.Namespace, baseline *v1alpha1.ClusterNetworkBaseline) {
	change(ctx, baseline, func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.NamespaceSelector.MatchLabels[caseLabel] = "none" })
	unprotected(ctx, there)
}

func remove(ctx SpecContext, there *corev1.Namespace, baseline *v1alpha1.ClusterNetworkBaseline) {
	Expect(env.Admin.Delete(ctx, baseline.DeepCopy())).To(Succeed())
	gone(ctx, baseline)
	unprotected(ctx, there)
}

func relabel(ctx SpecContext, there *corev1.Namespace, baseline *v1alpha1.ClusterNetworkBaseline) {
	change(ctx, there, func(n *corev1.Namespace) { n.Labels["environment"] = "staging" })
	protects(ctx, baseline, there)
}

func last(writes []harness.Write) harness.Write { return writes[len(writes)-1] }
