package controllers

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// collecting is a manager that is never started and keeps what is added to it.
type collecting struct {
	manager.Manager
	added []manager.Runnable
}

func (c *collecting) Add(runnable manager.Runnable) error {
	c.added = append(c.added, runnable)
	return nil
}

// Whatever the failure, no retry comes later than a minute after the obstacle is gone;
// controller-runtime's default is a quarter of an hour.
func TestNoControllerWaitsForLongerThanAMinute(t *testing.T) {
	t.Parallel()
	scheme := NewScheme()
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Namespace"), meta.RESTScopeRoot)
	mapper.Add(networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"), meta.RESTScopeNamespace)
	mapper.Add(v1alpha1.GroupVersion.WithKind("ClusterNetworkBaseline"), meta.RESTScopeRoot)
	mgr, err := ctrl.NewManager(&rest.Config{Host: "https://127.0.0.1:1"}, ctrl.Options{
		Scheme: scheme, Cache: CacheOptions(), Metrics: server.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return mapper, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	all := &collecting{Manager: mgr}
	if err := Setup(all, Options{OperatorNamespace: "netbaseline-system", Registerer: prometheus.NewRegistry()}); err != nil {
		t.Fatal(err)
	}
	if len(all.added) != 2 {
		t.Fatalf("%d controllers were set up, want that of namespaces and that of baselines", len(all.added))
	}
	for _, runnable := range all.added {
		controller := reflect.Indirect(reflect.ValueOf(runnable))
		limiter, ok := controller.FieldByName("RateLimiter").Interface().(workqueue.TypedRateLimiter[reconcile.Request])
		if !ok {
			t.Fatalf("%T has no rate limiter", runnable)
		}
		var delay time.Duration
		for range 100 {
			delay = limiter.When(requestFor("shop"))
		}
		if delay > lastRetry {
			t.Errorf("the controller %s waits %s after a hundred failures, want %s at most", controller.FieldByName("Name"), delay, lastRetry)
		}
		if timeout := controller.FieldByName("ReconciliationTimeout").Interface(); timeout != reconcileTimeout {
			t.Errorf("the controller %s lets a reconcile hang for %s", controller.FieldByName("Name"), timeout)
		}
	}
	if lastRetry > time.Minute {
		t.Errorf("the longest delay is %s", lastRetry)
	}
}
