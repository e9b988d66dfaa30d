package controllers

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/apply"
	"github.com/netbaseline/netbaseline/internal/ledger"
)

// Options configures the controllers.
type Options struct {
	// OperatorNamespace is the namespace that the operator runs in; it is protected. Required.
	OperatorNamespace string
	// Registerer is where metrics go; nil for controller-runtime's registry. A second manager in
	// one process needs its own.
	Registerer prometheus.Registerer
}

// NewScheme returns a scheme with everything that the controllers read and write.
func NewScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return scheme
}

// controllerNames distinguishes the metrics and logs of the two controllers.
type controllerNames struct {
	namespace, baseline string
	skipValidation      bool // a second manager in one process has controllers of the same names
}

// Setup adds the controllers to a manager whose cache was made with CacheOptions.
func Setup(mgr ctrl.Manager, options Options) error {
	names := controllerNames{namespace: "namespace", baseline: "clusternetworkbaseline", skipValidation: options.Registerer != nil}
	if options.Registerer == nil {
		options.Registerer = ctrlmetrics.Registry
	}
	changes := &ledgerChanges{}
	book := ledger.New(changes.notify)
	meters, err := newMetrics(options.Registerer, book)
	if err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	live := liveReader{api: mgr.GetAPIReader(), operatorNamespace: options.OperatorNamespace}
	events := &eventWriter{recorder: mgr.GetEventRecorder("netbaseline")}
	namespaces := &namespaceReconciler{
		cache:      mgr.GetCache(),
		live:       live,
		executor:   apply.Executor{Writer: mgr.GetClient(), Live: mgr.GetAPIReader()},
		ledger:     book,
		snapshots:  &snapshots{reader: mgr.GetCache(), operatorNamespace: options.OperatorNamespace},
		lanes:      newLanes(),
		contention: newContention(),
		assumed:    newAssumedWrites(),
		events:     events,
		metrics:    meters,
		retries:    workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetry, lastRetry),
		now:        time.Now,
	}
	if err := warmUp(mgr); err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("workers", func(*http.Request) error { return namespaces.lanes.check() }); err != nil {
		return fmt.Errorf("add the check of the workers: %w", err)
	}
	if err := namespaces.setup(mgr, names); err != nil {
		return fmt.Errorf("set up the namespace controller: %w", err)
	}
	baselines := &baselineReconciler{
		cache:   mgr.GetCache(),
		writer:  mgr.GetClient(),
		live:    live,
		ledger:  book,
		changes: changes,
		events:  events,
		now:     time.Now,
		files:   map[string]*file{},
	}
	return baselines.setup(mgr, names)
}
