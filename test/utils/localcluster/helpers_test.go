package localcluster

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// patience bounds every wait of these tests; machines that build at the same time need much of
	// it.
	patience = time.Minute

	pollInterval = 50 * time.Millisecond
)

// eventually fails the test unless the condition is met in time; it is called with a context that
// ends with the wait.
func eventually(t *testing.T, what string, condition func(context.Context) error) {
	t.Helper()
	var unmet error
	err := wait.PollUntilContextTimeout(t.Context(), pollInterval, patience, true, func(ctx context.Context) (bool, error) {
		unmet = condition(ctx)
		return unmet == nil, nil
	})
	if err != nil {
		t.Fatalf("waiting for %s: %v, last: %v", what, err, unmet)
	}
}

func clientset(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func mustBeReady(t *testing.T, cluster *Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := cluster.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
}

func killAndRestart(t *testing.T, process *Process) {
	t.Helper()
	before := process.PID()
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	if isAlive(before) || process.PID() != 0 {
		t.Fatalf("process %d survived", before)
	}
	begin := time.Now()
	if err := process.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("restarted in %s", time.Since(begin).Round(time.Millisecond))
}

func createConfigMap(t *testing.T, cluster *Cluster, name string) {
	t.Helper()
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := clientset(t, cluster.Config()).CoreV1().ConfigMaps("default").Create(t.Context(), configMap, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func mustHaveConfigMap(t *testing.T, cluster *Cluster, name string) {
	t.Helper()
	if _, err := clientset(t, cluster.Config()).CoreV1().ConfigMaps("default").Get(t.Context(), name, metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

func createNamespace(t *testing.T, client *kubernetes.Clientset, name string) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func deleteNamespace(t *testing.T, client *kubernetes.Clientset, name string) {
	t.Helper()
	if err := client.CoreV1().Namespaces().Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func eventuallyNoNamespace(t *testing.T, client *kubernetes.Clientset, name string) {
	t.Helper()
	eventually(t, "the end of namespace "+name, func(ctx context.Context) error {
		namespace, err := client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		default:
			return fmt.Errorf("phase %s, conditions %v", namespace.Status.Phase, namespace.Status.Conditions)
		}
	})
}

func wantPods(client *kubernetes.Clientset, namespace string, want int) func(context.Context) error {
	return func(ctx context.Context) error {
		pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(pods.Items) != want {
			return fmt.Errorf("%d pods, want %d", len(pods.Items), want)
		}
		return nil
	}
}

// auditHas returns an error unless the administrator's request for a ConfigMap is in the audit log.
func auditHas(cluster *Cluster, verb, name string) error {
	return auditHasBy(cluster, adminUser, verb, "configmaps", name)
}

func auditHasBy(cluster *Cluster, user, verb, resource, name string) error {
	events, err := cluster.ReadAudit()
	if err != nil {
		return err
	}
	for _, event := range events {
		object := event.ObjectRef
		if object == nil || object.Resource != resource || object.Name != name {
			continue
		}
		if event.Verb == verb && event.User.Username == user {
			return nil
		}
	}
	return fmt.Errorf("none of %d events is %s %s %s by %s", len(events), verb, resource, name, user)
}

func bearerToken(t *testing.T, kubeconfig string) string {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if config.BearerToken == "" {
		t.Fatalf("%s has no token", kubeconfig)
	}
	return config.BearerToken
}
