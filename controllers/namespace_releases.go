package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/apply"
	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/internal/ledger"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
)

// release removes the policies that may go.
func (r *namespaceReconciler) release(ctx context.Context, seen *situation, decision governance.Decision, steps plan.Plan) outcome {
	name, record := seen.namespace.Name, ledger.Record{Selecting: decision.Selecting, NamespaceUID: seen.namespace.UID}
	written, err := r.execute(ctx, seen, record, steps)
	r.metrics.countWrites(written)
	switch {
	case err != nil && apply.NamespaceGone(err):
		return outcome{record: record}
	case err != nil:
		return r.stays(seen, decision, record, err)
	}
	r.retries.Forget(name)
	if len(written) > 0 {
		r.noteReleased(seen, decision)
	}
	kept := keptPolicy(seen.inventory, func(_ string, found plan.Observed) bool { return found.MadeFor(decision.Owners) })
	switch {
	case kept != "": // the watch reports when it is gone
		record.Baseline, record.State, record.Reason, record.Message = decision.Owners[0], ledger.Held, v1alpha1.ReasonTerminatingPolicy, kept
	case len(seen.inventory.Nameless()) > 0, len(others(seen.inventory.Owners(), decision.Owners)) > 0:
		return outcome{record: record, again: time.Nanosecond} // to report the policies that were left
	}
	return outcome{record: record}
}

// others returns the owners that have not given the namespace up.
func others(owners, yielding []string) []string {
	return slices.DeleteFunc(slices.Clone(owners), func(owner string) bool { return slices.Contains(yielding, owner) })
}

// noteReleased records where policies were removed, for an event.
func (r *namespaceReconciler) noteReleased(seen *situation, decision governance.Decision) {
	name := seen.namespace.Name
	for _, owner := range decision.Owners {
		r.ledger.NoteReleased(owner, name)
	}
	if seen.known && seen.previous.State == ledger.Unmanaged {
		r.contention.disturbed(name, r.now()) // we had no policies here: another client created them, and may do so again
	}
}

// stays concludes a release that was refused.
func (r *namespaceReconciler) stays(seen *situation, decision governance.Decision, record ledger.Record, err error) outcome {
	refusal := apply.Explain(err)
	record.Baseline, record.State, record.Since = decision.Owners[0], ledger.Releasing, r.now()
	record.Reason, record.Message = refusal.Reason, refusal.Message
	switch {
	case refusal.Reason == v1alpha1.ReasonConflict:
		return outcome{record: record, again: firstRetry}
	case seen.previous.State == ledger.Releasing && seen.previous.Reason == refusal.Reason:
		record.Since = seen.previous.Since
		return outcome{record: record, again: r.retries.When(seen.namespace.Name)} // it is in the log already
	}
	return outcome{record: record, err: err}
}

// leaving returns how long to wait before a namespace that lost its label is given up; 0 for not at
// all. There is no wait after an edit of a baseline, or if the namespace was moved to another
// environment.
func (r *namespaceReconciler) leaving(seen *situation, decision governance.Decision) time.Duration {
	byLabel := slices.ContainsFunc(decision.Unselected, func(owner string) bool {
		baseline := seen.snapshot.Candidate(owner).Baseline
		if !seen.known { // after a restart: an edit that the status does not reflect yet is the cause
			return baseline.Status.ObservedGeneration == baseline.Generation
		}
		return seen.previous.Baseline == owner && seen.previous.UID == baseline.UID && seen.previous.Generation == baseline.Generation
	})
	if !byLabel {
		return 0
	}
	if decision.Governor != nil && seen.known {
		if environment := decision.Governor.Environment(seen.labels); environment != "" && environment != seen.previous.Environment {
			return 0
		}
	}
	if seen.previous.LeavingSince.IsZero() {
		return labelSettles
	}
	return seen.previous.LeavingSince.Add(labelSettles).Sub(r.now())
}

// left concludes a reconcile that waits for a label to settle.
func (r *namespaceReconciler) left(seen *situation, decision governance.Decision, wait time.Duration) outcome {
	record := seen.previous
	if !seen.known {
		baseline := seen.snapshot.Candidate(decision.Unselected[0]).Baseline
		record = ledger.Record{
			Baseline: baseline.Name, UID: baseline.UID, Generation: baseline.Generation, NamespaceUID: seen.namespace.UID,
			State: ledger.Pending, Since: r.now(), Reason: v1alpha1.ReasonLeaving,
			Message: "the baseline does not select the namespace; what protects it stays until that has been so for 10 seconds",
		}
	}
	record.Selecting = decision.Selecting
	if record.LeavingSince.IsZero() {
		record.LeavingSince = r.now()
	}
	return outcome{record: record, again: wait}
}

// unconfirmed concludes a reconcile whose live reads failed, and has it retried.
func (r *namespaceReconciler) unconfirmed(seen *situation, decision governance.Decision, err error) outcome {
	if decision.Action == governance.Enforce {
		return r.refused(seen, decision, targetRecord(seen, decision), err)
	}
	decision.Reason = v1alpha1.ReasonUnconfirmed
	decision.Message = "could not confirm with the API server that the policies may go: " + err.Error()
	return outcome{record: heldRecord(seen, decision), err: err}
}

// keptPolicy describes the first matching policy that is deleted but kept by a finalizer; "" if
// there is none.
func keptPolicy(inventory plan.Inventory, of func(name string, found plan.Observed) bool) string {
	for _, name := range policy.Names {
		if found, ok := inventory[name]; ok && found.Terminating && of(name, found) {
			return fmt.Sprintf("%s is deleted but kept by finalizer %s", name, found.KeptBy)
		}
	}
	return ""
}
