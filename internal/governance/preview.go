package governance

import (
	"slices"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Preview decides as if one baseline that is in Audit, and no other, were switched to Enforce.
type Preview struct {
	// Baseline is the name of the one in Audit.
	Baseline string

	snapshot *Snapshot
}

// Decide decides about one namespace. The decision must never be carried out.
func (r Preview) Decide(subject Subject) Decision { return Decide(r.snapshot, subject, Evidence{}) }

// Previews returns one for each baseline that is in Audit and can be carried out, by precedence.
func (v *Snapshot) Previews() []Preview { return v.previews }

// Previewed reports whether the baseline is in Audit and could be switched to Enforce as it is.
func (c *Candidate) Previewed() bool {
	return c.Baseline.Spec.Mode == v1alpha1.ModeAudit && !c.Deleting() && c.Accepted()
}

func (v *Snapshot) preview(operatorNamespace string) {
	for i, candidate := range v.candidates {
		if !candidate.Previewed() {
			continue
		}
		cast := slices.Clone(v.candidates)
		cast[i] = candidate.enforcing()
		v.previews = append(v.previews, Preview{Baseline: candidate.Baseline.Name, snapshot: assemble(cast, operatorNamespace)})
	}
}

// enforcing returns the candidate as it would be in Enforce, with the finalizer that it would get
// before anything is written.
func (c *Candidate) enforcing() *Candidate {
	baseline := *c.Baseline
	baseline.Spec.Mode = v1alpha1.ModeEnforce
	baseline.Finalizers = append(slices.Clip(baseline.Finalizers), v1alpha1.CleanupFinalizer)
	return &Candidate{Baseline: &baseline, Rejection: c.Rejection, selector: c.selector, rendered: c.rendered}
}
