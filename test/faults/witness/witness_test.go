package witness_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/faults/witness"
	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

const (
	dns       = "netbaseline-allow-dns"
	isolation = "netbaseline-environment-isolation"
	deny      = "netbaseline-default-deny"
)

var epoch = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

// story tells a history to a judge: one namespace named shop, a second for each revision unless
// told otherwise.
type story struct {
	judge    *witness.Judge
	revision int64
	now      time.Time
	writes   []harness.Write
}

// begin creates the namespace, old enough to hold pods.
func begin() *story {
	s := &story{judge: witness.NewJudge(), now: epoch}
	return s.namespace("environment", "production").after(time.Hour)
}

func (s *story) after(d time.Duration) *story {
	s.now = s.now.Add(d)
	return s
}

func (s *story) observe(change *witness.Change) *story {
	s.revision++
	change.Revision, change.At = s.revision, s.now
	s.judge.Observe(change)
	return s.after(10 * time.Millisecond)
}

func (s *story) namespace(labels ...string) *story {
	return s.observe(&witness.Change{
		Object:    witness.Object{Kind: witness.Namespaces, Name: "shop"},
		Namespace: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", UID: "1", Labels: builder.Labels(labels...), CreationTimestamp: metav1.NewTime(epoch)}},
	})
}

func (s *story) baseline(b *builder.BaselineBuilder) *story {
	baseline := b.Obj()
	return s.observe(&witness.Change{Object: witness.Object{Kind: witness.Baselines, Name: baseline.Name}, Baseline: baseline})
}

// ready is the baseline with a status that reports it ready.
func (s *story) ready(b *builder.BaselineBuilder) *story {
	baseline := b.Obj()
	baseline.Status.ObservedGeneration = baseline.Generation
	baseline.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, ObservedGeneration: baseline.Generation}}
	return s.observe(&witness.Change{Object: witness.Object{Kind: witness.Baselines, Name: baseline.Name}, Baseline: baseline})
}

func (s *story) noBaseline(name string) *story {
	return s.observe(&witness.Change{Object: witness.Object{Kind: witness.Baselines, Name: name}})
}

// write writes policies as the operator should.
func (s *story) write(b *builder.BaselineBuilder, names ...string) *story {
	baseline := b.Obj()
	for _, name := range names {
		s.policy(name, baseline.Name, witness.Expected(baseline, s.judge.State.Namespaces["shop"].Labels)[name])
	}
	return s
}

func (s *story) policy(name, owner string, spec networkingv1.NetworkPolicySpec) *story {
	object := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name)}, Spec: spec}
	if owner != "" {
		object.Labels = map[string]string{v1alpha1.BaselineLabel: owner}
	}
	return s.observe(&witness.Change{Object: witness.Object{Kind: witness.Policies, Namespace: "shop", Name: name}, Policy: object})
}

func (s *story) remove(names ...string) *story {
	for _, name := range names {
		s.observe(&witness.Change{Object: witness.Object{Kind: witness.Policies, Namespace: "shop", Name: name}})
	}
	return s
}

// tenant notes in the audit log that another client writes now.
func (s *story) tenant(verb, name string) *story {
	return s.audit("jane", verb, "networkpolicies", "shop", name)
}

func (s *story) audit(user, verb, resource, namespace, name string) *story {
	s.writes = append(s.writes, harness.Write{User: user, Verb: verb, Resource: resource, Namespace: namespace, Name: name, Code: 200, At: s.now})
	return s
}

func settled() (*story, *builder.BaselineBuilder) {
	b := builder.Baseline("default").Generation(1)
	return begin().baseline(b).write(b, dns, isolation, deny).after(time.Minute), b
}

var everyone = networkingv1.NetworkPolicySpec{
	PolicyTypes: []networkingv1.PolicyType{"Ingress", "Egress"},
	Ingress:     []networkingv1.NetworkPolicyIngressRule{{}},
}

// Each invariant goes red for what it forbids, and for nothing else.
func TestTheWitness(t *testing.T) {
	t.Parallel()
	deleting := func(b *builder.BaselineBuilder) *builder.BaselineBuilder { return b.Finalized().Deleting() }
	tests := map[string]struct {
		tell func(*story, *builder.BaselineBuilder)
		want []string // beginnings
	}{
		"at rest": {tell: func(*story, *builder.BaselineBuilder) {}},
		"I1: every isolating policy goes": {
			tell: func(s *story, _ *builder.BaselineBuilder) { s.remove(dns, isolation, deny) },
			want: []string{"I6", "I2", "I6", "I6", "I1", "I1"},
		},
		"I1: a default-deny is opened, and isolation does not count as closing it": {
			tell: func(s *story, _ *builder.BaselineBuilder) { s.policy(deny, "default", everyone) },
			want: []string{"I1"},
		},
		"I1: default-deny chooses only some pods, which isolation makes up for": {
			tell: func(s *story, b *builder.BaselineBuilder) {
				some := witness.Expected(b.Obj(), nil)[deny]
				some.PodSelector.MatchLabels = map[string]string{"app": "shop"}
				s.policy(deny, "default", some)
			},
		},
		"I1: a tenant's own policy may open the namespace": {
			tell: func(s *story, _ *builder.BaselineBuilder) { s.policy("tenant", "", everyone) },
		},
		"I1: one tenant's write, closed in time": {
			tell: func(s *story, b *builder.BaselineBuilder) {
				s.tenant("update", deny).policy(deny, "default", everyone).after(50*time.Millisecond).write(b, deny)
			},
		},
		"I1: one tenant's write, closed too late": {
			tell: func(s *story, b *builder.BaselineBuilder) {
				s.tenant("update", deny).policy(deny, "default", everyone).after(time.Minute).write(b, deny)
			},
			want: []string{"I1"},
		},
		"I1: a refused write of a tenant is no excuse": {
			tell: func(s *story, b *builder.BaselineBuilder) {
				s.tenant("update", deny).policy(deny, "default", everyone).write(b, deny)
				s.writes[0].Code = 403
			},
			want: []string{"I1"},
		},
		"I1: a hand-over by delete and create": {
			tell: func(s *story, _ *builder.BaselineBuilder) {
				other := builder.Baseline("other").Priority(9).Scope("None").WithoutDNS()
				s.baseline(other).remove(dns, isolation).write(other, deny).remove(deny).write(other, deny)
			},
			want: []string{"I6", "I1", "I1"},
		},
		"I1: a hand-over in place": {
			tell: func(s *story, _ *builder.BaselineBuilder) {
				other := builder.Baseline("other").Priority(9)
				s.baseline(other).write(other, dns, isolation, deny)
			},
		},
		"I1: a direction that is no longer denied may open": {
			tell: func(s *story, _ *builder.BaselineBuilder) {
				ingress := builder.Baseline("default").Denying("Ingress")
				s.baseline(ingress).write(ingress, isolation, deny).remove(dns)
			},
		},
		"I2: default-deny first": {
			tell: func(s *story, b *builder.BaselineBuilder) {
				*s = *begin()
				s.baseline(b).write(b, deny, dns, isolation)
			},
			want: []string{"I2"},
		},
		"I2: not in a namespace that can hold no pods yet": {
			tell: func(s *story, b *builder.BaselineBuilder) {
				*s = *begin()
				s.now = epoch.Add(time.Second)
				s.baseline(b).write(b, deny, dns, isolation)
			},
		},
		"I2: a tenant takes their own DNS away": {
			tell: func(s *story, _ *builder.BaselineBuilder) { s.tenant("delete", dns).remove(dns) },
		},
		"I3: a policy under another name": {
			tell: func(s *story, _ *builder.BaselineBuilder) {
				s.audit(harness.OperatorUser, "update", "networkpolicies", "shop", "tenant")
			},
			want: []string{"I3"},
		},
		"I3: a namespace that no baseline selects": {
			tell: func(s *story, _ *builder.BaselineBuilder) {
				s.audit(harness.OperatorUser, "create", "networkpolicies", "kube-system", deny)
			},
			want: []string{"I3"},
		},
		"I3: another kind": {
			tell: func(s *story, _ *builder.BaselineBuilder) {
				s.audit(harness.OperatorUser, "patch", "namespaces", "", "shop")
			},
			want: []string{"I3"},
		},
		"I3: our own": {
			tell: func(s *story, _ *builder.BaselineBuilder) {
				s.audit(harness.OperatorUser, "update", "networkpolicies", "shop", deny)
				s.audit(harness.OperatorUser, "patch", "clusternetworkbaselines", "", "default")
				s.audit("jane", "create", "networkpolicies", "shop", "tenant")
			},
		},
		"I3: an object under our name that was never ours is deleted": {
			tell: func(s *story, b *builder.BaselineBuilder) {
				s.baseline(b.Selecting("no", "body")).policy("netbaseline-allow-dns", "", everyone).remove(dns)
			},
			want: []string{"I3"},
		},
		"I6: the baseline is gone": {
			tell: func(s *story, _ *builder.BaselineBuilder) { s.noBaseline("default").after(time.Minute).remove(deny) },
			want: []string{"I6"},
		},
		"I6: the baseline is in Audit": {
			tell: func(s *story, b *builder.BaselineBuilder) {
				s.baseline(b.Mode("Audit")).after(time.Minute).remove(deny)
			},
			want: []string{"I6"},
		},
		"I6: the baseline is deleted and retains": {
			tell: func(s *story, b *builder.BaselineBuilder) {
				s.baseline(deleting(b.DeletionPolicy("Retain"))).after(time.Minute).remove(deny)
			},
			want: []string{"I6"},
		},
		"I6: the baseline is deleted": {
			tell: func(s *story, b *builder.BaselineBuilder) {
				s.baseline(deleting(b)).after(time.Minute).remove(deny, dns, isolation)
			},
		},
		"I6: the namespace is not selected any more": {
			tell: func(s *story, _ *builder.BaselineBuilder) {
				s.baseline(builder.Baseline("default").Selecting("environment", "staging")).after(time.Minute).remove(deny, dns, isolation)
			},
		},
		"I7: Ready although a policy is missing": {
			tell: func(s *story, b *builder.BaselineBuilder) {
				*s = *begin()
				s.baseline(b).write(b, dns, isolation).ready(b)
			},
			want: []string{"I7"},
		},
		"I7: Ready with the spec of before": {
			tell: func(s *story, _ *builder.BaselineBuilder) {
				next := builder.Baseline("default").Generation(2).DNSPeers(builder.DNSRange("10.0.0.1/32"))
				s.baseline(next).write(next, isolation, deny).ready(next)
			},
			want: []string{"I7"},
		},
		"I7: Ready when it is true": {tell: func(s *story, b *builder.BaselineBuilder) { s.ready(b) }},
		"I7: a namespace that has only just arrived": {
			tell: func(s *story, b *builder.BaselineBuilder) { s.namespace("environment", "staging").ready(b) },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, b := settled()
			test.tell(s, b)
			got := s.judge.Violations(s.writes, witness.TenantBound, s.now)
			if len(got) != len(test.want) {
				t.Fatalf("want %v, got:\n%s", test.want, strings.Join(got, "\n"))
			}
			for i := range got {
				if !strings.HasPrefix(got[i], test.want[i]+" ") && !strings.HasPrefix(got[i], test.want[i]+":") {
					t.Errorf("want %s, got %s", test.want[i], got[i])
				}
			}
		})
	}
}

func TestCounts(t *testing.T) {
	t.Parallel()
	s, b := settled()
	since := s.revision
	s.write(b, deny).remove(deny).write(b, deny)
	got := s.judge.Counts(since)
	object := witness.Object{Kind: witness.Policies, Namespace: "shop", Name: deny}
	if want := (witness.Count{Creates: 1, Updates: 1, Deletes: 1}); got[object] != want || len(got) != 1 {
		t.Errorf("want %+v of %s, got %+v", want, object, got)
	}
}
