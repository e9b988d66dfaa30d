package integration_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

var _ = Describe("What a status tells", func() {
	It("is not of a failure where a namespace cannot be released", func(ctx SpecContext) {
		s := newScenario()
		kept, other := s.namespace(ctx, "guarded", s.id), s.namespace(ctx)
		baseline := s.create(ctx, s.baseline("a"))
		protects(ctx, baseline, kept, other)
		ready(ctx, baseline)
		refuse(ctx, s.id, "this stays", admissionregistrationv1.Delete)
		Eventually(func() error {
			return env.Admin.Delete(ctx, &networkingv1.NetworkPolicy{
				ObjectMeta: metav1.ObjectMeta{Namespace: kept.Name, Name: v1alpha1.AllowDNSName},
			}, client.DryRunAll)
		}).Should(MatchError(ContainSubstring("this stays")), "the rule must be in force")
		since := time.Now()
		change(ctx, kept, func(n *corev1.Namespace) { delete(n.Labels, caseLabel) })
		Eventually(func() (refusals int, err error) {
			writes, err := env.OperatorWrites()
			for _, write := range writes {
				if write.Namespace == kept.Name && write.Verb == "delete" && write.Code >= 400 && write.At.After(since) {
					refusals++
				}
			}
			return refusals, err
		}).Should(BeNumerically(">", 2), "the deletion must be refused, and tried again")
		s.namespace(ctx) // a status that counts these was written after the refusals
		s.namespace(ctx)
		current := &v1alpha1.ClusterNetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: baseline.Name}}
		Eventually(func(g Gomega) {
			read(ctx, g, current)
			g.Expect(current.Status.Namespaces.Synced).To(BeEquivalentTo(3))
		}).Should(Succeed())
		Expect(current.Status.Namespaces.Failed).To(BeZero(), "it is protected, more than desired")
		Expect(readyMessage(current)).NotTo(ContainSubstring("not protected"))
	})

	It("goes on whatever conditions others put into it", func(ctx SpecContext) {
		s := newScenario()
		baseline := s.create(ctx, s.baseline("a"))
		protects(ctx, baseline, s.namespace(ctx))
		current := ready(ctx, baseline)
		current.Status.Conditions = nil
		for i := range 6 {
			current.Status.Conditions = append(current.Status.Conditions, metav1.Condition{
				Type: fmt.Sprintf("example.com/Foreign%d", i), Status: metav1.ConditionTrue, Reason: "Mine", LastTransitionTime: metav1.Now(),
			})
		}
		Eventually(func() error {
			fresh := &v1alpha1.ClusterNetworkBaseline{}
			if err := env.Admin.Get(ctx, client.ObjectKeyFromObject(baseline), fresh); err != nil {
				return err
			}
			fresh.Status.Conditions = current.Status.Conditions
			return env.Admin.Status().Update(ctx, fresh)
		}).Should(Succeed())
		s.namespace(ctx)
		Eventually(func(g Gomega) {
			read(ctx, g, current)
			g.Expect(current.Status.Namespaces.Synced).To(BeEquivalentTo(2))
			for _, kind := range []string{v1alpha1.ConditionAccepted, v1alpha1.ConditionSynced, v1alpha1.ConditionReady} {
				g.Expect(current.Status.Conditions).To(ContainElement(HaveField("Type", kind)))
			}
		}).Should(Succeed())
	})

	It("ends as a rule's own words end", func(ctx SpecContext) {
		s := newScenario()
		namespace := s.namespace(ctx, "guarded", s.id)
		words := strings.Repeat("no policies on Fridays, ", 15) + "ask the platform team"
		refuse(ctx, s.id, words, admissionregistrationv1.Create, admissionregistrationv1.Update)
		Eventually(dryRunError).WithArguments(ctx, namespace.Name).Should(MatchError(ContainSubstring("Fridays")), "the rule must be in force")
		baseline := s.create(ctx, s.baseline("a"))
		Eventually(func() []v1alpha1.NamespaceFailure {
			return condition(ctx, baseline, v1alpha1.ConditionReady, metav1.ConditionFalse).Status.Failures
		}).Should(ConsistOf(And(HaveField("Namespace", namespace.Name), HaveField("Message", ContainSubstring("ask the platform team")))))
	})
})

// read reads a baseline, live.
func read(ctx context.Context, g Gomega, baseline *v1alpha1.ClusterNetworkBaseline) {
	g.Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(baseline), baseline)).To(Succeed())
}

// refuse has an admission policy refuse operations on the policies of a scenario's guarded
// namespaces.
func refuse(ctx SpecContext, id, words string, operations ...admissionregistrationv1.OperationType) {
	GinkgoHelper()
	constraints := networkPolicyWrites()
	constraints.ResourceRules[0].Operations = operations
	createForNow(ctx, &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: id},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: constraints,
			Validations:      []admissionregistrationv1.Validation{{Expression: "false", Message: words}},
		},
	}, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: id},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: id, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}, MatchResources: guardedOnly(id),
		},
	})
}
