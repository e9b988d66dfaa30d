package governance_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// auditing is a baseline in Audit, as it is when it never enforced: without the finalizer.
func auditing(name string) *builder.BaselineBuilder {
	return builder.Baseline(name).Mode(v1alpha1.ModeAudit)
}

func TestWhatABaselineInAuditWouldDo(t *testing.T) {
	t.Parallel()
	ignored, enforced, confirmed := answer{Action: governance.Ignore}, governance.Enforce, governance.Confirm
	tests := map[string]struct {
		decision

		wants map[string]answer // by the baseline in Audit
	}{
		"govern what no baseline governs": {
			decision{baselines: baselines(auditing("a"))},
			map[string]answer{"a": {Action: enforced, Governor: "a", Selecting: []string{"a"}}},
		},
		"take over from a lower priority": {
			decision{baselines: baselines(auditing("a").Priority(1), enforcing("b")), subject: owned("b")},
			map[string]answer{"a": {Action: enforced, Governor: "a", Selecting: []string{"a", "b"}}},
		},
		"leave it to a higher priority": {
			decision{baselines: baselines(auditing("a"), enforcing("b").Priority(1)), subject: owned("b")},
			map[string]answer{"a": {Action: enforced, Governor: "b", Selecting: []string{"b", "a"}}},
		},
		"each alone, not together": {
			decision{baselines: baselines(auditing("a").Priority(1), auditing("b"))},
			map[string]answer{
				"a": {Action: enforced, Governor: "a", Selecting: []string{"a", "b"}},
				"b": {Action: enforced, Governor: "b", Selecting: []string{"a", "b"}},
			},
		},
		"let go of what it does not select any more": {
			decision{baselines: baselines(auditing("a").Excluding("shop")), subject: owned("a")},
			map[string]answer{"a": {Action: confirmed, Owners: []string{"a"}}},
		},
		"nothing where its own DNS is": {
			decision{baselines: baselines(auditing("a").DNSPeers(builder.DNSPods("shop", "k8s-app", "dns")))},
			map[string]answer{"a": ignored},
		},
		"nothing, if it is being deleted": {
			decision{baselines: baselines(auditing("a").Finalized().Deleting())}, nil,
		},
		"nothing, if it cannot be carried out": {
			decision{baselines: baselines(auditing("a").Scope("SameTeam"))}, nil,
		},
		"nothing new, if it enforces already": {
			decision{baselines: baselines(enforcing("a"))}, nil,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got map[string]answer
			subject := test.subject
			subject.Name = "shop"
			snapshot := test.snapshot()
			for _, preview := range snapshot.Previews() {
				if got == nil {
					got = map[string]answer{}
				}
				got[preview.Baseline] = answerOf(preview.Decide(subject))
			}
			if diff := cmp.Diff(test.wants, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if earnest := governance.Decide(snapshot, subject, live); earnest.Governor != nil && earnest.Governor.Baseline.Spec.Mode == v1alpha1.ModeAudit {
				t.Error("a baseline in Audit governs in earnest")
			}
		})
	}
}

func TestAPreviewLeavesTheBaselineAlone(t *testing.T) {
	t.Parallel()
	baseline := auditing("a").Obj()
	before := baseline.DeepCopy()
	governance.NewSnapshot([]*governance.Candidate{governance.NewCandidate(baseline)}, operatorNamespace)
	if diff := cmp.Diff(before, baseline); diff != "" {
		t.Errorf("it is shared with the cache (-before +after):\n%s", diff)
	}
}
