package controllers

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/internal/ledger"
)

// addFinalizer adds the finalizer to a baseline whose policies are to be removed with it, before
// the first of them is written.
func (r *baselineReconciler) addFinalizer(ctx context.Context, candidate *governance.Candidate, file *file) (added bool, err error) {
	if !candidate.Enforces() || !candidate.Accepted() || candidate.FinalizerInPlace() {
		file.refusal = ""
		return false, nil
	}
	if due, _ := file.attempts.due(candidate.Baseline.ResourceVersion, r.now()); !due {
		return false, nil
	}
	file.refusal = ""
	err = r.setFinalizer(ctx, candidate.Baseline, true)
	if refused(err) {
		file.refusal = err.Error()
	}
	return err == nil, err
}

// removeFinalizer removes the finalizer from a baseline whose deletion would no longer remove
// anything. It returns whether the baseline is gone, as far as netbaseline is concerned, and when
// to check again; 0 to wait for a change.
func (r *baselineReconciler) removeFinalizer(
	ctx context.Context, candidate *governance.Candidate, file *file, summary *ledger.Summary,
) (gone bool, again time.Duration, err error) {
	if !controllerutil.ContainsFinalizer(candidate.Baseline, v1alpha1.CleanupFinalizer) {
		return candidate.Deleting(), 0, nil
	}
	settled, again, err := r.cleanupSettled(ctx, candidate, file, summary)
	if err != nil || !settled {
		return false, again, err
	}
	if candidate.Deleting() {
		r.announce(candidate, summary) // the last chance: without its finalizer, the baseline is gone
		if count, first, why := r.ledger.Unowned(); count > 0 {
			r.events.leftBehind(candidate.Baseline, count, first, why)
		}
	}
	return candidate.Deleting(), 0, r.setFinalizer(ctx, candidate.Baseline, false)
}

// cleanupSettled reports whether nothing has to be removed on the baseline's deletion. The checks
// that need no request come first.
func (r *baselineReconciler) cleanupSettled(
	ctx context.Context, candidate *governance.Candidate, file *file, summary *ledger.Summary,
) (settled bool, again time.Duration, err error) {
	switch policy := candidate.Baseline.Spec.DeletionPolicy; {
	case policy == v1alpha1.DeletionPolicyRetain:
		return true, 0, nil
	case policy != v1alpha1.DeletionPolicyDelete && !candidate.Deleting(), candidate.Enforces():
		return false, 0, nil // also for a deletion policy that this version does not know
	}
	// Until every namespace has been reconciled since the last change, a reconcile that began
	// before it may still write a policy.
	counts := summary.Counts
	busy := !summary.Complete() || summary.Observed != versionOf(candidate.Baseline) || counts.Governed+counts.Held+counts.Releasing > 0
	if busy && !candidate.Deleting() {
		return false, 0, nil
	}
	due, again := file.question.due([2]any{counts, busy}, r.now())
	if !due {
		return false, again, nil
	}
	return r.ask(ctx, candidate, &file.question, busy, again)
}

// ask checks with the API server whether the baseline may go: because its policies are gone, or
// because the CustomResourceDefinition is being deleted. That deletion must not be blocked, and it
// keeps the policies.
func (r *baselineReconciler) ask(
	ctx context.Context, candidate *governance.Candidate, question *inquiry, busy bool, again time.Duration,
) (bool, time.Duration, error) {
	if candidate.Deleting() {
		terminating, err := r.live.crdTerminating(ctx)
		if err != nil || terminating {
			return terminating, again, err
		}
	}
	if busy {
		return false, again, nil
	}
	left, err := r.live.firstPolicy(ctx, candidate.Baseline.Name)
	question.left = left
	return err == nil && left == "", again, err
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
