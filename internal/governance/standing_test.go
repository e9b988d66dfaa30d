package governance_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// word is what a baseline itself makes known about a namespace that holds its policies.
type word int

const (
	keepsIt    word = iota // it governs there
	givesItUp              // it is being deleted with its policies, or no longer selects the namespace
	saysNoWord             // it looks as it does after a mistake, a rollback or a restored backup
)

// owner is the baseline "owner", in one of the states in which it can be while its policies exist
// in the namespace shop.
type owner struct {
	baseline   *builder.BaselineBuilder // nil: it does not exist
	word       word
	unselected bool   // it gives the namespace up because it no longer selects it
	reason     string // with saysNoWord
}

func owners() map[string]owner {
	retaining := func() *builder.BaselineBuilder {
		return builder.Baseline("owner").DeletionPolicy(v1alpha1.DeletionPolicyRetain)
	}
	audit, unaccepted, retains := v1alpha1.ReasonBaselineInAudit, v1alpha1.ReasonBaselineNotAccepted, v1alpha1.ReasonBaselineRetains
	return map[string]owner{
		"that enforces":                          {enforcing("owner"), keepsIt, false, ""},
		"that enforces and retains":              {retaining(), keepsIt, false, ""},
		"whose finalizer is being restored":      {builder.Baseline("owner"), keepsIt, false, ""},
		"that no longer selects the namespace":   {elsewhere("owner"), givesItUp, true, ""},
		"that selects elsewhere, unfinalized":    {builder.Baseline("owner").Excluding("shop"), givesItUp, true, ""},
		"that retains and selects elsewhere":     {retaining().Excluding("shop"), givesItUp, true, ""},
		"that is being deleted":                  {enforcing("owner").Deleting(), givesItUp, false, ""},
		"that is deleted while in Audit":         {enforcing("owner").Mode(v1alpha1.ModeAudit).Deleting(), givesItUp, false, ""},
		"that is deleted and not accepted":       {invalid("owner").Deleting(), givesItUp, false, ""},
		"that is deleted and selects elsewhere":  {elsewhere("owner").Deleting(), givesItUp, false, ""},
		"that is deleted and retains":            {retaining().Deleting(), saysNoWord, false, retains},
		"that is deleted and retains, elsewhere": {retaining().Excluding("shop").Deleting(), saysNoWord, false, retains},
		"that is deleted in an unknown way":      {enforcing("owner").DeletionPolicy("Orphan").Deleting(), saysNoWord, false, retains},
		"in Audit":                               {enforcing("owner").Mode(v1alpha1.ModeAudit), saysNoWord, false, audit},
		"in Audit that selects elsewhere":        {elsewhere("owner").Mode(v1alpha1.ModeAudit), saysNoWord, false, audit},
		"that is not accepted":                   {invalid("owner"), saysNoWord, false, unaccepted},
		"that is not accepted, elsewhere":        {invalid("owner").Excluding("shop"), saysNoWord, false, unaccepted},
		"of an unknown mode":                     {enforcing("owner").Mode("Warn"), saysNoWord, false, unaccepted},
		"of an unknown mode, elsewhere":          {elsewhere("owner").Mode("Warn"), saysNoWord, false, unaccepted},
		"whose selector cannot be understood":    {enforcing("owner").SelectingWhere("x", "Resembles", "y"), saysNoWord, false, unaccepted},
		"that does not exist":                    {nil, saysNoWord, false, v1alpha1.ReasonBaselineAbsent},
	}
}

// outcome is an answer without what every baseline that selects the namespace adds to it.
type outcome struct {
	Action     governance.Action
	Governor   string
	Owners     []string
	Unselected []string
	Reason     string
}

func outcomeOf(d governance.Decision) outcome {
	a := answerOf(d)
	return outcome{Action: a.Action, Governor: a.Governor, Owners: a.Owners, Unselected: d.Unselected, Reason: a.Reason}
}

// beside decides about the namespace shop, which holds policies of the owner, where another
// baseline selects it too.
func (o owner) beside(other *builder.BaselineBuilder, evidence governance.Evidence) outcome {
	d := decision{subject: owned("owner")}
	if o.baseline != nil {
		d.baselines = append(d.baselines, o.baseline.Priority(5))
	}
	if other != nil {
		d.baselines = append(d.baselines, other)
	}
	return outcomeOf(d.decide(evidence))
}

// unconfirmed is the answer to what the owner gives up, as long as only a cache reports it.
func (o owner) unconfirmed(governor string) outcome {
	answer := outcome{Action: governance.Confirm, Governor: governor, Owners: []string{"owner"}}
	if o.unselected {
		answer.Unselected = answer.Owners
	}
	return answer
}

func (o owner) held(governor string) outcome {
	return outcome{Action: governance.Hold, Governor: governor, Owners: []string{"owner"}, Reason: o.reason}
}

// Policies pass to a baseline of lower precedence, and are released, under the same conditions of
// the owner, and under no others.
func TestWhoMayTakeOverFromWhom(t *testing.T) {
	t.Parallel()
	enforce := func(governor string) outcome { return outcome{Action: governance.Enforce, Governor: governor} }
	crdTerminating := governance.Evidence{Live: true, CRDTerminating: true}
	byCRD := outcome{Action: governance.Hold, Owners: []string{"owner"}, Reason: v1alpha1.ReasonCRDTerminating}

	for name, owner := range owners() {
		t.Run("an owner "+name, func(t *testing.T) {
			t.Parallel()
			expect := func(when string, other *builder.BaselineBuilder, evidence governance.Evidence, want outcome) {
				t.Helper()
				if diff := cmp.Diff(want, owner.beside(other, evidence)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", when, diff)
				}
			}
			var cached governance.Evidence
			lower := map[string]*builder.BaselineBuilder{
				"a lower priority": enforcing("other").Priority(4), "an equal priority and a later name": enforcing("zother").Priority(5),
			}
			higher := map[string]*builder.BaselineBuilder{
				"a higher priority": enforcing("other").Priority(6), "an equal priority and an earlier name": enforcing("another").Priority(5),
			}
			if owner.baseline == nil { // its priority is not known
				lower["a high priority"] = enforcing("other").Priority(6)
				higher = nil
			}
			for precedence, other := range higher {
				expect(precedence+" takes over freely", other, cached, enforce(other.Obj().Name))
				expect(precedence+" takes over freely, live", other, live, enforce(other.Obj().Name))
				expect(precedence+" takes over while the CRD is being deleted", other, crdTerminating, enforce(other.Obj().Name))
			}
			for precedence, other := range lower {
				governor := other.Obj().Name
				switch owner.word {
				case keepsIt:
					expect(precedence, other, cached, enforce("owner"))
					expect(precedence+", live", other, live, enforce("owner"))
					expect(precedence+", while the CRD is being deleted", other, crdTerminating, enforce("owner"))
				case givesItUp:
					expect(precedence, other, cached, owner.unconfirmed(governor))
					expect(precedence+", live", other, live, enforce(governor))
					expect(precedence+", while the CRD is being deleted", other, crdTerminating, byCRD)
				case saysNoWord:
					expect(precedence, other, cached, owner.held(governor))
					expect(precedence+", live", other, live, owner.held(governor))
					expect(precedence+", while the CRD is being deleted", other, crdTerminating, owner.held(governor))
				}
			}
			switch owner.word {
			case keepsIt:
				expect("alone", nil, cached, enforce("owner"))
			case givesItUp:
				expect("alone", nil, cached, owner.unconfirmed(""))
				expect("alone, live", nil, live, outcome{Action: governance.Release, Owners: []string{"owner"}})
				expect("alone, while the CRD is being deleted", nil, crdTerminating, byCRD)
			case saysNoWord:
				expect("alone", nil, cached, owner.held(""))
				expect("alone, live", nil, live, owner.held(""))
				expect("alone, while the CRD is being deleted", nil, crdTerminating, byCRD)
			}
		})
	}
}

// Where no policy of a baseline exists, there is nothing that another could take from it: writes
// only add.
func TestABaselineKeepsNobodyOutWhereItOwnsNothing(t *testing.T) {
	t.Parallel()
	for name, owner := range owners() {
		t.Run("a baseline "+name, func(t *testing.T) {
			t.Parallel()
			d := decision{baselines: baselines(enforcing("other").Priority(4))}
			want := outcome{Action: governance.Enforce, Governor: "other"}
			if owner.baseline != nil {
				d.baselines = append(d.baselines, owner.baseline.Priority(5))
				if governance.NewCandidate(owner.baseline.Obj()).FinalizerInPlace() && owner.word == keepsIt {
					want.Governor = "owner"
				}
			}
			if diff := cmp.Diff(want, outcomeOf(d.decide(governance.Evidence{}))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestWhatSeveralOwnersMakeOfAHandOver(t *testing.T) {
	t.Parallel()
	selecting := []string{"c"}
	run(t, map[string]decision{
		"each of them has to give the namespace up": {
			baselines: baselines(elsewhere("a").Priority(9), elsewhere("b").Priority(8), enforcing("c")), subject: owned("a", "b"), evidence: live,
			want: answer{Action: governance.Enforce, Governor: "c", Selecting: selecting},
		},
		"and is asked live": {
			baselines: baselines(elsewhere("a").Priority(9), elsewhere("b").Priority(8), enforcing("c")), subject: owned("a", "b"),
			want: answer{Action: governance.Confirm, Governor: "c", Owners: []string{"a", "b"}, Selecting: selecting},
		},
		"one that does not holds the namespace, and only it is named": {
			baselines: baselines(elsewhere("a").Priority(9), invalid("b").Priority(8), enforcing("c")), subject: owned("a", "b"), evidence: live,
			want: answer{Action: governance.Hold, Governor: "c", Owners: []string{"b"}, Reason: v1alpha1.ReasonBaselineNotAccepted, Selecting: selecting},
		},
		"one of lower precedence than the governor is not asked": {
			baselines: baselines(elsewhere("a").Priority(9), invalid("b").Priority(-1), enforcing("c")), subject: owned("a", "b"), evidence: live,
			want: answer{Action: governance.Enforce, Governor: "c", Selecting: selecting},
		},
		"the governor's own policies make no difference": {
			baselines: baselines(enforcing("c")), subject: owned("a", "c"), evidence: live,
			want: answer{Action: governance.Hold, Governor: "c", Owners: []string{"a"}, Reason: v1alpha1.ReasonBaselineAbsent, Selecting: selecting},
		},
	})
}

func TestANamespaceThatIsBeingDeletedIsNotGivenUpByItsLabels(t *testing.T) {
	t.Parallel()
	d := decision{
		baselines: baselines(elsewhere("a").Priority(9), enforcing("b")),
		subject:   governance.Subject{Namespace: policy.Namespace{Name: "shop"}, Terminating: true, Owners: []string{"a"}},
	}
	for _, evidence := range []governance.Evidence{{}, live} {
		if got := d.decide(evidence); got.Action != governance.Ignore {
			t.Errorf("%+v: %s; its pods may still run, so it must stay closed as it is", evidence, got.Action)
		}
	}
}
