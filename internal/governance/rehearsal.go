package governance

import (
	"slices"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Rehearsal decides as if one baseline that is in Audit, and no other, were switched to Enforce.
type Rehearsal struct {
	// Baseline is the name of the one in Audit.
	Baseline string

	view *View
}

// Decide decides about one namespace. The decision must never be carried out.
func (r Rehearsal) Decide(subject Subject) Decision { return Decide(r.view, subject, Evidence{}) }

// Rehearsals returns one for each baseline that is in Audit and can be carried out, by precedence.
func (v *View) Rehearsals() []Rehearsal { return v.rehearsals }

// Rehearsed reports whether the baseline is in Audit and could be switched to Enforce as it is.
func (c *Candidate) Rehearsed() bool {
	return c.Baseline.Spec.Mode == v1alpha1.ModeAudit && !c.Deleting() && c.Accepted()
}

func (v *View) rehearse(operatorNamespace string) {
	for i, candidate := range v.candidates {
		if !candidate.Rehearsed() {
			continue
		}
		cast := slices.Clone(v.candidates)
		cast[i] = candidate.enforcing()
		v.rehearsals = append(v.rehearsals, Rehearsal{Baseline: candidate.Baseline.Name, view: assemble(cast, operatorNamespace)})
	}
}

// enforcing returns the candidate as it would be in Enforce, with the finalizer that it would get before anything is written.
func (c *Candidate) enforcing() *Candidate {
	baseline := *c.Baseline
	baseline.Spec.Mode = v1alpha1.ModeEnforce
	baseline.Finalizers = append(slices.Clip(baseline.Finalizers), v1alpha1.CleanupFinalizer)
	return &Candidate{Baseline: &baseline, Rejection: c.Rejection, selector: c.selector, rendered: c.rendered}
}
