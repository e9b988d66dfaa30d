package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/ledger"
)

const (
	// firstRetry and lastRetry bound the delay after a failure: short enough to get past a hiccup
	// unnoticed, and never so long that a namespace stays open for more than a minute after its
	// obstacle is gone.
	firstRetry = 50 * time.Millisecond
	lastRetry  = 60 * time.Second
	// reconcileTimeout ends a reconcile that hangs on the API server, so that it cannot block its
	// worker for good. A webhook may take 30 seconds, and the API server gives up after 60.
	reconcileTimeout = 60 * time.Second
)

// controllerOptions are the same for all controllers. In particular none waits for longer than
// lastRetry after a failure, whatever controller-runtime's default is.
func controllerOptions(names controllerNames, workers int) controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: workers,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		ReconciliationTimeout:   reconcileTimeout,
		SkipNameValidation:      new(names.skipValidation),
	}
}

// warmUp starts the watches of the cache before there is a leader. The controllers themselves start
// with the leader only: the queue of a standby would fill with every namespace that ever existed.
func warmUp(mgr ctrl.Manager) error {
	for _, object := range []client.Object{namespaceMetadata(), &networkingv1.NetworkPolicy{}, &v1alpha1.ClusterNetworkBaseline{}} {
		if _, err := mgr.GetCache().GetInformer(context.Background(), object, cache.BlockUntilSynced(false)); err != nil {
			return fmt.Errorf("watch %T: %w", object, err)
		}
	}
	return nil
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=list;watch;create
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,resourceNames=netbaseline-default-deny;netbaseline-allow-dns;netbaseline-environment-isolation,verbs=get;update;delete
// +kubebuilder:rbac:groups=policy.netbaseline.dev,resources=clusternetworkbaselines,verbs=list;watch
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=clusternetworkbaselines.policy.netbaseline.dev,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

func (r *namespaceReconciler) setup(mgr ctrl.Manager, names controllerNames) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named(names.namespace).
		WithOptions(controllerOptions(names, namespaceWorkers)).
		WatchesMetadata(namespaceMetadata(), r.namespaceHandler(), builder.WithPredicates(namespaceChanged())).
		Watches(&networkingv1.NetworkPolicy{}, r.policyHandler(), builder.WithPredicates(policyChanged())).
		Watches(&v1alpha1.ClusterNetworkBaseline{}, r.baselineHandler(), builder.WithPredicates(governanceChanged())).
		Complete(r)
}

// namespaceHandler enqueues a namespace and notes when a new one was first seen.
func (r *namespaceReconciler) namespaceHandler() handler.EventHandler {
	enqueue := &handler.EnqueueRequestForObject{}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			if !e.IsInInitialList && r.ledger.Round() > 0 { // not a namespace that another leader protects meanwhile
				r.ledger.Arrived(e.Object.GetName(), r.now())
			}
			enqueue.Create(ctx, e, q)
		},
		UpdateFunc: enqueue.Update,
		DeleteFunc: enqueue.Delete,
	}
}

// namespaceChanged passes changes that may affect which baseline governs a namespace, or the
// content of its policies.
func namespaceChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() ||
			e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero() ||
			e.ObjectOld.GetGenerateName() != e.ObjectNew.GetGenerateName() // the labels: see compactNamespace
	}}
}

// policyHandler enqueues the namespace of a policy, unless the watch reports our own write.
func (r *namespaceReconciler) policyHandler() handler.EventHandler {
	enqueue := func(object client.Object, q queue) {
		q.Add(reconcile.Request{NamespacedName: client.ObjectKey{Name: object.GetNamespace()}})
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) {
			// Policies that exist at the start are reconciled with their namespaces.
			if echo := r.assumed.shown(e.Object); !echo && !e.IsInInitialList {
				enqueue(e.Object, q)
			}
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			if echo := r.assumed.shown(e.ObjectNew); !echo && e.ObjectOld.GetResourceVersion() != e.ObjectNew.GetResourceVersion() {
				enqueue(e.ObjectNew, q)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			if echo := r.assumed.deleted(e.Object); !echo {
				enqueue(e.Object, q)
			}
		},
	}
}

// policyChanged passes the policies under claimed names: nothing else is ever written, whatever its
// labels.
func policyChanged() predicate.Predicate {
	return predicate.NewPredicateFuncs(func(object client.Object) bool { return v1alpha1.IsPolicyName(object.GetName()) })
}

// governanceChanged passes changes that may affect which baseline governs. Status writes, in
// particular our own, do not.
func governanceChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() ||
			e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() ||
			e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero() ||
			!slices.Equal(e.ObjectOld.GetFinalizers(), e.ObjectNew.GetFinalizers())
	}}
}

// baselineHandler enqueues every namespace when a baseline changes.
func (r *namespaceReconciler) baselineHandler() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { r.fanOut(ctx, present(e.Object), q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { r.fanOut(ctx, present(e.ObjectNew), q) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			r.fanOut(ctx, ledger.Observation{Name: e.Object.GetName()}, q)
		},
	}
}

func present(baseline client.Object) ledger.Observation {
	return ledger.Observation{Name: baseline.GetName(), Version: new(versionOf(baseline))}
}

// fanOut enqueues every namespace at low priority, so that a new one does not wait behind them.
// Before the first round there is nothing to do: every namespace is in the queue already.
func (r *namespaceReconciler) fanOut(ctx context.Context, observed ledger.Observation, q queue) {
	r.snapshots.invalidate()
	if r.ledger.Round() == 0 {
		r.ledger.Observe(observed)
		return
	}
	names, err := namespaceNames(ctx, r.cache)
	if err != nil {
		logf.FromContext(ctx).Error(err, "Could not list namespaces from the cache; they follow at the next change")
		return
	}
	r.ledger.Begin(names, r.now(), observed)
	requests := make([]reconcile.Request, 0, len(names))
	for _, name := range names {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKey{Name: name}})
	}
	addAtLowPriority(q, requests)
}

func addAtLowPriority(q queue, requests []reconcile.Request) {
	if prioritized, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		prioritized.AddWithOpts(priorityqueue.AddOpts{Priority: new(handler.LowPriority)}, requests...)
		return
	}
	for _, request := range requests {
		q.Add(request)
	}
}
