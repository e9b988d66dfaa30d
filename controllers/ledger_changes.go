package controllers

import (
	"context"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// ledgerChanges passes changes of the ledger to the queue of the baseline controller, which keeps
// one entry for each baseline however many namespaces change.
type ledgerChanges struct {
	mu sync.Mutex
	q  queue
}

// start is the source of the baseline controller's watch. The initial list of baselines covers
// changes made before it starts.
func (c *ledgerChanges) start(_ context.Context, q queue) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.q = q
	return nil
}

// notify is called by the ledger with the name of a baseline.
func (c *ledgerChanges) notify(baseline string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.q != nil {
		c.q.Add(reconcile.Request{NamespacedName: client.ObjectKey{Name: baseline}})
	}
}
