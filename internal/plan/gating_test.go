package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// Whether a write waits for another decides the cost of one refused policy: only writes that would
// cut pods off from DNS wait for it.
func TestWhatWaitsForTheDNSPolicy(t *testing.T) {
	t.Parallel()
	all := desired(builder.Baseline("default"))
	terminating := func(o *plan.Observed) { o.Terminating = true }
	opened := func(o *plan.Observed) { o.SpecHash = policy.Hash{} }
	none := map[string]string{}

	tests := map[string]struct {
		desired   []policy.Desired
		inventory plan.Inventory
		want      map[string]string // of each step that needs another, which
	}{
		"nothing there: what isolates egress": {desired: all, want: map[string]string{isolation: dns, deny: dns}},
		"nothing there and ingress alone is denied: there is no DNS policy to wait for": {
			desired: desired(builder.Baseline("default").Denying(v1alpha1.PolicyTypeIngress)), want: none,
		},
		"nothing there and DNS is left to others": {desired: desired(builder.Baseline("default").WithoutDNS()), want: none},
		"DNS exists": {desired: all, inventory: without(converged(all), isolation, deny), want: none},
		"DNS exists and was changed": {
			desired: all, inventory: with(without(converged(all), isolation, deny), dns, opened), want: none,
		},
		"DNS is missing and another policy isolates egress already": {
			desired: all, inventory: without(converged(all), dns, isolation), want: none,
		},
		"DNS is missing and another policy was opened": {
			desired: all, inventory: with(without(converged(all), dns, isolation), deny, opened), want: none,
		},
		"what exists is closed, whatever becomes of DNS": {
			desired: all, inventory: with(without(converged(all), dns), deny, func(o *plan.Observed) { opened(o); o.Isolates = plan.Ingress }), want: none,
		},
		"DNS is on its way out, and kept in place by a network plugin": {
			desired:   all,
			inventory: with(without(converged(all), isolation, deny), dns, func(o *plan.Observed) { terminating(o); o.KeptBy = "networking.k8s.aws/resources" }), want: none,
		},
		"DNS is on its way out, and some plugins enforce it no longer": {
			desired: all, inventory: with(without(converged(all), isolation, deny), dns, terminating), want: map[string]string{isolation: dns, deny: dns},
		},
		"all are on their way out: a recreated policy counts as the one before": {
			desired:   all,
			inventory: with(with(with(converged(all), dns, terminating), isolation, terminating), deny, terminating), want: none,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, parallel := range []bool{false, true} {
				got := map[string]string{}
				for _, stage := range plan.Converge("shop", test.desired, test.inventory, parallel) {
					for _, step := range stage {
						if step.Needs != "" {
							got[step.Name] = step.Needs
						}
					}
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("in parallel %t (-want +got):\n%s", parallel, diff)
				}
			}
		})
	}
}

func TestWhetherAPlanLoosens(t *testing.T) {
	t.Parallel()
	all := desired(builder.Baseline("default"))
	ingress := desired(builder.Baseline("default").Denying(v1alpha1.PolicyTypeIngress))
	tests := map[string]struct {
		plan plan.Plan
		want bool
	}{
		"nothing to do":                       {plan: plan.Converge("shop", all, converged(all), false)},
		"policies are made":                   {plan: plan.Converge("shop", all, nil, false)},
		"one is repaired":                     {plan: plan.Converge("shop", all, with(converged(all), deny, func(o *plan.Observed) { o.SpecHash = policy.Hash{} }), false)},
		"one isolates a direction more":       {plan: plan.Converge("shop", all, without(converged(ingress), dns), false)},
		"one isolates a direction less":       {plan: plan.Converge("shop", ingress, without(converged(all), dns), false), want: true},
		"one is removed":                      {plan: plan.Remove("shop", []string{"default"}, converged(all)), want: true},
		"one is removed among others written": {plan: plan.Converge("shop", desired(builder.Baseline("default").WithoutDNS()), converged(all), false), want: true},
		"a terminating one is made again":     {plan: plan.Converge("shop", all, with(converged(all), deny, func(o *plan.Observed) { o.Terminating = true }), false)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := test.plan.Loosens(); got != test.want {
				t.Errorf("%v loosens: %t, want %t", outline(test.plan), got, test.want)
			}
		})
	}
}

// While a hand-over is held, existing policies are closed to the desired ones of the next baseline,
// and nothing else happens.
func TestClosingTakesNothingAwayAndOpensNothing(t *testing.T) {
	t.Parallel()
	all := desired(builder.Baseline("default"))
	other := converged(desired(builder.Baseline("other")))
	tests := map[string]struct {
		desired   []policy.Desired
		inventory plan.Inventory
		want      []string
	}{
		"what is there is replaced only to close it": {
			desired: all, inventory: other, want: []string{"update " + dns, "update " + isolation, "update " + deny},
		},
		"what is missing is made where it allows nothing": {
			desired: all, inventory: without(other, deny), want: []string{"update " + dns, "update " + isolation, "create " + deny},
		},
		"and not where it allows something": {
			desired: all, inventory: without(other, dns, isolation), want: []string{"update " + deny},
		},
		"what is terminating is made again where it allows nothing": {
			desired:   all,
			inventory: with(with(other, dns, func(o *plan.Observed) { o.Terminating = true }), deny, func(o *plan.Observed) { o.Terminating = true }),
			want:      []string{"update " + isolation, "recreate " + deny},
		},
		"what isolates a direction that is not wanted stays, whatever it allows": {
			desired:   desired(builder.Baseline("default").Denying(v1alpha1.PolicyTypeIngress)),
			inventory: with(other, deny, func(o *plan.Observed) { o.SpecHash = policy.Hash{} }),
		},
		"what is not wanted stays": {
			desired: desired(builder.Baseline("default").WithoutDNS()), inventory: other, want: []string{"update " + isolation, "update " + deny},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := plan.Converge("shop", test.desired, test.inventory, false)
			closing := whole.Closing(nil)
			if diff := cmp.Diff(test.want, outline(closing)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			for _, stage := range closing {
				for _, step := range stage {
					if step.OnlyToClose != (step.Operation == plan.Update) || step.Blind {
						t.Errorf("%s %s: only to close %t, blind %t; an update has to look first", step.Operation, step.Name, step.OnlyToClose, step.Blind)
					}
				}
			}
			for _, stage := range whole {
				for _, step := range stage {
					if step.OnlyToClose {
						t.Errorf("the plan that it was made from has changed: %s %s", step.Operation, step.Name)
					}
				}
			}
		})
	}
}

// A policy that carries nothing of other clients can be replaced without reading it, which halves
// the cost of a repair.
func TestOnlyAPlainPolicyIsReplacedUnread(t *testing.T) {
	t.Parallel()
	all := desired(builder.Baseline("default"))
	tests := map[string]struct {
		change func(*plan.Observed)
		want   bool
	}{
		"nothing of other clients":                {change: func(o *plan.Observed) { o.SpecHash = policy.Hash{} }, want: true},
		"something of another client":             {change: func(o *plan.Observed) { o.SpecHash, o.Plain = policy.Hash{}, false }},
		"terminating, so that it has to be freed": {change: func(o *plan.Observed) { o.Terminating = true }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			step := plan.Converge("shop", all, with(converged(all), deny, test.change), false).Step(deny)
			if step.Operation == "" || step.Blind != test.want {
				t.Errorf("%s, blind %t; want blind %t", step.Operation, step.Blind, test.want)
			}
		})
	}
}

func TestKeepLeavesNoEmptyStage(t *testing.T) {
	t.Parallel()
	whole := plan.Converge("shop", desired(builder.Baseline("default")), nil, false)
	kept := whole.Keep(func(step plan.Step) bool { return step.Name == isolation })
	if diff := cmp.Diff([]string{"create " + isolation}, outline(kept)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if whole.Len() != 3 {
		t.Errorf("the plan that it was made from has %d steps left, want 3", whole.Len())
	}
}

func TestWhetherPoliciesAreOrphaned(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*networkingv1.NetworkPolicy)
		want   bool
	}{
		"as they were written":         {change: func(*networkingv1.NetworkPolicy) {}},
		"one without all of its marks": {change: func(n *networkingv1.NetworkPolicy) { n.Labels, n.Annotations = nil, nil }},
		"one without its label":        {change: func(n *networkingv1.NetworkPolicy) { delete(n.Labels, v1alpha1.BaselineLabel) }, want: true},
		"one with its description":     {change: func(n *networkingv1.NetworkPolicy) { n.Labels = nil }, want: true},
		"one with an empty label":      {change: func(n *networkingv1.NetworkPolicy) { n.Labels[v1alpha1.BaselineLabel] = "" }, want: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inventory := converged(desired(builder.Baseline("default")))
			object := desired(builder.Baseline("default"))[2].Policy.DeepCopy()
			test.change(object)
			inventory[object.Name] = plan.Observe(object)
			if got := inventory.Orphaned(); got != test.want {
				t.Errorf("orphaned %t, want %t", got, test.want)
			}
		})
	}
}
