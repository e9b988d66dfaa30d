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
	// statusInterval is the shortest time between two writes of one baseline's status: fast enough
	// to watch, and a bound on the cost of ten thousand changing namespaces.
	statusInterval = time.Second
	// progressAfter is how long a round may run before its progress is written: most rounds are
	// complete by then, and one write is enough.
	progressAfter = 500 * time.Millisecond
	// firstProgressAfter is the same for the first round after startup; until then the status of
	// the previous leader stays.
	firstProgressAfter = 5 * time.Second
)

// reportStatus writes the status if it has changed, and returns when to check again; 0 to wait for
// a change.
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
	file.written = r.now() // after the response, so that the API server sees at least the interval, too
	r.announce(candidate, summary)
	return again, nil
}

// tooEarly returns how long to wait before a status may be written. After a start, the ledger is
// incomplete until every namespace has been seen once; if that takes long, the status reports it.
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

// nextLook returns when the passage of time alone changes the status; 0 for never.
func nextLook(summary *ledger.Summary, now time.Time) time.Duration {
	if summary.OldestPending.IsZero() {
		return 0
	}
	return max(summary.OldestPending.Add(slowAfter).Sub(now), statusInterval)
}

// announce records events for what has happened since the last call.
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

// renderStatus builds the status of a baseline from the ledger.
func renderStatus(candidate *governance.Candidate, file *file, summary *ledger.Summary, now time.Time) v1alpha1.ClusterNetworkBaselineStatus {
	status := v1alpha1.ClusterNetworkBaselineStatus{
		ObservedGeneration: candidate.Baseline.Generation,
		Namespaces:         summary.Counts,
		Environments:       summary.Environments,
		EnvironmentCount:   summary.EnvironmentCount,
		Failures:           summary.Failures,
	}
	if candidate.Previewed() {
		status.Audit = new(summary.Audit)
	}
	status.Conditions = renderConditions(candidate, file, summary, now)
	return status
}
