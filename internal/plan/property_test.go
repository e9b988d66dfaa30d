package plan_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// From any state, interrupted anywhere, and whatever the order within a stage: the plan leads to
// the desired state, and from there nowhere. Foreign objects outside the desired state are
// unchanged.
func TestEveryPlanConvergesAndThenStops(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	planned := 0
	for range 3_000 {
		want, before := randomDesired(random), randomInventory(random)
		parallel := random.IntN(2) == 0
		got := maps.Clone(before)
		first := plan.Converge("shop", want, got, parallel)
		planned += first.Len()
		carryOut(random, first, got, random.IntN(first.Len()+1)) // a crash after so many writes
		carryOut(random, plan.Converge("shop", want, got, parallel), got, 3)

		if reached := contents(got); !maps.Equal(target(want, before), reached) {
			t.Fatalf("seed %d: from %v with %v (-want +got):\n%s", seed, before, outline(first), cmp.Diff(target(want, before), reached))
		}
		if again := plan.Converge("shop", want, got, parallel); again.Len() != 0 {
			t.Fatalf("seed %d: the converged state still has a plan: %v", seed, outline(again))
		}
	}
	if planned < 1000 {
		t.Errorf("seed %d: only %d writes were planned: too few to show anything", seed, planned)
	}
}

// Pods that run in the namespace never lose DNS: where a policy of ours isolates egress, DNS is
// allowed already.
func TestFromNothingDNSStandsBeforeAnythingIsolates(t *testing.T) {
	t.Parallel()
	for _, step := range slices.Concat(plan.Converge("shop", desired(builder.Baseline("default")), nil, false)...) {
		if step.Name == dns {
			return
		}
		if slices.Contains(step.Desired.Policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress) {
			t.Fatalf("%s isolates egress before DNS is allowed", step.Name)
		}
	}
	t.Error("DNS is never allowed")
}

// carryOut makes the first writes of a plan, each stage in an order of its own.
func carryOut(random *rand.Rand, p plan.Plan, inventory plan.Inventory, writes int) {
	for _, stage := range p {
		steps := slices.Clone(stage)
		random.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
		for _, step := range steps {
			if writes == 0 {
				return
			}
			writes--
			if step.Operation == plan.Delete {
				delete(inventory, step.Name)
				continue
			}
			inventory[step.Name] = plan.Observe(step.Desired.Policy)
		}
	}
}

// content is what a test compares of an object.
type content struct {
	Owner          string
	Hash           policy.Hash
	MetadataIntact bool
	Terminating    bool
}

func contents(inventory plan.Inventory) map[string]content {
	all := map[string]content{}
	for name, o := range inventory {
		all[name] = content{o.Owner, o.SpecHash, o.MetadataIntact, o.Terminating}
	}
	return all
}

// target is the state at the end: the desired policies, and all others that are not ours to delete.
func target(want []policy.Desired, before plan.Inventory) map[string]content {
	all := contents(before)
	for _, name := range policy.Names {
		if o, ok := before[name]; ok && o.Ours && !o.Terminating {
			delete(all, name)
		}
	}
	for _, d := range want {
		all[d.Policy.Name] = content{d.Policy.Labels[v1alpha1.BaselineLabel], d.Hash, true, false}
	}
	return all
}

func randomDesired(random *rand.Rand) []policy.Desired {
	b := builder.Baseline("default")
	if random.IntN(3) == 0 {
		b.WithoutDNS()
	}
	if random.IntN(3) == 0 {
		b.Scope(v1alpha1.IsolationScopeNone)
	}
	if random.IntN(3) == 0 {
		b.Denying(v1alpha1.PolicyTypeIngress)
	}
	return desired(b)
}

func randomInventory(random *rand.Rand) plan.Inventory {
	inventory := plan.Inventory{}
	maps.Copy(inventory, converged(randomDesired(random)))
	for _, name := range append([]string{"tenant"}, policy.Names...) {
		observed := inventory[name]
		switch random.IntN(6) {
		case 0:
			delete(inventory, name)
			continue
		case 1:
			observed.Owner, observed.Ours = "", random.IntN(2) == 0
		case 2:
			observed.Owner, observed.Ours = "other", true
		case 3:
			observed.SpecHash, observed.MetadataIntact = policy.Hash{1}, random.IntN(2) == 0
		case 4:
			observed.Terminating = true
		default:
			continue
		}
		inventory[name] = observed
	}
	return inventory
}
