package policy

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// allowDNS opens egress to the DNS servers of the baseline. It returns nil if egress is not denied
// or the baseline does not manage DNS.
func allowDNS(spec *v1alpha1.ClusterNetworkBaselineSpec) *networkingv1.NetworkPolicySpec {
	static := spec.DNS.Static
	if !spec.Denies(v1alpha1.PolicyTypeEgress) || spec.DNS.Source != v1alpha1.DNSSourceStatic {
		return nil
	}
	// A rule with an empty list of peers or ports allows all of them, so there must be no rule if
	// either list is empty.
	if len(static.Peers) == 0 || len(static.Ports) == 0 {
		return nil
	}
	rule := networkingv1.NetworkPolicyEgressRule{}
	for _, port := range static.Ports {
		rule.Ports = append(rule.Ports, networkingv1.NetworkPolicyPort{
			Protocol: new(corev1.Protocol(port.Protocol)),
			Port:     new(intstr.FromInt32(port.Port)),
		})
	}
	for i := range static.Peers {
		rule.To = append(rule.To, dnsPeer(&static.Peers[i]))
	}
	return &networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
		Egress:      []networkingv1.NetworkPolicyEgressRule{rule},
	}
}

func dnsPeer(peer *v1alpha1.DNSPeer) networkingv1.NetworkPolicyPeer {
	if peer.CIDR != "" {
		return networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: canonicalCIDR(peer.CIDR)}}
	}
	rendered := networkingv1.NetworkPolicyPeer{
		// The only label of a namespace that cannot be forged.
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: peer.Namespace}},
	}
	if peer.PodSelector != nil {
		rendered.PodSelector = peer.PodSelector.AsLabelSelector()
	}
	return rendered
}

// canonicalCIDR returns a range in its canonical form. The API server accepts other forms, with a
// warning on every write.
func canonicalCIDR(cidr string) string {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		return cidr // not reached: Validate has parsed it
	}
	return prefix.String()
}
