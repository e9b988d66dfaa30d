package integration_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// What was made for a baseline goes with it, whatever became of its marks meanwhile.
var _ = Describe("A baseline that is deleted while no manager runs", func() {
	var (
		s           *scenario
		whole, torn *corev1.Namespace
		baseline    *v1alpha1.ClusterNetworkBaseline
	)
	BeforeEach(func(ctx SpecContext) {
		s = newScenario()
		whole, torn = s.namespace(ctx), s.namespace(ctx)
		baseline = s.create(ctx, s.baseline("a"))
		protects(ctx, baseline, whole, torn)
		ready(ctx, baseline)
	})
	deleteAfter := func(ctx SpecContext, name, merge string) {
		GinkgoHelper()
		withoutManager(func() {
			patch(ctx, torn.Name, name, merge)
			Expect(env.Admin.Delete(ctx, baseline.DeepCopy())).To(Succeed())
		})
	}

	DescribeTable("takes along a policy that",
		func(ctx SpecContext, name, merge string) {
			deleteAfter(ctx, name, merge)
			gone(ctx, baseline)
			Expect(policies(ctx, whole.Name)).To(BeEmpty())
			Expect(policies(ctx, torn.Name)).To(BeEmpty())
		},
		Entry("lost the label that names it", v1alpha1.DefaultDenyName, fmt.Sprintf(`{"metadata":{"labels":{%q:null}}}`, v1alpha1.BaselineLabel)),
		Entry("lost all its labels", v1alpha1.DefaultDenyName, `{"metadata":{"labels":null}}`),
		Entry("lost all its labels, and is for DNS", v1alpha1.AllowDNSName, `{"metadata":{"labels":null}}`),
		Entry("lost all its annotations", v1alpha1.EnvironmentIsolationName, `{"metadata":{"annotations":null}}`),
	)

	It("leaves a policy that has lost every mark, names it, and is not held up by it", func(ctx SpecContext) {
		before := getPolicy(ctx, torn.Name, v1alpha1.DefaultDenyName)
		deleteAfter(ctx, v1alpha1.DefaultDenyName, `{"metadata":{"labels":null,"annotations":null}}`)
		gone(ctx, baseline)
		Expect(policies(ctx, whole.Name)).To(BeEmpty())
		left := policies(ctx, torn.Name)
		Expect(left).To(HaveExactElements(HaveField("UID", before.UID)), "nothing tells whose it is")
		Eventually(named).WithArguments(ctx, baseline, torn.Name, v1alpha1.DefaultDenyName).Should(BeTrue(), "an administrator must see it")
	})
})

// named reports whether an event or the status of a baseline names a policy in a namespace.
func named(ctx context.Context, baseline *v1alpha1.ClusterNetworkBaseline, namespace, name string) (bool, error) {
	list := &eventsv1.EventList{}
	if err := env.Admin.List(ctx, list); err != nil {
		return false, err
	}
	current := &v1alpha1.ClusterNetworkBaseline{}
	if err := client.IgnoreNotFound(env.Admin.Get(ctx, client.ObjectKeyFromObject(baseline), current)); err != nil {
		return false, err
	}
	names := func(texts ...string) bool {
		all := strings.Join(texts, " ")
		return strings.Contains(all, namespace) && strings.Contains(all, name)
	}
	for i := range current.Status.Conditions {
		if names(current.Status.Conditions[i].Message) {
			return true, nil
		}
	}
	return slices.ContainsFunc(list.Items, func(e eventsv1.Event) bool {
		if e.Reason == v1alpha1.EventRepaired || e.Reason == v1alpha1.EventTakenOver {
			return false // of before
		}
		texts := []string{e.Note, e.Regarding.Namespace, e.Regarding.Name}
		if e.Related != nil {
			texts = append(texts, e.Related.Name)
		}
		return names(texts...)
	}), nil
}

var _ = Describe("Copies of our policies in an excluded namespace", func() {
	It("are removed, and that is said without anything else happening", func(ctx SpecContext) {
		s := newScenario()
		governed, excluded := s.namespace(ctx), s.namespace(ctx)
		baseline := s.create(ctx, s.baseline("a").Excluding(v1alpha1.NamespacePattern(excluded.Name)))
		protects(ctx, baseline, governed)
		ready(ctx, baseline)
		Eventually(sinceLastWrite).WithArguments(baseline.Name).Should(BeNumerically(">", 2*time.Second), "the operator must have come to rest")
		for _, original := range policies(ctx, governed.Name) {
			Expect(env.Admin.Create(ctx, &networkingv1.NetworkPolicy{
				ObjectMeta: metav1.ObjectMeta{Namespace: excluded.Name, Name: original.Name, Labels: original.Labels, Annotations: original.Annotations},
				Spec:       original.Spec,
			})).To(Succeed())
		}
		unprotected(ctx, excluded)
		Eventually(eventReasons).WithArguments(ctx, "ClusterNetworkBaseline", baseline.Name).WithTimeout(20 * time.Second).
			Should(ContainElement(v1alpha1.EventReleased))
		protects(ctx, baseline, governed)
	})
})

// sinceLastWrite returns how long ago the operator last wrote a baseline.
func sinceLastWrite(baseline string) time.Duration {
	GinkgoHelper()
	all, err := env.OperatorWrites()
	Expect(err).NotTo(HaveOccurred())
	written := time.Time{}
	for _, write := range all {
		if write.Resource == "clusternetworkbaselines" && write.Name == baseline {
			written = write.At
		}
	}
	return time.Since(written)
}

// The status of a baseline speaks of what is there.
var _ = Describe("A baseline with policies that it cannot give up", func() {
	var s *scenario
	BeforeEach(func() { s = newScenario() })

	It("never reports that none is left while the next baseline's writes are refused", func(ctx SpecContext) {
		refusing, willing := s.namespace(ctx, "guarded", s.id), s.namespace(ctx)
		upper := s.create(ctx, s.baseline("upper").Priority(10).Scope(v1alpha1.IsolationScopeNone))
		protects(ctx, upper, refusing, willing)
		lower := s.create(ctx, s.baseline("lower"))
		ready(ctx, upper)
		rule, binding := s.refuseOnFridays(ctx, refusing)

		Expect(env.Admin.Delete(ctx, upper.DeepCopy())).To(Succeed())
		message := func(g Gomega) string {
			current := &v1alpha1.ClusterNetworkBaseline{}
			g.Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(upper), current)).To(Succeed(), "it must wait for its policies")
			said := readyMessage(current)
			g.Expect(said).NotTo(MatchRegexp(`\b0 namespaces`), "policies of it are left in %s", refusing.Name)
			return said
		}
		protects(ctx, lower, willing)
		Eventually(func() []v1alpha1.NamespaceFailure {
			return condition(ctx, lower, v1alpha1.ConditionReady, metav1.ConditionFalse).Status.Failures
		}).Should(ContainElement(HaveField("Namespace", refusing.Name)))
		Eventually(message).Should(ContainSubstring(refusing.Name + "/"))
		marker(ctx)
		Eventually(message).Should(ContainSubstring(refusing.Name + "/"))

		for _, object := range []client.Object{binding, rule} {
			Expect(env.Admin.Delete(ctx, object)).To(Succeed())
		}
		Eventually(differences).WithArguments(ctx, lower, refusing.Name).WithTimeout(70 * time.Second).Should(BeEmpty())
		gone(ctx, upper)
	})

	It("counts a namespace as held although another baseline has policies there too", func(ctx SpecContext) {
		namespace := s.namespace(ctx)
		one := s.create(ctx, s.baseline("a"))
		protects(ctx, one, namespace)
		change(ctx, one, func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.Mode = v1alpha1.ModeAudit })
		other := s.create(ctx, s.baseline("b").Mode(v1alpha1.ModeAudit))
		ready(ctx, other)
		withoutManager(func() { // while it runs, the ledger remembers whose the policies are, whatever their labels say
			patch(ctx, namespace.Name, v1alpha1.DefaultDenyName, fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, v1alpha1.BaselineLabel, other.Name))
		})
		for _, owner := range []*v1alpha1.ClusterNetworkBaseline{one, other} {
			Eventually(func() int32 { return ready(ctx, owner).Status.Namespaces.Held }).Should(BeEquivalentTo(1), "held by %s", owner.Name)
		}
	})
})

var _ = Describe("A baseline whose finalizer is refused", func() {
	It("says so, writes nothing yet, and governs when it is not refused any more", func(ctx SpecContext) {
		s := newScenario()
		namespace := s.namespace(ctx)
		name := s.baseline("a").Obj().Name
		allow := refuseFinalizer(ctx, name)
		since := time.Now()
		baseline := s.create(ctx, s.baseline("a"))
		var said *metav1.Condition
		Eventually(func(g Gomega) {
			current := &v1alpha1.ClusterNetworkBaseline{}
			g.Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(baseline), current)).To(Succeed())
			said = conditionOf(current, v1alpha1.ConditionReady)
			g.Expect(said.ObservedGeneration).To(Equal(current.Generation))
			g.Expect(said.Status).NotTo(Equal(metav1.ConditionTrue))
			g.Expect(said.Message).To(And(ContainSubstring("finalizer"), ContainSubstring("nothing new on Fridays")))
		}).Should(Succeed())
		Expect(operatorWrites(namespace.Name, since)).To(BeEmpty(), "the finalizer comes before the first policy")
		Eventually(func() int { return refusedFinalizers(name, since) }).Should(BeNumerically(">", 1), "it must be tried again")
		Expect(policies(ctx, namespace.Name)).To(BeEmpty())

		allow()
		Eventually(differences).WithArguments(ctx, baseline, namespace.Name).WithTimeout(70 * time.Second).Should(BeEmpty())
		Expect(ready(ctx, baseline).Finalizers).To(ConsistOf(v1alpha1.CleanupFinalizer))
	})
})

func conditionOf(baseline *v1alpha1.ClusterNetworkBaseline, kind string) *metav1.Condition {
	for i := range baseline.Status.Conditions {
		if baseline.Status.Conditions[i].Type == kind {
			return &baseline.Status.Conditions[i]
		}
	}
	return &metav1.Condition{}
}
