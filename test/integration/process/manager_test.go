// Package process_test runs the manager as the shipped program: with its flags, its probes, its
// metrics, and its shutdown.
package process_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

const (
	// patience is for a busy machine.
	patience = 60 * time.Second
	interval = 50 * time.Millisecond
)

func newGomega(t *testing.T) Gomega {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(patience)
	g.SetDefaultEventuallyPollingInterval(interval)
	return g
}

func TestTheManagerAsAProgram(t *testing.T) {
	g := newGomega(t)
	ctx := t.Context()
	env, err := harness.Start(ctx, localcluster.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(env.Stop()).To(Succeed()) })
	manager := start(t, g, env, build(t, g))

	g.Eventually(harness.GetStatus).WithArguments(ctx, manager.Probes+"/healthz", "").Should(Equal(http.StatusOK))
	g.Eventually(harness.GetStatus).WithArguments(ctx, manager.Probes+"/readyz", "").Should(Equal(http.StatusOK))
	g.Expect(env.Admin.Create(ctx, builder.Baseline("default").Obj())).To(Succeed())
	_, err = env.Kubectl(ctx, "wait", "--for=condition=Ready", "--timeout="+patience.String(), "cnb/default")
	g.Expect(err).NotTo(HaveOccurred(), "the shipped RBAC must suffice, for the lease too")

	expectOurName(ctx, g, env)
	expectGuardedMetrics(ctx, g, env, manager)
	expectLeaderElected(ctx, g, env, true)
	g.Expect(manager.Stop()).To(Succeed())
	expectLeaderElected(ctx, g, env, false)
	expectStructuredLogs(g, manager.LogPath())
}

// build builds the manager; with a warm cache that takes a second.
func build(t *testing.T, g Gomega) string {
	path := filepath.Join(t.TempDir(), "manager")
	g.Expect(harness.BuildManager(t.Context(), path)).To(Succeed())
	return path
}

func start(t *testing.T, g Gomega, env *harness.Environment, path string) *harness.Program {
	manager, err := env.StartProgram(t.Context(), path, filepath.Join(t.TempDir(), "manager.log"))
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(manager.Stop()).To(Succeed()) })
	return manager
}

// expectOurName reads who wrote the policies, as kubectl get --show-managed-fields tells it.
func expectOurName(ctx context.Context, g Gomega, env *harness.Environment) {
	list := &networkingv1.NetworkPolicyList{}
	g.Expect(env.Admin.List(ctx, list, client.InNamespace(metav1.NamespaceDefault))).To(Succeed())
	g.Expect(list.Items).To(HaveLen(3))
	for i := range list.Items {
		g.Expect(list.Items[i].ManagedFields).To(HaveEach(HaveField("Manager", "netbaseline")), list.Items[i].Name)
	}
}

func expectGuardedMetrics(ctx context.Context, g Gomega, env *harness.Environment, manager *harness.Program) {
	url, status := manager.Metrics+"/metrics", harness.GetStatus
	g.Eventually(status).WithArguments(ctx, url, "").Should(Equal(http.StatusUnauthorized), "without a token")
	stranger, err := env.Token(ctx, "stranger")
	g.Expect(err).NotTo(HaveOccurred())
	reader, err := env.Token(ctx, "reader")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(env.LetReadMetrics(ctx, "reader")).To(Succeed())
	g.Expect(status(ctx, url, stranger)).To(Equal(http.StatusForbidden), "an account without the right")
	g.Eventually(status).WithArguments(ctx, url, reader).Should(Equal(http.StatusOK), "an account with it")
	g.Expect(body(ctx, url, reader)).To(And(
		ContainSubstring(`netbaseline_namespaces{baseline="default",state="synced"} 1`), // the namespace default; all others are protected
		ContainSubstring(`netbaseline_policy_writes_total{operation="create"} 3`),
		ContainSubstring("netbaseline_drift_repairs_total 0"),
		ContainSubstring("netbaseline_namespace_protection_seconds_count 0"),
		ContainSubstring(`controller_runtime_reconcile_panics_total{controller="namespace"} 0`),
	))
}

// expectLeaderElected waits until the lease has a holder, or, because it is given up at the end,
// none.
func expectLeaderElected(ctx context.Context, g Gomega, env *harness.Environment, held bool) {
	g.Eventually(func() (bool, error) {
		leader, err := env.Leader(ctx)
		return leader != "", err
	}).Should(Equal(held))
}

// expectStructuredLogs reads a log: every line is JSON, and none is an error.
func expectStructuredLogs(g Gomega, path string) {
	file, err := os.Open(path)
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { g.Expect(file.Close()).To(Succeed()) }()
	lines := 0
	for scanner := bufio.NewScanner(file); scanner.Scan(); lines++ {
		var line struct{ Level, Msg string }
		g.Expect(json.Unmarshal(scanner.Bytes(), &line)).To(Succeed(), scanner.Text())
		g.Expect(line.Level).To(Equal("info"), scanner.Text())
	}
	g.Expect(lines).To(And(BeNumerically(">", 0), BeNumerically("<", 50)), "a start and an end, and nothing in between")
}

func body(ctx context.Context, url, token string) (string, error) {
	response, err := harness.Get(ctx, url, token)
	if err != nil {
		return "", err
	}
	content, err := io.ReadAll(response.Body)
	if closed := response.Body.Close(); err == nil {
		err = closed
	}
	return string(content), err
}
