package witness_test

import (
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/test/faults/witness"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// I8 goes red when a baseline loosens what another one has made and has not given up, and for
// nothing else. The upper baseline opens nothing but DNS, the lower one the environment too.
func TestAHandOver(t *testing.T) {
	t.Parallel()
	type baseline = builder.BaselineBuilder
	elsewhere := func() *baseline {
		return builder.Baseline("upper").Priority(10).Scope("None").Selecting("environment", "staging")
	}
	tests := map[string]struct {
		tell func(s *story, upper, lower *baseline)
		want int // violations
	}{
		"red: the upper one enforces, such as without its finalizer": {
			tell: func(s *story, _, lower *baseline) { s.write(lower, isolation) }, want: 1,
		},
		"red: the upper one is in Audit": {
			tell: func(s *story, upper, lower *baseline) { s.baseline(upper.Mode("Audit")).write(lower, isolation) }, want: 1,
		},
		"red: the upper one has not been enforcing for long": {
			tell: func(s *story, upper, lower *baseline) {
				s.baseline(upper.Mode("Audit")).after(time.Hour).write(lower, isolation)
			}, want: 1,
		},
		"red: the upper one is not accepted": {
			tell: func(s *story, upper, lower *baseline) { s.baseline(upper.Scope("SameTeam")).write(lower, isolation) }, want: 1,
		},
		"red: the upper one is not accepted and, as far as one can tell, selects nothing": {
			tell: func(s *story, _, lower *baseline) { s.baseline(elsewhere().Scope("SameTeam")).write(lower, isolation) }, want: 1,
		},
		"red: the upper one is gone": {
			tell: func(s *story, _, lower *baseline) { s.noBaseline("upper").write(lower, isolation) }, want: 1,
		},
		"red: the upper one is being deleted and retains": {
			tell: func(s *story, upper, lower *baseline) {
				s.baseline(upper.DeletionPolicy("Retain").Finalized().Deleting()).write(lower, isolation)
			}, want: 1,
		},
		"red: in place, another DNS server": {
			tell: func(s *story, upper, lower *baseline) {
				s.baseline(upper.Mode("Audit")).write(lower.DNSPeers(builder.DNSRange("10.0.0.1/32")), dns)
			}, want: 1,
		},
		"red: in place, a direction is no longer isolated": {
			tell: func(s *story, upper, lower *baseline) {
				*s = *begin()
				s.baseline(upper.WithoutDNS()).baseline(lower.Denying("Ingress")).write(upper, deny).after(time.Minute)
				s.baseline(upper.Mode("Audit")).write(lower, deny)
			}, want: 1,
		},
		"red: the upper one itself, in Audit": {
			tell: func(s *story, upper, _ *baseline) {
				s.baseline(upper.Mode("Audit")).after(time.Minute).policy(deny, "upper", everyone)
			}, want: 1,
		},
		"red: the word was given too long ago": {
			tell: func(s *story, upper, lower *baseline) {
				s.baseline(elsewhere()).baseline(upper).after(2*time.Second).write(lower, isolation)
			}, want: 1,
		},
		"green: the word was given a moment ago": {
			tell: func(s *story, upper, lower *baseline) {
				s.baseline(elsewhere()).baseline(upper).write(lower, isolation)
			},
		},
		"green: the upper one no longer selects the namespace": {
			tell: func(s *story, _, lower *baseline) {
				s.baseline(elsewhere()).after(time.Minute).write(lower, dns, isolation, deny)
			},
		},
		"green: the namespace is no longer one that the upper one selects": {
			tell: func(s *story, _, lower *baseline) {
				*s = *begin()
				upper := builder.Baseline("upper").Priority(10).Scope("None").Selecting("environment", "production")
				s.baseline(upper).baseline(lower).write(upper, dns, deny).namespace("environment", "staging").write(lower, dns, isolation, deny)
			},
		},
		"green: the upper one is being deleted": {
			tell: func(s *story, upper, lower *baseline) {
				s.baseline(upper.Finalized().Deleting()).after(time.Minute).write(lower, dns, isolation, deny)
			},
		},
		"green: the lower one has become the upper one": {
			tell: func(s *story, _, lower *baseline) {
				s.baseline(lower.Priority(20)).after(time.Minute).write(lower, dns, isolation, deny)
			},
		},
		"green: the new upper one meets one in Audit": {
			tell: func(s *story, upper, _ *baseline) {
				top := builder.Baseline("top").Priority(20)
				s.baseline(upper.Mode("Audit")).baseline(top).after(time.Minute).write(top, dns, isolation, deny)
			},
		},
		"green: nothing is loosened": {
			tell: func(s *story, upper, lower *baseline) { s.baseline(upper.Mode("Audit")).write(lower, dns, deny) },
		},
		"green: the upper one loosens what is its own": {
			tell: func(s *story, upper, _ *baseline) {
				s.baseline(upper.Scope("SameEnvironment")).after(time.Minute).write(upper, isolation)
			},
		},
		"green: a tenant has done it": {
			tell: func(s *story, upper, lower *baseline) {
				s.baseline(upper.Mode("Audit")).tenant("create", isolation).write(lower, isolation)
			},
		},
		"green: a tenant made up the owner": {
			tell: func(s *story, upper, _ *baseline) {
				s.tenant("update", deny).policy(deny, "absent", networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Ingress", "Egress"}}).
					baseline(upper.Scope("SameEnvironment")).write(upper, isolation, deny)
			},
		},
		"green: a namespace without policies gets those of the next baseline": {
			tell: func(s *story, upper, lower *baseline) {
				*s = *begin()
				s.baseline(upper.Mode("Audit")).baseline(lower).after(time.Minute).write(lower, dns, isolation, deny)
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upper, lower := builder.Baseline("upper").Priority(10).Scope("None"), builder.Baseline("lower")
			s := begin().baseline(upper).baseline(lower).write(upper, dns, deny).after(time.Minute)
			test.tell(s, upper, lower)
			got := s.judge.Violations(s.writes, witness.TenantBound, s.now)
			for _, violation := range got {
				if !strings.HasPrefix(violation, "I8 ") {
					t.Errorf("want nothing but I8, got %s", violation)
				}
			}
			if len(got) != test.want {
				t.Errorf("want %d violations, got:\n%s", test.want, strings.Join(got, "\n"))
			}
		})
	}
}

// While a namespace holds what another baseline has not given up, the model wants nothing there.
func TestAHeldNamespace(t *testing.T) {
	t.Parallel()
	upper, lower := builder.Baseline("upper").Priority(10).Scope("None"), builder.Baseline("lower")
	s := begin().baseline(upper).baseline(lower).write(upper, dns, deny)
	expect := func(held bool, differences int) {
		t.Helper()
		if got := s.judge.State.Differences("shop"); s.judge.State.Held("shop") != held || len(got) != differences {
			t.Errorf("held: want %t; want %d differences, got %v", held, differences, got)
		}
	}
	expect(false, 0)
	s.baseline(upper.Mode("Audit"))
	expect(true, 0)
	s.noBaseline("upper")
	expect(true, 0)
	s.baseline(upper.Mode("Enforce").Finalized().Deleting())
	expect(false, 3)
}
