package policy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OpensNothing says whether a spec that stands where a desired one must be allows nothing that the desired one does not: it isolates
// at least the same pods in the same directions, and each of its rules is part of a desired one. It errs towards false, so that what it
// cannot compare counts as open.
func OpensNothing(found, desired *networkingv1.NetworkPolicySpec) bool {
	for _, direction := range desired.PolicyTypes {
		if !slices.Contains(found.PolicyTypes, direction) {
			return false
		}
	}
	return selectsAll(&found.PodSelector) && selectsAll(&desired.PodSelector) &&
		all(found.Ingress, desired.Ingress, func(f, d networkingv1.NetworkPolicyIngressRule) bool {
			return within(f.From, d.From) && within(f.Ports, d.Ports)
		}) &&
		all(found.Egress, desired.Egress, func(f, d networkingv1.NetworkPolicyEgressRule) bool {
			return within(f.To, d.To) && within(f.Ports, d.Ports)
		})
}

func selectsAll(selector *metav1.LabelSelector) bool {
	return len(selector.MatchLabels)+len(selector.MatchExpressions) == 0
}

// all says whether each of some rules is covered by one of the desired ones.
func all[T any](found, desired []T, covered func(found, desired T) bool) bool {
	for _, rule := range found {
		if !slices.ContainsFunc(desired, func(d T) bool { return covered(rule, d) }) {
			return false
		}
	}
	return true
}

// within says whether the peers, or ports, of a rule are among those of another. An empty list means all of them.
func within[T any](found, desired []T) bool {
	if len(desired) == 0 {
		return true
	}
	return len(found) > 0 && all(found, desired, func(f, d T) bool { return equality.Semantic.DeepEqual(f, d) })
}
