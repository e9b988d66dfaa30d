package controllers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/internal/ledger"
)

// slowAfter is how long a namespace may be pending before the baseline stops being Ready: a single
// hiccup of the API server is over by then, so Ready does not flap.
const slowAfter = 60 * time.Second

// conditionState is the status, reason and message of a condition.
type conditionState struct {
	status          metav1.ConditionStatus
	reason, message string
}

// renderConditions returns the conditions of a baseline. Those that have not flipped keep their
// transition times.
func renderConditions(candidate *governance.Candidate, file *file, summary *ledger.Summary, now time.Time) []metav1.Condition {
	conditions := withoutSurplus(candidate.Baseline.Status.Conditions)
	set := func(kind string, v conditionState) {
		meta.SetStatusCondition(&conditions, metav1.Condition{
			Type: kind, Status: v.status, Reason: v.reason, Message: v.message,
			ObservedGeneration: candidate.Baseline.Generation, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
		})
	}
	ready := readyState(candidate, file, summary, now)
	set(v1alpha1.ConditionAccepted, acceptedState(candidate))
	set(v1alpha1.ConditionReady, ready)
	if !candidate.Accepted() {
		set(v1alpha1.ConditionSynced, conditionState{metav1.ConditionUnknown, v1alpha1.ReasonInvalidSpec, "The spec is not accepted"})
	} else {
		set(v1alpha1.ConditionSynced, ready)
	}
	stalled := !candidate.Accepted() || ready.reason == v1alpha1.ReasonNamespacesFailed || ready.reason == v1alpha1.ReasonFinalizerRefused
	if !candidate.Deleting() && stalled {
		set(v1alpha1.ConditionStalled, conditionState{metav1.ConditionTrue, ready.reason, ready.message})
	} else {
		meta.RemoveStatusCondition(&conditions, v1alpha1.ConditionStalled)
	}
	return conditions
}

// ownConditions are the types that netbaseline sets; maxForeignConditions is how many others fit
// next to them into the eight that the schema allows.
var ownConditions = []string{
	v1alpha1.ConditionAccepted, v1alpha1.ConditionSynced, v1alpha1.ConditionReady, v1alpha1.ConditionStalled,
}

const maxForeignConditions = 4

// withoutSurplus drops the foreign conditions that would leave no room for our own.
func withoutSurplus(conditions []metav1.Condition) []metav1.Condition {
	foreign := 0
	return slices.DeleteFunc(slices.Clone(conditions), func(condition metav1.Condition) bool {
		if slices.Contains(ownConditions, condition.Type) {
			return false
		}
		foreign++
		return foreign > maxForeignConditions
	})
}

func acceptedState(candidate *governance.Candidate) conditionState {
	if !candidate.Accepted() {
		return conditionState{metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec, candidate.Rejection}
	}
	return conditionState{metav1.ConditionTrue, v1alpha1.ReasonAccepted, "The spec can be carried out"}
}

// readyState returns the state of Ready. Its message must be clear without any other field.
func readyState(candidate *governance.Candidate, file *file, summary *ledger.Summary, now time.Time) conditionState {
	switch {
	case candidate.Deleting():
		return conditionState{metav1.ConditionFalse, v1alpha1.ReasonDeleting, deletingMessage(summary, file.question.left)}
	case !candidate.Accepted():
		return conditionState{metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec, "Not accepted, so nothing is changed: " + candidate.Rejection}
	case file.refusal != "":
		return conditionState{
			metav1.ConditionFalse, v1alpha1.ReasonFinalizerRefused,
			"Governs no further namespace, because its finalizer is refused: " + file.refusal,
		}
	case !summary.Complete() && summary.Round == 1:
		return conditionState{
			metav1.ConditionUnknown, v1alpha1.ReasonProgressing,
			fmt.Sprintf("Looking at every namespace after a start: %d still to do", summary.Awaited) + firstFailure(summary),
		}
	case !summary.Complete() && !wasReported(candidate.Baseline):
		return conditionState{
			metav1.ConditionUnknown, v1alpha1.ReasonProgressing,
			fmt.Sprintf("Bringing namespaces to generation %d: %d still to do", candidate.Baseline.Generation, summary.Awaited),
		}
	case candidate.Baseline.Spec.Mode == v1alpha1.ModeAudit:
		return conditionState{metav1.ConditionTrue, v1alpha1.ReasonAudit, auditMessage(summary)}
	}
	return namespacesState(candidate.Baseline, summary, now)
}

// namespacesState returns the state of Ready by whether every governed namespace has its policies.
func namespacesState(baseline *v1alpha1.ClusterNetworkBaseline, summary *ledger.Summary, now time.Time) conditionState {
	counts := summary.Counts
	switch {
	case counts.Failed > 0:
		return conditionState{metav1.ConditionFalse, v1alpha1.ReasonNamespacesFailed, unprotectedMessage(summary, counts.Failed)}
	case counts.Pending > 0 && now.Sub(summary.OldestPending) >= slowAfter:
		return conditionState{metav1.ConditionFalse, v1alpha1.ReasonSlow, unprotectedMessage(summary, counts.Pending)}
	case counts.Pending > 0 && !wasReady(baseline):
		return conditionState{metav1.ConditionUnknown, v1alpha1.ReasonProgressing, unprotectedMessage(summary, counts.Pending)}
	}
	return conditionState{metav1.ConditionTrue, v1alpha1.ReasonSynced, syncedMessage(summary)}
}

// wasReported reports whether Ready has been decided for the current spec: then a round on behalf
// of another baseline does not make it unknown again.
func wasReported(baseline *v1alpha1.ClusterNetworkBaseline) bool {
	ready := meta.FindStatusCondition(baseline.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Status != metav1.ConditionUnknown && ready.ObservedGeneration == baseline.Generation
}

// wasReady reports whether the baseline was Ready with its current spec.
func wasReady(baseline *v1alpha1.ClusterNetworkBaseline) bool {
	ready := meta.FindStatusCondition(baseline.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == baseline.Generation
}

func deletingMessage(summary *ledger.Summary, left string) string {
	counts := summary.Counts
	remaining := counts.Governed + counts.Held + counts.Releasing
	if remaining == 0 && left != "" {
		return fmt.Sprintf("Removing policies: %s is still to be removed, or taken over by another baseline", left)
	}
	message := fmt.Sprintf("Removing policies: %s left", namespaces(remaining))
	if counts.Held > 0 {
		message += fmt.Sprintf(", of which %d held, such as %s: %s", counts.Held, summary.FirstHeld, summary.HeldMessage)
	}
	return message + firstFailure(summary)
}

func auditMessage(summary *ledger.Summary) string {
	audit := summary.Audit
	message := fmt.Sprintf("Audit: nothing is written; %s would be governed (%d new, %d changed, %d left as they are)",
		namespaces(audit.Create+audit.Change+audit.Leave), audit.Create, audit.Change, audit.Leave)
	if held := summary.Counts.Held; held > 0 {
		message += fmt.Sprintf("; %d keep the policies of an earlier Enforce", held)
	}
	if audit.Remove > 0 {
		message += fmt.Sprintf("; %s would lose the policies of an earlier Enforce", namespaces(audit.Remove))
	}
	return message
}

func unprotectedMessage(summary *ledger.Summary, count int32) string {
	return fmt.Sprintf("%d of %s not protected", count, namespaces(summary.Counts.Governed)) + firstFailure(summary)
}

// firstFailure names the most urgent namespace and its cause.
func firstFailure(summary *ledger.Summary) string {
	if len(summary.Failures) == 0 {
		return ""
	}
	first := summary.Failures[0]
	return fmt.Sprintf("; %s: %s: %s", first.Namespace, first.Reason, first.Message)
}

func syncedMessage(summary *ledger.Summary) string {
	counts := summary.Counts
	var notes []string
	if counts.Pending > 0 {
		notes = append(notes, fmt.Sprintf("%d more on the way", counts.Pending))
	}
	if counts.Overridden > 0 {
		notes = append(notes, fmt.Sprintf("%d governed by another baseline", counts.Overridden))
	}
	if counts.Held > 0 {
		notes = append(notes, fmt.Sprintf("%d held, such as %s: %s", counts.Held, summary.FirstHeld, summary.HeldMessage))
	}
	if counts.Releasing > 0 {
		notes = append(notes, fmt.Sprintf("%d no longer governed but refusing the removal of policies", counts.Releasing)+firstFailure(summary))
	}
	if summary.Contested > 0 {
		notes = append(notes, fmt.Sprintf("%d contested, such as %s: another client keeps changing its policies", summary.Contested, summary.FirstContested))
	}
	message := namespaces(counts.Synced) + " protected"
	if counts.Governed == 0 {
		message = "No namespace to govern"
	}
	return strings.Join(append([]string{message}, notes...), "; ")
}

func namespaces(count int32) string {
	if count == 1 {
		return "1 namespace"
	}
	return fmt.Sprintf("%d namespaces", count)
}
