package process_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

// A standby watches, but reconciles nothing. What waits there must not grow with what has ever
// been.
func TestAStandbyForgetsWhatIsGone(t *testing.T) {
	t.Parallel()
	const churned = 100
	g, ctx := newGomega(t), t.Context()
	env, err := harness.Start(ctx, localcluster.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(env.Stop()).To(Succeed()) })
	path := build(t, g)
	start(t, g, env, path)
	expectLeaderElected(ctx, g, env, true)
	standby := start(t, g, env, path)
	token, err := env.Token(ctx, "reader")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(env.LetReadMetrics(ctx, "reader")).To(Succeed())
	g.Expect(env.Admin.Create(ctx, builder.Baseline("default").Obj())).To(Succeed())
	depth := func() (int, error) {
		exported, err := body(ctx, standby.Metrics+"/metrics", token)
		return sum(exported, "workqueue_depth", `name="namespace"`), err
	}
	g.Eventually(harness.GetStatus).WithArguments(ctx, standby.Probes+"/readyz", "").Should(Equal(http.StatusOK), "it must watch by now")

	var made []*corev1.Namespace
	for i := range churned {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("churned-%03d", i)}}
		g.Expect(env.Admin.Create(ctx, namespace)).To(Succeed())
		made = append(made, namespace)
	}
	for _, namespace := range made {
		g.Expect(env.Admin.Delete(ctx, namespace)).To(Succeed())
	}
	left := &corev1.NamespaceList{}
	g.Eventually(func() (int, error) { err := env.Admin.List(ctx, left); return len(left.Items), err }).Should(BeNumerically("<", churned))
	g.Eventually(func(g Gomega) {
		g.Expect(env.Admin.List(ctx, left)).To(Succeed())
		g.Expect(left.Items).NotTo(ContainElement(HaveField("Name", HavePrefix("churned-"))))
	}).Should(Succeed())
	g.Eventually(depth).Should(BeNumerically("<=", len(left.Items)))
}

// sum adds up the samples of a metric that have a label.
func sum(exported, metric, label string) (total int) {
	for line := range strings.Lines(exported) {
		if strings.HasPrefix(line, metric+"{") && strings.Contains(line, label) {
			value, _ := strconv.ParseFloat(strings.Fields(line)[len(strings.Fields(line))-1], 64) // what is exported is a number
			total += int(value)
		}
	}
	return total
}
