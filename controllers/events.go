package controllers

import (
	"math"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/client-go/tools/events"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/apply"
	"github.com/netbaseline/netbaseline/internal/ledger"
	"github.com/netbaseline/netbaseline/internal/plan"
)

// announcer writes events. Each goes by a reference without a resource version, so that a repeated one counts up in its series
// instead of being stored again. The recorder takes for a repetition what agrees in all but its text, and keeps the first text: so what is
// told apart differs in its action, or in the namespace that it is related to.
type announcer struct{ recorder events.EventRecorder }

func (a *announcer) enforced(baseline *v1alpha1.ClusterNetworkBaseline, where *ledger.Tally) {
	a.recorder.Eventf(baselineReference(baseline), namespaceReference(where.First()), corev1.EventTypeNormal, v1alpha1.EventEnforced, "Enforce",
		"Brought policies to %s", where)
}

func (a *announcer) released(baseline *v1alpha1.ClusterNetworkBaseline, where *ledger.Tally) {
	a.recorder.Eventf(baselineReference(baseline), namespaceReference(where.First()), corev1.EventTypeNormal, v1alpha1.EventReleased, "Release",
		"Removed policies from %s", where)
}

func (a *announcer) audit(baseline *v1alpha1.ClusterNetworkBaseline, summary *ledger.Summary) {
	a.recorder.Eventf(baselineReference(baseline), namespaceReference(summary.FirstHeld), corev1.EventTypeNormal, v1alpha1.EventAudit, "Audit",
		"In Audit now: the policies of %s stay, and are no longer put back", namespaces(summary.Counts.Held))
}

func (a *announcer) held(baseline *v1alpha1.ClusterNetworkBaseline, summary *ledger.Summary) {
	why := summary.HeldMessage
	a.recorder.Eventf(baselineReference(baseline), namespaceReference(summary.FirstHeld), corev1.EventTypeWarning, v1alpha1.EventHeld, "Hold",
		"%s held, policies stay as they are: %s", namespaces(summary.Counts.Held), why)
}

func (a *announcer) contested(baseline *v1alpha1.ClusterNetworkBaseline, namespace string) {
	a.recorder.Eventf(baselineReference(baseline), namespaceReference(namespace), corev1.EventTypeWarning, v1alpha1.EventContested, "Repair",
		"Somebody keeps changing the policies of namespace %s; they are put back each time", namespace)
}

func (a *announcer) exposed(baseline *v1alpha1.ClusterNetworkBaseline, namespace string, policies []string, why string) {
	a.recorder.Eventf(baselineReference(baseline), namespaceReference(namespace), corev1.EventTypeWarning, v1alpha1.EventExposed, "Repair",
		"Namespace %s lost protection: %s was changed or deleted and cannot be put back: %s", namespace, strings.Join(policies, ", "), why)
}

func (a *announcer) leftBehind(baseline *v1alpha1.ClusterNetworkBaseline, count int, first, why string) {
	a.recorder.Eventf(baselineReference(baseline), namespaceReference(first), corev1.EventTypeWarning, v1alpha1.EventLeft, "Release",
		"Policies are left in %s, such as %s: %s", namespaces(int32(min(count, math.MaxInt32))), first, why) //nolint:gosec // bounded
}

// damage says what somebody must have done, going by what it took to repair it.
var damage = map[plan.Operation]string{
	plan.Create: "Somebody had deleted this policy",
	plan.Update: "Somebody had changed this policy",
	plan.Delete: "Somebody had made this policy, which the baseline does not ask for",
}

// mending is what was done about it.
var mending = map[plan.Operation]string{plan.Create: "CreateAgain", plan.Update: "PutBack", plan.Delete: "Remove"}

func (a *announcer) repaired(written *apply.Written) {
	a.recorder.Eventf(policyReference(written.Object), nil, corev1.EventTypeNormal, v1alpha1.EventRepaired, mending[written.Operation],
		"%s; it is as it must be again", damage[written.Operation])
}

func (a *announcer) takenOver(written *apply.Written) {
	a.recorder.Eventf(policyReference(written.Object), nil, corev1.EventTypeWarning, v1alpha1.EventTakenOver, "TakeOver",
		"This name belongs to netbaseline in a governed namespace; the spec that lay here was replaced and is kept in annotation %s if it fits", v1alpha1.ReplacedSpecAnnotation)
}

func baselineReference(baseline *v1alpha1.ClusterNetworkBaseline) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "ClusterNetworkBaseline", Name: baseline.Name, UID: baseline.UID,
	}
}

func namespaceReference(name string) *corev1.ObjectReference {
	return &corev1.ObjectReference{APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Namespace", Name: name}
}

func policyReference(object *networkingv1.NetworkPolicy) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "NetworkPolicy",
		Namespace: object.Namespace, Name: object.Name, UID: object.UID,
	}
}
