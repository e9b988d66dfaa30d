package governance_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

const operatorNamespace = "netbaseline-system"

var live = governance.Evidence{Live: true}

// answer is a decision in a form that can be written in a table.
type answer struct {
	Action    governance.Action
	Governor  string
	Owners    []string
	Reason    string
	Selecting []string
}

type decision struct {
	baselines []*builder.BaselineBuilder
	subject   governance.Subject // in the namespace shop, unless it names another
	evidence  governance.Evidence
	want      answer
}

// enforcing is a baseline that may govern: its finalizer is in place.
func enforcing(name string) *builder.BaselineBuilder { return builder.Baseline(name).Finalized() }

// elsewhere is a baseline that may govern, but not the namespace shop.
func elsewhere(name string) *builder.BaselineBuilder { return enforcing(name).Excluding("shop") }

// invalid is a baseline with a value that this version does not know.
func invalid(name string) *builder.BaselineBuilder { return enforcing(name).Scope("SameTeam") }

func baselines(b ...*builder.BaselineBuilder) []*builder.BaselineBuilder { return b }

func owned(owners ...string) governance.Subject { return governance.Subject{Owners: owners} }

func named(name string, owners ...string) governance.Subject {
	return governance.Subject{Namespace: policy.Namespace{Name: name}, Owners: owners}
}

func labelled(labels map[string]string, owners ...string) governance.Subject {
	return governance.Subject{Namespace: policy.Namespace{Name: "shop", Labels: labels}, Owners: owners}
}

func terminating(owners ...string) governance.Subject {
	return governance.Subject{Terminating: true, Owners: owners}
}

// orphaned is a namespace in which a policy of ours lost the label that names its baseline.
func orphaned(owners ...string) governance.Subject {
	return governance.Subject{Owners: owners, Orphaned: true}
}

func (d decision) snapshot() *governance.Snapshot {
	var candidates []*governance.Candidate
	for _, b := range d.baselines {
		candidates = append(candidates, governance.NewCandidate(b.Obj()))
	}
	return governance.NewSnapshot(candidates, operatorNamespace)
}

func (d decision) decide(evidence governance.Evidence) governance.Decision {
	subject := d.subject
	if subject.Name == "" {
		subject.Name = "shop"
	}
	return governance.Decide(d.snapshot(), subject, evidence)
}

func answerOf(d governance.Decision) answer {
	a := answer{Action: d.Action, Owners: d.Owners, Reason: d.Reason, Selecting: d.Selecting}
	if d.Governor != nil {
		a.Governor = d.Governor.Baseline.Name
	}
	return a
}

func (d decision) check(t *testing.T) {
	t.Helper()
	got := d.decide(d.evidence)
	if diff := cmp.Diff(d.want, answerOf(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if (got.Action == governance.Hold) != (got.Reason != "") || (got.Reason == "") != (got.Message == "") {
		t.Errorf("%s with reason %q and message %q: a reason and a message belong to Hold, and to nothing else", got.Action, got.Reason, got.Message)
	}
	// Absence, doubt and a stale cache all end here: what was not read live removes nothing.
	cached := d.decide(governance.Evidence{CRDTerminating: d.evidence.CRDTerminating})
	if cached.Action == governance.Release {
		t.Error("a cached snapshot releases")
	}
	if got.Action == governance.Release && cached.Action != governance.Confirm {
		t.Errorf("what a live snapshot releases, a cached snapshot does not send back to be confirmed but answers %s", cached.Action)
	}
}

func run(t *testing.T, tests map[string]decision) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.check(t)
		})
	}
}

func TestWhoGoverns(t *testing.T) {
	t.Parallel()
	enforce := func(governor string, selecting ...string) answer {
		return answer{Action: governance.Enforce, Governor: governor, Selecting: selecting}
	}
	production := builder.Labels("environment", "production")

	run(t, map[string]decision{
		"none, without baselines": {want: answer{Action: governance.Ignore}},
		"the only baseline":       {baselines: baselines(enforcing("a")), want: enforce("a", "a")},
		"the only baseline, also by a cached snapshot": {
			baselines: baselines(enforcing("a")), evidence: governance.Evidence{}, want: enforce("a", "a"),
		},
		"the only baseline, also by a live snapshot": {baselines: baselines(enforcing("a")), evidence: live, want: enforce("a", "a")},
		"the highest priority": {
			baselines: baselines(enforcing("a").Priority(1), enforcing("b").Priority(1000), enforcing("c").Priority(999)),
			want:      enforce("b", "b", "c", "a"),
		},
		"of equal priorities the smaller name": {
			baselines: baselines(enforcing("c").Priority(5), enforcing("b").Priority(5), enforcing("a").Priority(4)),
			want:      enforce("b", "b", "c", "a"),
		},
		"an absent priority is 0": {
			baselines: baselines(enforcing("b"), enforcing("a").With(func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.Priority = nil })),
			want:      enforce("a", "a", "b"),
		},
		"a baseline whose labels the namespace carries": {
			baselines: baselines(enforcing("a").Selecting("environment", "production")), subject: labelled(production), want: enforce("a", "a"),
		},
		"not a baseline whose labels it does not carry": {
			baselines: baselines(enforcing("a").Selecting("environment", "staging"), enforcing("b").SelectingWhere("environment", "DoesNotExist")),
			subject:   labelled(production), want: answer{Action: governance.Ignore},
		},
		"the lower one, where the higher one does not select": {
			baselines: baselines(enforcing("a").Priority(9).Selecting("environment", "staging"), enforcing("b")),
			subject:   labelled(production), want: enforce("b", "b"),
		},
		"not one that is in Audit, although it selects the namespace": {
			baselines: baselines(builder.Baseline("a").Mode(v1alpha1.ModeAudit)),
			want:      answer{Action: governance.Ignore, Selecting: []string{"a"}},
		},
		"the lower one, while the higher one is in Audit": {
			baselines: baselines(builder.Baseline("a").Priority(9).Mode(v1alpha1.ModeAudit), enforcing("b")), want: enforce("b", "a", "b"),
		},
		"not one that is not accepted": {
			baselines: baselines(invalid("a")), want: answer{Action: governance.Ignore},
		},
		"the lower one, while the higher one is not accepted": {
			baselines: baselines(invalid("a").Priority(9), enforcing("b")), want: enforce("b", "b"),
		},
		"not one of an unknown mode": {
			baselines: baselines(enforcing("a").Mode("Warn")), want: answer{Action: governance.Ignore},
		},
		"not one whose finalizer is missing, because cleanup would be forgotten": {
			baselines: baselines(builder.Baseline("a")), want: answer{Action: governance.Ignore, Selecting: []string{"a"}},
		},
		"the lower one, while the higher one waits for its finalizer": {
			baselines: baselines(builder.Baseline("a").Priority(9), enforcing("b")), want: enforce("b", "a", "b"),
		},
		"one that retains needs no finalizer": {
			baselines: baselines(builder.Baseline("a").DeletionPolicy(v1alpha1.DeletionPolicyRetain)), want: enforce("a", "a"),
		},
		"another client's finalizer is not ours": {
			baselines: baselines(builder.Baseline("a").With(func(b *v1alpha1.ClusterNetworkBaseline) { b.Finalizers = []string{"foregroundDeletion"} })),
			want:      answer{Action: governance.Ignore, Selecting: []string{"a"}},
		},
		"not one that is being deleted": {
			baselines: baselines(enforcing("a").Deleting()), want: answer{Action: governance.Ignore, Selecting: []string{"a"}},
		},
		"a hand-over: the lower one, while the higher one is being deleted": {
			baselines: baselines(enforcing("a").Priority(9).Deleting(), enforcing("b")), subject: owned("a"), evidence: live,
			want: enforce("b", "a", "b"),
		},
		"a hand-over: a higher one appears": {
			baselines: baselines(enforcing("a").Priority(9), enforcing("b")), subject: owned("b"), evidence: live, want: enforce("a", "a", "b"),
		},
		"where a policy lost its label, as anywhere else": {
			baselines: baselines(enforcing("a"), enforcing("b").Deleting()), subject: orphaned("a"), want: enforce("a", "a", "b"),
		},
		"its policies are already there": {
			baselines: baselines(enforcing("a")), subject: owned("a"), want: enforce("a", "a"),
		},
		"while the CRD is being deleted, what is governed stays governed": {
			baselines: baselines(enforcing("a")), subject: owned("a"),
			evidence: governance.Evidence{Live: true, CRDTerminating: true}, want: enforce("a", "a"),
		},
	})
}

func TestExcludedNamespacesAreNotGoverned(t *testing.T) {
	t.Parallel()
	ignore := answer{Action: governance.Ignore}
	enforce := answer{Action: governance.Enforce, Governor: "a", Selecting: []string{"a"}}
	excluding := func(patterns ...v1alpha1.NamespacePattern) []*builder.BaselineBuilder {
		return baselines(enforcing("a").Excluding(patterns...))
	}

	run(t, map[string]decision{
		"by their exact name":                       {baselines: excluding("shop"), subject: named("shop"), want: ignore},
		"by any of several patterns":                {baselines: excluding("x", "ci-*", "shop"), subject: named("shop"), want: ignore},
		"by a prefix":                               {baselines: excluding("ci-*"), subject: named("ci-17"), want: ignore},
		"by a prefix that is the whole name":        {baselines: excluding("ci-*"), subject: named("ci-"), want: ignore},
		"but not by the beginning of an exact name": {baselines: excluding("shop"), subject: named("shop-2"), want: enforce},
		"but not by the end of a name":              {baselines: excluding("shop"), subject: named("my-shop"), want: enforce},
		"but not by a prefix in the middle":         {baselines: excluding("ci-*"), subject: named("my-ci-17"), want: enforce},
		"but not by less than the prefix":           {baselines: excluding("ci-*"), subject: named("ci"), want: enforce},
		"only from the baseline that says so": {
			baselines: baselines(enforcing("a"), enforcing("b").Priority(9).Excluding("shop")), subject: named("shop"), want: enforce,
		},
		"and lose the policies that they had": {
			baselines: excluding("ci-*"), subject: named("ci-17", "a"), evidence: live,
			want: answer{Action: governance.Release, Owners: []string{"a"}},
		},
	})
}

func TestProtectedNamespacesAreNeverGoverned(t *testing.T) {
	t.Parallel()
	ignore := answer{Action: governance.Ignore}
	enforce := answer{Action: governance.Enforce, Governor: "a", Selecting: []string{"a"}}
	dnsIn := func(name, namespace string) *builder.BaselineBuilder {
		return elsewhere(name).DNSPeers(builder.DNSPods(namespace, "app", "coredns"))
	}

	run(t, map[string]decision{
		"kube-system":        {baselines: baselines(enforcing("a")), subject: named("kube-system"), want: ignore},
		"kube-public":        {baselines: baselines(enforcing("a")), subject: named("kube-public"), want: ignore},
		"kube-node-lease":    {baselines: baselines(enforcing("a")), subject: named("kube-node-lease"), want: ignore},
		"the operator's own": {baselines: baselines(enforcing("a")), subject: named(operatorNamespace), want: ignore},
		"but default is not": {baselines: baselines(enforcing("a")), subject: named("default"), want: enforce},
		"kube-system, also when no DNS peer names it": {
			baselines: baselines(enforcing("a").WithoutDNS()), subject: named("kube-system"), want: ignore,
		},
		"the namespace of a baseline's own DNS peer": {
			baselines: baselines(enforcing("a").DNSPeers(builder.DNSRange("10.0.0.0/8"), builder.DNSPods("dns"))), subject: named("dns"), want: ignore,
		},
		"the namespace of another baseline's DNS peer": {
			baselines: baselines(enforcing("a"), dnsIn("b", "dns")), subject: named("dns"), want: ignore,
		},
		"the namespace of a DNS peer, while the baseline waits for its finalizer": {
			baselines: baselines(enforcing("a"), builder.Baseline("b").DNSPeers(builder.DNSPods("dns"))), subject: named("dns"), want: ignore,
		},
		"the namespace of a DNS peer, while the baseline is being deleted": {
			baselines: baselines(enforcing("a"), dnsIn("b", "dns").Deleting()), subject: named("dns"), want: ignore,
		},
		"but not the namespace of a DNS peer of a baseline in Audit": {
			baselines: baselines(enforcing("a"), dnsIn("b", "dns").Mode(v1alpha1.ModeAudit).Excluding("dns")), subject: named("dns"), want: enforce,
		},
		"nor that of a baseline that is not accepted": {
			baselines: baselines(enforcing("a"), dnsIn("b", "dns").Scope("SameTeam").Excluding("dns")), subject: named("dns"), want: enforce,
		},
		"whether policies exist there or not": {
			baselines: baselines(enforcing("a"), dnsIn("b", "dns").Mode(v1alpha1.ModeAudit).Excluding("dns")), subject: named("dns", "a"), want: enforce,
		},
		"but not that of a peer that is listed but not used": {
			baselines: baselines(enforcing("a"), dnsIn("b", "dns").WithoutDNS().Excluding("dns")), subject: named("dns"), want: enforce,
		},
		"and a namespace that becomes protected loses its policies": {
			baselines: baselines(enforcing("a"), dnsIn("b", "dns")), subject: named("dns", "a"), evidence: live,
			want: answer{Action: governance.Release, Owners: []string{"a"}},
		},
	})
}

func TestProtectedAndCandidateOfAView(t *testing.T) {
	t.Parallel()
	snapshot := decision{baselines: baselines(enforcing("a").DNSPeers(builder.DNSPods("dns")))}.snapshot()
	for _, namespace := range []string{"kube-system", "kube-public", "kube-node-lease", operatorNamespace, "dns"} {
		if !snapshot.Protected(namespace) {
			t.Errorf("%s is not protected", namespace)
		}
	}
	if snapshot.Protected("shop") {
		t.Error("shop is protected")
	}
	if candidate := snapshot.Candidate("a"); candidate == nil || candidate.Baseline.Name != "a" {
		t.Errorf("Candidate(a) is %v", candidate)
	}
	if candidate := snapshot.Candidate("b"); candidate != nil {
		t.Errorf("Candidate(b) is %v, want nil", candidate)
	}
}
