package localcluster

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func TestCluster(t *testing.T) {
	cluster := startCluster(t, Options{AuditReadsOf: []string{"system:serviceaccount:default:default"}})
	tests := []struct {
		name string
		test func(*testing.T, *Cluster)
	}{
		{"the edit role is aggregated", testAggregatedRole},
		{"the audit log tells who wrote what", testAudit},
		{"impersonated users may do what RBAC says", testImpersonation},
		{"a service account's kubeconfig is that account", testServiceAccountKubeconfig},
		{"the administrator's configuration cannot be changed by callers", testConfigIsACopy},
		{"kubectl works", testKubectl},
		{"another API server has the same objects and users, and is audited too", testAnotherAPIServer},
		{"a deleted namespace goes away with its content", testNamespaceDeletion},
		{"deployments get pods, and lose them with their owner", testWorkloads},
		{"a paused API server does not answer", testPause},
		{"objects survive kill -9 of the API server", testKillAPIServer},
		{"objects survive kill -9 of etcd", testKillEtcd},
		{"namespaces wait for the controller manager", testControllerManagerDown},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.test(t, cluster) })
	}
}

func testAggregatedRole(t *testing.T, cluster *Cluster) {
	role, err := clientset(t, cluster.Config()).RbacV1().ClusterRoles().Get(t.Context(), "edit", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(role.Rules) == 0 {
		t.Error("no rules")
	}
}

func testAudit(t *testing.T, cluster *Cluster) {
	createConfigMap(t, cluster, "audited")
	if _, err := clientset(t, cluster.Config()).CoreV1().ConfigMaps("default").Get(t.Context(), "audited", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an event of the create request", func(context.Context) error {
		return auditHas(cluster, "create", "audited")
	})
	if err := auditHas(cluster, "get", "audited"); err == nil {
		t.Error("reads are audited by default")
	}
}

func testImpersonation(t *testing.T, cluster *Cluster) {
	jane := clientset(t, cluster.ConfigFor("jane", "developers"))
	_, err := jane.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `"jane"`) {
		t.Errorf("error %v, want jane to be forbidden", err)
	}
}

func testServiceAccountKubeconfig(t *testing.T, cluster *Cluster) {
	if _, err := cluster.ServiceAccountKubeconfig(t.Context(), "default", "missing"); !apierrors.IsNotFound(err) {
		t.Errorf("of a missing account: %v", err)
	}
	eventually(t, "the default service account", func(ctx context.Context) error {
		_, err := clientset(t, cluster.Config()).CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	path, err := cluster.ServiceAccountKubeconfig(t.Context(), "default", "default")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(path, cluster.Dir()+"/") {
		t.Errorf("%s is outside of the cluster's directory", path)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = clientset(t, config).CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "system:serviceaccount:default:default") {
		t.Errorf("error %v, want the service account to be forbidden", err)
	}
	eventually(t, "an event of the read, which is audited", func(context.Context) error {
		return auditHasBy(cluster, "system:serviceaccount:default:default", "list", "secrets", "")
	})
}

func testConfigIsACopy(t *testing.T, cluster *Cluster) {
	cluster.Config().Host = "elsewhere"
	if host := cluster.Config().Host; host == "elsewhere" {
		t.Error("a caller's change is seen by the next one")
	}
	if qps := cluster.Config().QPS; qps != -1 {
		t.Errorf("QPS %v, want no client-side limit", qps)
	}
}

func testKubectl(t *testing.T, cluster *Cluster) {
	out, err := exec.Command(cluster.Kubectl(), "--kubeconfig", cluster.KubeconfigPath(), "get", "namespaces", "--output=name").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "namespace/default\n") {
		t.Errorf("error %v, output:\n%s", err, out)
	}
}

func testAnotherAPIServer(t *testing.T, cluster *Cluster) {
	another, err := cluster.StartAPIServer(t.Context(), cluster.EtcdEndpoint())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := another.Kill(); err != nil {
			t.Error(err)
		}
	}()
	config := cluster.Config()
	config.Host = "https://" + another.Host
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "through-another"}}
	if _, err := clientset(t, config).CoreV1().ConfigMaps("default").Create(t.Context(), configMap, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	mustHaveConfigMap(t, cluster, "through-another")
	eventually(t, "an event of the create request", func(context.Context) error {
		return auditHas(cluster, "create", "through-another")
	})
}

func testNamespaceDeletion(t *testing.T, cluster *Cluster) {
	client := clientset(t, cluster.Config())
	createNamespace(t, client, "short-lived")
	content := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "content"}}
	if _, err := client.CoreV1().ConfigMaps("short-lived").Create(t.Context(), content, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	deleteNamespace(t, client, "short-lived")
	eventuallyNoNamespace(t, client, "short-lived")
	t.Logf("deleted in %s", time.Since(begin).Round(time.Millisecond))
}

func testWorkloads(t *testing.T, cluster *Cluster) {
	client := clientset(t, cluster.Config())
	createNamespace(t, client, "workloads")
	labels := map[string]string{"app": "web"}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "example.invalid/web"}}},
			},
		},
	}
	if _, err := client.AppsV1().Deployments("workloads").Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a pod of the deployment", wantPods(client, "workloads", 1))
	if err := client.AppsV1().Deployments("workloads").Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "garbage collection of the pod", wantPods(client, "workloads", 0))
	deleteNamespace(t, client, "workloads")
}

func testPause(t *testing.T, cluster *Cluster) {
	if err := cluster.APIServer().Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := cluster.WaitReady(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while paused: %v, want a deadline", err)
	}
	if err := cluster.APIServer().Resume(); err != nil {
		t.Fatal(err)
	}
	mustBeReady(t, cluster)
}

func testKillAPIServer(t *testing.T, cluster *Cluster) {
	createConfigMap(t, cluster, "before-api-server-crash")
	killAndRestart(t, cluster.APIServer())
	mustBeReady(t, cluster)
	mustHaveConfigMap(t, cluster, "before-api-server-crash")
	if err := auditHas(cluster, "create", "before-api-server-crash"); err != nil {
		t.Errorf("the audit log of before the crash: %v", err)
	}
}

func testKillEtcd(t *testing.T, cluster *Cluster) {
	createConfigMap(t, cluster, "before-etcd-crash")
	killAndRestart(t, cluster.Etcd())
	mustBeReady(t, cluster)
	mustHaveConfigMap(t, cluster, "before-etcd-crash")
	createConfigMap(t, cluster, "after-etcd-crash")
}

func testControllerManagerDown(t *testing.T, cluster *Cluster) {
	client := clientset(t, cluster.Config())
	if err := cluster.ControllerManager().Stop(); err != nil {
		t.Fatal(err)
	}
	createNamespace(t, client, "stuck")
	deleteNamespace(t, client, "stuck")
	namespace, err := client.CoreV1().Namespaces().Get(t.Context(), "stuck", metav1.GetOptions{})
	if err != nil || namespace.Status.Phase != corev1.NamespaceTerminating {
		t.Errorf("namespace %v, error %v, want it terminating", namespace, err)
	}
	if err := cluster.ControllerManager().Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventuallyNoNamespace(t, client, "stuck")
}

func TestClustersAreIndependentAndLeaveNothing(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	type outcome struct {
		cluster *Cluster
		err     error
	}
	outcomes := make(chan outcome)
	for range 2 {
		go func() {
			cluster, err := Start(t.Context(), Options{AuditReads: true})
			outcomes <- outcome{cluster, err}
		}()
	}
	first, second := <-outcomes, <-outcomes
	if err := errors.Join(first.err, second.err); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustStop(t, first.cluster); mustStop(t, second.cluster) })

	createConfigMap(t, first.cluster, "mine")
	_, err := clientset(t, second.cluster.Config()).CoreV1().ConfigMaps("default").Get(t.Context(), "mine", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the other cluster answers %v, want not found", err)
	}
	eventually(t, "an event of the read", func(context.Context) error {
		return auditHas(second.cluster, "get", "mine")
	})

	another, err := first.cluster.StartAPIServer(t.Context(), first.cluster.EtcdEndpoint())
	if err != nil {
		t.Fatal(err)
	}
	left := append(pids(first.cluster), another.PID())
	left = append(left, pids(second.cluster)...)
	mustStop(t, first.cluster)
	mustBeReady(t, second.cluster)
	mustStop(t, second.cluster)
	mustStop(t, second.cluster) // once more is fine
	for _, pid := range left {
		if pid == 0 || isAlive(pid) {
			t.Errorf("process %d was not running or is left", pid)
		}
	}
	wantEntries(t, temporary)
}

func TestChosenDirectoryKeepsObjectsAndTokens(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	first := startCluster(t, Options{Dir: dir})
	createConfigMap(t, first, "kept")
	eventually(t, "a kubeconfig of the default service account", func(ctx context.Context) error {
		_, err := first.ServiceAccountKubeconfig(ctx, "default", "default")
		return err
	})
	token := bearerToken(t, filepath.Join(dir, "serviceaccounts", "default_default.kubeconfig"))
	mustStop(t, first)

	second := startCluster(t, Options{Dir: dir})
	mustHaveConfigMap(t, second, "kept")
	config := rest.AnonymousClientConfig(second.Config())
	config.BearerToken = token
	_, err := clientset(t, config).CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{})
	if !apierrors.IsForbidden(err) {
		t.Errorf("with a token of the first cluster: %v, want forbidden, not unauthorized", err)
	}
}

func TestFailedStartLeavesNothing(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	_, err := Start(t.Context(), Options{APIServerArgs: []string{"--no-such-flag"}})
	if err == nil || !strings.Contains(err.Error(), "unknown flag: --no-such-flag") {
		t.Errorf("error %v, want the API server's own words", err)
	}
	wantEntries(t, temporary)
}

func startCluster(t *testing.T, options Options) *Cluster {
	t.Helper()
	begin := time.Now()
	cluster, err := Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started in %s", time.Since(begin).Round(time.Millisecond))
	t.Cleanup(func() { mustStop(t, cluster) })
	return cluster
}

func mustStop(t *testing.T, cluster *Cluster) {
	t.Helper()
	if err := cluster.Stop(); err != nil {
		t.Error(err)
	}
}
