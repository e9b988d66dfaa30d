package governance_test

import (
	"fmt"
	"testing"

	"github.com/netbaseline/netbaseline/internal/governance"
)

// BenchmarkDecide is about a namespace that the last baseline governs, and every other one has to
// be asked first.
func BenchmarkDecide(b *testing.B) {
	for _, size := range []int{1, 10, 100} {
		var d decision
		for i := range size - 1 {
			d.baselines = append(d.baselines, enforcing(fmt.Sprintf("b%02d", i)).Priority(1).Selecting("team", fmt.Sprint(i)))
		}
		d.baselines = append(d.baselines, enforcing("default"))
		snapshot, subject := d.snapshot(), named("shop", "default")
		if got := governance.Decide(snapshot, subject, governance.Evidence{}); got.Action != governance.Enforce || got.Governor.Baseline.Name != "default" {
			b.Fatalf("got %+v: this would measure something else", answerOf(got))
		}
		b.Run(fmt.Sprintf("baselines=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				governance.Decide(snapshot, subject, governance.Evidence{})
			}
		})
	}
}
