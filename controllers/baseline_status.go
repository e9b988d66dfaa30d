package controllers

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/internal/ledger"
)

const (
	// statusInterval is the shortest time between two writes of one baseline's status: fast enough to watch, and a bound on what
	// ten thousand changing namespaces cost.
	statusInterval = time.Second
	// progressAfter is how long a round may take before its progress is written: most are over by then, and one write says so.
	progressAfter = 500 * time.Millisecond
	// firstProgressAfter is the same for the round of the start-up, before which the status of the last leader stands.
	firstProgressAfter = 5 * time.Second
)

// reportStatus writes the status if it has changed, and returns when to come back; 0 for when something changes.
func (r *baselineReconciler) reportStatus(
	ctx context.Context, candidate *governance.Candidate, file *file, summary *ledger.Summary,
) (time.Duration, error) {
	now, baseline := r.now(), candidate.Baseline
	if wait := r.tooEarly(candidate, file, summary, now); wait > 0 {
		return wait, nil
	}
	status := renderStatus(candidate, file, summary, now)
	again := nextLook(summary, now)
	if equality.Semantic.DeepEqual(&baseline.Status, &status) {
		r.announce(candidate, summary)
		return again, nil
	}
	changed := baseline.DeepCopy()
	changed.Status = status
	if err := r.writer.Status().Update(ctx, changed); err != nil {
		return 0, fmt.Errorf("write the status: %w", err)
	}
	file.written = r.now() // from the answer on, so that the API server sees no less than the interval either
	r.announce(candidate, summary)
	return again, nil
}

// tooEarly returns how long to wait before a status may be written. After a start, what the ledger says is not yet true before every
// namespace was seen once: if that takes long, the status says so.
func (r *baselineReconciler) tooEarly(candidate *governance.Candidate, file *file, summary *ledger.Summary, now time.Time) time.Duration {
	if wait := file.written.Add(statusInterval).Sub(now); wait > 0 {
		return wait
	}
	switch {
	case file.refusal != "":
		return 0
	case candidate.Enforces() && candidate.Accepted() && !candidate.FinalizerInPlace():
		return statusInterval // it governs nothing new yet
	case summary.Round == 0 || summary.Observed != versionOf(candidate.Baseline):
		return statusInterval
	case summary.Complete():
		return 0
	case summary.Round == 1:
		return summary.Began.Add(firstProgressAfter).Sub(now)
	}
	return summary.Began.Add(progressAfter).Sub(now)
}

// nextLook returns when a status changes by the mere passing of time; 0 for never.
func nextLook(summary *ledger.Summary, now time.Time) time.Duration {
	if summary.OldestPending.IsZero() {
		return 0
	}
	return max(summary.OldestPending.Add(slowAfter).Sub(now), statusInterval)
}

// announce tells, in events, what happened since the last time.
func (r *baselineReconciler) announce(candidate *governance.Candidate, summary *ledger.Summary) {
	enforced, released := r.ledger.TakeTallies(candidate.Baseline.Name)
	if enforced != nil {
		r.events.enforced(candidate.Baseline, enforced)
	}
	if released != nil {
		r.events.released(candidate.Baseline, released)
	}
	switch {
	case summary.Counts.Held == 0 || candidate.Baseline.Status.Namespaces.Held > 0:
	case candidate.Baseline.Spec.Mode == v1alpha1.ModeAudit:
		r.events.audit(candidate.Baseline, summary)
	default:
		r.events.held(candidate.Baseline, summary)
	}
}

// renderStatus says what the ledger knows about a baseline.
func renderStatus(candidate *governance.Candidate, file *file, summary *ledger.Summary, now time.Time) v1alpha1.ClusterNetworkBaselineStatus {
	status := v1alpha1.ClusterNetworkBaselineStatus{
		ObservedGeneration: candidate.Baseline.Generation,
		Namespaces:         summary.Counts,
		Environments:       summary.Environments,
		EnvironmentCount:   summary.EnvironmentCount,
		Failures:           summary.Failures,
	}
	if candidate.Rehearsed() {
		status.Audit = new(summary.Audit)
	}
	status.Conditions = renderConditions(candidate, file, summary, now)
	return status
}
