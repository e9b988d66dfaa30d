package witness

import (
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// stranger is a client to which no baseline opens anything: a pod without labels, in a namespace of
// an environment of its own, at an address of the documentation range, on a port that is not DNS.
var stranger = struct {
	namespace map[string]string
	pod       map[string]string
	address   netip.Addr
	port      int32
}{
	namespace: map[string]string{"kubernetes.io/metadata.name": "stranger.invalid", "environment": "stranger.invalid"},
	pod:       map[string]string{},
	address:   netip.MustParseAddr("203.0.113.7"),
	port:      9999,
}

// isolates reports whether a policy by itself isolates every pod of its namespace in a direction. A
// policy without types is about ingress, and about egress if it has rules for it.
func isolates(spec *networkingv1.NetworkPolicySpec, direction networkingv1.PolicyType) bool {
	if len(spec.PodSelector.MatchLabels)+len(spec.PodSelector.MatchExpressions) > 0 {
		return false
	}
	if len(spec.PolicyTypes) == 0 {
		return direction == networkingv1.PolicyTypeIngress || len(spec.Egress) > 0
	}
	return slices.Contains(spec.PolicyTypes, direction)
}

// admitsStranger reports whether a policy opens some pod of its namespace, in a direction, to the
// stranger, to which no baseline would.
func admitsStranger(spec *networkingv1.NetworkPolicySpec, direction networkingv1.PolicyType) bool {
	if direction == networkingv1.PolicyTypeIngress {
		return slices.ContainsFunc(spec.Ingress, func(rule networkingv1.NetworkPolicyIngressRule) bool {
			return strangersPort(rule.Ports) && strangerAmong(rule.From)
		})
	}
	return slices.ContainsFunc(spec.Egress, func(rule networkingv1.NetworkPolicyEgressRule) bool {
		return strangersPort(rule.Ports) && strangerAmong(rule.To)
	})
}

func strangersPort(ports []networkingv1.NetworkPolicyPort) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(port networkingv1.NetworkPolicyPort) bool {
		if port.Port == nil {
			return true
		}
		last := port.Port.IntVal
		if port.EndPort != nil {
			last = *port.EndPort
		}
		return port.Port.StrVal == "" && port.Port.IntVal <= stranger.port && stranger.port <= last
	})
}

// strangerAmong is true for a list that is empty or missing: that means every peer.
func strangerAmong(peers []networkingv1.NetworkPolicyPeer) bool {
	return len(peers) == 0 || slices.ContainsFunc(peers, func(peer networkingv1.NetworkPolicyPeer) bool {
		switch {
		case peer.IPBlock != nil:
			return inRange(peer.IPBlock.CIDR) && !slices.ContainsFunc(peer.IPBlock.Except, inRange)
		case peer.NamespaceSelector == nil:
			return false // pods of the policy's own namespace
		}
		return selects(peer.NamespaceSelector, stranger.namespace) && (peer.PodSelector == nil || selects(peer.PodSelector, stranger.pod))
	})
}

func inRange(cidr string) bool {
	prefix, err := netip.ParsePrefix(cidr)
	return err == nil && prefix.Contains(stranger.address)
}

// selects is an independent implementation of label selectors.
func selects(selector *metav1.LabelSelector, labels map[string]string) bool {
	for key, want := range selector.MatchLabels {
		if got, ok := labels[key]; !ok || got != want {
			return false
		}
	}
	for _, expression := range selector.MatchExpressions {
		got, ok := labels[expression.Key]
		listed := ok && slices.Contains(expression.Values, got)
		holds := map[metav1.LabelSelectorOperator]bool{
			metav1.LabelSelectorOpIn: listed, metav1.LabelSelectorOpNotIn: !listed,
			metav1.LabelSelectorOpExists: ok, metav1.LabelSelectorOpDoesNotExist: !ok,
		}
		if !holds[expression.Operator] {
			return false
		}
	}
	return true
}
