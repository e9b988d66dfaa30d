package v1alpha1

// Types of condition on a ClusterNetworkBaseline.
const (
	// ConditionAccepted is True when the spec can be carried out.
	ConditionAccepted = "Accepted"
	// ConditionSynced is True when every governed namespace has exactly its policies.
	ConditionSynced = "Synced"
	// ConditionReady is True when the baseline is Accepted and Synced; its message is the STATUS
	// column of kubectl get cnb.
	ConditionReady = "Ready"
	// ConditionStalled is present, and True, only while nothing but a human can help.
	// Source: https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus
	ConditionStalled = "Stalled"
)

// Reasons of the conditions.
const (
	// ReasonWaiting is Ready's reason until the operator has seen the baseline.
	ReasonWaiting = "Waiting"
	// ReasonAccepted means that the spec can be carried out.
	ReasonAccepted = "Accepted"
	// ReasonInvalidSpec means that the spec cannot be carried out, although the API server stored
	// it.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonProgressing means that namespaces are being brought to the current spec.
	ReasonProgressing = "Progressing"
	// ReasonSynced means that every governed namespace has its policies.
	ReasonSynced = "Synced"
	// ReasonSlow means that a namespace has been waiting for its policies for more than a minute.
	ReasonSlow = "Slow"
	// ReasonNamespacesFailed means that some namespaces refuse their policies.
	ReasonNamespacesFailed = "NamespacesFailed"
	// ReasonFinalizerRefused means that the finalizer, which comes before the first policy, cannot
	// be added to the baseline.
	ReasonFinalizerRefused = "FinalizerRefused"
	// ReasonAudit means that the baseline is in Audit and writes nothing.
	ReasonAudit = "Audit"
	// ReasonDeleting means that the baseline is being deleted and its policies are being removed.
	ReasonDeleting = "Deleting"
)

// Reasons why a namespace is failed, pending or contested.
const (
	// ReasonForbidden means that the operator may not write the policy.
	ReasonForbidden = "Forbidden"
	// ReasonQuotaExceeded means that a ResourceQuota of the namespace leaves no room for the
	// policy.
	ReasonQuotaExceeded = "QuotaExceeded"
	// ReasonInvalid means that the API server or an admission rule rejects the policy as invalid.
	ReasonInvalid = "Invalid"
	// ReasonAlteredByAdmission means that something changes the policy whenever it is written.
	ReasonAlteredByAdmission = "AlteredByAdmission"
	// ReasonContested means that another client keeps changing the policies and netbaseline keeps
	// restoring them.
	ReasonContested = "Contested"
	// ReasonConflict means that another client wrote the policy at the same time.
	ReasonConflict = "Conflict"
	// ReasonUnavailable means that the API server could not be reached, or did not answer in time.
	ReasonUnavailable = "Unavailable"
)

// Reasons why a namespace is held: its policies are left exactly as they are.
const (
	// ReasonBaselineAbsent means that the baseline that made the policies does not exist; absence
	// is no evidence that they may go.
	ReasonBaselineAbsent = "BaselineAbsent"
	// ReasonBaselineNotAccepted means that the baseline that made the policies has a spec that
	// cannot be carried out.
	ReasonBaselineNotAccepted = "BaselineNotAccepted"
	// ReasonBaselineInAudit means that the baseline that made the policies is in Audit.
	ReasonBaselineInAudit = "BaselineInAudit"
	// ReasonBaselineRetains means that the baseline that made the policies is being deleted and
	// retains them.
	ReasonBaselineRetains = "BaselineRetains"
	// ReasonFinalizerMissing means that the baseline still waits for its finalizer, which comes
	// before the first policy.
	ReasonFinalizerMissing = "FinalizerMissing"
	// ReasonCRDTerminating means that the CustomResourceDefinition is being deleted; policies are
	// kept.
	ReasonCRDTerminating = "CRDTerminating"
	// ReasonUnconfirmed means that the API server could not confirm that the policies may go.
	ReasonUnconfirmed = "Unconfirmed"
	// ReasonTerminatingPolicy means that a policy is deleted but kept by another client's
	// finalizer.
	ReasonTerminatingPolicy = "TerminatingPolicy"
	// ReasonLeaving means that the namespace has just lost the label that selected it.
	ReasonLeaving = "Leaving"
	// ReasonOwnerUnknown means that a policy lost the label that names its baseline where no
	// baseline governs.
	ReasonOwnerUnknown = "OwnerUnknown"
)

// Reasons of events.
const (
	// EventEnforced is on a baseline: existing namespaces have received its policies.
	EventEnforced = "Enforced"
	// EventHeld is on a baseline: namespaces keep its policies untouched.
	EventHeld = "Held"
	// EventAudit is on a baseline: it was switched to Audit, and namespaces keep its policies.
	EventAudit = "Audit"
	// EventReleased is on a baseline: its policies were removed from namespaces.
	EventReleased = "Released"
	// EventRepaired is on a policy: another client had changed or deleted it.
	EventRepaired = "Repaired"
	// EventTakenOver is on a policy: it replaced a foreign object under its name.
	EventTakenOver = "TakenOver"
	// EventExposed is on a baseline: a policy was changed or deleted and cannot be restored.
	EventExposed = "Exposed"
	// EventLeft is on a baseline: it was deleted, and policies that lost their labels were left.
	EventLeft = "Left"
	// EventContested is on a baseline: another client keeps changing the policies of a namespace.
	EventContested = "Contested"
)
