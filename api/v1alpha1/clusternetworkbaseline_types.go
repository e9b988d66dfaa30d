package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Mode determines whether a baseline is enforced.
//
// +kubebuilder:validation:Enum=Enforce;Audit
type Mode string

const (
	// ModeEnforce writes the policies and keeps them in place.
	ModeEnforce Mode = "Enforce"
	// ModeAudit writes no policies and holds existing ones.
	ModeAudit Mode = "Audit"
)

// PolicyType is a direction of traffic, as NetworkPolicy names it.
//
// +kubebuilder:validation:Enum=Ingress;Egress
type PolicyType string

const (
	// PolicyTypeIngress is traffic to the pods of a namespace.
	PolicyTypeIngress PolicyType = "Ingress"
	// PolicyTypeEgress is traffic from the pods of a namespace.
	PolicyTypeEgress PolicyType = "Egress"
)

// DNSSource determines where the addresses of cluster DNS come from.
//
// +kubebuilder:validation:Enum=Static;None
type DNSSource string

const (
	// DNSSourceStatic allows DNS to the peers that the baseline lists.
	DNSSourceStatic DNSSource = "Static"
	// DNSSourceNone writes no DNS policy.
	DNSSourceNone DNSSource = "None"
)

// DNSProtocol is a protocol that DNS is spoken over.
//
// +kubebuilder:validation:Enum=UDP;TCP
type DNSProtocol string

// IsolationScope determines which namespaces the pods of a namespace may talk to.
//
// +kubebuilder:validation:Enum=SameEnvironment;None
type IsolationScope string

const (
	// IsolationScopeSameEnvironment opens a namespace to the namespaces of its own environment.
	IsolationScopeSameEnvironment IsolationScope = "SameEnvironment"
	// IsolationScopeNone opens nothing: only default-deny and DNS are written.
	IsolationScopeNone IsolationScope = "None"
)

// UnlabeledPolicy determines the traffic of a namespace without an environment.
//
// +kubebuilder:validation:Enum=SameNamespace;Deny
type UnlabeledPolicy string

const (
	// UnlabeledSameNamespace lets the pods of an unlabelled namespace talk to each other.
	UnlabeledSameNamespace UnlabeledPolicy = "SameNamespace"
	// UnlabeledDeny does not even let them talk to each other.
	UnlabeledDeny UnlabeledPolicy = "Deny"
)

// DeletionPolicy determines what happens to the policies when their baseline is deleted.
//
// +kubebuilder:validation:Enum=Delete;Retain
type DeletionPolicy string

const (
	// DeletionPolicyDelete removes the policies; the baseline stays, deleting, until they are gone.
	DeletionPolicyDelete DeletionPolicy = "Delete"
	// DeletionPolicyRetain leaves the policies in place.
	DeletionPolicyRetain DeletionPolicy = "Retain"
)

// NamespacePattern is the name of a namespace, or the beginning of names with
// a single * at its end.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="self.endsWith('*') ? (size(self) > 1 && !format.dns1123LabelPrefix().validate(self.substring(0, size(self) - 1)).hasValue()) : !format.dns1123Label().validate(self).hasValue()",message="neither the name of a namespace nor the beginning of one with a single * at its end: write lower-case letters, digits and '-', as in 'ci-runner' or 'ci-*'"
type NamespacePattern string

// The comments on the fields are what kubectl explain prints: it breaks lines after 76 characters, and keeps ours.

// ClusterNetworkBaselineSpec is the desired state of a ClusterNetworkBaseline.
//
// +kubebuilder:validation:XValidation:rule="has(self.namespaceSelector)",fieldPath=".namespaceSelector",reason="FieldValueRequired",message="write a label selector, or {} for every namespace that is not protected"
type ClusterNetworkBaselineSpec struct {
	// namespaceSelector chooses, by label, the namespaces that this baseline
	// governs. It has no default: write {} to choose every namespace.
	// No baseline ever governs kube-system, kube-public, kube-node-lease, the
	// operator's own namespace, or a namespace that a DNS peer of an enforcing
	// baseline names: these are protected.
	// Example: {matchExpressions: [{key: environment, operator: Exists}]}
	// +optional
	NamespaceSelector *NamespaceSelector `json:"namespaceSelector,omitempty"`

	// excludedNamespaces lists namespaces that this baseline leaves alone
	// although the selector chooses them, in addition to the protected ones:
	// names, or beginnings of names with a * at the end. At most 256; none by
	// default. A governed namespace that is added here loses its policies, and
	// what they denied becomes possible, unless another baseline chooses it.
	// A name is a promise: whoever may create a namespace called ci-anything
	// has one without policies where ci-* is excluded. So may whoever creates
	// a namespace that is listed here, or named by a DNS peer, and not there.
	// Example: [monitoring, ci-*]
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	ExcludedNamespaces []NamespacePattern `json:"excludedNamespaces,omitempty"`

	// priority decides when several baselines choose the same namespace: the
	// HIGHEST number governs it alone, and of equal ones the baseline whose name
	// comes first in the alphabet. (ClusterNetworkPolicy counts the other way
	// round.) 0 to 1000; default 0.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	Priority *int32 `json:"priority,omitempty"`

	// mode is Enforce (default) or Audit. Enforce writes the policies and puts
	// back whatever others change in them. Audit writes nothing and only counts
	// in the status; policies that an earlier Enforce wrote stay as they are.
	// +optional
	// +kubebuilder:default=Enforce
	Mode Mode `json:"mode,omitempty"`

	// defaultDeny says which directions of traffic are denied to the pods unless
	// a policy allows them. Default: both, Ingress and Egress.
	// +optional
	// +kubebuilder:default={}
	DefaultDeny DefaultDeny `json:"defaultDeny,omitzero"`

	// dns says which DNS servers the governed pods may ask. Default: the DNS pods
	// in kube-system and NodeLocal DNSCache. With egress denied and no DNS, most
	// programs stop working.
	// +optional
	// +kubebuilder:default={}
	DNS DNS `json:"dns,omitzero"`

	// environmentIsolation says which namespaces may talk to each other. Default:
	// those with the same value of the label "environment".
	// +optional
	// +kubebuilder:default={}
	EnvironmentIsolation EnvironmentIsolation `json:"environmentIsolation,omitzero"`

	// deletionPolicy says what happens to the policies when this baseline is
	// deleted. Delete (default) removes them, and what they denied becomes
	// possible; kubectl delete waits until they are gone. Retain leaves them in
	// place, and nobody keeps them up to date any more.
	// +optional
	// +kubebuilder:default=Delete
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// DefaultDeny lists the directions of traffic that are denied.
type DefaultDeny struct {
	// policyTypes lists the denied directions: Ingress (traffic to the pods),
	// Egress (traffic from the pods), or both, which is the default. A direction
	// that is not listed is left alone: no policy of this baseline touches it, so
	// all of its traffic stays possible.
	// Example: [Ingress]
	// +optional
	// +listType=set
	// +kubebuilder:default={Ingress,Egress}
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:XValidation:rule="size(self) > 0",message="write Ingress, Egress or both: a baseline denies at least one direction; one that writes no policies has mode: Audit"
	PolicyTypes []PolicyType `json:"policyTypes,omitempty"`
}

// DNS determines which DNS servers the governed pods may ask.
type DNS struct {
	// source is Static (default) or None. Static allows the governed pods to ask
	// the servers listed under static. None writes no DNS policy: pods reach DNS
	// only if another policy allows it. It matters only while Egress is denied.
	// +optional
	// +kubebuilder:default=Static
	Source DNSSource `json:"source,omitempty"`

	// static lists the DNS servers and their ports, for source Static. Default:
	// the pods labelled k8s-app=kube-dns in kube-system and the address of
	// NodeLocal DNSCache, 169.254.20.10, on port 53 over UDP and TCP.
	// +optional
	// +kubebuilder:default={}
	Static StaticDNS `json:"static,omitzero"`
}

// StaticDNS lists DNS servers and their ports.
type StaticDNS struct {
	// peers are the DNS servers that governed pods may ask, at most 16. What is
	// written here replaces the default, which is the example below. Every
	// namespace named here is protected: no baseline governs it.
	// Example: [{namespace: kube-system, podSelector: {matchLabels: {k8s-app:
	// kube-dns}}}, {cidr: 169.254.20.10/32}]
	// +optional
	// +listType=atomic
	// +kubebuilder:default={{namespace:"kube-system",podSelector:{matchLabels:{"k8s-app":"kube-dns"}}},{cidr:"169.254.20.10/32"}}
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="size(self) > 0",message="write at least one peer, or dns.source: None for no DNS policy"
	Peers []DNSPeer `json:"peers,omitempty"`

	// ports are the ports that the DNS pods themselves listen on, at most 8; those
	// of OpenShift, for example, on 5353. Default: 53 over UDP and TCP.
	// Example: [{protocol: UDP, port: 5353}, {protocol: TCP, port: 5353}]
	// +optional
	// +listType=atomic
	// +kubebuilder:default={{protocol:"UDP",port:53},{protocol:"TCP",port:53}}
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="size(self) > 0",message="write at least one port, such as {protocol: UDP, port: 53}"
	Ports []DNSPort `json:"ports,omitempty"`
}

// DNSPeer is a set of DNS servers: pods of one namespace, or an address range.
//
// +kubebuilder:validation:XValidation:rule="has(self.namespace) != has(self.cidr)",message="write namespace (with or without podSelector) or cidr: exactly one of the two"
// +kubebuilder:validation:XValidation:rule="has(self.namespace) || !has(self.podSelector)",fieldPath=".podSelector",message="podSelector chooses pods of a namespace: write namespace beside it, or remove it"
type DNSPeer struct {
	// namespace is the name of the namespace that the DNS pods run in.
	// Example: kube-system
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="not the name of a namespace: write lower-case letters, digits and '-', beginning and ending with a letter or digit, such as 'kube-system'"
	Namespace string `json:"namespace,omitempty"`

	// podSelector chooses the DNS pods in that namespace, by label. Absent or {}:
	// every pod there may be asked, on the listed ports.
	// Example: {matchLabels: {k8s-app: kube-dns}}
	// +optional
	PodSelector *PodSelector `json:"podSelector,omitempty"`

	// cidr is a range of addresses that DNS servers listen on. A single address is
	// a /32 (IPv4) or a /128 (IPv6).
	// Example: 169.254.20.10/32
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=43
	// +kubebuilder:validation:XValidation:rule="isCIDR(self)",message="not an address range: write an address, a slash and a prefix length, such as 169.254.20.10/32, 10.0.0.0/8 or fd00::/64, without leading zeros and with an IPv4 address in IPv4 form"
	// +kubebuilder:validation:XValidation:rule="!isCIDR(self) || cidr(self) == cidr(self).masked()",message="the address is not the first one of its range: write the first one, such as 10.1.0.0/16 instead of 10.1.2.3/16, or, for that address alone, the prefix length 32 (IPv4) or 128 (IPv6)"
	CIDR string `json:"cidr,omitempty"`
}

// DNSPort is a port that DNS is served on.
type DNSPort struct {
	// protocol is UDP or TCP. List both: an answer that does not fit into a UDP
	// packet is asked for again over TCP.
	// +required
	Protocol DNSProtocol `json:"protocol,omitempty"`

	// port is the number of the port that the DNS pod or address listens on, 1 to
	// 65535; not the port of a Service in front of it.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
}

// EnvironmentIsolation determines which namespaces may talk to each other.
type EnvironmentIsolation struct {
	// scope is SameEnvironment (default) or None. SameEnvironment opens a
	// namespace, in the denied directions, to its own pods and to all namespaces
	// with the same value of labelKey. Policies add up: inside one environment a
	// tenant cannot take that back. None opens nothing: only default-deny and DNS
	// are written, and tenants' own policies decide what else is possible.
	// +optional
	// +kubebuilder:default=SameEnvironment
	Scope IsolationScope `json:"scope,omitempty"`

	// labelKey is the namespace label that names the environment; default
	// environment. Whoever may change this label on a namespace decides which
	// environment it belongs to. With kubernetes.io/metadata.name, which nobody
	// can forge, every namespace stands on its own.
	// Example: example.com/stage
	// +optional
	// +kubebuilder:default=environment
	LabelKey LabelKey `json:"labelKey,omitempty"`

	// unlabeled says what a governed namespace without that label, or with an
	// empty value, may do. SameNamespace (default): its own pods talk to each
	// other, nobody else to them. Deny: not even they.
	// +optional
	// +kubebuilder:default=SameNamespace
	Unlabeled UnlabeledPolicy `json:"unlabeled,omitempty"`
}

// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=cnb,categories=netbaseline
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Priority",type=integer,JSONPath=`.spec.priority`,priority=1
// +kubebuilder:printcolumn:name="Governed",type=integer,JSONPath=`.status.namespaces.governed`
// +kubebuilder:printcolumn:name="Synced",type=integer,JSONPath=`.status.namespaces.synced`
// +kubebuilder:printcolumn:name="Failed",type=integer,JSONPath=`.status.namespaces.failed`
// +kubebuilder:printcolumn:name="Held",type=integer,JSONPath=`.status.namespaces.held`,priority=1
// +kubebuilder:printcolumn:name="Overridden",type=integer,JSONPath=`.status.namespaces.overridden`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",fieldPath=".metadata",message="a baseline's name is used as a label value: write at most 63 characters"

// ClusterNetworkBaseline gives the namespaces that it chooses a network
// baseline and keeps it there: default-deny, DNS-allow and
// environment-isolation NetworkPolicies. kubectl get cnb says what is covered,
// what is not, and why.
type ClusterNetworkBaseline struct {
	metav1.TypeMeta `json:",inline"`

	// metadata names the baseline.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the baseline that you ask for. Only namespaceSelector must be
	// written; everything else has a safe default.
	// +required
	Spec ClusterNetworkBaselineSpec `json:"spec,omitzero"`

	// status says how far netbaseline has come with it, and what needs a human.
	// +optional
	// +kubebuilder:default={observedGeneration:-1, conditions: {{type: "Ready", status: "Unknown", reason: "Waiting", message: "Waiting for the netbaseline operator", lastTransitionTime: "1970-01-01T00:00:00Z"}}}
	Status ClusterNetworkBaselineStatus `json:"status,omitzero"`
}

// +kubebuilder:object:root=true

// ClusterNetworkBaselineList is a list of ClusterNetworkBaselines.
type ClusterNetworkBaselineList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterNetworkBaseline `json:"items"`
}
