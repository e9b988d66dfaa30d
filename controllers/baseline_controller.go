package controllers

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/internal/ledger"
)

// baselineReconciler keeps a baseline's finalizer and status up to date. It writes no policies.
type baselineReconciler struct {
	cache   client.Reader
	writer  client.Client
	live    liveReader
	ledger  *ledger.Ledger
	changes *ledgerChanges
	events  *eventWriter
	now     func() time.Time

	// files holds the state of each baseline; there is one worker, so no lock is needed.
	files map[string]*file
}

// file is the controller's state for a baseline between two reconciles.
type file struct {
	written  time.Time // when the status was last written
	summed   time.Time // when the namespaces were last summarized
	question inquiry   // about its remaining policies
	attempts inquiry   // to add its finalizer
	refusal  string    // why its finalizer could not be written; "" if it could
}

// Reconcile implements reconcile.Reconciler.
func (r *baselineReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	baseline := &v1alpha1.ClusterNetworkBaseline{}
	if err := r.cache.Get(ctx, request.NamespacedName, baseline); err != nil {
		delete(r.files, request.Name)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	candidate, file := governance.NewCandidate(baseline), r.file(request.Name)
	if added, err := r.addFinalizer(ctx, candidate, file); added || err != nil && !refused(err) {
		return afterRace(err)
	}
	if wait := file.summed.Add(statusInterval).Sub(r.now()); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	summary := r.ledger.Summarize(baseline.Name)
	file.summed = r.now()
	gone, again, err := r.removeFinalizer(ctx, candidate, file, &summary)
	if err != nil || gone {
		return afterRace(err)
	}
	later, err := r.reportStatus(ctx, candidate, file, &summary)
	if err != nil {
		return afterRace(err)
	}
	if file.refusal != "" {
		again = soonest(again, lastRetry)
	}
	return ctrl.Result{RequeueAfter: soonest(again, later)}, nil
}

func (r *baselineReconciler) file(baseline string) *file {
	if r.files[baseline] == nil {
		r.files[baseline] = &file{}
	}
	return r.files[baseline]
}

// refused reports whether the API server or an admission plugin has rejected a write.
func refused(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)
}

// afterRace drops errors that only mean that another client was faster. Its change usually triggers
// the next reconcile before the delay is over, but a baseline that waits for its finalizer governs
// nothing, so the retry must not depend on an event that may never come.
func afterRace(err error) (ctrl.Result, error) {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return ctrl.Result{RequeueAfter: statusInterval}, nil
	}
	return ctrl.Result{}, err
}

// The patch permission on the main resource is for the finalizer only.
// +kubebuilder:rbac:groups=policy.netbaseline.dev,resources=clusternetworkbaselines,verbs=list;watch;patch
// +kubebuilder:rbac:groups=policy.netbaseline.dev,resources=clusternetworkbaselines/status,verbs=update
// This one grants nothing: it marks the account for config/admission, whatever its name.
// +kubebuilder:rbac:groups=identity.netbaseline.dev,resources=operators,verbs=be

func (r *baselineReconciler) setup(mgr ctrl.Manager, names controllerNames) error {
	err := ctrl.NewControllerManagedBy(mgr).
		Named(names.baseline).
		For(&v1alpha1.ClusterNetworkBaseline{}).
		WithOptions(controllerOptions(names, 1)). // see files
		WatchesRawSource(source.Func(r.changes.start)).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up the baseline controller: %w", err)
	}
	return nil
}
