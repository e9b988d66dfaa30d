package governance_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

func TestACandidateRendersEachEnvironmentAsTheBaselineAsksFor(t *testing.T) {
	t.Parallel()
	baseline := enforcing("a").Obj()
	candidate := governance.NewCandidate(baseline)
	for range 2 { // the second time, they are kept
		for i := range 100 { // more than are kept
			environment := fmt.Sprintf("e%02d", i)
			if diff := cmp.Diff(policy.RenderEnvironment(baseline, environment), candidate.Desired(environment)); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", environment, diff)
			}
		}
	}
	if got := candidate.Environment(builder.Labels("environment", "production")); got != "production" {
		t.Errorf("the environment is %q, want production", got)
	}
	if got := candidate.Environment(nil); got != "" {
		t.Errorf("without a label the environment is %q, want none", got)
	}
}

func TestWhatIsRenderedOnceIsKept(t *testing.T) {
	t.Parallel()
	candidate := governance.NewCandidate(enforcing("a").Obj())
	if first, second := candidate.Desired("production"), candidate.Desired("production"); &first[0] != &second[0] {
		t.Error("the policies of an environment are rendered again")
	}
}
