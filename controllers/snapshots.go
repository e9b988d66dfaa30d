package controllers

import (
	"context"
	"fmt"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/governance"
)

// snapshots caches the snapshot of all baselines, so that it is prepared once for each change and
// not once for each namespace.
type snapshots struct {
	reader            client.Reader
	operatorNamespace string

	mu       sync.Mutex
	changes  uint64
	snapshot *governance.Snapshot // nil when out of date
}

// invalidate drops the snapshot because a baseline has changed.
func (v *snapshots) invalidate() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.changes++
	v.snapshot = nil
}

// current returns the snapshot of the baselines that the cache holds.
func (v *snapshots) current(ctx context.Context) (*governance.Snapshot, error) {
	v.mu.Lock()
	snapshot, changes := v.snapshot, v.changes
	v.mu.Unlock()
	if snapshot != nil {
		return snapshot, nil
	}
	snapshot, err := readSnapshot(ctx, v.reader, v.operatorNamespace)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.changes == changes {
		v.snapshot = snapshot
	}
	return snapshot, nil
}

func readSnapshot(ctx context.Context, reader client.Reader, operatorNamespace string) (*governance.Snapshot, error) {
	list := &v1alpha1.ClusterNetworkBaselineList{}
	if err := reader.List(ctx, list); err != nil {
		return nil, fmt.Errorf("list baselines: %w", err)
	}
	candidates := make([]*governance.Candidate, 0, len(list.Items))
	for i := range list.Items {
		candidates = append(candidates, governance.NewCandidate(&list.Items[i]))
	}
	return governance.NewSnapshot(candidates, operatorNamespace), nil
}
