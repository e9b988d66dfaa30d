package controllers

import (
	"slices"

	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/internal/ledger"
	"github.com/netbaseline/netbaseline/internal/plan"
)

// rehearse returns what each baseline in Audit would do in the namespace if it enforced. It uses
// only data that the reconcile has anyway: counting costs no request.
func rehearse(seen *situation) []ledger.Rehearsed {
	rehearsals := seen.view.Rehearsals()
	if len(rehearsals) == 0 || seen.terminating() {
		return nil
	}
	var all []ledger.Rehearsed
	subject := seen.subject()
	for _, rehearsal := range rehearsals {
		if effect := effectOf(rehearsal, subject, seen.inventory); effect != "" {
			all = append(all, ledger.Rehearsed{Baseline: rehearsal.Baseline, Effect: effect})
		}
	}
	return all
}

// effectOf returns what one baseline would do in a namespace; "" if another baseline, or none,
// governs it.
func effectOf(rehearsal governance.Rehearsal, subject governance.Subject, inventory plan.Inventory) ledger.Effect {
	decision := rehearsal.Decide(subject)
	switch {
	case decision.Action == governance.Confirm && decision.Governor == nil && slices.Contains(decision.Owners, rehearsal.Baseline):
		return ledger.Remove
	case decision.Action != governance.Enforce && decision.Action != governance.Confirm,
		decision.Governor == nil || decision.Governor.Baseline.Name != rehearsal.Baseline:
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
