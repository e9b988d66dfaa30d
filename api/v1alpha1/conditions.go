package v1alpha1

// Types of condition on a ClusterNetworkBaseline.
const (
	// ConditionAccepted is True when the spec can be carried out.
	ConditionAccepted = "Accepted"
	// ConditionSynced is True when every governed namespace has exactly its policies.
	ConditionSynced = "Synced"
	// ConditionReady is True when the baseline is Accepted and Synced; its message is the STATUS column of kubectl get cnb.
	ConditionReady = "Ready"
	// ConditionStalled is present, and True, only while nothing but a human can help.
	// Source: https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus
	ConditionStalled = "Stalled"
)

// Reasons of the conditions.
const (
	// ReasonWaiting is Ready's reason until the operator has seen the baseline.
	ReasonWaiting = "Waiting"
	// ReasonAccepted says that the spec can be carried out.
	ReasonAccepted = "Accepted"
	// ReasonInvalidSpec says that the spec cannot be carried out, although the API server stored it.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonProgressing says that namespaces are being brought to the current spec.
	ReasonProgressing = "Progressing"
	// ReasonSynced says that every governed namespace has its policies.
	ReasonSynced = "Synced"
	// ReasonSlow says that a namespace has been waiting for its policies for more than a minute.
	ReasonSlow = "Slow"
	// ReasonNamespacesFailed says that some namespaces refuse their policies.
	ReasonNamespacesFailed = "NamespacesFailed"
	// ReasonFinalizerRefused says that the finalizer, which comes before the first policy, cannot be put on the baseline.
	ReasonFinalizerRefused = "FinalizerRefused"
	// ReasonAudit says that the baseline is in Audit and writes nothing.
	ReasonAudit = "Audit"
	// ReasonDeleting says that the baseline is being deleted and its policies are being removed.
	ReasonDeleting = "Deleting"
)

// Reasons why a namespace is failed, pending or contested.
const (
	// ReasonForbidden says that the operator may not write the policy.
	ReasonForbidden = "Forbidden"
	// ReasonQuotaExceeded says that a ResourceQuota of the namespace leaves no room for the policy.
	ReasonQuotaExceeded = "QuotaExceeded"
	// ReasonInvalid says that the API server or an admission rule calls the policy invalid.
	ReasonInvalid = "Invalid"
	// ReasonAlteredByAdmission says that something changes the policy whenever it is written.
	ReasonAlteredByAdmission = "AlteredByAdmission"
	// ReasonContested says that someone keeps changing the policies and netbaseline keeps putting them back.
	ReasonContested = "Contested"
	// ReasonConflict says that someone else wrote the policy at the same time.
	ReasonConflict = "Conflict"
	// ReasonUnavailable says that the API server could not be reached, or did not answer in time.
	ReasonUnavailable = "Unavailable"
)

// Reasons why a namespace is held: its policies are left exactly as they are.
const (
	// ReasonBaselineAbsent says that the baseline that made the policies does not exist; absence is no evidence that they may go.
	ReasonBaselineAbsent = "BaselineAbsent"
	// ReasonBaselineNotAccepted says that the baseline that made the policies has a spec that cannot be carried out.
	ReasonBaselineNotAccepted = "BaselineNotAccepted"
	// ReasonBaselineInAudit says that the baseline that made the policies is in Audit.
	ReasonBaselineInAudit = "BaselineInAudit"
	// ReasonBaselineRetains says that the baseline that made the policies is being deleted and retains them.
	ReasonBaselineRetains = "BaselineRetains"
	// ReasonFinalizerMissing says that the baseline still waits for its finalizer, which comes before the first policy.
	ReasonFinalizerMissing = "FinalizerMissing"
	// ReasonCRDTerminating says that the CustomResourceDefinition is being deleted, which is no wish to lose protection.
	ReasonCRDTerminating = "CRDTerminating"
	// ReasonUnconfirmed says that the API server could not confirm that the policies may go.
	ReasonUnconfirmed = "Unconfirmed"
	// ReasonTerminatingPolicy says that a policy is deleted but kept by somebody else's finalizer.
	ReasonTerminatingPolicy = "TerminatingPolicy"
	// ReasonLeaving says that the namespace lost the label that it was selected by, a moment ago.
	ReasonLeaving = "Leaving"
	// ReasonOwnerUnknown says that a policy lost the label that names its baseline where no baseline governs.
	ReasonOwnerUnknown = "OwnerUnknown"
)

// Reasons of events.
const (
	// EventEnforced is on a baseline: namespaces that were there already have received its policies.
	EventEnforced = "Enforced"
	// EventHeld is on a baseline: namespaces keep its policies untouched.
	EventHeld = "Held"
	// EventAudit is on a baseline: it was switched to Audit, and namespaces keep its policies.
	EventAudit = "Audit"
	// EventReleased is on a baseline: its policies were removed from namespaces.
	EventReleased = "Released"
	// EventRepaired is on a policy: somebody had changed or deleted it.
	EventRepaired = "Repaired"
	// EventTakenOver is on a policy: a foreign object lay under its name.
	EventTakenOver = "TakenOver"
	// EventExposed is on a baseline: a policy was changed or deleted and cannot be put back.
	EventExposed = "Exposed"
	// EventLeft is on a baseline: it was deleted, and policies that lost their labels were left.
	EventLeft = "Left"
	// EventContested is on a baseline: somebody keeps changing the policies of a namespace.
	EventContested = "Contested"
)
