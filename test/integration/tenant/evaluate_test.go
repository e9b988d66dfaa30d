package tenant_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/reachability"
)

// probe is a connection between a pod of a tenant's namespace, in production, and a peer.
type probe struct {
	peer     reachability.Pod // without namespace and address: another pod of the tenant's own namespace
	port     int
	protocol corev1.Protocol
	// sends and receives report whether the tenant's pod may.
	sends, receives bool
}

var (
	friend   = reachability.Pod{Namespace: "friend"}
	stranger = reachability.Pod{Namespace: "stranger"}
	outside  = reachability.Pod{IP: "203.0.113.7"}
	far      = reachability.Pod{IP: "2001:db8::7"}
	dnsPod   = reachability.Pod{Namespace: "kube-system", Labels: builder.Labels("k8s-app", "kube-dns")}
	otherPod = reachability.Pod{Namespace: "kube-system"}
	dnsIP    = reachability.Pod{IP: dnsAddress}
)

// probes are what the baselines of this suite allow and refuse.
var probes = []probe{
	{reachability.Pod{}, 80, "TCP", true, true},
	{friend, 80, "TCP", true, true},
	{friend, 80, "UDP", true, true},
	{stranger, 80, "TCP", false, false},
	{stranger, 53, "UDP", false, false},
	{stranger, 9999, "SCTP", false, false},
	{outside, 80, "TCP", false, false},
	{outside, 53, "UDP", false, false},
	{far, 443, "TCP", false, false},
	{dnsPod, 53, "UDP", true, false},
	{dnsPod, 53, "TCP", true, false},
	{dnsPod, 9999, "UDP", false, false},
	{dnsPod, 53, "SCTP", false, false},
	{otherPod, 53, "UDP", false, false},
	{dnsIP, 53, "UDP", true, false},
	{dnsIP, 9999, "UDP", false, false},
}

// world is a namespace with its policies, as an evaluator sees it that shares no code with
// netbaseline, and its peers.
type world struct {
	namespace string
	reachability.World
}

func newWorld(namespace string, policies []*networkingv1.NetworkPolicy) world {
	return world{namespace, reachability.World{
		Namespaces: map[string]map[string]string{
			namespace: builder.Labels("environment", "production"), "friend": builder.Labels("environment", "production"),
			"stranger": builder.Labels("environment", "staging"), "kube-system": nil,
		},
		Policies: policies,
	}}
}

// complaints says what is not as the baseline promises, opened first.
func (w world) complaints() []string {
	opened, closed := w.opened(), []string(nil)
	for _, p := range probes {
		sends, receives := w.allows(p)
		if p.sends && !sends {
			closed = append(closed, fmt.Sprintf("cannot send to %v, %s %d", p.peer, p.protocol, p.port))
		}
		if p.receives && !receives {
			closed = append(closed, fmt.Sprintf("cannot receive from %v, %s %d", p.peer, p.protocol, p.port))
		}
	}
	return append(opened, closed...)
}

// opened says what is possible and must not be.
func (w world) opened() (found []string) {
	for _, p := range probes {
		sends, receives := w.allows(p)
		if !p.sends && sends {
			found = append(found, fmt.Sprintf("can send to %v, %s %d", p.peer, p.protocol, p.port))
		}
		if !p.receives && receives {
			found = append(found, fmt.Sprintf("can receive from %v, %s %d", p.peer, p.protocol, p.port))
		}
	}
	return found
}

func (w world) allows(p probe) (sends, receives bool) {
	own, peer := reachability.Pod{Namespace: w.namespace}, p.peer
	if peer.Namespace == "" && peer.IP == "" {
		peer = own
	}
	return w.AllowedEgress(own, peer, p.port, p.protocol), w.AllowedIngress(peer, own, p.port, p.protocol)
}
