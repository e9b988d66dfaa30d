// Package v1alpha1 holds the policy.netbaseline.dev/v1alpha1 API: the types that a platform
// engineer writes and reads, and the names (labels, annotations, conditions, reasons) that others
// may rely on. It has no behaviour beyond accessors.
//
// +kubebuilder:object:generate=true
// +groupName=policy.netbaseline.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is the API group and version of every type in this package.
	GroupVersion = schema.GroupVersion{Group: "policy.netbaseline.dev", Version: "v1alpha1"}

	// SchemeBuilder registers the types of this package with a runtime.Scheme.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the types of this package to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &ClusterNetworkBaseline{}, &ClusterNetworkBaselineList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
