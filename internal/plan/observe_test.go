package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/builder"
)

func TestObserve(t *testing.T) {
	t.Parallel()
	rendered := desired(builder.Baseline("web"))[2]
	open := networkingv1.NetworkPolicySpec{
		PolicyTypes: rendered.Policy.Spec.PolicyTypes,
		Ingress:     []networkingv1.NetworkPolicyIngressRule{{}},
	}
	intact := plan.Observed{UID: "1", ResourceVersion: "2", Owner: "web", SpecHash: rendered.Hash, MetadataIntact: true}

	tests := map[string]struct {
		change func(*networkingv1.NetworkPolicy)
		want   func(*plan.Observed)
	}{
		"as it was written": {},
		"opened to everyone": {
			change: func(n *networkingv1.NetworkPolicy) { n.Spec = open },
			want:   func(o *plan.Observed) { o.SpecHash = policy.HashSpec(&open) },
		},
		"without our label": {
			change: func(n *networkingv1.NetworkPolicy) { delete(n.Labels, v1alpha1.BaselineLabel) },
			want:   func(o *plan.Observed) { o.Owner = "" },
		},
		"made for another baseline": {
			change: func(n *networkingv1.NetworkPolicy) { n.Labels[v1alpha1.BaselineLabel] = "other" },
			want:   func(o *plan.Observed) { o.Owner = "other" },
		},
		"with changed metadata": {
			change: func(n *networkingv1.NetworkPolicy) { n.Annotations = nil },
			want:   func(o *plan.Observed) { o.MetadataIntact = false },
		},
		"deleted, but kept by a finalizer": {
			change: func(n *networkingv1.NetworkPolicy) { n.DeletionTimestamp = new(metav1.Unix(1, 0)) },
			want:   func(o *plan.Observed) { o.Terminating = true },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := rendered.Policy.DeepCopy()
			object.UID, object.ResourceVersion = "1", "2"
			want := intact
			if test.change != nil {
				test.change(object)
				test.want(&want)
			}
			if diff := cmp.Diff(want, plan.Observe(object)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
