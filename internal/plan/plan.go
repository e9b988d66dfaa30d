// Package plan computes the ordered list of writes that brings a namespace from its existing
// policies to the desired ones. It is pure, and handles only the names that netbaseline claims: no
// other object can ever be in a plan.
package plan

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/policy"
)

// Observed describes a policy that exists under a claimed name.
type Observed struct {
	UID             types.UID
	ResourceVersion string
	// Owner is the baseline that the object's label names; "" if it carries no label of ours.
	Owner string
	// SpecHash is the canonical hash of its whole spec.
	SpecHash policy.Hash
	// MetadataIntact is the result of policy.MetadataIntact.
	MetadataIntact bool
	// Ours is the result of policy.WasOurs.
	Ours bool
	// Plain means that it carries no label, annotation or finalizer but ours, so that replacing it
	// loses nothing that other clients wrote.
	Plain bool
	// Isolates are the directions in which it isolates pods.
	Isolates Directions
	// Terminating means that it has been deleted and is only kept by finalizers; KeptBy is the one
	// to report.
	Terminating bool
	KeptBy      string
}

// Directions is a set of directions of traffic.
type Directions uint8

// The directions of traffic.
const (
	Ingress Directions = 1 << iota
	Egress
)

// Living reports whether the policy exists and is not being deleted. The zero value represents a
// policy that does not exist.
func (o Observed) Living() bool { return o.UID != "" && !o.Terminating }

// MadeFor reports whether the policy goes with these baselines: it names one of them, or it is ours and
// has lost the label that names its baseline.
func (o Observed) MadeFor(owners []string) bool {
	return slices.Contains(owners, o.Owner) || o.Owner == "" && o.Ours
}

// Inventory holds the policies that exist under claimed names, by name.
type Inventory map[string]Observed

// Owners returns the baselines that the policies were made for, sorted and without duplicates.
func (i Inventory) Owners() []string {
	var owners []string
	for _, name := range policy.Names {
		if observed, ok := i[name]; ok && observed.Owner != "" && !slices.Contains(owners, observed.Owner) {
			owners = append(owners, observed.Owner)
		}
	}
	slices.Sort(owners)
	return owners
}

// Orphaned reports whether a policy of ours has lost the label that names its baseline.
func (i Inventory) Orphaned() bool {
	for _, observed := range i {
		if observed.Ours && observed.Owner == "" {
			return true
		}
	}
	return false
}

// Nameless returns the names of the policies without a label that names their baseline, in the
// order of policy.Names.
func (i Inventory) Nameless() []string {
	return slices.DeleteFunc(slices.Clone(policy.Names), func(name string) bool {
		observed, exists := i[name]
		return !exists || observed.Owner != ""
	})
}

// Versions returns the resource version of each policy.
func (i Inventory) Versions() map[string]string {
	versions := make(map[string]string, len(i))
	for name, observed := range i {
		versions[name] = observed.ResourceVersion
	}
	return versions
}

// Operation is a kind of write.
type Operation string

const (
	// Create creates a missing policy.
	Create Operation = "create"
	// Update brings the whole of a policy to its desired state.
	Update Operation = "update"
	// Delete removes a policy that is no longer desired.
	Delete Operation = "delete"
	// Recreate removes the finalizers of a policy that is being deleted, and creates it again: some
	// network plugins stop enforcing a policy when its deletion begins.
	Recreate Operation = "recreate"
)

// Step is one write.
type Step struct {
	Operation Operation
	Namespace string
	Name      string
	// Desired is the policy to write; the zero value with Delete. It has no namespace set.
	Desired policy.Desired
	// Found is the policy that the plan observed under the name; the zero value if there was none.
	Found Observed
	// Needs names a policy whose write must have succeeded first; "" for none.
	Needs string
	// OnlyToClose means that the write is made only if the existing policy allows more than the
	// desired one, and more than any baseline would in a namespace with these Labels.
	OnlyToClose bool
	Labels      map[string]string
	// Blind means that the existing policy may be replaced without reading it first: the plan knows
	// everything that must be kept of it.
	Blind bool
}

// Owner returns the baseline that the policy is written for; "" with Delete.
func (s Step) Owner() string {
	if s.Desired.Policy == nil {
		return ""
	}
	return owner(s.Desired.Policy)
}

// Stage is a set of writes that may be done in parallel.
type Stage []Step

// Plan is a list of stages, executed in order. A write that fails holds back only the writes that
// need it, and the removals.
type Plan []Stage

// Len returns the number of writes.
func (p Plan) Len() int {
	n := 0
	for _, stage := range p {
		n += len(stage)
	}
	return n
}

// Loosens reports whether the plan removes protection: it deletes a policy, or replaces one with
// another that isolates less.
func (p Plan) Loosens() bool {
	return slices.ContainsFunc(p, func(stage Stage) bool { return slices.ContainsFunc(stage, Step.loosens) })
}

func (s Step) loosens() bool { return s.Loosens(s.Found) }

// Loosens reports whether the write removes protection, given the policy that was found: it deletes
// the policy, or replaces it with one that isolates less.
func (s Step) Loosens(found Observed) bool {
	return s.Operation == Delete || found.Isolates&^isolates(s.Desired.Policy) != 0
}

// Step returns the step for the policy of this name; the zero value if there is none.
func (p Plan) Step(name string) Step {
	for _, stage := range p {
		for _, step := range stage {
			if step.Name == name {
				return step
			}
		}
	}
	return Step{Name: name}
}

// Keep returns the plan with only the steps that keep accepts.
func (p Plan) Keep(keep func(Step) bool) Plan {
	var kept Plan
	for _, stage := range p {
		var steps Stage
		for _, step := range stage {
			if keep(step) {
				steps = append(steps, step)
			}
		}
		if len(steps) > 0 {
			kept = append(kept, steps)
		}
	}
	return kept
}

// UpdatesOnly returns the plan without its creates and deletes, for a namespace that is being
// deleted: nothing else makes sense there.
func (p Plan) UpdatesOnly() Plan {
	return p.Keep(func(step Step) bool { return step.Operation == Update })
}

// Closing returns the part of the plan that only closes: it opens nothing and removes nothing. A
// policy that isolates a direction that the desired policy does not is left as it is, whatever else
// it allows.
func (p Plan) Closing(labels map[string]string) Plan {
	closing := p.Keep(func(step Step) bool {
		return !step.loosens() && (step.Operation == Update || !allows(step.Desired.Policy))
	})
	for _, stage := range closing {
		for i := range stage {
			stage[i].OnlyToClose, stage[i].Labels, stage[i].Blind = stage[i].Operation == Update, labels, false
		}
	}
	return closing
}

func allows(object *networkingv1.NetworkPolicy) bool {
	return len(object.Spec.Ingress) > 0 || len(object.Spec.Egress) > 0
}

// Converge plans the writes from the existing policies to the desired ones. Policies are written
// one after the other in the order of policy.Names; in a namespace that can hold no running pods
// yet they may be written in parallel. Policies that are no longer desired are removed last, and
// the DNS policy last of those: a direction that stops being denied must be open before DNS, which
// isolates it too, can go.
//
// A policy is written whatever the result of the other writes, with one exception: if nothing
// isolates egress yet, policies that isolate it wait for the DNS policy.
func Converge(namespace string, desired []policy.Desired, inventory Inventory, parallel bool) Plan {
	var writes []Step
	var unwanted Stage
	needs := needed(desired, inventory)
	for _, name := range policy.Names {
		i := slices.IndexFunc(desired, func(d policy.Desired) bool { return d.Policy.Name == name })
		found, exists := inventory[name]
		step := Step{Namespace: namespace, Name: name, Found: found}
		if i < 0 {
			if exists && found.Ours {
				unwanted = appendDelete(unwanted, step)
			}
			continue
		}
		step.Desired = desired[i]
		if step.Operation = operation(desired[i], found, exists); step.Operation == "" {
			continue
		}
		step.Blind = step.Operation == Update && found.Plain
		if step.Operation == Create && name != needs && isolates(step.Desired.Policy)&Egress != 0 {
			step.Needs = needs
		}
		writes = append(writes, step)
	}
	return stages(writes, unwanted, parallel)
}

// operation returns the operation that brings a found policy to the desired state; "" for none.
func operation(desired policy.Desired, found Observed, exists bool) Operation {
	switch {
	case !exists:
		return Create
	case found.Terminating:
		return Recreate
	case differs(desired, found):
		return Update
	}
	return ""
}

// needed returns the policy that the creation of others has to wait for: that for DNS, where no living
// policy of ours exists yet; "" for none. An update never waits: it may be what closes an opened
// policy. Nor does anything wait for a DNS policy that the finalizer of a network plugin keeps from
// being deleted: it is kept in the desired state, and the tenant who deleted it must not keep the
// rest open.
func needed(desired []policy.Desired, inventory Inventory) string {
	wanted := slices.ContainsFunc(desired, func(d policy.Desired) bool { return d.Policy.Name == v1alpha1.AllowDNSName })
	dns := inventory[v1alpha1.AllowDNSName]
	if !wanted || dns.Living() || policy.IsPluginFinalizer(dns.KeptBy) ||
		inventory[v1alpha1.DefaultDenyName].Living() || inventory[v1alpha1.EnvironmentIsolationName].Living() {
		return ""
	}
	return v1alpha1.AllowDNSName
}

// Remove plans the removal of the policies that were made for the given baselines, and of those
// that have lost the label that names their baseline: all in parallel, followed by the DNS policy.
func Remove(namespace string, owners []string, inventory Inventory) Plan {
	var removals Stage
	for _, name := range policy.Names {
		found, exists := inventory[name]
		if exists && found.MadeFor(owners) {
			removals = appendDelete(removals, Step{Namespace: namespace, Name: name, Found: found})
		}
	}
	return stages(nil, removals, false)
}

func stages(writes []Step, removals Stage, parallel bool) Plan {
	var plan Plan
	switch {
	case parallel && len(writes) > 0:
		plan = append(plan, writes)
	default:
		for _, write := range writes {
			plan = append(plan, Stage{write})
		}
	}
	if len(removals) > 1 && removals[0].Name == v1alpha1.AllowDNSName {
		return append(plan, removals[1:], removals[:1]) // while another policy isolates egress, DNS must be allowed
	}
	if len(removals) > 0 {
		plan = append(plan, removals)
	}
	return plan
}

func appendDelete(stage Stage, step Step) Stage {
	if step.Found.Terminating {
		return stage
	}
	step.Operation = Delete
	return append(stage, step)
}

// Matches reports whether an observed policy is in the desired state.
func Matches(desired policy.Desired, observed Observed) bool { return !differs(desired, observed) }

func differs(desired policy.Desired, observed Observed) bool {
	return observed.SpecHash != desired.Hash || !observed.MetadataIntact || observed.Owner != owner(desired.Policy)
}
