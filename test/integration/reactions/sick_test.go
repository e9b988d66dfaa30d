package integration_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

const (
	// soon is half of the time that one request to a webhook may hang: a namespace that is
	// protected within it has waited for none of them.
	soon = admissionTimeout / 2
	// workers is how many namespaces are reconciled in parallel.
	workers = 16
)

var _ = Describe("Namespaces behind a webhook", func() {
	var s *scenario
	BeforeEach(func() { s = newScenario() })

	sickOnes := func(ctx SpecContext, count int) (sick []*corev1.Namespace) {
		GinkgoHelper()
		for range count {
			sick = append(sick, s.namespace(ctx, "guarded", s.id))
		}
		return sick
	}

	DescribeTable("delay no other namespace", func(ctx SpecContext, behave behaviour, count int, heal bool, end time.Duration) {
		baseline := s.create(ctx, s.baseline("a"))
		healthy := s.namespace(ctx)
		protects(ctx, baseline, healthy)
		hook := newWebhook(ctx, s.id, behave)
		delaysNobody := func(asked int64) {
			GinkgoHelper()
			Eventually(hook.asked.Load).Should(BeNumerically(">=", asked+int64(min(count, workers))), "the sick ones must be tried")
			fresh := s.namespace(ctx)
			Eventually(differences).WithArguments(ctx, baseline, fresh.Name).WithTimeout(soon).Should(BeEmpty(), "a new namespace")
			Expect(env.Admin.Delete(ctx, &networkingv1.NetworkPolicy{
				ObjectMeta: metav1.ObjectMeta{Namespace: healthy.Name, Name: v1alpha1.DefaultDenyName},
			})).To(Succeed())
			Eventually(differences).WithArguments(ctx, baseline, healthy.Name).WithTimeout(soon).Should(BeEmpty(), "a repair elsewhere")
		}
		asked := hook.asked.Load()
		sick := sickOnes(ctx, count)
		delaysNobody(asked)
		restart(func() { asked = hook.asked.Load() })
		delaysNobody(asked)
		if heal {
			Expect(env.Admin.Delete(ctx, hook.configuration)).To(Succeed())
		}
		if end == 0 {
			return
		}
		Eventually(func() (open []string) {
			for _, namespace := range sick {
				if due, err := differences(ctx, baseline, namespace.Name); err != nil || len(due) > 0 {
					open = append(open, namespace.Name)
				}
			}
			return open
		}).WithTimeout(end).WithPolling(time.Second).Should(BeEmpty(), "the sick ones are protected in the end")
	},
		Entry("that never answers, 48", behaviour(hangs), 48, true, 90*time.Second),
		Entry("that never answers, 5", behaviour(hangs), 5, true, 90*time.Second),
		Entry("that refuses, 48", behaviour(refuses), 48, true, 90*time.Second),
		Entry("that refuses, 5", behaviour(refuses), 5, true, 90*time.Second),
		Entry("that takes nine seconds, 48", takes(9*time.Second), 48, false, time.Duration(0)),
		Entry("that takes nine seconds, 5", takes(9*time.Second), 5, false, 120*time.Second),
	)

	It("are counted as pending from the start, also after a restart", func(ctx SpecContext) {
		const count = 20
		baseline := s.create(ctx, s.baseline("a"))
		protects(ctx, baseline, s.namespace(ctx), s.namespace(ctx))
		ready(ctx, baseline)
		restart(func() {
			newWebhook(ctx, s.id, hangs)
			sickOnes(ctx, count)
		})
		Eventually(func(g Gomega) {
			current := &v1alpha1.ClusterNetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: baseline.Name}}
			read(ctx, g, current)
			counts := current.Status.Namespaces
			g.Expect(readyMessage(current)).NotTo(ContainSubstring("22 namespaces protected"))
			g.Expect(counts.Pending+counts.Failed).To(BeEquivalentTo(count), "%+v", counts)
			g.Expect(counts.Synced).To(BeEquivalentTo(2))
		}).WithTimeout(20 * time.Second).Should(Succeed())
	})
})

// restart stops the manager, does something, and starts another one.
func restart(meanwhile func()) {
	GinkgoHelper()
	Expect(manager.Stop()).To(Succeed())
	defer func() {
		GinkgoHelper()
		var err error
		manager, err = env.StartManager()
		Expect(err).NotTo(HaveOccurred())
	}()
	meanwhile()
}
