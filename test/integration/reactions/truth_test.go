package integration_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/test/integration/truth"
	"github.com/netbaseline/netbaseline/test/utils/reachability"
)

var _ = Describe("Over the live policies", func() {
	for _, c := range truth.Cases {
		It(c.Name, func(ctx SpecContext) {
			s := newScenario()
			c := c.InNamespaces("-" + s.id)
			c.Baseline.Name = s.id
			for name, labels := range c.Namespaces {
				namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
				Expect(env.Admin.Create(ctx, namespace)).To(Succeed())
				DeferCleanup(func(ctx SpecContext) error { return env.Admin.Delete(ctx, namespace) })
			}
			for _, policy := range c.TenantPolicies {
				Expect(env.Admin.Create(ctx, policy)).To(Succeed())
			}
			Expect(env.Admin.Create(ctx, c.Baseline)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) {
				Expect(env.Admin.Delete(ctx, c.Baseline)).To(Succeed())
				gone(ctx, c.Baseline)
			})
			ready(ctx, c.Baseline)
			world, err := reachability.Live(ctx, env.Admin)
			Expect(err).NotTo(HaveOccurred())
			Expect(truth.Check(world, c)).To(BeEmpty())
		})
	}
})
