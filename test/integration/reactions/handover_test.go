package integration_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// Two baselines select the same namespaces. The upper one opens nothing but DNS, the lower one the
// environment too: wherever the lower one takes over, it loosens, and it must not unless the upper
// one itself has given the namespace up.
var _ = Describe("A hand-over", func() {
	var (
		s            *scenario
		namespaces   []*corev1.Namespace
		upper, lower *v1alpha1.ClusterNetworkBaseline
		before       map[string]networkingv1.NetworkPolicySpec
		since        time.Time
	)
	// elsewhere has the upper baseline select nothing.
	elsewhere := func(b *v1alpha1.ClusterNetworkBaseline) {
		b.Spec.NamespaceSelector.MatchLabels[caseLabel] = "none"
	}
	toAudit := func(ctx SpecContext) {
		change(ctx, upper, func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.Mode = v1alpha1.ModeAudit })
	}
	rollBack := func(ctx SpecContext) {
		storeScope(ctx, upper, "SameTeam")
		DeferCleanup(func(ctx SpecContext) { // while one is not accepted, no other one lets go
			if env.Admin.Get(ctx, client.ObjectKeyFromObject(upper), &v1alpha1.ClusterNetworkBaseline{}) == nil {
				storeScope(ctx, upper, string(v1alpha1.IsolationScopeNone))
			}
		})
		condition(ctx, upper, v1alpha1.ConditionAccepted, metav1.ConditionFalse)
	}
	toRetain := func(ctx SpecContext) {
		change(ctx, upper, func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain })
		Eventually(finalizersOf).WithArguments(ctx, upper).Should(BeEmpty())
	}
	toDelete := func(ctx SpecContext) {
		change(ctx, upper, func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete })
	}
	deleteIt := func(ctx SpecContext) {
		Expect(env.Admin.Delete(ctx, upper.DeepCopy())).To(Succeed())
		gone(ctx, upper)
	}
	retain := func(ctx SpecContext) { toRetain(ctx); deleteIt(ctx) }
	tearOff := func(ctx SpecContext) { tearOff(ctx, upper) }
	replace := func(ctx SpecContext) {
		change(ctx, upper, func(b *v1alpha1.ClusterNetworkBaseline) { b.Finalizers = []string{} })
	}

	BeforeEach(func(ctx SpecContext) {
		s, namespaces = newScenario(), nil
		for range 5 {
			namespaces = append(namespaces, s.namespace(ctx, "environment", "production"))
		}
		upper = s.create(ctx, s.baseline("upper").Priority(10).Scope(v1alpha1.IsolationScopeNone))
		protects(ctx, upper, namespaces...)
		lower = s.create(ctx, s.baseline("lower"))
		ready(ctx, upper)
		Expect(ready(ctx, lower).Status.Namespaces.Overridden).To(BeEquivalentTo(len(namespaces)))
		before, since = specsIn(ctx, namespaces), time.Now()
	})
	expectUntouched := func(ctx SpecContext) {
		GinkgoHelper()
		marker(ctx)
		for _, namespace := range namespaces {
			Expect(verbs(operatorWrites(namespace.Name, since))).To(BeEmpty(), "nothing is written in %s", namespace.Name)
		}
		Expect(specsIn(ctx, namespaces)).To(Equal(before))
	}
	// heldBy returns how many namespaces the status counts as held, or, for a baseline that is
	// gone, the metric.
	heldBy := func(ctx SpecContext, baseline *v1alpha1.ClusterNetworkBaseline) func() (int, error) {
		return func() (int, error) {
			current := &v1alpha1.ClusterNetworkBaseline{}
			err := env.Admin.Get(ctx, client.ObjectKeyFromObject(baseline), current)
			if apierrors.IsNotFound(err) {
				held, err := manager.Metric("netbaseline_namespaces", map[string]string{"baseline": "", "state": "held"})
				return int(held), err
			}
			return int(current.Status.Namespaces.Held), err
		}
	}

	DescribeTable("does not happen, and the namespaces are held, when the upper baseline",
		func(ctx SpecContext, act func(SpecContext)) {
			act(ctx)
			expectUntouched(ctx)
			Eventually(heldBy(ctx, upper)).Should(Equal(len(namespaces)))
			Expect(heldBy(ctx, lower)()).To(BeZero(), "they are not the lower one's")
			expectUntouched(ctx)
		},
		Entry("goes to Audit", toAudit),
		Entry("is not accepted", rollBack),
		Entry("is in Audit and not accepted", func(ctx SpecContext) { toAudit(ctx); rollBack(ctx) }),
		Entry("is in Audit and selects nothing", func(ctx SpecContext) { toAudit(ctx); change(ctx, upper, elsewhere) }),
		Entry("is deleted with Retain", retain),
		Entry("is removed by force", tearOff),
		Entry("is removed by force while no manager runs", func(ctx SpecContext) { withoutManager(func() { tearOff(ctx) }) }),
		Entry("is gone, and the manager starts again", func(ctx SpecContext) { retain(ctx); withoutManager(func() {}) }),
	)

	DescribeTable("does not happen, and the upper baseline goes on governing, when it",
		func(ctx SpecContext, act func(SpecContext)) {
			act(ctx)
			Eventually(finalizersOf).WithArguments(ctx, upper).Should(ConsistOf(v1alpha1.CleanupFinalizer))
			expectUntouched(ctx)
			Expect(ready(ctx, upper).Status.Namespaces.Synced).To(BeEquivalentTo(len(namespaces)))
			expectUntouched(ctx)
		},
		Entry("is replaced without finalizers, three times", func(ctx SpecContext) {
			for range 3 {
				replace(ctx)
				Eventually(finalizersOf).WithArguments(ctx, upper).Should(ConsistOf(v1alpha1.CleanupFinalizer))
			}
		}),
		Entry("goes to Retain and back to Delete", func(ctx SpecContext) { toRetain(ctx); toDelete(ctx) }),
		Entry("goes to Audit and back", func(ctx SpecContext) {
			toAudit(ctx)
			change(ctx, upper, func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.Mode = v1alpha1.ModeEnforce })
		}),
		Entry("is rolled back and forth", func(ctx SpecContext) {
			rollBack(ctx)
			storeScope(ctx, upper, string(v1alpha1.IsolationScopeNone))
		}),
	)

	DescribeTable("does not happen while an admission rule refuses the finalizer that the upper baseline lost because it",
		func(ctx SpecContext, act func(SpecContext)) {
			allow := refuseFinalizer(ctx, upper.Name)
			act(ctx)
			Eventually(func() int { return refusedFinalizers(upper.Name, since) }).Should(BeNumerically(">", 0), "it must have been tried")
			expectUntouched(ctx)

			opened, closed := namespaces[0].Name, namespaces[1].Name
			patch(ctx, opened, v1alpha1.DefaultDenyName, `{"spec":{"ingress":[{}]}}`)
			Expect(env.Admin.Delete(ctx, getPolicy(ctx, closed, v1alpha1.DefaultDenyName))).To(Succeed())
			protects(ctx, upper, namespaces...)
			Expect(specsIn(ctx, namespaces)).To(Equal(before), "it goes on repairing what it owns")

			allow()
			Eventually(finalizersOf).WithArguments(ctx, upper).WithTimeout(70 * time.Second).Should(ConsistOf(v1alpha1.CleanupFinalizer))
			protects(ctx, upper, namespaces...)
		},
		Entry("was replaced", replace),
		Entry("went to Retain and back", func(ctx SpecContext) { toRetain(ctx); toDelete(ctx) }),
	)

	DescribeTable("gives the next baseline only namespaces without policies, when the upper one",
		func(ctx SpecContext, act func(SpecContext)) {
			act(ctx)
			Eventually(heldBy(ctx, upper)).Should(Equal(len(namespaces)), "from here on the manager knows")
			fresh := s.namespace(ctx, "environment", "production")
			protects(ctx, lower, fresh)
			expectUntouched(ctx)
		},
		Entry("is in Audit", toAudit),
		Entry("is not accepted", rollBack),
		Entry("was deleted with Retain", retain),
	)

	DescribeTable("happens immediately, in place, when",
		func(ctx SpecContext, act func(SpecContext) *v1alpha1.ClusterNetworkBaseline) {
			next := act(ctx)
			protects(ctx, next, namespaces...)
			for _, namespace := range namespaces {
				writes := verbs(operatorWrites(namespace.Name, since))
				Expect(writes).To(ConsistOf("update "+v1alpha1.AllowDNSName, "create "+v1alpha1.EnvironmentIsolationName, "update "+v1alpha1.DefaultDenyName))
			}
			Eventually(func() int32 { return ready(ctx, next).Status.Namespaces.Synced }).Should(BeEquivalentTo(len(namespaces)))
		},
		Entry("the upper one no longer selects them", func(ctx SpecContext) *v1alpha1.ClusterNetworkBaseline {
			change(ctx, upper, elsewhere)
			return lower
		}),
		Entry("the upper one excludes them", func(ctx SpecContext) *v1alpha1.ClusterNetworkBaseline {
			change(ctx, upper, func(b *v1alpha1.ClusterNetworkBaseline) {
				b.Spec.ExcludedNamespaces = []v1alpha1.NamespacePattern{v1alpha1.NamespacePattern(s.id + "-*")}
			})
			return lower
		}),
		Entry("the upper one is deleted", func(ctx SpecContext) *v1alpha1.ClusterNetworkBaseline {
			deleteIt(ctx)
			return lower
		}),
		Entry("the upper one is deleted after it was in Audit", func(ctx SpecContext) *v1alpha1.ClusterNetworkBaseline {
			toAudit(ctx)
			deleteIt(ctx)
			return lower
		}),
		Entry("the lower one becomes the upper one", func(ctx SpecContext) *v1alpha1.ClusterNetworkBaseline {
			change(ctx, lower, func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.Priority = new(int32(20)) })
			return lower
		}),
		Entry("a new one above both arrives", func(ctx SpecContext) *v1alpha1.ClusterNetworkBaseline {
			return s.create(ctx, s.baseline("top").Priority(20))
		}),
		Entry("a new one above both arrives while the upper one is in Audit", func(ctx SpecContext) *v1alpha1.ClusterNetworkBaseline {
			toAudit(ctx)
			return s.create(ctx, s.baseline("top").Priority(20))
		}),
	)
})

// storeScope stores an environment isolation scope that the schema may not know.
func storeScope(ctx context.Context, baseline *v1alpha1.ClusterNetworkBaseline, scope string) {
	GinkgoHelper()
	Expect(env.StoreSpec(ctx, baseline.Name, func(spec map[string]any) {
		spec["environmentIsolation"].(map[string]any)["scope"] = scope
	})).To(Succeed())
}

func finalizersOf(ctx context.Context, baseline *v1alpha1.ClusterNetworkBaseline) ([]string, error) {
	current := &v1alpha1.ClusterNetworkBaseline{}
	err := env.Admin.Get(ctx, client.ObjectKeyFromObject(baseline), current)
	return current.Finalizers, err
}

// specsIn returns what stands in namespaces, by namespace and name.
func specsIn(ctx context.Context, namespaces []*corev1.Namespace) map[string]networkingv1.NetworkPolicySpec {
	GinkgoHelper()
	specs := map[string]networkingv1.NetworkPolicySpec{}
	for _, namespace := range namespaces {
		for _, object := range policies(ctx, namespace.Name) {
			specs[object.Namespace+"/"+object.Name] = object.Spec
		}
	}
	return specs
}

// tearOff removes a baseline so that it is never seen being deleted: it goes in the moment in which
// it has no finalizer.
func tearOff(ctx context.Context, baseline *v1alpha1.ClusterNetworkBaseline) {
	GinkgoHelper()
	Eventually(func() error {
		bare := baseline.DeepCopy()
		if err := env.Admin.Patch(ctx, bare, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))); err != nil {
			return err
		}
		return env.Admin.Delete(ctx, bare, client.Preconditions{UID: &bare.UID, ResourceVersion: &bare.ResourceVersion})
	}).Should(Succeed())
	gone(ctx, baseline)
}

// withoutManager does something while no manager runs.
func withoutManager(do func()) {
	GinkgoHelper()
	Expect(manager.Stop()).To(Succeed())
	defer func() {
		var err error
		manager, err = env.StartManager()
		Expect(err).NotTo(HaveOccurred())
	}()
	do()
}

// refuseFinalizer has an admission rule refuse to add our finalizer to one baseline, until the
// function that it returns is called.
func refuseFinalizer(ctx SpecContext, baseline string) (allow func()) {
	GinkgoHelper()
	const has = "%[1]s != null && has(%[1]s.metadata.finalizers) && %[2]q in %[1]s.metadata.finalizers"
	rule := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: baseline},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
					Rule: admissionregistrationv1.Rule{
						APIGroups: []string{v1alpha1.GroupVersion.Group}, APIVersions: []string{"*"}, Resources: []string{"clusternetworkbaselines"},
					},
				},
			}}},
			MatchConditions: []admissionregistrationv1.MatchCondition{{Name: "name", Expression: fmt.Sprintf("object.metadata.name == %q", baseline)}},
			Validations: []admissionregistrationv1.Validation{{
				Expression: fmt.Sprintf("("+has+") || !(", "oldObject", v1alpha1.CleanupFinalizer) + fmt.Sprintf(has, "object", v1alpha1.CleanupFinalizer) + ")",
				Message:    "nothing new on Fridays",
			}},
		},
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: baseline},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: baseline, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}
	createForNow(ctx, rule, binding)
	Eventually(func() error {
		return env.Admin.Create(ctx, builder.Baseline(baseline).Finalized().Obj(), client.DryRunAll)
	}).Should(MatchError(ContainSubstring("Fridays")), "the rule must be in force")
	return func() {
		for _, object := range []client.Object{binding, rule} {
			Expect(env.Admin.Delete(ctx, object)).To(Succeed())
		}
	}
}

// refusedFinalizers counts how often the operator has been refused a write of a baseline.
func refusedFinalizers(baseline string, since time.Time) (count int) {
	GinkgoHelper()
	all, err := env.OperatorWrites()
	Expect(err).NotTo(HaveOccurred())
	for _, write := range all {
		if write.Resource == "clusternetworkbaselines" && write.Subresource == "" && write.Name == baseline && write.Code == http.StatusUnprocessableEntity && write.At.After(since) {
			count++
		}
	}
	return count
}
