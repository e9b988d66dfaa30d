package truth

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/reachability"
)

const (
	tcp = corev1.ProtocolTCP
	udp = corev1.ProtocolUDP
)

var (
	kubeDNS   = pod("kube-system", "k8s-app", "kube-dns")
	nodeDNS   = address("169.254.20.10")
	elsewhere = address("203.0.113.7") // outside of the cluster
)

func pod(namespace string, keysAndValues ...string) reachability.Pod {
	return reachability.Pod{Namespace: namespace, Labels: builder.Labels(keysAndValues...)}
}

// environment is the labels of a namespace that belongs to an environment.
func environment(name string) map[string]string { return builder.Labels("environment", name) }

func address(ip string) reachability.Pod { return reachability.Pod{IP: ip} }

// table collects expectations, line by line.
type table []Expectation

// expect joins lines into a table.
func expect(lines ...table) []Expectation {
	var all []Expectation
	for _, line := range lines {
		all = append(all, line...)
	}
	return all
}

// over makes a line about TCP port 8080; on says otherwise.
func over(from, to reachability.Pod, direction Direction, allowed bool) table {
	return table{{From: from, To: to, Port: 8080, Protocol: tcp, Direction: direction, WantAllowed: allowed}}
}

func allowed(from, to reachability.Pod) table { return over(from, to, Both, true) }

func refused(from, to reachability.Pod) table { return over(from, to, Both, false) }

// open means that two pods may talk to each other, whichever begins.
func open(a, b reachability.Pod) table { return expect(allowed(a, b), allowed(b, a)) }

// closed means that neither may talk to the other, and that each end alone sees to that.
func closed(a, b reachability.Pod) table {
	return expect(
		over(a, b, Egress, false), over(a, b, Ingress, false), over(b, a, Egress, false), over(b, a, Ingress, false),
	)
}

// shut means that a pod, by itself, neither sends to another nor receives from it, whatever the
// other may do.
func shut(a, other reachability.Pod) table {
	return expect(over(a, other, Egress, false), over(other, a, Ingress, false))
}

// free means that a pod, by itself, may send to another and receive from it, whatever the other may
// do.
func free(a, other reachability.Pod) table {
	return expect(over(a, other, Egress, true), over(other, a, Ingress, true))
}

// on says the same about another port.
func (t table) on(port int, protocol corev1.Protocol) table {
	for i := range t {
		t[i].Port, t[i].Protocol = port, protocol
	}
	return t
}

// dnsWorks means that a pod reaches the DNS servers that a baseline lists by default.
func dnsWorks(from reachability.Pod) table {
	var lines table
	for _, server := range []reachability.Pod{kubeDNS, nodeDNS} {
		lines = append(lines, allowed(from, server).on(53, udp)...)
		lines = append(lines, allowed(from, server).on(53, tcp)...)
	}
	return lines
}

// tenantPolicies reads policies as their owner writes them.
func tenantPolicies(manifests ...string) []*networkingv1.NetworkPolicy {
	var policies []*networkingv1.NetworkPolicy
	for _, manifest := range manifests {
		policy := &networkingv1.NetworkPolicy{}
		if err := yaml.UnmarshalStrict([]byte(manifest), policy); err != nil {
			panic(err)
		}
		policies = append(policies, policy)
	}
	return policies
}
