// Package plan owns the difference between the policies that a namespace must have and those that it has, as an ordered list of
// writes. It is pure, and knows only the names that netbaseline claims: no other object can ever be in a plan.
package plan

import (
	"slices"

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
	// Terminating says that it is deleted already and only kept by somebody's finalizer.
	Terminating bool
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
)

// Step is one write.
type Step struct {
	Operation Operation
	Namespace string
	Name      string
	// Desired is what to write; the zero value with Delete.
	Desired policy.Desired
	// UID and ResourceVersion say which object, in which state, to delete, and Owner for which baseline it was made; set with
	// Delete only.
	UID             types.UID
	ResourceVersion string
	Owner           string
}

// Stage is a set of writes that may be done side by side.
type Stage []Step

// Plan is a list of stages. A stage is begun only when all before it have succeeded.
type Plan []Stage

// Len returns the number of writes.
func (p Plan) Len() int {
	n := 0
	for _, stage := range p {
		n += len(stage)
	}
	return n
}

// Creates says whether the plan makes a policy.
func (p Plan) Creates() bool { return p.has(Create) }

// Deletes says whether the plan removes a policy.
func (p Plan) Deletes() bool { return p.has(Delete) }

func (p Plan) has(operation Operation) bool {
	return slices.ContainsFunc(p, func(stage Stage) bool {
		return slices.ContainsFunc(stage, func(step Step) bool { return step.Operation == operation })
	})
}

// UpdatesOnly returns the plan without its creates and deletes: all that makes sense in a namespace that is being deleted.
func (p Plan) UpdatesOnly() Plan {
	var updates Plan
	for _, stage := range p {
		for _, step := range stage {
			if step.Operation == Update {
				updates = append(updates, Stage{step})
			}
		}
	}
	return updates
}

// Converge plans the way from what there is to what there must be. Policies are written one after the other in the order of
// policy.Names; in a namespace that can hold no running pods yet they may be written side by side. What is no longer wanted goes
// last, and of that the DNS policy: a direction that stops being denied must be open before DNS, which isolates it too, can go.
func Converge(namespace string, desired []policy.Desired, inventory Inventory, sideBySide bool) Plan {
	var writes []Step
	var unwanted Stage
	for _, name := range policy.Names {
		i := slices.IndexFunc(desired, func(d policy.Desired) bool { return d.Policy.Name == name })
		observed, exists := inventory[name]
		switch {
		case i >= 0 && !exists:
			writes = append(writes, Step{Operation: Create, Namespace: namespace, Name: name, Desired: desired[i]})
		case i >= 0 && differs(desired[i], observed):
			writes = append(writes, Step{Operation: Update, Namespace: namespace, Name: name, Desired: desired[i]})
		case i < 0 && exists && observed.Owner != "":
			unwanted = appendDelete(unwanted, namespace, name, observed)
		}
	}
	return stages(writes, unwanted, sideBySide)
}

// Remove plans the removal of the policies that were made for the given baselines: all side by side, and then the DNS policy.
func Remove(namespace string, owners []string, inventory Inventory) Plan {
	var removals Stage
	for _, name := range policy.Names {
		if observed, exists := inventory[name]; exists && slices.Contains(owners, observed.Owner) {
			removals = appendDelete(removals, namespace, name, observed)
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

func appendDelete(stage Stage, namespace, name string, observed Observed) Stage {
	if observed.Terminating {
		return stage
	}
	return append(stage, Step{
		Operation: Delete, Namespace: namespace, Name: name, UID: observed.UID, ResourceVersion: observed.ResourceVersion, Owner: observed.Owner,
	})
}

func differs(desired policy.Desired, observed Observed) bool {
	return observed.SpecHash != desired.Hash || !observed.MetadataIntact || observed.Owner != owner(desired.Policy)
}
