package policy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OpensNothing reports whether found allows no traffic beyond desired: it isolates at least the
// same pods in the same directions, and each of its rules is part of a desired one. When in doubt
// it returns false: a spec that it cannot compare counts as open.
func OpensNothing(found, desired *networkingv1.NetworkPolicySpec) bool {
	for _, direction := range desired.PolicyTypes {
		if !slices.Contains(found.PolicyTypes, direction) {
			return false
		}
	}
	return selectsAll(&found.PodSelector) && selectsAll(&desired.PodSelector) &&
		covered(found.Ingress, desired.Ingress, func(f, d networkingv1.NetworkPolicyIngressRule) bool {
			return within(f.From, d.From) && within(f.Ports, d.Ports)
		}) &&
		covered(found.Egress, desired.Egress, func(f, d networkingv1.NetworkPolicyEgressRule) bool {
			return within(f.To, d.To) && within(f.Ports, d.Ports)
		})
}

func selectsAll(selector *metav1.LabelSelector) bool {
	return len(selector.MatchLabels)+len(selector.MatchExpressions) == 0
}

// covered reports whether each found rule is covered by a desired one.
func covered[T any](found, desired []T, covers func(found, desired T) bool) bool {
	return all(found, func(rule T) bool {
		return slices.ContainsFunc(desired, func(d T) bool { return covers(rule, d) })
	})
}

// within reports whether the peers, or ports, of a found rule are among those of a desired one. An
// empty list means all of them.
func within[T any](found, desired []T) bool {
	if len(desired) == 0 {
		return true
	}
	return len(found) > 0 && covered(found, desired, func(f, d T) bool { return equality.Semantic.DeepEqual(f, d) })
}
