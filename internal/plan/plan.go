// Package plan owns the difference between the policies that a namespace must have and those that it has, as an ordered list of
// writes. It is pure, and knows only the names that netbaseline claims: no other object can ever be in a plan.
package plan

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/policy"
)

// Observed is what is known about a policy that exists under a claimed name.
type Observed struct {
	UID             types.UID
	ResourceVersion string
	// Owner is the baseline that the object's label names; "" if it carries no label of ours.
	Owner string
	// SpecHash is the canonical hash of its whole spec.
	SpecHash policy.Hash
	// MetadataIntact is what policy.MetadataIntact said of it.
	MetadataIntact bool
	// Ours is what policy.WasOurs said of it.
	Ours bool
	// Plain means that it carries no label, annotation or finalizer but ours, so that replacing it loses nothing of other clients.
	Plain bool
	// Isolates are the directions in which it isolates pods.
	Isolates Directions
	// Terminating means that it is deleted already and only kept by a finalizer, of which KeptBy is the first.
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

// Living reports whether the policy exists and is not being deleted. The zero value stands for a policy that does not exist.
func (o Observed) Living() bool { return o.UID != "" && !o.Terminating }

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

// Nameless returns the names of the policies that do not say which baseline they were made for, in the order of policy.Names.
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
	// Create makes a policy that is not there.
	Create Operation = "create"
	// Update brings a policy to its desired state, all of it.
	Update Operation = "update"
	// Delete removes a policy that is no longer wanted.
	Delete Operation = "delete"
	// Recreate frees a policy that is being deleted from the finalizers that keep it, and creates it again: some network plugins stop
	// enforcing a policy when its deletion begins.
	Recreate Operation = "recreate"
)

// Step is one write.
type Step struct {
	Operation Operation
	Namespace string
	Name      string
	// Desired is what to write; the zero value with Delete. It names no namespace.
	Desired policy.Desired
	// Found is what the plan saw under the name: the zero value for nothing.
	Found Observed
	// Needs names a policy whose write must have succeeded first; "" for none.
	Needs string
	// OnlyToClose means that the write is made only if what lies there allows more than the desired policy does, and more than any
	// baseline would in a namespace with these Labels.
	OnlyToClose bool
	Labels      map[string]string
	// Blind means that what lies there may be replaced without reading it first: the plan knows all that has to be kept of it.
	Blind bool
}

// Owner returns the baseline that the policy is written for; "" with Delete.
func (s Step) Owner() string {
	if s.Desired.Policy == nil {
		return ""
	}
	return owner(s.Desired.Policy)
}

// Stage is a set of writes that may be done side by side.
type Stage []Step

// Plan is a list of stages, done one after the other. A write that is refused keeps others back only where they need it, and removals.
type Plan []Stage

// Len returns the number of writes.
func (p Plan) Len() int {
	n := 0
	for _, stage := range p {
		n += len(stage)
	}
	return n
}

// Loosens reports whether the plan takes protection away: it removes a policy, or replaces one by another that isolates less.
func (p Plan) Loosens() bool {
	return slices.ContainsFunc(p, func(stage Stage) bool { return slices.ContainsFunc(stage, Step.loosens) })
}

func (s Step) loosens() bool { return s.Loosens(s.Found) }

// Loosens reports whether the write takes protection away where this was found: it removes a policy, or replaces it by one that isolates
// less.
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

// Keep returns the plan without the steps that keep refuses.
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

// UpdatesOnly returns the plan without its creates and deletes: all that makes sense in a namespace that is being deleted.
func (p Plan) UpdatesOnly() Plan {
	return p.Keep(func(step Step) bool { return step.Operation == Update })
}

// Closing returns the plan with no more in it than closes what lies there: nothing is opened, and nothing is removed. What isolates a
// direction that the desired policy does not is left as it is, whatever else it allows.
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

// Converge plans the way from what there is to what there must be. Policies are written one after the other in the order of
// policy.Names; in a namespace that can hold no running pods yet they may be written side by side. What is no longer wanted goes
// last, and of that the DNS policy: a direction that stops being denied must be open before DNS, which isolates it too, can go.
//
// A policy is written whatever becomes of the others, with one exception: where nothing isolates egress yet, what isolates it waits for
// the DNS policy.
func Converge(namespace string, desired []policy.Desired, inventory Inventory, sideBySide bool) Plan {
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
		if step.Operation != Recreate && name != needs && isolates(step.Desired.Policy)&Egress != 0 {
			step.Needs = needs
		}
		writes = append(writes, step)
	}
	return stages(writes, unwanted, sideBySide)
}

// operation returns what brings what was found to what is desired; "" for nothing.
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

// needed returns the policy that what isolates egress has to wait for: that for DNS, where nothing isolates egress yet; "" for none.
func needed(desired []policy.Desired, inventory Inventory) string {
	wanted := slices.ContainsFunc(desired, func(d policy.Desired) bool { return d.Policy.Name == v1alpha1.AllowDNSName })
	if !wanted {
		return ""
	}
	for _, found := range inventory {
		if found.Living() && found.Isolates&Egress != 0 {
			return ""
		}
	}
	return v1alpha1.AllowDNSName
}

// Remove plans the removal of the policies that were made for the given baselines, and of those that have lost the label that names
// theirs: all side by side, and then the DNS policy.
func Remove(namespace string, owners []string, inventory Inventory) Plan {
	var removals Stage
	for _, name := range policy.Names {
		found, exists := inventory[name]
		if exists && (slices.Contains(owners, found.Owner) || found.Owner == "" && found.Ours) {
			removals = appendDelete(removals, Step{Namespace: namespace, Name: name, Found: found})
		}
	}
	return stages(nil, removals, false)
}

func stages(writes []Step, removals Stage, sideBySide bool) Plan {
	var plan Plan
	switch {
	case sideBySide && len(writes) > 0:
		plan = append(plan, writes)
	default:
		for _, write := range writes {
			plan = append(plan, Stage{write})
		}
	}
	if len(removals) > 1 && removals[0].Name == v1alpha1.AllowDNSName {
		return append(plan, removals[1:], removals[:1]) // while another one isolates egress, DNS must be there
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

// Matches reports whether an observed policy is what is desired.
func Matches(desired policy.Desired, observed Observed) bool { return !differs(desired, observed) }

func differs(desired policy.Desired, observed Observed) bool {
	return observed.SpecHash != desired.Hash || !observed.MetadataIntact || observed.Owner != owner(desired.Policy)
}
