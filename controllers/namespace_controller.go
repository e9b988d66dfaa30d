// Package controllers turns events into reconciles: it watches, asks governance who governs, renders, plans and applies, and writes
// down in the ledger how each namespace stands. It holds no rule of its own about traffic or about who governs.
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

// namespaceReconciler brings one namespace at a time to the policies that it must have.
type namespaceReconciler struct {
	cache     client.Reader
	live      liveReader
	executor  apply.Executor
	ledger    *ledger.Ledger
	views     *views
	drift     *driftGuard
	own       *ownWrites
	sightings *sightings
	events    *announcer
	metrics   *metrics
	retries   workqueue.TypedRateLimiter[string] // of namespaces whose refusal is known
	now       func() time.Time

	firstRound sync.Once
}

// situation is all that a reconcile knows about its namespace.
type situation struct {
	namespace *metav1.PartialObjectMetadata
	labels    map[string]string // of the namespace
	view      *governance.View
	inventory plan.Inventory
	versions  map[string]string // resource versions of the policies, as the cache shows them
	evidence  governance.Evidence
	previous  ledger.Record
	known     bool // whether there is a previous record
	// admitted is how many writes the bound has let pass in this reconcile. It is asked once: to ask again after making sure with the API
	// server would take twice as much as there ever is, where somebody has used it up.
	admitted int
	// again is when to look again because the inventory has in it what the cache does not show yet.
	again time.Duration
}

// outcome is what a reconcile has come to.
type outcome struct {
	record ledger.Record
	// again is when to look again without being told to; 0 for not at all.
	again time.Duration
	// err makes the queue try again, with a growing delay.
	err error
}

// Reconcile implements reconcile.Reconciler. The name of the request is that of the namespace.
func (r *namespaceReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	r.beginFirstRound(ctx)
	round := r.ledger.Round()
	seen, err := r.look(ctx, request.Name)
	if apierrors.IsNotFound(err) {
		r.forget(request.Name)
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	result := r.converge(ctx, seen)
	if result.err != nil {
		r.own.distrust(request.Name) // the queue decides when to look again, and that may be late
	}
	result.record.Rehearsed = rehearse(seen)
	r.ledger.Record(request.Name, round, result.record)
	return ctrl.Result{RequeueAfter: soonest(result.again, seen.again)}, result.err
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
	if seen.view, err = r.views.current(ctx); err != nil {
		return nil, err
	}
	own := r.own.in(name)
	if seen.inventory, err = cachedInventory(ctx, r.cache, name); err != nil {
		return nil, err
	}
	seen.versions = seen.inventory.Versions()
	var behind bool
	if seen.again, behind = r.own.overlay(name, own, seen.inventory, r.now()); behind {
		if seen.inventory, err = r.live.inventory(ctx, name); err != nil {
			return nil, err
		}
		r.own.renew(name, seen.inventory, seen.versions, r.now())
		seen.again = ownWritesTrust
	}
	seen.previous, seen.known = r.ledger.Get(name)
	return seen, nil
}

// converge decides about a namespace and does it.
func (r *namespaceReconciler) converge(ctx context.Context, seen *situation) outcome {
	decision := governance.Decide(seen.view, seen.subject(), seen.evidence)
	if decision.Action == governance.Confirm {
		removal := plan.Remove(seen.namespace.Name, decision.Owners, seen.inventory)
		if wait := r.admit(seen, removal); wait > 0 {
			return outcome{record: seen.previous, again: wait}
		}
		if err := r.confirm(ctx, seen); err != nil {
			return unconfirmed(decision, err)
		}
		decision = governance.Decide(seen.view, seen.subject(), seen.evidence)
	}
	switch decision.Action {
	case governance.Enforce:
		return r.enforce(ctx, seen, decision)
	case governance.Release:
		return r.release(ctx, seen, decision)
	case governance.Hold, governance.Confirm:
		return r.leftAlone(seen, heldRecord(decision))
	case governance.Ignore:
	}
	return r.leftAlone(seen, ledger.Record{Selecting: decision.Selecting})
}

// leftAlone concludes a reconcile in which there was nothing to do.
func (r *namespaceReconciler) leftAlone(seen *situation, record ledger.Record) outcome {
	r.sightings.drop(seen.namespace.Name)
	_, again := r.drift.contested(seen.namespace.Name, r.now()) // so that what it remembers does not stay for ever
	return outcome{record: record, again: again}
}

// confirm replaces what is known from the cache by what the API server itself says.
func (r *namespaceReconciler) confirm(ctx context.Context, seen *situation) error {
	view, namespace, inventory, evidence, err := r.live.evidence(ctx, seen.namespace.Name)
	if err != nil {
		return err
	}
	seen.view, seen.namespace, seen.labels = view, namespace, namespace.Labels
	seen.inventory, seen.evidence = inventory, evidence
	return nil
}

// beginFirstRound opens the round of the start-up: until every namespace has been seen once, no status is written. It runs in the
// first reconcile, because only then are all caches filled and all namespaces in the queue.
func (r *namespaceReconciler) beginFirstRound(ctx context.Context) {
	r.firstRound.Do(func() {
		names, err := namespaceNames(ctx, r.cache)
		if err != nil {
			names = nil // a cache that is filled does not fail; without names, the round is complete at once
		}
		r.ledger.Begin(names, r.now())
	})
}

// soonest returns the shorter of two delays, of which 0 means never.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

func (r *namespaceReconciler) forget(namespace string) {
	r.ledger.Forget(namespace)
	r.drift.forget(namespace)
	r.own.distrust(namespace)
	r.retries.Forget(namespace)
	r.sightings.drop(namespace)
}

func (s *situation) terminating() bool { return !s.namespace.DeletionTimestamp.IsZero() }

func (s *situation) subject() governance.Subject {
	return governance.Subject{
		Namespace:   policy.Namespace{Name: s.namespace.Name, Labels: s.labels},
		Terminating: s.terminating(),
		Owners:      s.inventory.Owners(),
	}
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
