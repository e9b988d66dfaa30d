// Package controllers turns events into reconciles: it watches, lets package governance decide
// which baseline governs, renders, plans and applies, and records the state of each namespace in
// the ledger. It has no rules of its own about traffic or governance.
package controllers

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/internal/apply"
	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/internal/ledger"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
)

// namespaceReconciler brings one namespace at a time to its desired policies.
type namespaceReconciler struct {
	cache      client.Reader
	live       liveReader
	executor   apply.Executor
	ledger     *ledger.Ledger
	snapshots  *snapshots
	lanes      *lanes
	contention *contention
	assumed    *assumedWrites
	events     *eventWriter
	metrics    *metrics
	retries    workqueue.TypedRateLimiter[string] // of namespaces whose refusal is known
	now        func() time.Time

	firstRound sync.Once
}

// situation is everything that a reconcile has read about its namespace.
type situation struct {
	namespace *metav1.PartialObjectMetadata
	labels    map[string]string // of the namespace
	snapshot  *governance.Snapshot
	inventory plan.Inventory
	versions  map[string]string // resource versions of the policies, as the cache shows them
	evidence  governance.Evidence
	previous  ledger.Record
	known     bool // whether there is a previous record
	pass      *pass
	// left are the policies that it would be futile to write, and leftFor is for how long; 0 until
	// something changes.
	left    map[string]cause
	leftFor time.Duration
	// again is when to reconcile again because the inventory has writes that the cache does not
	// show yet.
	again time.Duration
}

// outcome is the result of a reconcile.
type outcome struct {
	record ledger.Record
	// again is when to reconcile again without an event; 0 for not at all.
	again time.Duration
	// err makes the queue retry, with a growing delay.
	err error
}

// Reconcile implements reconcile.Reconciler. The name of the request is that of the namespace.
func (r *namespaceReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	r.beginFirstRound(ctx)
	name, round := request.Name, r.ledger.Round()
	ctx, pass, wait := r.lanes.enter(ctx, name, r.contention.contested(name, r.now()), !r.ledger.Awaited(name))
	if pass == nil {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	defer pass.leave()
	seen, err := r.look(ctx, name)
	if apierrors.IsNotFound(err) {
		r.forget(name, round)
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	seen.pass = pass
	result := r.converge(ctx, seen)
	if result.err != nil {
		r.assumed.distrust(name) // the queue decides when to retry, and that may be late
	}
	result.record.Previewed = previewsOf(seen)
	r.ledger.Record(name, round, result.record)
	again := soonest(soonest(result.again, seen.again), r.contention.prune(name, r.now()))
	return ctrl.Result{RequeueAfter: again}, result.err
}

// look reads the namespace and everything that concerns it from the cache.
func (r *namespaceReconciler) look(ctx context.Context, name string) (*situation, error) {
	seen := &situation{namespace: namespaceMetadata()}
	if err := r.cache.Get(ctx, client.ObjectKey{Name: name}, seen.namespace); err != nil {
		return nil, err
	}
	var err error
	if seen.labels, err = compactLabels(seen.namespace); err != nil {
		return nil, fmt.Errorf("labels of the namespace: %w", err)
	}
	if seen.snapshot, err = r.snapshots.current(ctx); err != nil {
		return nil, err
	}
	own := r.assumed.in(name)
	if seen.inventory, err = cachedInventory(ctx, r.cache, name); err != nil {
		return nil, err
	}
	seen.versions = seen.inventory.Versions()
	var behind bool
	if seen.again, behind = r.assumed.overlay(name, own, seen.inventory, r.now()); behind {
		if seen.inventory, err = r.live.inventory(ctx, name); err != nil {
			return nil, err
		}
		r.assumed.renew(name, seen.inventory, seen.versions, r.now())
		seen.again = assumedFor
	}
	seen.previous, seen.known = r.ledger.Get(name)
	return seen, nil
}

// converge decides about a namespace and carries the decision out. A decision that would reduce
// protection is made again on live data.
func (r *namespaceReconciler) converge(ctx context.Context, seen *situation) outcome {
	decision, steps := r.decide(seen)
	if decision.Action == governance.Confirm || steps.Loosens() {
		if wait := r.leaving(seen, decision); wait > 0 {
			return r.left(seen, decision, wait)
		}
		if err := r.confirm(ctx, seen); err != nil {
			return r.unconfirmed(seen, decision, err)
		}
		decision, steps = r.decide(seen)
	}
	switch decision.Action {
	case governance.Enforce:
		return r.enforce(ctx, seen, decision, steps)
	case governance.Release:
		return r.release(ctx, seen, decision, steps)
	case governance.Hold:
		return r.hold(ctx, seen, decision, steps)
	case governance.Confirm, governance.Ignore: // nothing is left to confirm
	}
	return outcome{record: ledger.Record{Selecting: decision.Selecting}}
}

// decide returns the decision about a namespace, and its plan.
func (r *namespaceReconciler) decide(seen *situation) (governance.Decision, plan.Plan) {
	name, decision := seen.namespace.Name, governance.Decide(seen.snapshot, seen.subject(), seen.evidence)
	if decision.Action == governance.Release {
		return decision, plan.Remove(name, decision.Owners, seen.inventory)
	}
	if decision.Governor == nil || decision.Action == governance.Confirm {
		return decision, nil
	}
	desired := decision.Governor.Desired(decision.Governor.Environment(seen.labels))
	steps := plan.Converge(name, desired, seen.inventory, r.parallel(seen))
	switch {
	case seen.terminating():
		steps = steps.UpdatesOnly()
	case decision.Action == governance.Hold:
		steps = steps.Closing(seen.labels)
	}
	steps, seen.left, seen.leftFor = r.contention.sift(name, steps, r.now())
	return decision, steps
}

// confirm replaces cached data with live data from the API server.
func (r *namespaceReconciler) confirm(ctx context.Context, seen *situation) error {
	snapshot, namespace, inventory, evidence, err := r.live.evidence(ctx, seen.namespace.Name)
	if err != nil {
		return err
	}
	seen.snapshot, seen.namespace, seen.labels = snapshot, namespace, namespace.Labels
	seen.inventory, seen.evidence = inventory, evidence
	return nil
}

// beginFirstRound opens the first round after startup. It runs in the first reconcile, because only
// then are all caches filled and all namespaces in the queue.
func (r *namespaceReconciler) beginFirstRound(ctx context.Context) {
	r.firstRound.Do(func() {
		names, err := namespaceNames(ctx, r.cache)
		if err != nil {
			names = nil // a filled cache does not fail; without names, the round is complete immediately
		}
		r.ledger.Begin(names, r.now())
	})
}

// parallel reports whether the policies of a namespace may be written in parallel. A clock that
// is behind the API server's must not make every namespace look young.
func (r *namespaceReconciler) parallel(seen *situation) bool {
	age := r.now().Sub(seen.namespace.CreationTimestamp.Time)
	return age.Abs() < gracePeriod && len(seen.inventory) == 0
}

// soonest returns the shorter of two delays, of which 0 means never.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

func (r *namespaceReconciler) forget(namespace string, round uint64) {
	r.ledger.Forget(namespace, round)
	r.contention.forget(namespace)
	r.lanes.forget(namespace)
	r.assumed.distrust(namespace)
	r.retries.Forget(namespace)
}

func (s *situation) terminating() bool { return !s.namespace.DeletionTimestamp.IsZero() }

func (s *situation) subject() governance.Subject {
	return governance.Subject{
		Namespace:   policy.Namespace{Name: s.namespace.Name, Labels: s.labels},
		Terminating: s.terminating(),
		Owners:      s.owners(),
		Orphaned:    s.inventory.Orphaned(),
		Unmarked:    len(s.inventory.Nameless()) > 0,
	}
}

// owners returns the baselines that our policies were made for. The ledger takes precedence over
// the labels of the policies, which anyone who may write them can change: a namespace belongs to
// the baseline that governed it, held or not, until that baseline gives it up.
func (s *situation) owners() []string {
	remembered := s.previous.Governed() || s.previous.State == ledger.Held && len(s.inventory) > 0
	if owners := s.previous.Owners(); remembered && len(owners) > 0 && s.previous.NamespaceUID == s.namespace.UID {
		return owners
	}
	return s.inventory.Owners()
}

func namespaceNames(ctx context.Context, reader client.Reader) ([]string, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(namespaceType.GroupVersionKind())
	if err := reader.List(ctx, list); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names, nil
}
