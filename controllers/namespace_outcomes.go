package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/apply"
	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/internal/ledger"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
)

const (
	// gracePeriod is the age below which a namespace cannot have running pods that use DNS yet:
	// scheduling, pulling and starting take longer, and writing its policies in parallel protects
	// it sooner.
	gracePeriod = 10 * time.Second
	// labelSettles is how long a namespace must have been unselected before that counts. Tools that
	// replace an object remove its labels and restore them within milliseconds; people who undo a
	// mistake take a few seconds.
	labelSettles = 10 * time.Second
	// quotaRetry is how soon a write that exceeded a quota is retried: no event reports that the
	// quota has room again.
	quotaRetry = 3 * time.Second
)

// enforce brings a namespace to the desired policies of its governor.
func (r *namespaceReconciler) enforce(ctx context.Context, seen *situation, decision governance.Decision, steps plan.Plan) outcome {
	name, target := seen.namespace.Name, targetRecord(seen, decision)
	if !seen.previous.SameTarget(target) {
		r.contention.retarget(name)
	}
	written, err := r.execute(ctx, seen, target, steps)
	r.report(seen, decision, written, drifted(seen, target, written))
	r.remember(name, steps, written, err)
	switch {
	case err != nil && apply.NamespaceGone(err), seen.terminating():
		return r.unreported(seen, decision, err)
	case errors.Is(err, apply.ErrUnconfirmed): // the cache is behind the existing object
		return outcome{record: r.pending(seen, target, v1alpha1.ReasonUnconfirmed, err.Error()), again: r.retries.When(name)}
	case err != nil:
		return r.refused(seen, decision, target, err)
	}
	r.retries.Forget(name)
	if lingering := seen.lingering(decision); lingering != "" {
		return outcome{record: r.pending(seen, target, v1alpha1.ReasonTerminatingPolicy, lingering)}
	}
	if at, ok := r.ledger.Arrival(name); ok && len(written) > 0 {
		r.metrics.protection.Observe(r.now().Sub(at).Seconds())
	}
	return outcome{record: r.settled(seen, target), again: seen.leftFor}
}

// unreported concludes a reconcile of a namespace that is being deleted. Its pods may still run, so
// failures are retried, but they are not reported.
func (r *namespaceReconciler) unreported(seen *situation, decision governance.Decision, err error) outcome {
	concluded := outcome{record: ledger.Record{Selecting: decision.Selecting}}
	if err != nil && !apply.NamespaceGone(err) {
		concluded.again = r.retries.When(seen.namespace.Name)
	}
	return concluded
}

// execute carries out a plan, and remembers its writes until the cache shows them. If it hangs, the
// namespace is recorded as pending for the target, unless the target names no baseline.
func (r *namespaceReconciler) execute(ctx context.Context, seen *situation, target ledger.Record, steps plan.Plan) (written []apply.Written, err error) {
	if steps.Len() == 0 {
		return nil, nil
	}
	name := seen.namespace.Name
	if !seen.terminating() && target.Baseline != "" {
		seen.pass.whenHanging(func() {
			r.ledger.Expect(name, r.pending(seen, target, v1alpha1.ReasonUnavailable, errGaveWay.Error()))
		})
		defer seen.pass.whenHanging(nil)
	}
	r.assumed.begin(name)
	defer func() {
		if r.assumed.note(name, written, seen.versions, r.now()) {
			seen.again = time.Nanosecond // another client wrote meanwhile
		}
	}()
	executor := r.executor
	executor.Confirmed = seen.evidence.Live
	return executor.Execute(ctx, r.informed(seen, target, steps))
}

// informed adjusts a plan to the state of the namespace beyond its inventory. Policies may be
// replaced without being read first only if they are the baseline's own, and unchanged or
// undisputed: otherwise they must be read, to detect other clients. A repair does not wait for DNS:
// it isolates only what was isolated before.
func (r *namespaceReconciler) informed(seen *situation, target ledger.Record, steps plan.Plan) plan.Plan {
	own := seen.previous.SameGovernor(target) && seen.previous.State == ledger.Synced
	repair := seen.previous.SameTarget(target) && seen.previous.Reached
	disputed := r.contention.disputed(seen.namespace.Name)
	for _, stage := range steps {
		for i := range stage {
			step := &stage[i]
			step.Blind = step.Blind && own && (!disputed || step.Found.SpecHash == step.Desired.Hash)
			if repair {
				step.Needs = ""
			}
		}
	}
	return steps
}

// drifted reports whether writes were repairs: the target is the same as before, and its policies
// were in place or another object was replaced.
func drifted(seen *situation, target ledger.Record, written []apply.Written) bool {
	if !seen.previous.SameTarget(target) {
		return false
	}
	replaced := slices.ContainsFunc(written, func(w apply.Written) bool { return w.Operation == plan.Update })
	return replaced && seen.previous.Reason != v1alpha1.ReasonAlteredByAdmission || seen.previous.State == ledger.Synced || seen.previous.Reason == v1alpha1.ReasonConflict
}

// remember records writes that did not last, or will not, and conflicts with other clients.
func (r *namespaceReconciler) remember(namespace string, steps plan.Plan, written []apply.Written, err error) {
	now, altered := r.now(), apply.Alterations(err)
	for i := range written {
		name := written[i].Object.Name
		switch _, was := altered[name]; {
		case was:
		case written[i].Operation == plan.Update && written[i].Harmless:
			r.contention.futile(namespace, steps.Step(name), competitor, written[i].Found, now)
		default:
			r.contention.lasted(namespace, name)
		}
	}
	for name, stored := range altered {
		r.contention.futile(namespace, steps.Step(name), altering, stored, now)
	}
	if err != nil && !apply.NamespaceGone(err) && apply.Explain(err).Reason == v1alpha1.ReasonConflict {
		r.contention.disturbed(namespace, now)
	}
}

// hold leaves the policies that protect a namespace as they are, and closes what the baseline that
// would govern otherwise does not allow.
func (r *namespaceReconciler) hold(ctx context.Context, seen *situation, decision governance.Decision, steps plan.Plan) outcome {
	name, record := seen.namespace.Name, heldRecord(seen, decision)
	if decision.Reason == v1alpha1.ReasonOwnerUnknown {
		record.Message = strings.Join(seen.inventory.Nameless(), ", ") + " " + record.Message
	}
	written, err := r.execute(ctx, seen, ledger.Record{}, steps)
	left, err := apply.Left(err)
	for policyName, found := range left {
		r.contention.futile(name, steps.Step(policyName), kept, found, r.now())
	}
	r.report(seen, decision, written, len(written) > 0)
	if err != nil && !apply.NamespaceGone(err) {
		record.Message += "; what allows too much could not be closed: " + apply.Explain(err).Message
		return outcome{record: record, again: r.retries.When(name)}
	}
	return outcome{record: record}
}

// report records writes in metrics, events and the tallies of the ledger.
func (r *namespaceReconciler) report(seen *situation, decision governance.Decision, written []apply.Written, drifted bool) {
	if len(written) == 0 {
		return
	}
	name := seen.namespace.Name
	r.metrics.countWrites(written)
	_, arriving := r.ledger.Arrival(name)
	switch {
	case drifted:
		r.metrics.repairs.Inc()
		r.contention.disturbed(name, r.now())
	case !seen.terminating() && !arriving: // the protection of a new namespace is not an event
		r.ledger.NoteEnforced(decision.Governor.Baseline.Name, name)
	}
	r.announce(seen, decision, written, drifted)
}

// announce records events about repairs.
func (r *namespaceReconciler) announce(seen *situation, decision governance.Decision, written []apply.Written, drifted bool) {
	name := seen.namespace.Name
	contested := r.contention.contested(name, r.now())
	for i := range written {
		switch {
		case contested: // a client in a loop must not fill the cluster with events
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

// settled returns the record of a namespace whose policies allow no more than desired.
func (r *namespaceReconciler) settled(seen *situation, record ledger.Record) ledger.Record {
	left := seen.left
	competitors := slices.Sorted(func(yield func(string) bool) {
		for name, why := range left {
			if why == competitor && !yield(name) {
				return
			}
		}
	})
	record.State = ledger.Synced
	switch {
	case len(competitors) < len(left):
		record.State, record.Reason, record.Message = ledger.Failed, v1alpha1.ReasonAlteredByAdmission, seen.alteration()
	case len(competitors) > 0:
		record.Contested, record.Reason = true, v1alpha1.ReasonContested
		record.Message = fmt.Sprintf("another client keeps replacing %s by one that allows no more than it; it is restored every few minutes. "+
			"Does another netbaseline run without leader election?", strings.Join(competitors, ", "))
	case r.contention.contested(seen.namespace.Name, r.now()):
		record.Contested, record.Reason = true, v1alpha1.ReasonContested
		record.Message = fmt.Sprintf("another client changed its policies more than %d times in the last minute; each time they were restored", contestedAfter)
	}
	return record
}

// alteration returns the message about the policy that admission alters: the previous one, or a new
// one if another reason was reported since.
func (s *situation) alteration() string {
	if s.previous.Reason == v1alpha1.ReasonAlteredByAdmission {
		return s.previous.Message
	}
	for _, name := range policy.Names {
		if why, ok := s.left[name]; ok && why == altering {
			return (&apply.AlteredError{Name: name}).Error()
		}
	}
	return ""
}

// pending returns the record of a namespace that is not protected yet. It counts from when the
// namespace was first seen; in the first round, when it may have been unprotected for long, from
// the namespace's creation.
func (r *namespaceReconciler) pending(seen *situation, record ledger.Record, reason, message string) ledger.Record {
	record.State, record.Reason, record.Message, record.Since = ledger.Pending, reason, message, r.now()
	if at, ok := r.ledger.Arrival(seen.namespace.Name); ok {
		record.Since = at
	} else if !seen.known && r.ledger.Round() == 1 {
		record.Since = seen.namespace.CreationTimestamp.Time
	}
	return record
}

// refused concludes a reconcile that failed.
func (r *namespaceReconciler) refused(seen *situation, decision governance.Decision, target ledger.Record, err error) outcome {
	name, refusal := seen.namespace.Name, apply.Explain(err)
	record := r.pending(seen, target, refusal.Reason, refusal.Message)
	record.Contested = r.contention.contested(name, r.now())
	if refusal.Permanent {
		record.State, record.Since = ledger.Failed, time.Time{}
	}
	r.tellExposed(seen, decision, target, err)
	stuck := seen.previous.State == ledger.Failed && seen.previous.SameTarget(record)
	if refusal.Reason == v1alpha1.ReasonConflict && stuck {
		failed := seen.previous // a conflict does not hide the failure
		failed.Generation, failed.Environment, failed.Selecting = record.Generation, record.Environment, record.Selecting
		return outcome{record: failed, again: firstRetry}
	}
	again := r.tryAgain(name, refusal.Reason, stuck && refusal.Reason == seen.previous.Reason)
	if again == 0 {
		return outcome{record: record, err: err}
	}
	return outcome{record: record, again: again}
}

// tellExposed records an event if existing protection was lost and cannot be restored.
func (r *namespaceReconciler) tellExposed(seen *situation, decision governance.Decision, target ledger.Record, err error) {
	refused, refusal := apply.Refused(err), apply.Explain(err)
	if len(refused) > 0 && refusal.Permanent && seen.previous.State == ledger.Synced && seen.previous.SameTarget(target) {
		r.events.exposed(decision.Governor.Baseline, seen.namespace.Name, refused, refusal.Message)
	}
}

// tryAgain returns when to retry after a refusal; 0 to leave that to the queue, which also logs it.
func (r *namespaceReconciler) tryAgain(namespace, reason string, known bool) time.Duration {
	switch {
	case reason == v1alpha1.ReasonConflict:
		return firstRetry // another client writes at the same time: not an error, and a growing delay would let it win
	case reason == v1alpha1.ReasonAlteredByAdmission:
		return futileRetry // an earlier write is futile
	case reason == v1alpha1.ReasonTerminatingPolicy:
		return lastRetry // the watch reports when it is gone
	case !known:
		return 0
	case reason == v1alpha1.ReasonQuotaExceeded:
		return r.quotaAgain()
	}
	return r.retries.When(namespace)
}

// quotaAgain returns when to retry a full quota: within seconds, but slowly enough that a thousand
// of them cause no load.
func (r *namespaceReconciler) quotaAgain() time.Duration {
	full := time.Duration(r.ledger.Failed(v1alpha1.ReasonQuotaExceeded))
	return min(max(quotaRetry, full*firstRetry), lastRetry)
}

func targetRecord(seen *situation, decision governance.Decision) ledger.Record {
	baseline, environment := decision.Governor.Baseline, decision.Governor.Environment(seen.labels)
	return ledger.Record{
		Baseline:     baseline.Name,
		Generation:   baseline.Generation,
		UID:          baseline.UID,
		NamespaceUID: seen.namespace.UID,
		Target:       decision.Governor.Target(environment),
		Environment:  environment,
		Selecting:    decision.Selecting,
	}
}

func heldRecord(seen *situation, decision governance.Decision) ledger.Record {
	record := ledger.Record{
		State: ledger.Held, Reason: decision.Reason, Message: decision.Message, Selecting: decision.Selecting, NamespaceUID: seen.namespace.UID,
	}
	if len(decision.Owners) > 0 {
		record.Baseline, record.AlsoHeld = decision.Owners[0], decision.Owners[1:]
	}
	return record
}

// lingering describes a policy that is no longer desired but kept by a finalizer; "" if there is
// none.
func (s *situation) lingering(decision governance.Decision) string {
	desired := decision.Governor.Desired(decision.Governor.Environment(s.labels))
	return keptPolicy(s.inventory, func(name string, found plan.Observed) bool {
		return found.Ours && !slices.ContainsFunc(desired, func(d policy.Desired) bool { return d.Policy.Name == name })
	})
}
