package witness

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// owners returns the baselines whose policies exist in a namespace. A name that no baseline has
// ever had was made up by a tenant.
func (s *State) owners(namespace string) []string {
	var owners []string
	for _, name := range claimed {
		policy := s.Policies[namespace][name]
		if policy == nil {
			continue
		}
		if owner := policy.Labels[ownerLabel]; s.known[owner] && !slices.Contains(owners, owner) {
			owners = append(owners, owner)
		}
	}
	return owners
}

// Held reports whether a baseline would govern a namespace but for the policies of another one,
// which has not given them up.
func (s *State) Held(name string) bool {
	best := s.highest(name)
	return best != nil && s.objects(name, best)
}

func (s *State) objects(name string, to *v1alpha1.ClusterNetworkBaseline) bool {
	return slices.ContainsFunc(s.owners(name), func(owner string) bool { return !s.yields(owner, to, s.Namespaces[name]) })
}

// yields reports whether a baseline lets another one change what it has made in a namespace:
// because its own spec allows it, or because the other one ranks above it. An absent baseline
// yields to no other. To itself a baseline yields while it enforces.
func (s *State) yields(owner string, to *v1alpha1.ClusterNetworkBaseline, namespace *corev1.Namespace) bool {
	baseline := s.Baselines[owner]
	switch {
	case baseline == nil || namespace == nil:
		return false
	case to.Name == owner:
		return enforcing(to)
	case precedes(to, baseline):
		return true
	case baseline.DeletionTimestamp != nil:
		return baseline.Spec.DeletionPolicy == "Delete"
	}
	return enforcing(baseline) && !chooses(baseline, namespace)
}

// noteYields records which baseline may take over from which now: a write may still rely on it for
// a moment.
func (s *subject) noteYields(change *Change, state *State, name string) {
	namespace := state.Namespaces[name]
	for _, owner := range state.owners(name) {
		for _, to := range state.Baselines {
			if namespace != nil && chooses(to, namespace) && state.yields(owner, to, namespace) {
				s.yielded[[2]string{owner, to.Name}] = change.At
			}
		}
	}
}

// belated is how long a baseline's own write may still arrive after it stopped enforcing: this is
// not a hand-over, and on a busy machine the watch may be seconds behind.
const belated = 30 * time.Second

// judgeHandOver is I8: a baseline loosens the policies of another one only if that one yields; and
// no baseline loosens anything while it does not enforce. The owners and openings are those from
// before the change.
func (j *Judge) judgeHandOver(change *Change, owners []string, before openings) {
	name, policy := change.Object.Namespace, change.Policy
	if policy == nil || !slices.Contains(claimed, policy.Name) || len(owners) == 0 {
		return
	}
	writer := policy.Labels[ownerLabel]
	if !j.State.known[writer] {
		return
	}
	opened := j.State.openings(name).beyond(before)
	if opened == "" {
		return
	}
	to := j.State.Baselines[writer]
	for _, owner := range owners {
		last, ok := j.of(name).yielded[[2]string{owner, writer}]
		moment := race
		if owner == writer {
			moment = belated
		}
		if to != nil && j.State.yields(owner, to, j.State.Namespaces[name]) || ok && change.At.Sub(last) < moment {
			continue
		}
		j.suspect(change, "I8", name, fmt.Sprintf("%s loosens what %s has made in namespace %s, which has not given it up: %s", writer, owner, name, opened))
	}
}

// opening is something that policies under our names allow; empty fields mean all pods, every peer,
// every port.
type opening struct {
	direction         networkingv1.PolicyType
	pods, peer, ports string
}

type openings map[opening]bool

// openings returns what a namespace's policies under our names allow. A direction that none of them
// isolates allows everything.
func (s *State) openings(namespace string) openings {
	all := openings{}
	for _, direction := range directions {
		isolated := false
		for _, name := range claimed {
			if policy := s.Policies[namespace][name]; policy != nil {
				isolated = isolated || isolates(&policy.Spec, direction)
				all.add(&policy.Spec, direction)
			}
		}
		if !isolated {
			all[opening{direction: direction}] = true
		}
	}
	return all
}

func (o openings) add(spec *networkingv1.NetworkPolicySpec, direction networkingv1.PolicyType) {
	pods := ""
	if !equalsNothing(&spec.PodSelector) {
		pods = text(spec.PodSelector)
	}
	rule := func(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) {
		for _, peer := range orEverything(peers) {
			for _, port := range orEverything(ports) {
				o[opening{direction, pods, peer, port}] = true
			}
		}
	}
	if direction == networkingv1.PolicyTypeIngress {
		for i := range spec.Ingress {
			rule(spec.Ingress[i].From, spec.Ingress[i].Ports)
		}
		return
	}
	for i := range spec.Egress {
		rule(spec.Egress[i].To, spec.Egress[i].Ports)
	}
}

func equalsNothing(selector *metav1.LabelSelector) bool {
	return len(selector.MatchLabels)+len(selector.MatchExpressions) == 0
}

// orEverything returns the items as text; none means everything.
func orEverything[T any](items []T) []string {
	if len(items) == 0 {
		return []string{""}
	}
	texts := make([]string, len(items))
	for i := range items {
		texts[i] = text(items[i])
	}
	return texts
}

func text(item any) string {
	encoded, err := json.Marshal(item)
	if err != nil {
		panic(err) // not reached: it was decoded from JSON
	}
	return string(encoded)
}

// beyond returns an opening that was not allowed before; "" if there is none. Peers and
// ports are compared as they are written: part of an allowed range of addresses counts as new.
func (o openings) beyond(before openings) string {
	for now := range o {
		if !before.cover(now) {
			return fmt.Sprintf("%s, pods %q, peer %q, ports %q", now.direction, now.pods, now.peer, now.ports)
		}
	}
	return ""
}

func (o openings) cover(wanted opening) bool {
	for allowed := range o {
		if allowed.direction == wanted.direction && covers(allowed.pods, wanted.pods) && covers(allowed.peer, wanted.peer) && covers(allowed.ports, wanted.ports) {
			return true
		}
	}
	return false
}

func covers(allowed, wanted string) bool { return allowed == "" || allowed == wanted }
