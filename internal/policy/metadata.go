package policy

import (
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

var descriptions = map[string]string{
	v1alpha1.AllowDNSName: "Lets every pod of this namespace ask the cluster's DNS servers. " + kept,
	v1alpha1.EnvironmentIsolationName: "Lets the pods of this namespace talk to each other and to namespaces of the same environment, " +
		"in the directions that are otherwise denied. " + kept,
	v1alpha1.DefaultDenyName: "Denies every pod of this namespace the traffic that no other policy allows. " + kept,
}

const kept = "Kept in place by netbaseline: a change is undone at once. See 'kubectl get cnb'."

// leaveAlone are annotations that make Argo CD ignore our policies. It tracks only what it has
// applied, so none of them; but if another client marks one as part of an Application, Argo CD
// neither reports it as extraneous, nor prunes it, nor deletes it with that Application. Source:
// https://argo-cd.readthedocs.io/en/stable/user-guide/compare-options/ and
// https://argo-cd.readthedocs.io/en/stable/user-guide/sync-options/
var leaveAlone = map[string]string{
	v1alpha1.ArgoCDCompareOptionsAnnotation: "IgnoreExtraneous",
	v1alpha1.ArgoCDSyncOptionsAnnotation:    "Prune=false,Delete=false",
}

// Labels returns the labels that a policy of this baseline carries.
func Labels(baseline string) map[string]string {
	return map[string]string{v1alpha1.BaselineLabel: baseline, v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}
}

// Annotations returns the annotations that the policy of this name carries. They depend on nothing
// else, so that they can be checked without knowing the baseline.
func Annotations(name string) map[string]string {
	annotations := maps.Clone(leaveAlone)
	annotations[v1alpha1.DescriptionAnnotation] = descriptions[name]
	return annotations
}

// MetadataIntact reports whether an object under a claimed name carries the metadata that
// netbaseline gives it, apart from the baseline's name, which the caller compares. Foreign labels,
// annotations and finalizers are allowed: some network plugins add them. An owner reference is not:
// through it, garbage collection would delete the policy.
func MetadataIntact(object metav1.Object) bool {
	for key, value := range leaveAlone {
		if object.GetAnnotations()[key] != value {
			return false
		}
	}
	return object.GetLabels()[v1alpha1.ManagedByLabel] == v1alpha1.ManagedByValue &&
		object.GetAnnotations()[v1alpha1.DescriptionAnnotation] == descriptions[object.GetName()] &&
		len(object.GetOwnerReferences()) == 0
}

// WasOurs reports whether netbaseline created an object, even if another client has since removed
// some of its labels and annotations.
func WasOurs(object metav1.Object) bool {
	_, labelled := object.GetLabels()[v1alpha1.BaselineLabel]
	_, described := object.GetAnnotations()[v1alpha1.DescriptionAnnotation]
	return labelled || described || object.GetLabels()[v1alpha1.ManagedByLabel] == v1alpha1.ManagedByValue
}

// pluginFinalizers are the finalizers of known network plugins. They stay on a policy that is being
// deleted, so that the plugin can undo what it has set up for it. Source:
// https://github.com/aws/amazon-network-policy-controller-k8s/blob/main/pkg/k8s/finalizer.go
var pluginFinalizers = map[string]bool{"networking.k8s.aws/resources": true}

// IsPluginFinalizer reports whether a finalizer belongs to a known network plugin.
func IsPluginFinalizer(finalizer string) bool { return pluginFinalizers[finalizer] }

// IsPlain reports whether an object carries no label, annotation, finalizer or generateName beyond
// what netbaseline gives it, so that replacing it with a rendered policy loses nothing that another
// client wrote.
func IsPlain(object metav1.Object) bool {
	for key := range object.GetLabels() {
		if key != v1alpha1.BaselineLabel && key != v1alpha1.ManagedByLabel {
			return false
		}
	}
	for key := range object.GetAnnotations() {
		if _, ours := leaveAlone[key]; !ours && key != v1alpha1.DescriptionAnnotation {
			return false
		}
	}
	return len(object.GetFinalizers()) == 0 && object.GetGenerateName() == "" && WasOurs(object)
}
