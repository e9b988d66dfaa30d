package controllers

import (
	"context"
	"fmt"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/governance"
)

// views caches the view of all baselines, so that it is prepared once for each change and not once
// for each namespace.
type views struct {
	reader            client.Reader
	operatorNamespace string

	mu      sync.Mutex
	changes uint64
	view    *governance.View // nil when out of date
}

// invalidate drops the view because a baseline has changed.
func (v *views) invalidate() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.changes++
	v.view = nil
}

// current returns the view of the baselines that the cache holds.
func (v *views) current(ctx context.Context) (*governance.View, error) {
	v.mu.Lock()
	view, changes := v.view, v.changes
	v.mu.Unlock()
	if view != nil {
		return view, nil
	}
	view, err := readView(ctx, v.reader, v.operatorNamespace)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.changes == changes {
		v.view = view
	}
	return view, nil
}

func readView(ctx context.Context, reader client.Reader, operatorNamespace string) (*governance.View, error) {
	list := &v1alpha1.ClusterNetworkBaselineList{}
	if err := reader.List(ctx, list); err != nil {
		return nil, fmt.Errorf("list baselines: %w", err)
	}
	candidates := make([]*governance.Candidate, 0, len(list.Items))
	for i := range list.Items {
		candidates = append(candidates, governance.NewCandidate(&list.Items[i]))
	}
	return governance.NewView(candidates, operatorNamespace), nil
}
