package reachability

import (
	"slices"

	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// evaluator holds the policies of some namespaces in the form in which cyclonus evaluates them.
type evaluator struct {
	world World
	// whole is built from the complete policies; withoutIPBlocks is for a peer without an address.
	whole, withoutIPBlocks *matcher.Policy
}

// evaluator prepares the policies that decide about these pods: those of their own namespaces.
func (w World) evaluator(pods ...Pod) *evaluator {
	var whole, withoutIPBlocks []*networkingv1.NetworkPolicy
	for _, policy := range w.Policies {
		if slices.ContainsFunc(pods, func(pod Pod) bool { return pod.Namespace == policy.Namespace }) {
			adapted := adaptPolicy(policy)
			whole, withoutIPBlocks = append(whole, adapted), append(withoutIPBlocks, withoutIPPeers(adapted))
		}
	}
	return &evaluator{
		world:           w,
		whole:           matcher.BuildNetworkPolicies(false, whole),
		withoutIPBlocks: matcher.BuildNetworkPolicies(false, withoutIPBlocks),
	}
}

func (e *evaluator) egress(from, to Pod, port int, protocol corev1.Protocol) bool {
	return e.policies(to).IsIngressOrEgressAllowed(e.traffic(from, to, port, protocol), false).IsAllowed()
}

func (e *evaluator) ingress(from, to Pod, port int, protocol corev1.Protocol) bool {
	return e.policies(from).IsIngressOrEgressAllowed(e.traffic(from, to, port, protocol), true).IsAllowed()
}

func (e *evaluator) policies(peer Pod) *matcher.Policy {
	if peer.IP == "" {
		return e.withoutIPBlocks
	}
	return e.whole
}

func (e *evaluator) traffic(from, to Pod, port int, protocol corev1.Protocol) *matcher.Traffic {
	return &matcher.Traffic{Source: e.peer(from), Destination: e.peer(to), ResolvedPort: port, Protocol: protocol}
}

func (e *evaluator) peer(pod Pod) *matcher.TrafficPeer {
	if pod.Namespace == "" {
		if pod.IP == "" {
			panic("reachability: a pod has neither a namespace nor an IP")
		}
		return &matcher.TrafficPeer{IP: pod.IP}
	}
	e.world.mustHave(pod.Namespace)
	return &matcher.TrafficPeer{IP: pod.IP, Internal: &matcher.InternalPeer{
		Namespace:       pod.Namespace,
		NamespaceLabels: adaptLabels(e.world.labelsOf(pod.Namespace)),
		PodLabels:       adaptLabels(pod.Labels),
	}}
}
