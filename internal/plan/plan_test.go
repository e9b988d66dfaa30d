package plan_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

const (
	dns       = v1alpha1.AllowDNSName
	isolation = v1alpha1.EnvironmentIsolationName
	deny      = v1alpha1.DefaultDenyName
)

// desired holds the desired policies of the baseline in a namespace of production.
func desired(b *builder.BaselineBuilder) []policy.Desired {
	return policy.Render(b.Obj(), policy.Namespace{Name: "shop", Labels: builder.Labels("environment", "production")})
}

// converged is what is there after the policies have been written: each has a UID and a
// resourceVersion made from its name.
func converged(policies []policy.Desired) plan.Inventory {
	inventory := plan.Inventory{}
	for _, d := range policies {
		object := d.Policy.DeepCopy()
		object.UID, object.ResourceVersion = types.UID("uid of "+object.Name), "version of "+object.Name
		inventory[object.Name] = plan.Observe(object)
	}
	return inventory
}

// with returns the inventory after a change of the object under one name.
func with(inventory plan.Inventory, name string, change func(*plan.Observed)) plan.Inventory {
	changed := maps.Clone(inventory)
	observed := changed[name]
	change(&observed)
	changed[name] = observed
	return changed
}

// without returns the inventory without some names.
func without(inventory plan.Inventory, names ...string) plan.Inventory {
	changed := maps.Clone(inventory)
	for _, name := range names {
		delete(changed, name)
	}
	return changed
}

// outline is a plan in short: one string for each stage, such as "create netbaseline-allow-dns".
func outline(p plan.Plan) []string {
	var stages []string
	for _, stage := range p {
		var steps []string
		for _, step := range stage {
			steps = append(steps, string(step.Operation)+" "+step.Name)
		}
		stages = append(stages, strings.Join(steps, ", "))
	}
	return stages
}

func TestConverge(t *testing.T) {
	t.Parallel()
	all := desired(builder.Baseline("default"))
	stripped := func(o *plan.Observed) { o.Owner, o.MetadataIntact = "", false }
	foreign := func(o *plan.Observed) { o.Owner, o.MetadataIntact, o.Ours = "", false, false }

	tests := map[string]struct {
		desired   []policy.Desired
		inventory plan.Inventory
		parallel  bool
		want      []string
	}{
		"nothing there: one after the other, DNS first and default-deny last": {
			desired: all, want: []string{"create " + dns, "create " + isolation, "create " + deny},
		},
		"nothing there, in a namespace that can hold no running pods: in parallel": {
			desired: all, parallel: true, want: []string{"create " + dns + ", create " + isolation + ", create " + deny},
		},
		"nothing there, and the policies given in another order: written in ours": {
			desired: []policy.Desired{all[2], all[0], all[1]}, want: []string{"create " + dns, "create " + isolation, "create " + deny},
		},
		"everything there":                 {desired: all, inventory: converged(all)},
		"nothing asked for, nothing there": {},
		"one is missing": {
			desired: all, inventory: without(converged(all), isolation), want: []string{"create " + isolation},
		},
		"a spec was changed": {
			desired:   all,
			inventory: with(converged(all), deny, func(o *plan.Observed) { o.SpecHash = policy.Hash{} }), want: []string{"update " + deny},
		},
		"the metadata was changed": {
			desired:   all,
			inventory: with(converged(all), dns, func(o *plan.Observed) { o.MetadataIntact = false }), want: []string{"update " + dns},
		},
		"our label was stripped": {
			desired: all, inventory: with(converged(all), dns, stripped), want: []string{"update " + dns},
		},
		"a hand-over from another baseline is an update in place, in the same order": {
			desired: all, inventory: converged(desired(builder.Baseline("other"))),
			want: []string{"update " + dns, "update " + isolation, "update " + deny},
		},
		"creates and updates keep the order among themselves": {
			desired:   all,
			inventory: with(without(converged(all), dns, deny), isolation, stripped),
			want:      []string{"create " + dns, "update " + isolation, "create " + deny},
		},
		"a policy that is wanted but terminating is made again": {
			desired: all, inventory: with(converged(all), dns, func(o *plan.Observed) { o.Terminating = true }), want: []string{"recreate " + dns},
		},
		"a foreign one that is terminating under a wanted name too": {
			desired: all, inventory: with(with(converged(all), dns, foreign), dns, func(o *plan.Observed) { o.Terminating = true }),
			want: []string{"recreate " + dns},
		},
		"one of ours that is no longer wanted goes also when its label was stripped": {
			desired: desired(builder.Baseline("default").WithoutDNS()), inventory: with(converged(all), dns, stripped), want: []string{"delete " + dns},
		},
		"a policy that is no longer wanted goes": {
			desired: desired(builder.Baseline("default").WithoutDNS()), inventory: converged(all), want: []string{"delete " + dns},
		},
		"what is no longer desired goes last: egress must be open before its DNS policy, which isolates it, can go": {
			desired: desired(builder.Baseline("default").Denying(v1alpha1.PolicyTypeIngress)), inventory: converged(all),
			want: []string{"update " + isolation, "update " + deny, "delete " + dns},
		},
		"of several that are no longer wanted DNS goes last: until then another one may isolate egress": {
			desired:   desired(builder.Baseline("default").Denying(v1alpha1.PolicyTypeIngress).Scope(v1alpha1.IsolationScopeNone)),
			inventory: converged(all), want: []string{"update " + deny, "delete " + isolation, "delete " + dns},
		},
		"also in a namespace without running pods removals come last": {
			desired: desired(builder.Baseline("default").WithoutDNS()), inventory: without(converged(all), deny), parallel: true,
			want: []string{"create " + deny, "delete " + dns},
		},
		"one that is no longer wanted goes also when another baseline made it": {
			desired:   desired(builder.Baseline("default").WithoutDNS()),
			inventory: with(converged(all), dns, func(o *plan.Observed) { o.Owner = "other" }), want: []string{"delete " + dns},
		},
		"one that is no longer wanted and terminating is not deleted again": {
			desired:   desired(builder.Baseline("default").WithoutDNS()),
			inventory: with(converged(all), dns, func(o *plan.Observed) { o.Terminating = true }),
		},
		"a foreign object under an unwanted name is never deleted": {
			desired:   desired(builder.Baseline("default").WithoutDNS()),
			inventory: with(converged(all), dns, foreign),
		},
		"an object under a name that is not ours is never in a plan": {
			desired: all, inventory: with(converged(all), "tenant", func(o *plan.Observed) { o.Owner = "default" }),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, outline(plan.Converge("shop", test.desired, test.inventory, test.parallel))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestUpdatesOnlyLeavesOutCreatesAndDeletes(t *testing.T) {
	t.Parallel()
	inventory := with(without(converged(desired(builder.Baseline("default"))), isolation), deny, func(o *plan.Observed) { o.SpecHash = policy.Hash{} })
	p := plan.Converge("shop", desired(builder.Baseline("default").WithoutDNS()), inventory, false).UpdatesOnly()
	if p.Len() != 1 || p[0][0].Operation != plan.Update || p[0][0].Name != deny {
		t.Errorf("got %v, want the update of default-deny alone", outline(p))
	}
}

func TestStepsSayWhatToWriteAndWhatExactlyToDelete(t *testing.T) {
	t.Parallel()
	all := desired(builder.Baseline("default"))
	inventory := without(converged(all), isolation)
	inventory = with(inventory, deny, func(o *plan.Observed) { o.SpecHash = policy.Hash{} })
	wanted := desired(builder.Baseline("default").WithoutDNS())

	want := plan.Plan{
		{{Operation: plan.Create, Namespace: "shop", Name: isolation, Desired: wanted[0]}},
		{{Operation: plan.Update, Namespace: "shop", Name: deny, Desired: wanted[1], Found: inventory[deny], Blind: true}},
		{{Operation: plan.Delete, Namespace: "shop", Name: dns, Found: inventory[dns]}},
	}
	got := plan.Converge("shop", wanted, inventory, false)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got.Len() != 3 {
		t.Errorf("length %d, want 3", got.Len())
	}
	if found := got.Step(deny); found.Operation != plan.Update || found.Owner() != "default" {
		t.Errorf("the step for %s is %+v", deny, found)
	}
	if none := got.Step("tenant"); none.Operation != "" || none.Name != "tenant" || none.Owner() != "" {
		t.Errorf("the step for a policy that is not in the plan is %+v", none)
	}
}

func TestRemoveTouchesOnlyWhatTheNamedBaselinesMade(t *testing.T) {
	t.Parallel()
	all := converged(desired(builder.Baseline("a")))
	of := func(owners map[string]string) plan.Inventory {
		inventory := all
		for name, owner := range owners {
			inventory = with(inventory, name, func(o *plan.Observed) { o.Owner = owner })
		}
		return inventory
	}

	tests := map[string]struct {
		owners    []string
		inventory plan.Inventory
		want      []string
	}{
		"all policies of one baseline, in parallel, and then DNS": {
			owners: []string{"a"}, inventory: all, want: []string{"delete " + isolation + ", delete " + deny, "delete " + dns},
		},
		"nothing of another baseline": {
			owners: []string{"a"}, inventory: of(map[string]string{dns: "b", deny: "b"}), want: []string{"delete " + isolation},
		},
		"those of several baselines": {
			owners: []string{"a", "b"}, inventory: of(map[string]string{dns: "b", deny: "c"}), want: []string{"delete " + isolation, "delete " + dns},
		},
		"changed or not: the label decides": {
			owners:    []string{"a"},
			inventory: plan.Inventory{deny: {Owner: "a", UID: "1", ResourceVersion: "2"}}, want: []string{"delete " + deny},
		},
		"also those that lost the label that names their baseline": {
			owners: []string{"a"}, inventory: of(map[string]string{dns: "", isolation: "b"}), want: []string{"delete " + deny, "delete " + dns},
		},
		"nothing without any mark of ours": {owners: []string{"a"}, inventory: plan.Inventory{deny: {UID: "1", ResourceVersion: "2"}}},
		"nothing for no owner":             {inventory: all},
		"nothing under another name": {
			owners: []string{"a"}, inventory: plan.Inventory{"tenant": {Owner: "a", UID: "1", ResourceVersion: "2"}},
		},
		"nothing that is terminating already": {
			owners:    []string{"a"},
			inventory: with(without(all, dns, isolation), deny, func(o *plan.Observed) { o.Terminating = true }),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := plan.Remove("shop", test.owners, test.inventory)
			if diff := cmp.Diff(test.want, outline(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			for _, stage := range got {
				for _, step := range stage {
					observed := test.inventory[step.Name]
					if step.Namespace != "shop" || step.Found != observed {
						t.Errorf("%+v does not identify which object, in which state, to delete: %+v", step, observed)
					}
				}
			}
		})
	}
}

func TestOwnersOfAnInventory(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		inventory plan.Inventory
		want      []string
	}{
		"none where nothing is":          {},
		"each once and sorted":           {inventory: plan.Inventory{dns: {Owner: "b"}, isolation: {Owner: "a"}, deny: {Owner: "b"}}, want: []string{"a", "b"}},
		"not of an object without label": {inventory: plan.Inventory{dns: {Owner: ""}, deny: {Owner: "a"}}, want: []string{"a"}},
		"not of another name":            {inventory: plan.Inventory{"tenant": {Owner: "a"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, test.inventory.Owners()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
