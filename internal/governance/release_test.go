package governance_test

import (
	"strings"
	"testing"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

func TestHoldNamesEveryOwner(t *testing.T) {
	t.Parallel()
	decision{
		baselines: baselines(elsewhere("b").Mode(v1alpha1.ModeAudit)), subject: owned("a", "b"), evidence: live,
		want: answer{Action: governance.Hold, Owners: []string{"a", "b"}, Reason: v1alpha1.ReasonBaselineAbsent},
	}.check(t)
}

func TestWhenPoliciesAreRemoved(t *testing.T) {
	t.Parallel()
	release := func(owners ...string) answer { return answer{Action: governance.Release, Owners: owners} }

	run(t, map[string]decision{
		"the baseline no longer selects the namespace, as read live": {
			baselines: baselines(elsewhere("a")), subject: owned("a"), evidence: live, want: release("a"),
		},
		"the namespace no longer carries the labels, as read live": {
			baselines: baselines(enforcing("a").Selecting("environment", "production")), subject: labelled(nil, "a"), evidence: live,
			want: release("a"),
		},
		"the baseline no longer selects the namespace, according to a cache": {
			baselines: baselines(elsewhere("a")), subject: owned("a"),
			want: answer{Action: governance.Confirm, Owners: []string{"a"}},
		},
		"the baseline is being deleted with deletionPolicy Delete": {
			baselines: baselines(enforcing("a").Deleting()), subject: owned("a"), evidence: live,
			want: answer{Action: governance.Release, Owners: []string{"a"}, Selecting: []string{"a"}},
		},
		"the baseline is being deleted with deletionPolicy Delete, according to a cache": {
			baselines: baselines(enforcing("a").Deleting()), subject: owned("a"),
			want: answer{Action: governance.Confirm, Owners: []string{"a"}, Selecting: []string{"a"}},
		},
		"the baseline is being deleted while in Audit": {
			baselines: baselines(enforcing("a").Mode(v1alpha1.ModeAudit).Deleting()), subject: owned("a"), evidence: live,
			want: answer{Action: governance.Release, Owners: []string{"a"}, Selecting: []string{"a"}},
		},
		"policies that lost their label go with a baseline that selects the namespace and is being deleted": {
			baselines: baselines(enforcing("a").Deleting()), subject: orphaned(), evidence: live,
			want: answer{Action: governance.Release, Owners: []string{"a"}, Selecting: []string{"a"}},
		},
		"and so do those next to others that carry it": {
			baselines: baselines(enforcing("a").Deleting(), elsewhere("b")), subject: orphaned("b"), evidence: live,
			want: answer{Action: governance.Release, Owners: []string{"b", "a"}, Selecting: []string{"a"}},
		},
		"policies that lost their label, according to a cache": {
			baselines: baselines(enforcing("a").Deleting()), subject: orphaned(),
			want: answer{Action: governance.Confirm, Owners: []string{"a"}, Selecting: []string{"a"}},
		},
		"the baseline is being deleted although it is not accepted": {
			baselines: baselines(invalid("a").Deleting()), subject: owned("a"), evidence: live, want: release("a"),
		},
		"two baselines may both lose theirs": {
			baselines: baselines(elsewhere("a"), elsewhere("b")), subject: owned("a", "b"), evidence: live, want: release("a", "b"),
		},
		"of two baselines only one exists: the other's stay": {
			baselines: baselines(elsewhere("b")), subject: owned("a", "b"), evidence: live, want: release("b"),
		},
		"of two baselines one is in Audit: the other's go": {
			baselines: baselines(elsewhere("a"), elsewhere("b").Mode(v1alpha1.ModeAudit)), subject: owned("a", "b"), evidence: live,
			want: release("a"),
		},
		"another baseline is in Audit, which does not govern": {
			baselines: baselines(elsewhere("a"), builder.Baseline("b").Mode(v1alpha1.ModeAudit)), subject: owned("a"), evidence: live,
			want: answer{Action: governance.Release, Owners: []string{"a"}, Selecting: []string{"b"}},
		},
		"a baseline that is not accepted does not select the namespace": {
			baselines: baselines(elsewhere("a"), invalid("b").Excluding("shop")), subject: owned("a"), evidence: live, want: release("a"),
		},
	})
}

func TestWhenPoliciesAreHeld(t *testing.T) {
	t.Parallel()
	hold := func(reason string, owners ...string) answer {
		return answer{Action: governance.Hold, Owners: owners, Reason: reason}
	}
	crdTerminating := governance.Evidence{Live: true, CRDTerminating: true}

	run(t, map[string]decision{
		"the baseline does not exist: absence is no evidence": {
			subject: owned("a"), evidence: live, want: hold(v1alpha1.ReasonBaselineAbsent, "a"),
		},
		"the baseline does not exist, according to a cache": {subject: owned("a"), want: hold(v1alpha1.ReasonBaselineAbsent, "a")},
		"the baseline does not exist, and others do": {
			baselines: baselines(elsewhere("b")), subject: owned("a"), evidence: live, want: hold(v1alpha1.ReasonBaselineAbsent, "a"),
		},
		"the baseline is being deleted with deletionPolicy Retain": {
			baselines: baselines(builder.Baseline("a").DeletionPolicy(v1alpha1.DeletionPolicyRetain).Deleting()), subject: owned("a"), evidence: live,
			want: answer{Action: governance.Hold, Owners: []string{"a"}, Reason: v1alpha1.ReasonBaselineRetains, Selecting: []string{"a"}},
		},
		"the baseline is being deleted with an unknown deletionPolicy": {
			baselines: baselines(enforcing("a").DeletionPolicy("Orphan").Deleting()), subject: owned("a"), evidence: live,
			want: hold(v1alpha1.ReasonBaselineRetains, "a"),
		},
		"the baseline is in Audit": {
			baselines: baselines(enforcing("a").Mode(v1alpha1.ModeAudit)), subject: owned("a"), evidence: live,
			want: answer{Action: governance.Hold, Owners: []string{"a"}, Reason: v1alpha1.ReasonBaselineInAudit, Selecting: []string{"a"}},
		},
		"the baseline is in Audit and does not select the namespace": {
			baselines: baselines(elsewhere("a").Mode(v1alpha1.ModeAudit)), subject: owned("a"), evidence: live,
			want: hold(v1alpha1.ReasonBaselineInAudit, "a"),
		},
		"the baseline is not accepted": {
			baselines: baselines(invalid("a")), subject: owned("a"), evidence: live, want: hold(v1alpha1.ReasonBaselineNotAccepted, "a"),
		},
		"the baseline is not accepted and does not select the namespace": {
			baselines: baselines(invalid("a").Excluding("shop")), subject: owned("a"), evidence: live,
			want: hold(v1alpha1.ReasonBaselineNotAccepted, "a"),
		},
		"the baseline is of an unknown mode": {
			baselines: baselines(elsewhere("a").Mode("Warn")), subject: owned("a"), evidence: live,
			want: hold(v1alpha1.ReasonBaselineNotAccepted, "a"),
		},
		"the baseline's selector cannot be understood, so it may select the namespace": {
			baselines: baselines(enforcing("a").SelectingWhere("environment", "Resembles", "production")), subject: owned("a"), evidence: live,
			want: hold(v1alpha1.ReasonBaselineNotAccepted, "a"),
		},
		"another baseline that may select the namespace is not accepted": {
			baselines: baselines(elsewhere("a"), invalid("b")), subject: owned("a"), evidence: live,
			want: hold(v1alpha1.ReasonBaselineNotAccepted, "a"),
		},
		"another baseline has no selector at all, so it may select the namespace": {
			baselines: baselines(elsewhere("a"), enforcing("b").With(func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.NamespaceSelector = nil })),
			subject:   owned("a"), evidence: live, want: hold(v1alpha1.ReasonBaselineNotAccepted, "a"),
		},
		"another baseline of an unknown mode selects the namespace": {
			baselines: baselines(elsewhere("a"), enforcing("b").Mode("Warn")), subject: owned("a"), evidence: live,
			want: hold(v1alpha1.ReasonBaselineNotAccepted, "a"),
		},
		"another baseline that selects the namespace waits for its finalizer": {
			baselines: baselines(elsewhere("a"), builder.Baseline("b")), subject: owned("a"), evidence: live,
			want: answer{Action: governance.Hold, Owners: []string{"a"}, Reason: v1alpha1.ReasonFinalizerMissing, Selecting: []string{"b"}},
		},
		"one that is being deleted loses nothing while another is about to govern": {
			baselines: baselines(enforcing("a").Deleting(), builder.Baseline("b")), subject: owned("a"), evidence: live,
			want: answer{Action: governance.Hold, Owners: []string{"a"}, Reason: v1alpha1.ReasonFinalizerMissing, Selecting: []string{"a", "b"}},
		},
		"the CRD is being deleted, and the baseline with it": {
			baselines: baselines(enforcing("a").Deleting()), subject: owned("a"), evidence: crdTerminating,
			want: answer{Action: governance.Hold, Owners: []string{"a"}, Reason: v1alpha1.ReasonCRDTerminating, Selecting: []string{"a"}},
		},
		"the CRD is being deleted, and the baseline does not select the namespace": {
			baselines: baselines(elsewhere("a")), subject: owned("a"), evidence: crdTerminating,
			want: hold(v1alpha1.ReasonCRDTerminating, "a"),
		},
		"the CRD is being deleted, and the baseline is gone already": {
			subject: owned("a", "b"), evidence: crdTerminating, want: hold(v1alpha1.ReasonCRDTerminating, "a", "b"),
		},
		"the CRD is being deleted, according to a cache": {
			baselines: baselines(enforcing("a").Deleting()), subject: owned("a"), evidence: governance.Evidence{CRDTerminating: true},
			want: answer{Action: governance.Hold, Owners: []string{"a"}, Reason: v1alpha1.ReasonCRDTerminating, Selecting: []string{"a"}},
		},
		"policies lost their label, and no baseline selects the namespace": {
			baselines: baselines(elsewhere("a")), subject: orphaned(), evidence: live, want: hold(v1alpha1.ReasonOwnerUnknown),
		},
		"policies lost their label, and the baseline that is being deleted does not select the namespace": {
			baselines: baselines(elsewhere("a").Deleting()), subject: orphaned(), evidence: live, want: hold(v1alpha1.ReasonOwnerUnknown),
		},
		"policies lost their label, and the baseline that is being deleted retains its own": {
			baselines: baselines(enforcing("a").DeletionPolicy(v1alpha1.DeletionPolicyRetain).Deleting()), subject: orphaned(), evidence: live,
			want: answer{Action: governance.Hold, Reason: v1alpha1.ReasonOwnerUnknown, Selecting: []string{"a"}},
		},
		"policies lost their label, and the CRD is being deleted": {
			baselines: baselines(enforcing("a").Deleting()), subject: orphaned(), evidence: crdTerminating,
			want: answer{Action: governance.Hold, Owners: []string{"a"}, Reason: v1alpha1.ReasonCRDTerminating, Selecting: []string{"a"}},
		},
		"a protected namespace whose baseline does not exist": {
			baselines: baselines(enforcing("b")), subject: named("kube-system", "a"), evidence: live,
			want: hold(v1alpha1.ReasonBaselineAbsent, "a"),
		},
	})
}

func TestNamespacesThatAreBeingDeleted(t *testing.T) {
	t.Parallel()
	ignore := answer{Action: governance.Ignore}

	run(t, map[string]decision{
		"the policies that isolate its pods, which may still run, are kept in the desired state": {
			baselines: baselines(enforcing("a")), subject: terminating("a"), evidence: live,
			want: answer{Action: governance.Enforce, Governor: "a", Selecting: []string{"a"}},
		},
		"it is handed over, so that it does not keep the baseline that made it": {
			baselines: baselines(enforcing("a").Deleting(), enforcing("b")), subject: terminating("a"), evidence: live,
			want: answer{Action: governance.Enforce, Governor: "b", Selecting: []string{"a", "b"}},
		},
		"nothing of ours is there": {baselines: baselines(elsewhere("a")), subject: terminating(), evidence: live, want: ignore},
		"no policy is removed because the namespace was relabelled on the way out: its pods may still run": {
			baselines: baselines(elsewhere("a")), subject: terminating("a"), evidence: live, want: ignore,
		},
		"what would be held goes with the namespace and is not reported": {
			baselines: baselines(enforcing("a").Mode(v1alpha1.ModeAudit)), subject: terminating("a"), evidence: live, want: ignore,
		},
		"a hand-over that would be held is not reported either": {
			baselines: baselines(elsewhere("a").Priority(9), enforcing("b")), subject: terminating("a"), evidence: live, want: ignore,
		},
		"policies that lost their label are not reported either": {
			subject: governance.Subject{Terminating: true, Orphaned: true}, evidence: live, want: ignore,
		},
		"an absent baseline is not reported either": {subject: terminating("a"), evidence: live, want: ignore},
		"a CRD that is being deleted is not reported either": {
			subject: terminating("a"), evidence: governance.Evidence{Live: true, CRDTerminating: true}, want: ignore,
		},
		"a baseline that is being deleted need not wait for the namespace": {
			baselines: baselines(enforcing("a").Deleting()), subject: terminating("a"), evidence: live,
			want: answer{Action: governance.Release, Owners: []string{"a"}, Selecting: []string{"a"}},
		},
	})
}

func TestAHeldNamespaceIsExplainedInWords(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		decision decision
		want     []string
	}{
		"an absent baseline is named, with what to do": {
			decision: decision{subject: owned("web")}, want: []string{`"web"`, "create it again"},
		},
		"a baseline that is not accepted, with the cause": {
			decision: decision{baselines: baselines(invalid("web")), subject: owned("web")},
			want:     []string{`"web"`, "spec.environmentIsolation.scope", "SameTeam"},
		},
		"the other baseline that prevents it": {
			decision: decision{baselines: baselines(elsewhere("web"), builder.Baseline("new")), subject: owned("web")},
			want:     []string{`"new"`, "about to govern"},
		},
		"policies that cannot be assigned to a baseline, with the fix": {
			decision: decision{subject: orphaned()}, want: []string{"does not say which baseline", "delete it by hand"},
		},
		"a baseline in Audit": {
			decision: decision{baselines: baselines(enforcing("web").Mode(v1alpha1.ModeAudit)), subject: owned("web")},
			want:     []string{`"web"`, "Audit"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			message := test.decision.decide(live).Message
			for _, want := range test.want {
				if !strings.Contains(message, want) {
					t.Errorf("%q does not contain %q", message, want)
				}
			}
		})
	}
}
