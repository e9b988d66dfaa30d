package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Bounds of the lists in a status, so that the object stays small however many namespaces there
// are.
const (
	// MaxStatusEnvironments is how many environments a status lists, the largest first.
	MaxStatusEnvironments = 20
	// MaxStatusFailures is how many namespaces that need attention a status names, the most urgent
	// first.
	MaxStatusFailures = 10
	// MaxFailureMessage is the length of a failure's message, in bytes.
	MaxFailureMessage = 256
)

// ClusterNetworkBaselineStatus is the observed state of a ClusterNetworkBaseline.
type ClusterNetworkBaselineStatus struct {
	// observedGeneration is the generation of the spec that this status speaks
	// of; -1 until the operator has seen the baseline.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Accepted (the spec can be carried out), Synced (every
	// governed namespace has its policies), Ready (both), and, only while nothing
	// but a human can help, Stalled. Ready's message is the STATUS column of
	// kubectl get cnb.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// namespaces counts the namespaces that this baseline is concerned with.
	// +optional
	Namespaces NamespaceCounts `json:"namespaces"`

	// audit counts what would become of namespaces if this baseline were switched
	// to Enforce as it is now; present only in Audit. What is counted is read from
	// the policies that are there, and no policy is written.
	// +optional
	Audit *AuditCounts `json:"audit,omitempty"`

	// environments lists the environments among the governed namespaces, the
	// largest first, at most 20.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=20
	Environments []EnvironmentCount `json:"environments,omitempty"`

	// environmentCount is how many environments there are, listed or not.
	// +optional
	// +kubebuilder:validation:Minimum=0
	EnvironmentCount int32 `json:"environmentCount,omitempty"`

	// failures names namespaces that need attention and why, at most 10: first the
	// failed ones, then those pending longest, then the contested; equal ones by
	// name.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +kubebuilder:validation:MaxItems=10
	Failures []NamespaceFailure `json:"failures,omitempty"`
}

// NamespaceCounts counts namespaces. Protected and excluded namespaces are in none of the counts.
type NamespaceCounts struct {
	// matched is how many namespaces the baseline selects.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Matched int32 `json:"matched"`

	// governed is how many of them this baseline governs; each is synced, pending
	// or failed.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Governed int32 `json:"governed"`

	// synced is how many governed namespaces have exactly the policies that the
	// baseline asks for.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Synced int32 `json:"synced"`

	// pending is how many governed namespaces are being worked on or retried.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Pending int32 `json:"pending"`

	// failed is how many governed namespaces refuse their policies for a reason
	// that does not pass by itself.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Failed int32 `json:"failed"`

	// held is how many namespaces keep policies of this baseline untouched,
	// because it is not certain that they may be changed or removed.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Held int32 `json:"held"`

	// releasing is how many namespaces are no longer governed but refuse the
	// removal of their policies; it is tried again.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Releasing int32 `json:"releasing,omitempty"`

	// overridden is how many of the matched namespaces another baseline governs.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Overridden int32 `json:"overridden"`

	// unlabeled is how many governed namespaces have no environment.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Unlabeled int32 `json:"unlabeled"`
}

// AuditCounts counts namespaces by what Enforce would do in them. Create, change and leave add up
// to the namespaces that the baseline would govern.
type AuditCounts struct {
	// create is how many namespaces have none of our policies and would get them.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Create int32 `json:"create"`

	// change is how many have some and would see them changed, completed or taken
	// over from another baseline.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Change int32 `json:"change"`

	// leave is how many have exactly the policies that the baseline asks for.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Leave int32 `json:"leave"`

	// remove is how many are no longer selected and would lose the policies that
	// this baseline made there.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Remove int32 `json:"remove"`
}

// EnvironmentCount is the size of one environment.
type EnvironmentCount struct {
	// name is the value of the environment label.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// namespaces is how many governed namespaces carry it.
	// +required
	// +kubebuilder:validation:Minimum=0
	Namespaces int32 `json:"namespaces"`
}

// NamespaceFailure says why a namespace needs attention.
type NamespaceFailure struct {
	// namespace is its name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// reason is the cause in one word, such as Forbidden or Contested.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// message is the cause in words.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Message string `json:"message,omitempty"`
}
