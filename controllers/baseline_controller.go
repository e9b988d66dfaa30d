package controllers

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/internal/ledger"
)

// baselineReconciler keeps a baseline's finalizer and status true. It writes no policy.
type baselineReconciler struct {
	cache   client.Reader
	writer  client.Client
	live    liveReader
	ledger  *ledger.Ledger
	changes *ledgerChanges
	events  *announcer
	now     func() time.Time

	// written is when each baseline's status was last written; one worker, so no lock.
	written map[string]time.Time
}

// Reconcile implements reconcile.Reconciler.
func (r *baselineReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	baseline := &v1alpha1.ClusterNetworkBaseline{}
	if err := r.cache.Get(ctx, request.NamespacedName, baseline); err != nil {
		delete(r.written, request.Name)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	candidate, summary := governance.NewCandidate(baseline), r.ledger.Summarize(baseline.Name)
	gone, err := r.settleFinalizer(ctx, candidate, &summary)
	if err != nil || gone {
		return afterRace(err)
	}
	again, err := r.reportStatus(ctx, candidate, &summary)
	if err != nil {
		return afterRace(err)
	}
	return ctrl.Result{RequeueAfter: again}, nil
}

// afterRace drops errors that only say that somebody else was faster. The change that beat us usually brings us back here before the
// time is over; but a baseline that waits for its finalizer governs nothing, so that must not depend on an event that never comes.
func afterRace(err error) (ctrl.Result, error) {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return ctrl.Result{RequeueAfter: statusInterval}, nil
	}
	return ctrl.Result{}, err
}

// The patch of the main resource is for the finalizer alone.
// +kubebuilder:rbac:groups=policy.netbaseline.dev,resources=clusternetworkbaselines,verbs=list;watch;patch
// +kubebuilder:rbac:groups=policy.netbaseline.dev,resources=clusternetworkbaselines/status,verbs=update
// This one grants nothing: it marks the account, so that config/admission knows it under any name.
// +kubebuilder:rbac:groups=identity.netbaseline.dev,resources=operators,verbs=be

func (r *baselineReconciler) setup(mgr ctrl.Manager, names controllerNames) error {
	err := ctrl.NewControllerManagedBy(mgr).
		Named(names.baseline).
		For(&v1alpha1.ClusterNetworkBaseline{}).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 1, // see written
			ReconciliationTimeout:   reconcileTimeout,
			EnableWarmup:            new(true),
			SkipNameValidation:      new(names.skipValidation),
		}).
		WatchesRawSource(source.Func(r.changes.start)).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up the baseline controller: %w", err)
	}
	return nil
}
