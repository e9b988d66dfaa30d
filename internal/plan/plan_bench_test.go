package plan_test

import (
	"testing"

	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

func BenchmarkConverge(b *testing.B) {
	all := desired(builder.Baseline("default"))
	converged := converged(all)
	states := []struct {
		name      string
		inventory plan.Inventory
	}{
		{"converged", converged},
		{"one-changed", with(converged, deny, func(o *plan.Observed) { o.SpecHash = policy.Hash{} })},
		{"nothing-there", nil},
	}
	for _, state := range states {
		b.Run(state.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				plan.Converge("shop", all, state.inventory, false)
			}
		})
	}
}
