package policy

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// IsPlausible reports whether some baseline could have rendered a spec, under one of our names, for
// a namespace with these labels. A policy whose baseline cannot be consulted is left in place only
// if it is plausible: a spec that no baseline renders was written by another client.
func IsPlausible(name string, spec *networkingv1.NetworkPolicySpec, labels map[string]string) bool {
	if !selectsAll(&spec.PodSelector) || len(spec.PolicyTypes) == 0 {
		return false
	}
	switch name {
	case v1alpha1.DefaultDenyName:
		return len(spec.Ingress)+len(spec.Egress) == 0
	case v1alpha1.AllowDNSName:
		return len(spec.Ingress) == 0 && len(spec.Egress) == 1 && isDNSRule(&spec.Egress[0])
	case v1alpha1.EnvironmentIsolationName:
		return isolates(spec, labels)
	}
	return false
}

func isDNSRule(rule *networkingv1.NetworkPolicyEgressRule) bool {
	namesOnePort := func(port networkingv1.NetworkPolicyPort) bool {
		return port.Port != nil && port.Port.Type == intstr.Int && port.EndPort == nil
	}
	isServer := func(peer networkingv1.NetworkPolicyPeer) bool {
		if peer.IPBlock != nil {
			return len(peer.IPBlock.Except) == 0
		}
		selector := peer.NamespaceSelector
		return selector != nil && len(selector.MatchExpressions) == 0 && len(selector.MatchLabels) == 1 && selector.MatchLabels[corev1.LabelMetadataName] != ""
	}
	return len(rule.To) > 0 && all(rule.To, isServer) && len(rule.Ports) > 0 && all(rule.Ports, namesOnePort)
}

// isolates reports whether a spec opens a namespace, on all ports, to its own pods and to those
// that share one label with it.
func isolates(spec *networkingv1.NetworkPolicySpec, labels map[string]string) bool {
	areOwn := func(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) bool {
		return len(ports) == 0 && len(peers) > 0 && all(peers, func(peer networkingv1.NetworkPolicyPeer) bool { return isOwn(&peer, labels) })
	}
	return all(spec.Ingress, func(rule networkingv1.NetworkPolicyIngressRule) bool { return areOwn(rule.From, rule.Ports) }) &&
		all(spec.Egress, func(rule networkingv1.NetworkPolicyEgressRule) bool { return areOwn(rule.To, rule.Ports) })
}

// isOwn reports whether a peer is all pods of the namespace itself, or of those that share one
// label with it.
func isOwn(peer *networkingv1.NetworkPolicyPeer, labels map[string]string) bool {
	switch {
	case peer.IPBlock != nil:
		return false
	case peer.NamespaceSelector == nil:
		return peer.PodSelector != nil && selectsAll(peer.PodSelector)
	case peer.PodSelector != nil || len(peer.NamespaceSelector.MatchExpressions) > 0:
		return false
	}
	shared := peer.NamespaceSelector.MatchLabels
	return len(shared) == 1 && maps.Equal(shared, intersection(shared, labels))
}

// intersection returns the labels that two sets have in common.
func intersection(a, b map[string]string) map[string]string {
	common := maps.Clone(a)
	maps.DeleteFunc(common, func(key, value string) bool { return b[key] != value })
	return common
}

func all[T any](items []T, matches func(T) bool) bool {
	return !slices.ContainsFunc(items, func(item T) bool { return !matches(item) })
}
