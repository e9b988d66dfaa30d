package controllers

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/internal/ledger"
)

// settleFinalizer keeps the finalizer on a baseline exactly while policies would have to be removed on its deletion. It says
// whether the baseline is gone, as far as netbaseline is concerned.
func (r *baselineReconciler) settleFinalizer(ctx context.Context, candidate *governance.Candidate, summary *ledger.Summary) (gone bool, err error) {
	present := controllerutil.ContainsFinalizer(candidate.Baseline, v1alpha1.CleanupFinalizer)
	if candidate.Deleting() {
		if !present {
			return true, nil
		}
		done, err := r.cleanedUp(ctx, candidate, summary)
		if err != nil || !done {
			return false, err
		}
		r.announce(candidate, summary) // the last chance: without its finalizer, the baseline is gone
		return true, r.setFinalizer(ctx, candidate.Baseline, false)
	}
	owed, err := r.cleanupOwed(ctx, candidate, present)
	if err != nil || owed == present {
		return false, err
	}
	return false, r.setFinalizer(ctx, candidate.Baseline, owed)
}

// cleanupOwed says whether policies would have to be removed if the baseline were deleted now.
func (r *baselineReconciler) cleanupOwed(ctx context.Context, candidate *governance.Candidate, present bool) (bool, error) {
	spec := &candidate.Baseline.Spec
	switch {
	case spec.DeletionPolicy != v1alpha1.DeletionPolicyDelete:
		// Retain, or a value that this version does not know: then it stays as it is.
		return spec.DeletionPolicy != v1alpha1.DeletionPolicyRetain && present, nil
	case candidate.Enforces() && candidate.Accepted():
		return true, nil
	case !present:
		return false, nil
	}
	return r.live.policiesRemain(ctx, candidate.Baseline.Name)
}

// cleanedUp says whether a baseline that is being deleted may go: because its policies are gone, because they are to stay, or
// because the CustomResourceDefinition is being deleted, which must not be held up and is no wish to lose protection.
func (r *baselineReconciler) cleanedUp(ctx context.Context, candidate *governance.Candidate, summary *ledger.Summary) (bool, error) {
	if candidate.Baseline.Spec.DeletionPolicy == v1alpha1.DeletionPolicyRetain {
		return true, nil
	}
	terminating, err := r.live.crdTerminating(ctx)
	if err != nil || terminating {
		return terminating, err
	}
	// Until every namespace has been looked at since the deletion, a reconcile that began before it may still write a policy.
	if !summary.Complete() || summary.Observed != versionOf(candidate.Baseline) {
		return false, nil
	}
	if summary.Counts.Governed > 0 || summary.Counts.Held > 0 {
		return false, nil
	}
	remain, err := r.live.policiesRemain(ctx, candidate.Baseline.Name)
	return !remain, err
}

func (r *baselineReconciler) setFinalizer(ctx context.Context, baseline *v1alpha1.ClusterNetworkBaseline, present bool) error {
	changed := baseline.DeepCopy()
	if present {
		controllerutil.AddFinalizer(changed, v1alpha1.CleanupFinalizer)
	} else {
		controllerutil.RemoveFinalizer(changed, v1alpha1.CleanupFinalizer)
	}
	// The list of finalizers is replaced as a whole, so it must not have changed since it was read.
	patch := client.MergeFromWithOptions(baseline, client.MergeFromWithOptimisticLock{})
	if err := r.writer.Patch(ctx, changed, patch); err != nil {
		return fmt.Errorf("write the finalizer: %w", err)
	}
	return nil
}

func versionOf(baseline client.Object) ledger.Version {
	return ledger.Version{
		UID: baseline.GetUID(), Generation: baseline.GetGeneration(),
		Finalized: controllerutil.ContainsFinalizer(baseline, v1alpha1.CleanupFinalizer),
	}
}
