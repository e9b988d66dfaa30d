package controllers

import (
	"context"
	"errors"
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

// youngNamespace is the age below which a namespace can hold no running pods that know DNS yet: scheduling, pulling and starting
// take longer, and writing its policies side by side protects it sooner.
const youngNamespace = 10 * time.Second

// enforce brings a namespace to what its governor asks for.
func (r *namespaceReconciler) enforce(ctx context.Context, seen *situation, decision governance.Decision) outcome {
	name := seen.namespace.Name
	target := targetRecord(seen, decision)
	steps := r.plan(ctx, seen, decision)
	if wait := r.mustWait(seen, target, steps); wait > 0 {
		return r.postponed(seen, target, wait, r.drift.rival(name, steps, seen.inventory))
	}
	written, err := r.execute(ctx, seen, steps)
	r.report(seen, decision, written, drifted(seen, target, written))
	unreported := ledger.Record{Selecting: decision.Selecting}
	switch {
	case errors.Is(err, apply.ErrUnconfirmed):
		return r.reconsider(ctx, seen, target)
	case err != nil && apply.NamespaceGone(err), err == nil && seen.terminating():
		return outcome{record: unreported} // there is nothing left to protect, or to report
	case seen.terminating():
		return outcome{record: unreported, again: r.retries.When(name)} // its pods may still run
	case err != nil:
		r.remember(name, err)
		return r.refused(seen, target, err)
	}
	r.drift.clearAltered(name)
	r.retries.Forget(name)
	if seenAt, ok := r.sightings.take(name); ok && len(written) > 0 {
		r.metrics.protection.Observe(r.now().Sub(seenAt).Seconds())
	}
	return r.synced(target, name)
}

// mustWait returns how long the writes of a plan have to wait; 0 for not at all.
func (r *namespaceReconciler) mustWait(seen *situation, target ledger.Record, steps plan.Plan) time.Duration {
	name := seen.namespace.Name
	switch {
	case seen.terminating():
		r.drift.bound(name) // it is in no record, so nothing here can be told from drift, nor from a change of what is asked for
	case !seen.previous.SameTarget(target):
		r.drift.retarget(name)
	}
	return r.admit(seen, steps)
}

// admit returns how long the bound on writes has a plan wait; 0 for not at all.
func (r *namespaceReconciler) admit(seen *situation, steps plan.Plan) time.Duration {
	name, now := seen.namespace.Name, r.now()
	if seen.admitted > 0 {
		r.drift.owe(name, steps.Len()-seen.admitted, now)
		return 0
	}
	wait := r.drift.wait(name, steps, seen.inventory, now)
	if wait == 0 {
		seen.admitted = steps.Len()
	}
	return wait
}

// execute carries out a plan, and remembers what was written until the cache shows it.
func (r *namespaceReconciler) execute(ctx context.Context, seen *situation, steps plan.Plan) (written []apply.Written, err error) {
	if steps.Len() == 0 {
		return nil, nil
	}
	r.own.begin(seen.namespace.Name)
	defer func() { r.own.note(seen.namespace.Name, written, seen.versions, r.now()) }()
	return r.executorFor(seen).Execute(ctx, steps)
}

func (r *namespaceReconciler) executorFor(seen *situation) *apply.Executor {
	executor := r.executor
	executor.Confirmed = seen.evidence.Live
	return &executor
}

// drifted says whether writes were repairs: what was asked for has not changed, and was in place, or something else lay there.
func drifted(seen *situation, target ledger.Record, written []apply.Written) bool {
	if !seen.previous.SameTarget(target) {
		return false
	}
	replaced := slices.ContainsFunc(written, func(w apply.Written) bool { return w.Operation == plan.Update })
	return replaced && seen.previous.Reason != v1alpha1.ReasonAlteredByAdmission || seen.previous.State == ledger.Synced || seen.previous.Reason == v1alpha1.ReasonConflict
}

// plan compares what must be with what is. Where somebody changes our policies, one that seems to be missing may only have lost its label:
// then the API server is asked first, because to create it in vain and to update it would be two writes.
func (r *namespaceReconciler) plan(ctx context.Context, seen *situation, decision governance.Decision) plan.Plan {
	name := seen.namespace.Name
	desired := policy.Render(decision.Governor.Baseline, policy.Namespace{Name: name, Labels: seen.labels})
	steps := plan.Converge(name, desired, seen.inventory, r.sideBySide(seen))
	if steps.Creates() && r.drift.bounds(name) {
		if live, err := r.live.inventory(ctx, name); err == nil {
			seen.inventory = live
			steps = plan.Converge(name, desired, live, false)
		}
	}
	if seen.terminating() {
		return steps.UpdatesOnly()
	}
	return steps
}

// reconsider decides again on what the API server itself says. What takes protection away must not stand on a view that is behind: the
// baseline may have changed since, or another one may govern by now.
func (r *namespaceReconciler) reconsider(ctx context.Context, seen *situation, target ledger.Record) outcome {
	if err := r.confirm(ctx, seen); err != nil {
		return r.refused(seen, target, err)
	}
	return r.converge(ctx, seen)
}

// sideBySide says whether the policies of a namespace may be written at the same time. A clock that is behind the API server's
// must not make every namespace look young.
func (r *namespaceReconciler) sideBySide(seen *situation) bool {
	age := r.now().Sub(seen.namespace.CreationTimestamp.Time)
	return age.Abs() < youngNamespace && len(seen.inventory) == 0
}

// release removes the policies that may go.
func (r *namespaceReconciler) release(ctx context.Context, seen *situation, decision governance.Decision) outcome {
	name := seen.namespace.Name
	written, err := r.executorFor(seen).Execute(ctx, plan.Remove(name, decision.Owners, seen.inventory))
	r.metrics.countWrites(written)
	record := ledger.Record{Selecting: decision.Selecting, NamespaceUID: seen.namespace.UID}
	switch {
	case err != nil && apply.NamespaceGone(err):
		return outcome{record: record}
	case err != nil:
		record.Baseline, record.Environment = decision.Owners[0], seen.environmentFor(decision.Owners[0])
		return r.refused(seen, record, err)
	}
	r.retries.Forget(name)
	if len(written) > 0 {
		for _, owner := range decision.Owners {
			r.ledger.NoteReleased(owner, name)
		}
		if seen.known && seen.previous.State == ledger.Unmanaged {
			r.drift.disturbed(name, r.now()) // nothing of ours was here before: somebody made it, and may do so again
		}
	}
	if kept := terminatingPolicies(seen.inventory, decision.Owners); len(kept) > 0 {
		record.Baseline, record.State, record.Reason = decision.Owners[0], ledger.Held, v1alpha1.ReasonTerminatingPolicy
		record.Message = fmt.Sprintf("%s is deleted but kept by a finalizer that is not ours", kept[0])
	}
	return outcome{record: record}
}

// report tells what was written, in metrics, events and the ledger's tallies.
func (r *namespaceReconciler) report(seen *situation, decision governance.Decision, written []apply.Written, drifted bool) {
	if len(written) == 0 {
		return
	}
	name := seen.namespace.Name
	r.metrics.countWrites(written)
	if drifted {
		r.metrics.repairs.Inc()
		r.drift.disturbed(name, r.now())
		r.noteRepairs(name, written)
	} else if !seen.terminating() && !r.sightings.awaiting(name) { // that a new namespace is protected is nothing to tell
		r.ledger.NoteEnforced(decision.Governor.Baseline.Name, name)
	}
	r.announce(seen, decision, written, drifted)
}

// announce tells about repairs in events.
func (r *namespaceReconciler) announce(seen *situation, decision governance.Decision, written []apply.Written, drifted bool) {
	name := seen.namespace.Name
	contested, _ := r.drift.contested(name, r.now())
	for i := range written {
		switch {
		case contested: // whoever loops must not fill the cluster with events
		case written[i].TakenOver:
			r.events.takenOver(&written[i])
		case drifted:
			r.events.repaired(&written[i])
		}
	}
	if contested && !seen.previous.Contested {
		r.events.contested(decision.Governor.Baseline, name)
	}
}

// noteRepairs notes what stood in place of the policies that were put back.
func (r *namespaceReconciler) noteRepairs(namespace string, written []apply.Written) {
	for i := range written {
		if written[i].Operation == plan.Update {
			r.drift.repaired(namespace, written[i].Object.Name, written[i].Found, written[i].OpenedNothing, r.now())
		}
	}
}

// remember notes who else writes our policies in a namespace: an admission plugin, or somebody at the same moment.
func (r *namespaceReconciler) remember(namespace string, err error) {
	for name, stored := range apply.Alterations(err) {
		r.drift.noteAltered(namespace, name, stored, r.now())
	}
	if apply.Explain(err).Reason == v1alpha1.ReasonConflict {
		r.drift.disturbed(namespace, r.now())
	}
}

// synced concludes a reconcile after which a namespace is as it must be.
func (r *namespaceReconciler) synced(record ledger.Record, namespace string) outcome {
	record.State = ledger.Synced
	contested, again := r.drift.contested(namespace, r.now())
	if contested {
		record.Contested, record.Reason = true, v1alpha1.ReasonContested
		record.Message = fmt.Sprintf("somebody changed its policies more than %d times in the last minute; each time they were put back", contestedAfter)
	}
	return outcome{record: record, again: again}
}

func targetRecord(seen *situation, decision governance.Decision) ledger.Record {
	baseline := decision.Governor.Baseline
	return ledger.Record{
		Baseline:     baseline.Name,
		Generation:   baseline.Generation,
		UID:          baseline.UID,
		NamespaceUID: seen.namespace.UID,
		Environment:  policy.Environment(&baseline.Spec, seen.labels),
		Selecting:    decision.Selecting,
	}
}

// environmentFor returns the environment of the namespace as a baseline sees it.
func (s *situation) environmentFor(baseline string) string {
	if candidate := s.view.Candidate(baseline); candidate != nil {
		return policy.Environment(&candidate.Baseline.Spec, s.labels)
	}
	return ""
}

func heldRecord(decision governance.Decision) ledger.Record {
	record := ledger.Record{State: ledger.Held, Reason: decision.Reason, Message: decision.Message, Selecting: decision.Selecting}
	if len(decision.Owners) > 0 {
		record.Baseline = decision.Owners[0]
	}
	return record
}

// unconfirmed holds a namespace because the API server could not be asked, and has it tried again.
func unconfirmed(decision governance.Decision, err error) outcome {
	decision.Reason = v1alpha1.ReasonUnconfirmed
	decision.Message = "could not confirm with the API server that the policies may go: " + err.Error()
	return outcome{record: heldRecord(decision), err: err}
}

// postponed concludes a reconcile that has to wait before it may write, because there were too many writes or because a policy is left to
// a rival.
func (r *namespaceReconciler) postponed(seen *situation, target ledger.Record, wait time.Duration, rival string) outcome {
	switch {
	case seen.terminating():
		return outcome{record: ledger.Record{Selecting: target.Selecting}, again: wait}
	case rival != "":
		target.State, target.Since, target.Contested, target.Reason = ledger.Pending, r.now(), true, v1alpha1.ReasonContested
		target.Message = fmt.Sprintf("somebody keeps replacing %s by one that allows no more than it; it is put back every few minutes. "+
			"Does another netbaseline run without leader election?", rival)
		return outcome{record: target, again: wait}
	case seen.previous.SameTarget(target):
		return outcome{record: seen.previous, again: wait}
	}
	target.State, target.Since, target.Reason = ledger.Pending, r.now(), v1alpha1.ReasonContested
	target.Message = "somebody keeps changing its policies; they are written again within seconds"
	return outcome{record: target, again: wait}
}

// refused concludes a reconcile that failed.
func (r *namespaceReconciler) refused(seen *situation, record ledger.Record, err error) outcome {
	name, refusal := seen.namespace.Name, apply.Explain(err)
	record.State, record.Reason, record.Message, record.Since = ledger.Pending, refusal.Reason, refusal.Message, r.now()
	record.Contested, _ = r.drift.contested(name, r.now())
	r.drift.bound(name) // what is refused is tried again whenever somebody touches the policies
	if refusal.Permanent {
		record.State, record.Since = ledger.Failed, time.Time{}
	}
	stuck := seen.previous.State == ledger.Failed && seen.previous.SameTarget(record)
	switch {
	case refusal.Reason == v1alpha1.ReasonConflict && stuck:
		return outcome{record: seen.previous, again: firstRetry} // somebody else's haste does not hide what is wrong
	case refusal.Reason == v1alpha1.ReasonConflict:
		// Somebody else writes at the same moment. That is no error, and a growing delay would play into his hands.
		return outcome{record: record, again: firstRetry}
	case refusal.Reason == v1alpha1.ReasonAlteredByAdmission:
		return outcome{record: record, again: alteredRetry} // to write again before that is futile
	case stuck && refusal.Reason == seen.previous.Reason:
		return outcome{record: record, again: r.retries.When(name)} // it is in the log already
	}
	return outcome{record: record, err: err}
}

func terminatingPolicies(inventory plan.Inventory, owners []string) []string {
	var kept []string
	for _, name := range policy.Names {
		if observed, ok := inventory[name]; ok && observed.Terminating && slices.Contains(owners, observed.Owner) {
			kept = append(kept, name)
		}
	}
	return kept
}
