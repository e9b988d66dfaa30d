// Command manager runs the netbaseline operator: flags and wiring, nothing else.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	controllermetrics "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/netbaseline/netbaseline/controllers"
	"github.com/netbaseline/netbaseline/internal/leaderfence"
	"github.com/netbaseline/netbaseline/internal/metricsserver"
)

// defaultNamespace is where config/default installs the operator.
const defaultNamespace = "netbaseline-system"

// userAgent names the operator in the API server's logs and, as the field manager, in
// managedFields. The default would be the name of the program, which many operators share.
const userAgent = "netbaseline"

// leaseName is the lease with which replicas elect a leader.
const leaseName = "netbaseline.policy.netbaseline.dev"

// options are the manager's flags.
type options struct {
	metricsAddress    string
	metricsCertDir    string
	metricsSecure     bool
	probeAddress      string
	leaderElect       bool
	leaseDuration     time.Duration
	renewDeadline     time.Duration
	retryPeriod       time.Duration
	operatorNamespace string
	logging           zap.Options
}

func (o *options) bind(set *flag.FlagSet) {
	namespace := os.Getenv("POD_NAMESPACE")
	if namespace == "" {
		namespace = defaultNamespace
	}
	set.StringVar(&o.metricsAddress, "metrics-bind-address", "0", "Address that metrics are served on, such as :8443; 0 to serve none.")
	set.BoolVar(&o.metricsSecure, "metrics-secure", true, "Serve metrics over TLS, with Kubernetes authentication and authorization.")
	set.StringVar(&o.metricsCertDir, "metrics-cert-path", "", "Directory with tls.crt and tls.key for metrics; without it, a self-signed certificate is made at each start.")
	set.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "Address that /healthz and /readyz are served on; 0 to serve none.")
	set.BoolVar(&o.leaderElect, "leader-elect", false, "Let one replica of several work, and another take over when it ends.")
	set.DurationVar(&o.leaseDuration, "leader-elect-lease-duration", 15*time.Second, "How long the others wait, after the leader last renewed its lease, before one of them takes over.")
	set.DurationVar(&o.renewDeadline, "leader-elect-renew-deadline", 10*time.Second, "How long the leader tries to renew its lease before it gives up and ends; less than the lease duration.")
	set.DurationVar(&o.retryPeriod, "leader-elect-retry-period", 2*time.Second, "How long to wait between two attempts to get or renew the lease; less than the renew deadline.")
	set.StringVar(&o.operatorNamespace, "operator-namespace", namespace, "Namespace that the operator runs in; it is never governed. Default: $POD_NAMESPACE, or "+defaultNamespace+".")
	o.logging.BindFlags(set)
}

// gracefulShutdown is how long running work may take when the manager ends: less than the 10 s that
// config/manager allows, so that the lease is released before the process is killed.
const gracefulShutdown = 8 * time.Second

// garbagePercent makes the garbage collector run when the heap has grown by half of the live data,
// not by as much again. Live data grows with the namespaces, 3 KiB for each; a burst of 10,000 of
// them would otherwise take 120 MiB. GOGC overrides it.
const garbagePercent = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	var o options
	o.bind(flag.CommandLine)
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&o.logging)))
	if err := run(&o); err != nil {
		ctrl.Log.Error(err, "The manager ended")
		os.Exit(1)
	}
}

func run(o *options) error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find a cluster (set KUBECONFIG outside of one): %w", err)
	}
	config.UserAgent = userAgent
	// Within a cluster, compressing watch traffic costs more than sending it.
	config.DisableCompression = true
	if o.leaderElect { // a leader that fails to renew its lease for so long ends, and must not write after that
		config.Wrap(leaderfence.New(o.operatorNamespace, leaseName, o.renewDeadline).Wrap)
	}
	mgr, err := ctrl.NewManager(config, o.manager())
	if err != nil {
		return fmt.Errorf("make the manager: %w", err)
	}
	if err := controllers.Setup(mgr, controllers.Options{OperatorNamespace: o.operatorNamespace}); err != nil {
		return err
	}
	ctx := ctrl.SetupSignalHandler()
	served := metricsserver.Options{Address: o.metricsAddress, Secure: o.metricsSecure, CertDir: o.metricsCertDir}
	if err := metricsserver.AddTo(ctx, mgr, served); err != nil {
		return err
	}
	ready := func(request *http.Request) error {
		if !mgr.GetCache().WaitForCacheSync(request.Context()) {
			return errors.New("the caches are not filled yet")
		}
		return nil
	}
	if err := errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("caches", ready)); err != nil {
		return fmt.Errorf("add probes: %w", err)
	}
	return mgr.Start(ctx)
}

func (o *options) manager() ctrl.Options {
	return ctrl.Options{
		Scheme:                  controllers.NewScheme(),
		Cache:                   controllers.CacheOptions(),
		Metrics:                 controllermetrics.Options{BindAddress: "0"}, // internal/metricsserver serves them
		HealthProbeBindAddress:  o.probeAddress,
		LeaderElection:          o.leaderElect,
		LeaderElectionID:        leaseName,
		LeaderElectionNamespace: o.operatorNamespace,
		LeaseDuration:           &o.leaseDuration,
		RenewDeadline:           &o.renewDeadline,
		RetryPeriod:             &o.retryPeriod,
		// The process ends as soon as the manager does, so the lease can be released immediately.
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       new(gracefulShutdown),
	}
}
