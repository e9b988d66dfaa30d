package controllers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/ledger"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// A baseline in Audit is previewed together with another one that enforces, or has enforced, in the
// namespace shop.
func TestWhatABaselineInAuditIsSaidToDo(t *testing.T) {
	t.Parallel()
	audit := func() *builder.BaselineBuilder { return enforcing().Mode(v1alpha1.ModeAudit) }
	would := func(effect ledger.Effect) []ledger.Previewed {
		return []ledger.Previewed{{Baseline: "default", Effect: effect}}
	}
	open := func(p *networkingv1.NetworkPolicy) { letIn(p) }

	tests := map[string]struct {
		baseline *v1alpha1.ClusterNetworkBaseline
		others   []client.Object
		there    []string // the policies of an earlier Enforce that are still there
		change   func(*networkingv1.NetworkPolicy)
		want     []ledger.Previewed
	}{
		"create where nothing is":               {baseline: audit().Obj(), want: would(ledger.Create)},
		"leave what is right":                   {baseline: audit().Obj(), there: policy.Names, want: would(ledger.Leave)},
		"change what a tenant opened":           {baseline: audit().Obj(), there: policy.Names, change: open, want: would(ledger.Change)},
		"change what lacks a policy":            {baseline: audit().Obj(), there: policy.Names[:2], want: would(ledger.Change)},
		"change what another spec asks for":     {baseline: audit().WithoutDNS().Obj(), there: policy.Names, want: would(ledger.Change)},
		"remove what is not selected any more":  {baseline: audit().Excluding("shop").Obj(), there: policy.Names, want: would(ledger.Remove)},
		"nothing to what was never selected":    {baseline: audit().Excluding("shop").Obj()},
		"nothing, because it enforces in truth": {baseline: enforcing().Obj(), there: policy.Names},
		"nothing where a higher one governs": {
			baseline: audit().Obj(),
			others:   []client.Object{builder.Baseline("strict").Finalized().Priority(5).Obj()},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := append([]client.Object{test.baseline}, test.others...)
			for _, name := range test.there {
				object := written(name)
				object.ManagedFields = nil
				if test.change != nil {
					test.change(object)
				}
				objects = append(objects, object)
			}
			s := newSite(t, objects...)
			if diff := cmp.Diff(test.want, s.reconcile().record.Previewed); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
