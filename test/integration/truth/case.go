// Package truth holds, as data, the expected traffic in a cluster that netbaseline governs: for a
// baseline and some namespaces, which connections are allowed. The same cases are checked over
// rendered policies, here, and over those of a running cluster.
package truth

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/reachability"
)

// Case is one truth table.
type Case struct {
	// Name is a sentence that describes the case.
	Name string
	// Baseline governs the namespaces; the only one in the cluster.
	Baseline *v1alpha1.ClusterNetworkBaseline
	// Namespaces maps the name of each namespace to its labels. kube-system exists besides.
	Namespaces map[string]map[string]string
	// TenantPolicies are the namespaces' own policies, next to those of the baseline.
	TenantPolicies []*networkingv1.NetworkPolicy
	// Relabelled are labels that namespaces get once the policies are there. The expectations are
	// about the moment between that change and the first policy that follows it: old policies, new
	// labels.
	Relabelled map[string]map[string]string
	// Expectations is the table.
	Expectations []Expectation
}

// Direction is the part of a connection that an expectation is about.
type Direction string

const (
	// Both checks the whole connection: one end may send, and the other receive.
	Both Direction = ""
	// Egress checks whether the first end may send.
	Egress Direction = "egress"
	// Ingress checks whether the second end may receive.
	Ingress Direction = "ingress"
)

// Expectation is one line of a truth table.
type Expectation struct {
	From, To reachability.Pod
	Port     int
	Protocol corev1.Protocol
	// Direction defaults to Both.
	Direction   Direction
	WantAllowed bool
}

// Check returns, in words, each expectation of a case that does not hold in a world: the namespaces
// and policies that the case leads to, rendered or read from a cluster. The world may hold more
// besides. An empty answer means that the case holds.
func Check(world reachability.World, c Case) []string {
	if len(c.Expectations) == 0 {
		return []string{"the case expects nothing"}
	}
	world = world.WithLabels(c.Relabelled)
	var mismatches []string
	for _, e := range c.Expectations {
		if e.holdsIn(world) != e.WantAllowed {
			mismatches = append(mismatches, e.String())
		}
	}
	return mismatches
}

func (e Expectation) holdsIn(world reachability.World) bool {
	switch e.Direction {
	case Egress:
		return world.AllowedEgress(e.From, e.To, e.Port, e.Protocol)
	case Ingress:
		return world.AllowedIngress(e.From, e.To, e.Port, e.Protocol)
	case Both:
	}
	return world.Allowed(e.From, e.To, e.Port, e.Protocol)
}

// String describes an expectation that does not hold.
func (e Expectation) String() string {
	want, got := "refused", "allowed"
	if e.WantAllowed {
		want, got = got, want
	}
	what := fmt.Sprintf("%s → %s, %s %d", e.From, e.To, e.Protocol, e.Port)
	if e.Direction != Both {
		what += fmt.Sprintf(" (%s alone)", e.Direction)
	}
	return fmt.Sprintf("%s: must be %s, is %s", what, want, got)
}

// InNamespaces returns the same case with a suffix on the name of each of its namespaces, so that
// several cases fit into one cluster. kube-system keeps its name, and so do the labels.
func (c Case) InNamespaces(suffix string) Case {
	rename := func(namespace string) string {
		if _, ok := c.Namespaces[namespace]; ok {
			return namespace + suffix
		}
		return namespace
	}
	renamed := Case{Name: c.Name, Baseline: c.Baseline.DeepCopy(), Namespaces: renameKeys(c.Namespaces, rename), Relabelled: renameKeys(c.Relabelled, rename)}
	for i := range renamed.Baseline.Spec.DNS.Static.Peers {
		peer := &renamed.Baseline.Spec.DNS.Static.Peers[i]
		peer.Namespace = rename(peer.Namespace)
	}
	for _, policy := range c.TenantPolicies {
		policy = policy.DeepCopy()
		policy.Namespace = rename(policy.Namespace)
		renamed.TenantPolicies = append(renamed.TenantPolicies, policy)
	}
	for _, e := range c.Expectations {
		e.From.Namespace, e.To.Namespace = rename(e.From.Namespace), rename(e.To.Namespace)
		renamed.Expectations = append(renamed.Expectations, e)
	}
	return renamed
}

func renameKeys(namespaces map[string]map[string]string, rename func(string) string) map[string]map[string]string {
	renamed := make(map[string]map[string]string, len(namespaces))
	for name, labels := range namespaces {
		renamed[rename(name)] = maps.Clone(labels)
	}
	return renamed
}
