package policy

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// environmentIsolation opens a namespace, in the denied directions, to its own pods and to its
// environment, or returns nil where the baseline opens nothing.
//
// The peer for its own pods is not redundant: from a change of the namespace's label until the
// policy follows, the old environment no longer includes the namespace itself, and without that
// peer its pods could not reach each other.
func environmentIsolation(spec *v1alpha1.ClusterNetworkBaselineSpec, environment string) *networkingv1.NetworkPolicySpec {
	isolation := spec.EnvironmentIsolation
	if isolation.Scope != v1alpha1.IsolationScopeSameEnvironment {
		return nil
	}
	if environment == "" && isolation.Unlabeled != v1alpha1.UnlabeledSameNamespace {
		return nil
	}
	peers := []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{}}}
	if environment != "" {
		peers = append(peers, networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{
			MatchLabels: map[string]string{string(isolation.LabelKey): environment},
		}})
	}
	rendered := &networkingv1.NetworkPolicySpec{PolicyTypes: policyTypes(spec)}
	if spec.Denies(v1alpha1.PolicyTypeIngress) {
		rendered.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: peers}}
	}
	if spec.Denies(v1alpha1.PolicyTypeEgress) {
		rendered.Egress = []networkingv1.NetworkPolicyEgressRule{{To: peers}}
	}
	return rendered
}
