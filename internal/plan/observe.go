package plan

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/policy"
)

// Observe describes a policy as it was read from the API server.
func Observe(object *networkingv1.NetworkPolicy) Observed {
	observed := Observed{
		UID:             object.UID,
		ResourceVersion: object.ResourceVersion,
		Owner:           owner(object),
		SpecHash:        policy.HashSpec(&object.Spec),
		MetadataIntact:  policy.MetadataIntact(object),
		Ours:            policy.WasOurs(object),
		Plain:           policy.IsPlain(object),
		Isolates:        isolates(object),
	}
	if !object.DeletionTimestamp.IsZero() {
		observed.Terminating = true
		observed.KeptBy = keptBy(object.Finalizers)
	}
	return observed
}

func owner(object *networkingv1.NetworkPolicy) string { return object.Labels[v1alpha1.BaselineLabel] }

// isolates returns the directions in which a policy isolates pods. The API server always fills in
// policyTypes.
func isolates(object *networkingv1.NetworkPolicy) Directions {
	var directions Directions
	if object == nil {
		return directions
	}
	for _, direction := range object.Spec.PolicyTypes {
		switch direction {
		case networkingv1.PolicyTypeIngress:
			directions |= Ingress
		case networkingv1.PolicyTypeEgress:
			directions |= Egress
		}
	}
	return directions
}

// keptBy returns the finalizer to report for a policy that is being deleted: one that netbaseline
// does not remove, if there is one.
func keptBy(finalizers []string) string {
	for _, finalizer := range finalizers {
		if policy.IsPluginFinalizer(finalizer) {
			return finalizer
		}
	}
	if len(finalizers) == 0 {
		return ""
	}
	return finalizers[0]
}
