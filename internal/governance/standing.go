package governance

import (
	"fmt"
	"slices"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// standing is the relation of a baseline to a namespace. It decides both releases and hand-overs.
type standing int

const (
	// unsure: not known. Policies made for the baseline stay, and pass to no baseline of lower
	// precedence.
	unsure standing = iota
	// governs: its policies may be written there.
	governs
	// yields: the baseline itself gives the namespace up.
	yields
)

// answer is a standing with its reason; the reason is empty where the baseline governs or yields.
type answer struct {
	standing   standing
	unselected bool // it yields because it no longer selects the namespace
	claim
}

// standOf returns the standing of the baseline of this name.
func (v *Snapshot) standOf(name string, subject Subject) answer {
	if candidate := v.byName[name]; candidate != nil {
		return v.stand(candidate, subject)
	}
	return answer{claim: claim{
		v1alpha1.ReasonBaselineAbsent,
		fmt.Sprintf("baseline %q does not exist, so its policies stay; create it again, or delete them by hand", name),
	}}
}

// stand returns the standing of a baseline. A missing baseline, a rejected spec and Audit release
// nothing: each may be the result of a mistake, a rollback or a restored backup.
func (v *Snapshot) stand(candidate *Candidate, subject Subject) answer {
	name := candidate.Baseline.Name
	switch {
	case candidate.removesOnDeletion():
		return answer{standing: yields}
	case candidate.Deleting():
		return answer{claim: claim{v1alpha1.ReasonBaselineRetains, fmt.Sprintf("baseline %q is being deleted and retains its policies", name)}}
	case !candidate.Accepted():
		return answer{claim: claim{v1alpha1.ReasonBaselineNotAccepted, fmt.Sprintf("baseline %q is not accepted: %s", name, candidate.Rejection)}}
	case candidate.Baseline.Spec.Mode != v1alpha1.ModeEnforce:
		return answer{claim: claim{v1alpha1.ReasonBaselineInAudit, fmt.Sprintf("baseline %q is in Audit, so its policies stay as they are", name)}}
	case v.Protected(subject.Name):
		return v.givenUp(subject, false)
	case !candidate.selects(subject.Namespace):
		return v.givenUp(subject, true)
	case !candidate.FinalizerInPlace() && !slices.Contains(subject.Owners, name):
		// The finalizer is only required before the first policy: while it is being restored,
		// existing policies are kept in place.
		return answer{claim: claim{v1alpha1.ReasonFinalizerMissing, fmt.Sprintf("baseline %q is about to govern the namespace", name)}}
	}
	return answer{standing: governs}
}

func (v *Snapshot) givenUp(subject Subject, unselected bool) answer {
	if subject.Terminating {
		return answer{claim: claim{v1alpha1.ReasonUnconfirmed, "the namespace is being deleted and its pods may still run, so the policies stay"}}
	}
	return answer{standing: yields, unselected: unselected}
}

// removesOnDeletion reports whether the baseline is being deleted and its policies are to go with
// it.
func (c *Candidate) removesOnDeletion() bool {
	return c.Deleting() && c.Baseline.Spec.DeletionPolicy == v1alpha1.DeletionPolicyDelete
}
