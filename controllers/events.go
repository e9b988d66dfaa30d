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

// eventWriter writes events. Each refers to its object without a resource version, so that a
// repeated one increments the count of its series instead of being stored again. The recorder
// treats events that differ only in their text as repetitions and keeps the first text: distinct
// events therefore differ in their action or in the related namespace.
type eventWriter struct{ recorder events.EventRecorder }

func (a *eventWriter) enforced(baseline *v1alpha1.ClusterNetworkBaseline, where *ledger.Tally) {
	a.recorder.Eventf(baselineReference(baseline), namespaceReference(where.First()), corev1.EventTypeNormal, v1alpha1.EventEnforced, "Enforce",
		"Brought policies to %s", where)
}

func (a *eventWriter) released(baseline *v1alpha1.ClusterNetworkBaseline, where *ledger.Tally) {
	a.recorder.Eventf(baselineReference(baseline), namespaceReference(where.First()), corev1.EventTypeNormal, v1alpha1.EventReleased, "Release",
		"Removed policies from %s", where)
}

func (a *eventWriter) audit(baseline *v1alpha1.ClusterNetworkBaseline, summary *ledger.Summary) {
	a.recorder.Eventf(baselineReference(baseline), namespaceReference(summary.FirstHeld), corev1.EventTypeNormal, v1alpha1.EventAudit, "Audit",
		"In Audit now: the policies of %s stay, and are no longer restored", namespaces(summary.Counts.Held))
}

func (a *eventWriter) held(baseline *v1alpha1.ClusterNetworkBaseline, summary *ledger.Summary) {
	why := summary.HeldMessage
	a.recorder.Eventf(baselineReference(baseline), namespaceReference(summary.FirstHeld), corev1.EventTypeWarning, v1alpha1.EventHeld, "Hold",
		"%s held, policies stay as they are: %s", namespaces(summary.Counts.Held), why)
}

func (a *eventWriter) contested(baseline *v1alpha1.ClusterNetworkBaseline, namespace string) {
	a.recorder.Eventf(baselineReference(baseline), namespaceReference(namespace), corev1.EventTypeWarning, v1alpha1.EventContested, "Repair",
		"Another client keeps changing the policies of namespace %s; they are restored each time", namespace)
}

func (a *eventWriter) exposed(baseline *v1alpha1.ClusterNetworkBaseline, namespace string, policies []string, why string) {
	a.recorder.Eventf(baselineReference(baseline), namespaceReference(namespace), corev1.EventTypeWarning, v1alpha1.EventExposed, "Repair",
		"Namespace %s lost protection: %s was changed or deleted and cannot be restored: %s", namespace, strings.Join(policies, ", "), why)
}

func (a *eventWriter) leftBehind(baseline *v1alpha1.ClusterNetworkBaseline, count int, first, why string) {
	a.recorder.Eventf(baselineReference(baseline), namespaceReference(first), corev1.EventTypeWarning, v1alpha1.EventLeft, "Release",
		"Policies are left in %s, such as %s: %s", namespaces(int32(min(count, math.MaxInt32))), first, why) //nolint:gosec // bounded
}

// causes are what another client did, going by the operation that restored the policy.
var causes = map[plan.Operation]string{
	plan.Create: "Another client deleted this policy; it has been restored",
	plan.Update: "Another client changed this policy; it has been restored",
	plan.Delete: "Another client created this policy, which is not part of the baseline; it has been deleted",
}

// actions are what was done about it.
var actions = map[plan.Operation]string{plan.Create: "CreateAgain", plan.Update: "PutBack", plan.Delete: "Remove"}

func (a *eventWriter) repaired(written *apply.Written) {
	a.recorder.Eventf(policyReference(written.Object), nil, corev1.EventTypeNormal, v1alpha1.EventRepaired, actions[written.Operation],
		"%s", causes[written.Operation])
}

func (a *eventWriter) takenOver(written *apply.Written) {
	a.recorder.Eventf(policyReference(written.Object), nil, corev1.EventTypeWarning, v1alpha1.EventTakenOver, "TakeOver",
		"netbaseline owns this name in governed namespaces. The previous spec was replaced; a copy of up to 16 KiB is in annotation %s", v1alpha1.ReplacedSpecAnnotation)
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
