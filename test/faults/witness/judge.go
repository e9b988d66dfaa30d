package witness

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

const (
	// TenantBound is how long a tenant's own write may hold a namespace open while the operator
	// runs undisturbed. A repair takes hundredths of a second, as `make bench-scale` shows. The
	// bound distinguishes an immediate repair, on however busy a machine, from a delayed one: a
	// futile write is delayed for at least a minute.
	TenantBound = 30 * time.Second

	// youngNamespace is the age below which a namespace holds no pods that miss DNS, plus a second
	// because its age is in whole seconds.
	youngNamespace = 11 * time.Second

	// race is how long a write may still rely on the state in which it was decided. Decision and
	// write cannot be atomic: docs/reliability.md states what is not promised.
	race = time.Second
)

var directions = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}

// Judge checks a history against the invariants, one revision after the other.
type Judge struct {
	State *State

	subjects  map[string]*subject
	suspicion []*suspicion
	counts    map[Object][]counted
	governed  map[string]bool // namespaces that an enforcing baseline has ever selected
}

// subject is the history of a namespace.
type subject struct {
	uid        types.UID
	directions map[networkingv1.PolicyType]*direction
	cut        bool // egress isolated by us, and no DNS
	// inputs is when the desired policies of the namespace last changed for a reason other than the
	// governor's own spec.
	inputs   time.Time
	expected map[string]networkingv1.NetworkPolicySpec
	governor string
	// mayGo is when each policy was last free to be removed; touched when each last changed.
	mayGo, touched map[string]time.Time
	// yielded is when a baseline, the first, last let another one change its policies.
	yielded map[[2]string]time.Time
}

type direction struct {
	isolated bool       // under an enforcing baseline that denies it
	free     time.Time  // when it last was isolated although no baseline asked for it
	hole     *suspicion // open now
}

// suspicion is something that is a violation unless a tenant has done it.
type suspicion struct {
	invariant, text string
	revision        int64
	at              time.Time
	by              Object        // whose writer decides
	lasted          time.Duration // of a hole that is closed again
	hole, open      bool
	run             string // the namespace
}

type counted struct {
	revision int64
	what     string
}

// NewJudge returns a judge of an empty cluster.
func NewJudge() *Judge {
	return &Judge{State: NewState(), subjects: map[string]*subject{}, counts: map[Object][]counted{}, governed: map[string]bool{}}
}

// Observe takes the next revision.
func (j *Judge) Observe(change *Change) {
	existed := j.State.exists(change.Object)
	j.count(change, existed)
	switch change.Object.Kind {
	case Namespaces:
		j.State.apply(change)
		j.look(change, change.Object.Name)
	case Policies:
		before := j.State.Policies[change.Object.Namespace][change.Object.Name]
		if change.Gone() && before != nil {
			j.judgeRemoval(change, before)
		}
		owners, open := j.State.owners(change.Object.Namespace), j.State.openings(change.Object.Namespace)
		j.State.apply(change)
		j.judgeHandOver(change, owners, open)
		j.of(change.Object.Namespace).touched[change.Object.Name] = change.At
		j.look(change, change.Object.Namespace)
	case Baselines:
		before := j.State.Baselines[change.Object.Name]
		j.State.apply(change)
		if governsOtherwise(before, change.Baseline) {
			for name := range j.State.Namespaces {
				j.look(change, name)
			}
		}
		j.judgeStatus(change, before)
	}
}

func (j *Judge) count(change *Change, existed bool) {
	what := "update"
	switch {
	case change.Gone():
		what = "delete"
	case !existed:
		what = "create"
	}
	j.counts[change.Object] = append(j.counts[change.Object], counted{change.Revision, what})
}

func governsOtherwise(before, after *v1alpha1.ClusterNetworkBaseline) bool {
	return before == nil || after == nil || !equality.Semantic.DeepEqual(before.Spec, after.Spec) ||
		(before.DeletionTimestamp == nil) != (after.DeletionTimestamp == nil)
}

func (j *Judge) of(name string) *subject {
	known := j.subjects[name]
	uid := types.UID("")
	if namespace := j.State.Namespaces[name]; namespace != nil {
		uid = namespace.UID
	}
	if known == nil || uid != "" && known.uid != uid {
		known = &subject{uid: uid, directions: map[networkingv1.PolicyType]*direction{}, mayGo: map[string]time.Time{}, touched: map[string]time.Time{}, yielded: map[[2]string]time.Time{}}
		for _, d := range directions {
			known.directions[d] = &direction{}
		}
		j.subjects[name] = known
	}
	return known
}

// look judges the current state of one namespace.
func (j *Judge) look(change *Change, name string) {
	namespace, known := j.State.Namespaces[name], j.of(name)
	governor := j.State.Governor(name)
	if namespace != nil && namespace.DeletionTimestamp != nil {
		governor = nil // its policies go with it
	}
	known.follow(change, governor, namespace)
	j.governed[name] = j.governed[name] || governor != nil
	for _, d := range directions {
		j.judgeHole(change, name, d, governor)
	}
	j.judgeDNS(change, name, governor)
	for policyName, policy := range j.State.Policies[name] {
		if j.State.MayGo(policy) {
			known.mayGo[policyName] = change.At
		}
	}
	known.noteYields(change, j.State, name)
}

// follow records when the desired policies of a namespace last changed for a reason other than its
// governor's own spec.
func (s *subject) follow(change *Change, governor *v1alpha1.ClusterNetworkBaseline, namespace *corev1.Namespace) {
	var expected map[string]networkingv1.NetworkPolicySpec
	name := ""
	if governor != nil {
		expected, name = Expected(governor, namespace.Labels), governor.Name
	}
	own := change.Object == Object{Kind: Baselines, Name: name}
	if !own && (name != s.governor || !equality.Semantic.DeepEqual(expected, s.expected)) {
		s.inputs = change.At
	}
	s.expected, s.governor = expected, name
}

// judgeHole is I1: once isolated, a direction that is denied is never open again.
func (j *Judge) judgeHole(change *Change, name string, which networkingv1.PolicyType, governor *v1alpha1.ClusterNetworkBaseline) {
	d := j.of(name).directions[which]
	isolated, closed := j.isolated(name, which)
	denied := denies(governor, which)
	if d.hole != nil && (!denied || closed) {
		d.hole.lasted, d.hole.open = change.At.Sub(d.hole.at), false
		d.hole = nil
	}
	switch {
	case !denied:
		d.isolated = false
		if isolated {
			d.free = change.At
		}
	case closed:
		d.isolated = true
	case d.isolated && d.hole == nil && change.At.Sub(d.free) > race:
		d.hole = j.suspect(change, "I1", name, fmt.Sprintf("%s is open in namespace %s, which %s protects", which, name, governor.Name))
		d.hole.hole, d.hole.open = true, true
	}
}

// isolated reports whether any policy isolates a direction, and whether it is closed: isolated, and
// not opened by a policy under one of our names. Openings of a tenant under other names do not
// count.
func (j *Judge) isolated(name string, which networkingv1.PolicyType) (isolated, closed bool) {
	opened := false
	for policyName, policy := range j.State.Policies[name] {
		isolated = isolated || isolates(&policy.Spec, which)
		opened = opened || slices.Contains(claimed, policyName) && admitsStranger(&policy.Spec, which)
	}
	return isolated, isolated && !opened
}

// judgeDNS is I2: no write cuts off the DNS of pods that may run.
func (j *Judge) judgeDNS(change *Change, name string, governor *v1alpha1.ClusterNetworkBaseline) {
	known := j.of(name)
	before := known.cut
	known.cut = false
	if governor == nil || known.expected["netbaseline-allow-dns"].PolicyTypes == nil {
		return
	}
	standing := j.State.Policies[name]
	for _, policyName := range claimed[1:] {
		if policy := standing[policyName]; policy != nil && isolates(&policy.Spec, networkingv1.PolicyTypeEgress) {
			known.cut = true
		}
	}
	if dns := standing["netbaseline-allow-dns"]; dns != nil && len(dns.Spec.Egress) > 0 {
		known.cut = false
	}
	young := change.At.Sub(j.State.Namespaces[name].CreationTimestamp.Time) < youngNamespace
	if known.cut && !before && !young && change.Object.Kind == Policies {
		j.suspect(change, "I2", name, fmt.Sprintf("egress of namespace %s is isolated and DNS is not open", name))
	}
}

// judgeRemoval is I6, and the part of I3 that is about deletions.
func (j *Judge) judgeRemoval(change *Change, before *networkingv1.NetworkPolicy) {
	name := change.Object.Namespace
	namespace := j.State.Namespaces[name]
	if namespace == nil || namespace.DeletionTimestamp != nil || !slices.Contains(claimed, before.Name) {
		return
	}
	if before.Labels[ownerLabel] == "" {
		j.suspect(change, "I3", name, fmt.Sprintf("%s is deleted and was not ours", change.Object))
		return
	}
	if free, ok := j.of(name).mayGo[before.Name]; j.State.MayGo(before) || ok && change.At.Sub(free) < race {
		return
	}
	j.suspect(change, "I6", name, fmt.Sprintf("%s of %s is deleted although nothing permitted it", change.Object, before.Labels[ownerLabel]))
}

// judgeStatus is I7: a baseline becomes Ready only in the desired state. Later, pending namespaces
// have a minute, so that Ready does not flap.
func (j *Judge) judgeStatus(change *Change, before *v1alpha1.ClusterNetworkBaseline) {
	baseline := change.Baseline
	if baseline == nil || !ready(baseline) || ready(before) || !enforcing(baseline) {
		return
	}
	for name, known := range j.subjects {
		if known.governor != baseline.Name || change.At.Sub(known.inputs) < race {
			continue
		}
		for _, difference := range j.State.differences(name) {
			found := j.suspect(change, "I7", name, fmt.Sprintf("%s says it is Ready; %s/%s: %s", baseline.Name, name, difference.policy, difference.how))
			found.by = Object{Kind: Policies, Namespace: name, Name: difference.policy}
			if touched, ok := known.touched[difference.policy]; ok {
				found.at = touched
			}
		}
	}
}

func ready(baseline *v1alpha1.ClusterNetworkBaseline) bool {
	if baseline == nil || baseline.Status.ObservedGeneration != baseline.Generation {
		return false
	}
	condition := meta.FindStatusCondition(baseline.Status.Conditions, "Ready")
	return condition != nil && condition.Status == metav1.ConditionTrue && condition.ObservedGeneration == baseline.Generation
}

func (j *Judge) suspect(change *Change, invariant, namespace, text string) *suspicion {
	found := &suspicion{invariant: invariant, text: text, revision: change.Revision, at: change.At, by: change.Object, run: namespace}
	j.suspicion = append(j.suspicion, found)
	return found
}
