package plan

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/policy"
)

// Observe describes a policy as it was read from the API server.
func Observe(object *networkingv1.NetworkPolicy) Observed {
	return Observed{
		UID:             object.UID,
		ResourceVersion: object.ResourceVersion,
		Owner:           owner(object),
		SpecHash:        policy.HashSpec(&object.Spec),
		MetadataIntact:  policy.MetadataIntact(object),
		Terminating:     !object.DeletionTimestamp.IsZero(),
	}
}

func owner(object *networkingv1.NetworkPolicy) string { return object.Labels[v1alpha1.BaselineLabel] }
