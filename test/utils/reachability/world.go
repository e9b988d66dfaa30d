// Package reachability evaluates which connections a set of NetworkPolicies allows. The answers
// come from cyclonus' matcher, which shares no code with netbaseline, so that tests and the demo do
// not rely on netbaseline's own reports. This package owns only the adaptations that the matcher
// needs to interpret policies as Kubernetes does; see adapt.go.
//
// Its model is that of the NetworkPolicy API: traffic that a network plugin lets through on top of
// it, such as a pod's traffic to itself or the kubelet's probes, is not in it. Pods have no
// containers here, so that a port given by name matches no traffic.
package reachability

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Pod is one end of a connection.
type Pod struct {
	// Namespace is the pod's namespace; "" for a peer outside of the cluster, or on a node, that
	// has only an IP.
	Namespace string
	// Labels are the pod's labels.
	Labels map[string]string
	// IP is its address. No ipBlock matches a pod in a namespace that has none; one with an address
	// is matched, as most network plugins do.
	IP string
}

// World holds the inputs of the decision: namespaces with their labels, and policies.
type World struct {
	// Namespaces maps the name of each namespace to its labels. kubernetes.io/metadata.name need
	// not be among them.
	Namespaces map[string]map[string]string
	// Policies are all NetworkPolicies; nothing changes them.
	Policies []*networkingv1.NetworkPolicy
}

// Live reads the namespaces and policies of a cluster.
func Live(ctx context.Context, reader client.Reader) (World, error) {
	var namespaces corev1.NamespaceList
	if err := reader.List(ctx, &namespaces); err != nil {
		return World{}, fmt.Errorf("list namespaces: %w", err)
	}
	var policies networkingv1.NetworkPolicyList
	if err := reader.List(ctx, &policies); err != nil {
		return World{}, fmt.Errorf("list network policies: %w", err)
	}
	world := World{Namespaces: make(map[string]map[string]string, len(namespaces.Items))}
	for i := range namespaces.Items {
		world.Namespaces[namespaces.Items[i].Name] = namespaces.Items[i].Labels
	}
	for i := range policies.Items {
		world.Policies = append(world.Policies, &policies.Items[i])
	}
	return world, nil
}

// WithLabels returns a world in which the given namespaces carry the given labels, and all else is
// the same: the moment after a change of labels, before any policy follows.
func (w World) WithLabels(changed map[string]map[string]string) World {
	namespaces := maps.Clone(w.Namespaces)
	for name, labels := range changed {
		w.mustHave(name)
		namespaces[name] = labels
	}
	return World{Namespaces: namespaces, Policies: w.Policies}
}

// Allowed reports whether a pod may open a connection to another: the first may send, and the
// second may receive. It panics if one of them is in a namespace that the world does not have, or
// is neither in a namespace nor has an IP: a test that misspells a name must not pass without a
// subject.
func (w World) Allowed(from, to Pod, port int, protocol corev1.Protocol) bool {
	e := w.evaluator(from, to)
	return e.egress(from, to, port, protocol) && e.ingress(from, to, port, protocol)
}

// AllowedEgress reports whether the first pod may send, whatever the second may receive.
func (w World) AllowedEgress(from, to Pod, port int, protocol corev1.Protocol) bool {
	return w.evaluator(from, to).egress(from, to, port, protocol)
}

// AllowedIngress reports whether the second pod may receive, whatever the first may send.
func (w World) AllowedIngress(from, to Pod, port int, protocol corev1.Protocol) bool {
	return w.evaluator(from, to).ingress(from, to, port, protocol)
}

func (w World) mustHave(namespace string) {
	if _, ok := w.Namespaces[namespace]; !ok {
		panic(fmt.Sprintf("reachability: there is no namespace %q in this world", namespace))
	}
}

// labelsOf returns the labels of a namespace as an API server stores them.
func (w World) labelsOf(namespace string) map[string]string {
	labels := make(map[string]string, len(w.Namespaces[namespace])+1)
	maps.Copy(labels, w.Namespaces[namespace])
	labels[corev1.LabelMetadataName] = namespace
	return labels
}
