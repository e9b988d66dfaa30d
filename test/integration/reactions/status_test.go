package integration_test

import (
	"context"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"github.com/onsi/gomega/gexec"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

var _ = Describe("kubectl", func() {
	var s *scenario
	BeforeEach(func() { s = newScenario() })

	It("waits for a baseline to be ready and shows it in columns", func(ctx SpecContext) {
		s.namespace(ctx, "environment", "production")
		s.namespace(ctx)
		baseline := s.create(ctx, s.baseline("a").Priority(7))
		_, err := env.Kubectl(ctx, "wait", "--for=condition=Ready", "--timeout="+patience.String(), "cnb/"+baseline.Name)
		Expect(err).NotTo(HaveOccurred())

		narrow, err := env.Kubectl(ctx, "get", "cnb", baseline.Name)
		Expect(err).NotTo(HaveOccurred())
		header, row := columns(narrow)
		Expect(header).To(Equal([]string{"NAME", "MODE", "GOVERNED", "SYNCED", "FAILED", "READY", "STATUS", "AGE"}))
		Expect(row[:7]).To(Equal([]string{baseline.Name, "Enforce", "2", "2", "0", "True", "2 namespaces protected"}))

		wide, err := env.Kubectl(ctx, "get", "cnb", baseline.Name, "-o", "wide")
		Expect(err).NotTo(HaveOccurred())
		header, row = columns(wide)
		Expect(header).To(Equal([]string{"NAME", "MODE", "PRIORITY", "GOVERNED", "SYNCED", "FAILED", "HELD", "OVERRIDDEN", "READY", "STATUS", "AGE"}))
		Expect(row[2]).To(Equal("7"))
	})

	It("watches a baseline from waiting over ready to a change", func(ctx SpecContext) {
		s.namespace(ctx)
		baseline, earlier := s.baseline("a").Obj(), s.create(ctx, s.baseline("earlier").Mode(v1alpha1.ModeAudit))
		command := exec.CommandContext(context.WithoutCancel(ctx), env.Cluster.Kubectl(), "--kubeconfig", env.Cluster.KubeconfigPath(), "get", "cnb", "-w")
		watch, err := gexec.Start(command, GinkgoWriter, GinkgoWriter)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { watch.Kill().Wait() })
		Eventually(watch).Should(gbytes.Say(earlier.Name), "the watch must have begun")
		s.create(ctx, s.baseline("a"))
		Eventually(watch).Should(gbytes.Say(baseline.Name + `.*Unknown +Waiting for the netbaseline operator`))
		Eventually(watch).Should(gbytes.Say(baseline.Name + `.*True +1 namespace protected`))
		s.namespace(ctx)
		Eventually(watch).Should(gbytes.Say(baseline.Name + `.*True +2 namespaces protected`))
	})

	It("describes a baseline with its events", func(ctx SpecContext) {
		namespace := s.namespace(ctx)
		baseline := s.create(ctx, s.baseline("a"))
		ready(ctx, baseline)
		Eventually(env.Kubectl).WithArguments(ctx, "describe", "cnb", baseline.Name).
			Should(MatchRegexp(`Normal +Enforced .*Brought policies to 1 namespace: ` + namespace.Name))
	})
})

var _ = Describe("A status", func() {
	It("is written at most once a second, however much changes", func(ctx SpecContext) {
		s := newScenario()
		baseline := s.create(ctx, s.baseline("a"))
		ready(ctx, baseline)
		for range 40 {
			s.namespace(ctx)
		}
		Eventually(func() int32 { return ready(ctx, baseline).Status.Namespaces.Synced }).Should(BeEquivalentTo(40))
		marker(ctx)
		var times []time.Time
		writes, err := env.OperatorWrites()
		Expect(err).NotTo(HaveOccurred())
		for _, write := range writes {
			if write.Name == baseline.Name && write.Subresource == "status" {
				times = append(times, write.At)
			}
		}
		Expect(len(times)).To(BeNumerically(">=", 2), "the first, and the one with all namespaces")
		// Not each pause: a request that is slow to arrive shortens the one after it.
		pauses := times[len(times)-1].Sub(times[0]).Seconds()
		Expect(float64(len(times)-1)).To(BeNumerically("<=", pauses+1), "in %.1f s", pauses)
	})

	It("that another client forges is restored", func(ctx SpecContext) {
		s := newScenario()
		s.namespace(ctx)
		baseline := s.create(ctx, s.baseline("a"))
		current := ready(ctx, baseline)
		current.Status.Namespaces.Synced = 1000
		Expect(env.Admin.Status().Update(ctx, current)).To(Succeed())
		Eventually(func() int32 { return ready(ctx, baseline).Status.Namespaces.Synced }).Should(BeEquivalentTo(1))
	})

	It("reports that the operator has not seen the spec until it has", func(ctx SpecContext) {
		Expect(manager.Stop()).To(Succeed())
		DeferCleanup(func() {
			var err error
			manager, err = env.StartManager()
			Expect(err).NotTo(HaveOccurred())
		})
		s := newScenario()
		fresh := s.baseline("a").Obj()
		Expect(env.Admin.Create(ctx, fresh)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return env.Admin.Delete(ctx, fresh) })
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(fresh), fresh)).To(Succeed())
		Expect(fresh.Status.ObservedGeneration).To(BeEquivalentTo(-1))
		Expect(fresh.Status.Conditions).To(HaveExactElements(And(
			HaveField("Type", v1alpha1.ConditionReady), HaveField("Status", metav1.ConditionUnknown),
			HaveField("Message", "Waiting for the netbaseline operator"))))
	})
})

var _ = Describe("At rest", func() {
	It("nothing is written when labels and annotations change that decide nothing", func(ctx SpecContext) {
		s := newScenario()
		namespace := s.namespace(ctx, "environment", "production")
		baseline := s.create(ctx, s.baseline("a"))
		protects(ctx, baseline, namespace)
		ready(ctx, baseline)
		since := time.Now()
		change(ctx, namespace, func(n *corev1.Namespace) {
			n.Labels["team"], n.Annotations = "shop", map[string]string{"note": "mine"}
		})
		change(ctx, baseline, func(b *v1alpha1.ClusterNetworkBaseline) { b.Labels = map[string]string{"team": "platform"} })
		marker(ctx)
		Expect(operatorWrites(namespace.Name, since)).To(BeEmpty())
		all, err := env.OperatorWrites()
		Expect(err).NotTo(HaveOccurred())
		Expect(slices.ContainsFunc(all, func(w writeOf) bool { return w.Name == baseline.Name && w.At.After(since) })).To(BeFalse())
	})
})

var gaps = regexp.MustCompile(`\s{2,}`)

// columns splits what kubectl prints for one object into its header and its row.
func columns(table string) (header, row []string) {
	lines := strings.Split(strings.TrimSpace(table), "\n")
	ExpectWithOffset(1, lines).To(HaveLen(2))
	return gaps.Split(strings.TrimSpace(lines[0]), -1), gaps.Split(strings.TrimSpace(lines[1]), -1)
}
