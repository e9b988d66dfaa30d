package controllers

import (
	"slices"

	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/internal/ledger"
	"github.com/netbaseline/netbaseline/internal/plan"
)

// previewsOf returns what each baseline in Audit would do in the namespace if it enforced. It uses
// only data that the reconcile has anyway: counting costs no request.
func previewsOf(seen *situation) []ledger.Previewed {
	previews := seen.snapshot.Previews()
	if len(previews) == 0 || seen.terminating() {
		return nil
	}
	var all []ledger.Previewed
	subject := seen.subject()
	for _, preview := range previews {
		if effect := effectOf(preview, subject, seen.inventory); effect != "" {
			all = append(all, ledger.Previewed{Baseline: preview.Baseline, Effect: effect})
		}
	}
	return all
}

// effectOf returns what one baseline would do in a namespace; "" if another baseline, or none,
// governs it.
func effectOf(preview governance.Preview, subject governance.Subject, inventory plan.Inventory) ledger.Effect {
	decision := preview.Decide(subject)
	switch {
	case decision.Action == governance.Confirm && decision.Governor == nil && slices.Contains(decision.Owners, preview.Baseline):
		return ledger.Remove
	case decision.Action != governance.Enforce && decision.Action != governance.Confirm,
		decision.Governor == nil || decision.Governor.Baseline.Name != preview.Baseline:
		return ""
	}
	steps := plan.Converge(subject.Name, decision.Governor.Desired(decision.Governor.Environment(subject.Labels)), inventory, false)
	switch {
	case steps.Len() == 0:
		return ledger.Leave
	case len(inventory) == 0:
		return ledger.Create
	}
	return ledger.Change
}
