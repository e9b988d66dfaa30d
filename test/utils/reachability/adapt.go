package reachability

import (
	"maps"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Where cyclonus v0.5.6 interprets a policy differently from Kubernetes, this file rewrites it into
// a form that both interpret alike:
//
//   - a policy without policyTypes, which the API server never stores, makes it panic;
//   - matchLabels with an empty value is matched by an object that lacks the label;
//   - NotIn is not matched by an object that lacks the label;
//   - an ipBlock makes it panic when the peer has no address.

// adaptPolicy returns a copy of the policy.
func adaptPolicy(policy *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	adapted := policy.DeepCopy()
	spec := &adapted.Spec
	if len(spec.PolicyTypes) == 0 {
		// As the API server does it. Source:
		// https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/apis/networking/v1/defaults.go
		spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		if len(spec.Egress) > 0 {
			spec.PolicyTypes = append(spec.PolicyTypes, networkingv1.PolicyTypeEgress)
		}
	}
	adaptSelector(&spec.PodSelector)
	for i := range spec.Ingress {
		adaptPeers(spec.Ingress[i].From)
	}
	for i := range spec.Egress {
		adaptPeers(spec.Egress[i].To)
	}
	return adapted
}

func adaptPeers(peers []networkingv1.NetworkPolicyPeer) {
	for i := range peers {
		adaptSelector(peers[i].PodSelector)
		adaptSelector(peers[i].NamespaceSelector)
	}
}

// adaptSelector rewrites a selector for labels that went through adaptLabels: "k: v" becomes "k In
// [v]", and "k NotIn [v, w]" becomes "k=v DoesNotExist" and "k=w DoesNotExist".
func adaptSelector(selector *metav1.LabelSelector) {
	if selector == nil {
		return
	}
	var requirements []metav1.LabelSelectorRequirement
	for _, key := range slices.Sorted(maps.Keys(selector.MatchLabels)) {
		requirements = append(requirements, metav1.LabelSelectorRequirement{
			Key: key, Operator: metav1.LabelSelectorOpIn, Values: []string{selector.MatchLabels[key]},
		})
	}
	for _, requirement := range selector.MatchExpressions {
		if requirement.Operator != metav1.LabelSelectorOpNotIn {
			requirements = append(requirements, requirement)
			continue
		}
		for _, value := range requirement.Values {
			requirements = append(requirements, metav1.LabelSelectorRequirement{
				Key: pair(requirement.Key, value), Operator: metav1.LabelSelectorOpDoesNotExist,
			})
		}
	}
	*selector = metav1.LabelSelector{MatchExpressions: requirements}
}

// adaptLabels adds, to each label, one whose key is the label's key and value together. No real key
// holds a "=".
func adaptLabels(labels map[string]string) map[string]string {
	adapted := make(map[string]string, 2*len(labels))
	for key, value := range labels {
		adapted[key], adapted[pair(key, value)] = value, ""
	}
	return adapted
}

func pair(key, value string) string { return key + "=" + value }

// withoutIPPeers returns a copy of the policy without its ipBlocks. A rule that had no other peers
// is removed too: without any peer it would allow every peer.
func withoutIPPeers(policy *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	reduced := policy.DeepCopy()
	isIPBlock := func(peer networkingv1.NetworkPolicyPeer) bool { return peer.IPBlock != nil }
	var ingress []networkingv1.NetworkPolicyIngressRule
	for _, rule := range reduced.Spec.Ingress {
		everyone := len(rule.From) == 0
		if rule.From = slices.DeleteFunc(rule.From, isIPBlock); everyone || len(rule.From) > 0 {
			ingress = append(ingress, rule)
		}
	}
	var egress []networkingv1.NetworkPolicyEgressRule
	for _, rule := range reduced.Spec.Egress {
		everyone := len(rule.To) == 0
		if rule.To = slices.DeleteFunc(rule.To, isIPBlock); everyone || len(rule.To) > 0 {
			egress = append(egress, rule)
		}
	}
	reduced.Spec.Ingress, reduced.Spec.Egress = ingress, egress
	return reduced
}
