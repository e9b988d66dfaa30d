package policy

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// defaultDeny isolates every pod in the denied directions and allows nothing.
func defaultDeny(spec *v1alpha1.ClusterNetworkBaselineSpec) *networkingv1.NetworkPolicySpec {
	return &networkingv1.NetworkPolicySpec{PolicyTypes: policyTypes(spec)}
}
