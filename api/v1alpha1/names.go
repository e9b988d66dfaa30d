package v1alpha1

// The names that netbaseline claims in every namespace that it governs. No object under another
// name is ever written.
const (
	// DefaultDenyName is the policy that denies what nothing else allows.
	DefaultDenyName = "netbaseline-default-deny"
	// AllowDNSName is the policy that allows DNS.
	AllowDNSName = "netbaseline-allow-dns"
	// EnvironmentIsolationName is the policy that opens a namespace to its own environment.
	EnvironmentIsolationName = "netbaseline-environment-isolation"
)

// Labels and annotations on the policies, and the finalizer on baselines.
const (
	// BaselineLabel carries the name of the baseline that a policy was made for.
	BaselineLabel = "policy.netbaseline.dev/baseline"
	// ManagedByLabel is Kubernetes' recommended label for the tool that manages an object.
	// Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
	ManagedByLabel = "app.kubernetes.io/managed-by"
	// ManagedByValue is the value of ManagedByLabel on the policies.
	ManagedByValue = "netbaseline"
	// DescriptionAnnotation describes, on each policy, its purpose.
	DescriptionAnnotation = "policy.netbaseline.dev/description"
	// ArgoCDCompareOptionsAnnotation is read by Argo CD: on our policies it keeps them from being
	// reported.
	ArgoCDCompareOptionsAnnotation = "argocd.argoproj.io/compare-options"
	// ArgoCDSyncOptionsAnnotation is read by Argo CD: on our policies it prevents their deletion.
	ArgoCDSyncOptionsAnnotation = "argocd.argoproj.io/sync-options"
	// ReplacedSpecAnnotation keeps, as JSON, the spec of a foreign policy that existed under a
	// claimed name.
	ReplacedSpecAnnotation = "policy.netbaseline.dev/replaced-spec"
	// CleanupFinalizer is on a baseline exactly while policies would have to be removed on its
	// deletion.
	CleanupFinalizer = "policy.netbaseline.dev/cleanup"
)

// IsPolicyName reports whether netbaseline claims this NetworkPolicy name.
func IsPolicyName(name string) bool {
	return name == AllowDNSName || name == EnvironmentIsolationName || name == DefaultDenyName
}
