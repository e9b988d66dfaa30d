// Package process_test runs the manager as the program that is shipped: with its flags, its probes, its metrics, and its end.
package process_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/internal/localcluster"
	"github.com/netbaseline/netbaseline/test/builder"
	"github.com/netbaseline/netbaseline/test/harness"
)

func TestTheManagerAsAProgram(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(30 * time.Second)
	g.SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	ctx := t.Context()
	env, err := harness.Start(ctx, localcluster.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(env.Stop()).To(Succeed()) })
	manager := start(t, g, env, build(t, g))

	g.Eventually(status).WithArguments(manager.Probes+"/healthz", "").Should(Equal(http.StatusOK))
	g.Eventually(status).WithArguments(manager.Probes+"/readyz", "").Should(Equal(http.StatusOK))
	g.Expect(env.Admin.Create(ctx, builder.Baseline("default").Obj())).To(Succeed())
	_, err = env.Kubectl(ctx, "wait", "--for=condition=Ready", "--timeout=30s", "cnb/default")
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
	url := manager.Metrics + "/metrics"
	g.Eventually(status).WithArguments(url, "").Should(Equal(http.StatusUnauthorized), "nobody in particular")
	stranger, reader := token(ctx, g, env, "stranger"), token(ctx, g, env, "reader")
	g.Expect(env.Admin.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "metrics-reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "netbaseline-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: "reader"}},
	})).To(Succeed())
	g.Expect(status(url, stranger)).To(Equal(http.StatusForbidden), "somebody without the right")
	g.Eventually(status).WithArguments(url, reader).Should(Equal(http.StatusOK), "somebody with it")
	g.Expect(body(url, reader)).To(And(
		ContainSubstring(`netbaseline_namespaces{baseline="default",state="synced"} 1`), // the namespace default; all others are protected
		ContainSubstring(`netbaseline_policy_writes_total{operation="create"} 3`),
		ContainSubstring("netbaseline_drift_repairs_total 0"),
		ContainSubstring("netbaseline_namespace_protection_seconds_count 0"),
		ContainSubstring(`controller_runtime_reconcile_panics_total{controller="namespace"} 0`),
	))
}

// expectLeaderElected waits until the lease has a holder, or, because it is given up at the end, none.
func expectLeaderElected(ctx context.Context, g Gomega, env *harness.Environment, held bool) {
	g.Eventually(func() (bool, error) {
		lease := &coordinationv1.Lease{}
		err := env.Admin.Get(ctx, client.ObjectKey{Namespace: harness.OperatorNamespace, Name: harness.LeaseName}, lease)
		return lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity != "", err
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

func token(ctx context.Context, g Gomega, env *harness.Environment, name string) string {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	g.Expect(env.Admin.Create(ctx, account)).To(Succeed())
	request := &authenticationv1.TokenRequest{}
	g.Expect(env.Admin.SubResource("token").Create(ctx, account, request)).To(Succeed())
	return request.Status.Token
}

var anyCertificate = &http.Client{
	Timeout:   10 * time.Second,
	Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, //nolint:gosec // the certificate is made at each start
}

func get(url, bearer string) (*http.Response, error) {
	request, err := http.NewRequest(http.MethodGet, url, http.NoBody) //nolint:noctx // the client has a timeout
	if err != nil {
		return nil, err
	}
	if bearer != "" {
		request.Header.Set("Authorization", "Bearer "+bearer)
	}
	return anyCertificate.Do(request)
}

func status(url, bearer string) (int, error) {
	response, err := get(url, bearer)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

func body(url, bearer string) (string, error) {
	response, err := get(url, bearer)
	if err != nil {
		return "", err
	}
	content, err := io.ReadAll(response.Body)
	if closed := response.Body.Close(); err == nil {
		err = closed
	}
	return string(content), err
}
