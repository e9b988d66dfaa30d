package truth_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/integration/truth"
	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/reachability"
)

func TestRenderedPoliciesHoldInEveryCase(t *testing.T) {
	t.Parallel()
	for _, c := range truth.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			for _, mismatch := range truth.Check(rendered(c), c) {
				t.Error(mismatch)
			}
		})
	}
}

func TestCasesHoldUnderOtherNamesToo(t *testing.T) {
	t.Parallel()
	for _, c := range truth.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			renamed := c.InNamespaces("-2")
			for _, mismatch := range truth.Check(rendered(renamed), renamed) {
				t.Error(mismatch)
			}
			for namespace := range renamed.Namespaces {
				if _, ok := c.Namespaces[namespace]; ok {
					t.Errorf("%s kept its name", namespace)
				}
			}
		})
	}
}

// A case that holds without policies, or where everything is closed, proves nothing.
func TestEveryCaseCanFailBothWays(t *testing.T) {
	t.Parallel()
	for _, c := range truth.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			open, closed := rendered(c), rendered(c)
			open.Policies, closed.Policies = nil, nil
			for namespace := range closed.Namespaces {
				closed.Policies = append(closed.Policies, &networkingv1.NetworkPolicy{
					ObjectMeta: metav1.ObjectMeta{Name: "closed", Namespace: namespace},
					Spec:       networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Ingress", "Egress"}},
				})
			}
			if len(truth.Check(open, c)) == 0 {
				t.Error("holds without any policy")
			}
			if len(truth.Check(closed, c)) == 0 {
				t.Error("holds where nothing is allowed")
			}
		})
	}
}

// What a wrong operator, or a tenant, could do to the policies, and whether the cases notice.
func TestTheCasesNoticeWrongPolicies(t *testing.T) {
	t.Parallel()
	ofName := func(name string, change func(*networkingv1.NetworkPolicySpec)) func(*networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
		return func(p *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
			if p.Name == name {
				change(&p.Spec)
			}
			return p
		}
	}
	missing := func(name string) func(*networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
		return func(p *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
			if p.Name == name {
				return nil
			}
			return p
		}
	}
	const dns, isolation, deny = v1alpha1.AllowDNSName, v1alpha1.EnvironmentIsolationName, v1alpha1.DefaultDenyName
	everyNamespace := networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{}}

	tests := map[string]func(*networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy{
		"DNS is missing":                 missing(dns),
		"isolation is missing":           missing(isolation),
		"default-deny is missing":        missing(deny),
		"default-deny lets everyone in":  ofName(deny, func(s *networkingv1.NetworkPolicySpec) { s.Ingress = make([]networkingv1.NetworkPolicyIngressRule, 1) }),
		"default-deny lets everyone out": ofName(deny, func(s *networkingv1.NetworkPolicySpec) { s.Egress = make([]networkingv1.NetworkPolicyEgressRule, 1) }),
		"DNS is allowed on every port":   ofName(dns, func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].Ports = nil }),
		"DNS is allowed to everyone":     ofName(dns, func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].To = nil }),
		"DNS is allowed over UDP alone":  ofName(dns, func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].Ports = s.Egress[0].Ports[:1] }),
		"DNS is allowed over TCP alone":  ofName(dns, func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].Ports = s.Egress[0].Ports[1:] }),
		"NodeLocal DNSCache is missing":  ofName(dns, func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].To = s.Egress[0].To[:1] }),
		"DNS is every pod of its namespace": ofName(dns, func(s *networkingv1.NetworkPolicySpec) {
			s.Egress[0].To[0].PodSelector = nil
		}),
		"DNS is in every namespace": ofName(dns, func(s *networkingv1.NetworkPolicySpec) {
			s.Egress[0].To[0].NamespaceSelector = &metav1.LabelSelector{}
		}),
		"DNS isolates ingress too": ofName(dns, func(s *networkingv1.NetworkPolicySpec) {
			s.PolicyTypes = []networkingv1.PolicyType{"Ingress", "Egress"}
		}),
		"own pods are missing on the way in":  ofName(isolation, func(s *networkingv1.NetworkPolicySpec) { dropFirst(s, true, false) }),
		"own pods are missing on the way out": ofName(isolation, func(s *networkingv1.NetworkPolicySpec) { dropFirst(s, false, true) }),
		"every namespace may come in": ofName(isolation, func(s *networkingv1.NetworkPolicySpec) {
			if len(s.Ingress) > 0 {
				s.Ingress[0].From = append(s.Ingress[0].From, everyNamespace)
			}
		}),
		"every namespace may be reached": ofName(isolation, func(s *networkingv1.NetworkPolicySpec) {
			if len(s.Egress) > 0 {
				s.Egress[0].To = append(s.Egress[0].To, everyNamespace)
			}
		}),
		"isolation is about some pods only": ofName(isolation, func(s *networkingv1.NetworkPolicySpec) {
			s.PodSelector.MatchLabels = builder.Labels("app", "frontend")
		}),
		"default-deny is about some pods only": ofName(deny, func(s *networkingv1.NetworkPolicySpec) {
			s.PodSelector.MatchLabels = builder.Labels("app", "frontend")
		}),
		"every policy isolates both ways": func(p *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
			p.Spec.PolicyTypes = []networkingv1.PolicyType{"Ingress", "Egress"}
			return p
		},
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !slices.ContainsFunc(truth.Cases, func(c truth.Case) bool { return len(truth.Check(damaged(rendered(c), damage), c)) > 0 }) {
				t.Error("every case still holds")
			}
		})
	}
}

func TestCheckSaysWhatDoesNotHold(t *testing.T) {
	t.Parallel()
	shop, bank := reachability.Pod{Namespace: "shop"}, reachability.Pod{Namespace: "bank"}
	c := truth.Case{
		Name: "a case", Baseline: builder.Baseline("default").Obj(),
		Namespaces: map[string]map[string]string{"shop": {}, "bank": {}},
		Expectations: []truth.Expectation{
			{From: shop, To: shop, Port: 80, Protocol: "TCP", WantAllowed: true},
			{From: shop, To: bank, Port: 80, Protocol: "TCP", WantAllowed: true},
			{From: bank, To: shop, Port: 53, Protocol: "UDP", Direction: truth.Egress, WantAllowed: false},
			{From: bank, To: shop, Port: 53, Protocol: "UDP", Direction: truth.Ingress, WantAllowed: true},
		},
	}
	if diff := cmp.Diff([]string{
		"shop → bank, TCP 80: must be allowed, is refused",
		"bank → shop, UDP 53 (ingress alone): must be allowed, is refused",
	}, truth.Check(rendered(c), c)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"bank → shop, UDP 53 (egress alone): must be refused, is allowed"},
		truth.Check(reachability.World{Namespaces: c.Namespaces}, c)); diff != "" {
		t.Errorf("without policies (-want +got):\n%s", diff)
	}
	c.Expectations = nil
	if diff := cmp.Diff([]string{"the case expects nothing"}, truth.Check(rendered(c), c)); diff != "" {
		t.Errorf("without expectations (-want +got):\n%s", diff)
	}
}

func TestCasesAreWellMade(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range truth.Cases {
		if c.Name == "" || seen[c.Name] {
			t.Errorf("the name %q is empty or used twice", c.Name)
		}
		seen[c.Name] = true
		if errs := policy.Validate(c.Baseline); len(errs) > 0 {
			t.Errorf("%s: the baseline is not accepted: %v", c.Name, errs.ToAggregate())
		}
		for _, p := range c.TenantPolicies {
			if _, ok := c.Namespaces[p.Namespace]; !ok || p.Name == "" || v1alpha1.IsPolicyName(p.Name) || len(p.Spec.PolicyTypes) == 0 {
				t.Errorf("%s: tenant policy %s/%s is not in a namespace of the case, has a name of ours, or no policyTypes", c.Name, p.Namespace, p.Name)
			}
		}
	}
}

// rendered is the world in which the operator has written all policies of a case: what governance
// decides and policy renders.
func rendered(c truth.Case) reachability.World {
	baseline := c.Baseline.DeepCopy()
	baseline.Finalizers = []string{v1alpha1.CleanupFinalizer}
	view := governance.NewSnapshot([]*governance.Candidate{governance.NewCandidate(baseline)}, "netbaseline-system")
	world := reachability.World{Namespaces: maps.Clone(c.Namespaces), Policies: slices.Clone(c.TenantPolicies)}
	world.Namespaces[metav1.NamespaceSystem] = nil
	for name, labels := range world.Namespaces {
		namespace := policy.Namespace{Name: name, Labels: map[string]string{"kubernetes.io/metadata.name": name}}
		maps.Copy(namespace.Labels, labels)
		decision := governance.Decide(view, governance.Subject{Namespace: namespace}, governance.Evidence{})
		if decision.Action != governance.Enforce {
			continue
		}
		for _, desired := range policy.Render(decision.Governor.Baseline, namespace) {
			world.Policies = append(world.Policies, desired.Policy)
		}
	}
	return world
}

// damaged is a world in which something was done to each policy of ours; nil stands for a policy
// that is gone.
func damaged(world reachability.World, damage func(*networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy) reachability.World {
	policies := world.Policies
	world.Policies = nil
	for _, p := range policies {
		if strings.HasPrefix(p.Name, "netbaseline-") {
			p = damage(p.DeepCopy())
		}
		if p != nil {
			world.Policies = append(world.Policies, p)
		}
	}
	return world
}

// dropFirst removes the first peer of the one rule in each direction, and the rule with its last
// peer.
func dropFirst(spec *networkingv1.NetworkPolicySpec, ingress, egress bool) {
	if ingress && len(spec.Ingress) > 0 {
		if spec.Ingress[0].From = spec.Ingress[0].From[1:]; len(spec.Ingress[0].From) == 0 {
			spec.Ingress = nil
		}
	}
	if egress && len(spec.Egress) > 0 {
		if spec.Egress[0].To = spec.Egress[0].To[1:]; len(spec.Egress[0].To) == 0 {
			spec.Egress = nil
		}
	}
}
