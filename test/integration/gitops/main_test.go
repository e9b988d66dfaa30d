// Package gitops_test checks what netbaseline promises to GitOps tools: objects that they apply
// never show up as drift, and Argo CD's check in Lua and kstatus agree about a baseline's health.
package gitops_test

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

const (
	// patience is for a busy machine.
	patience = 60 * time.Second
	interval = 20 * time.Millisecond
)

var (
	environment *harness.Environment
	manager     *harness.Manager
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	harness.Main(func() (int, error) {
		return harness.WithManager(func(e *harness.Environment, running *harness.Manager) int {
			environment, manager = e, running
			return m.Run()
		})
	})
}

func newGomega(t *testing.T) Gomega {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(patience)
	g.SetDefaultEventuallyPollingInterval(interval)
	return g
}

// newNamespace creates a namespace that is deleted at the end of the test.
func newNamespace(t *testing.T, name string, labels map[string]string) *corev1.Namespace {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	if err := environment.Admin.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := environment.Admin.Delete(context.Background(), namespace); err != nil {
			t.Error(err)
		}
	})
	return namespace
}

// remove deletes a baseline and waits until it is gone.
func remove(t *testing.T, name string) {
	t.Helper()
	_, err := environment.Kubectl(context.Background(), "delete", "cnb", name, "--ignore-not-found", "--timeout="+patience.String())
	if err != nil {
		t.Error(err)
	}
}

// live reads a baseline as a GitOps tool does.
func live(ctx context.Context, name string) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ClusterNetworkBaseline"))
	err := environment.Admin.Get(ctx, client.ObjectKey{Name: name}, object)
	return object, err
}

// reason returns the reason of a baseline's Ready condition, once it is about the current spec.
func reason(ctx context.Context, name string) (string, error) {
	baseline := &v1alpha1.ClusterNetworkBaseline{}
	if err := environment.Admin.Get(ctx, client.ObjectKey{Name: name}, baseline); err != nil {
		return "", client.IgnoreNotFound(err)
	}
	ready := meta.FindStatusCondition(baseline.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.ObservedGeneration != baseline.Generation {
		return "", nil
	}
	return ready.Reason, nil
}

func gone(ctx context.Context, name string) bool {
	_, err := live(ctx, name)
	return apierrors.IsNotFound(err)
}
