package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

func TestObserve(t *testing.T) {
	t.Parallel()
	rendered := desired(builder.Baseline("web"))[2]
	open := networkingv1.NetworkPolicySpec{
		PolicyTypes: rendered.Policy.Spec.PolicyTypes,
		Ingress:     []networkingv1.NetworkPolicyIngressRule{{}},
	}
	const both = plan.Ingress | plan.Egress
	intact := plan.Observed{
		UID: "1", ResourceVersion: "2", Owner: "web", SpecHash: rendered.Hash, MetadataIntact: true, Ours: true, Plain: true, Isolates: both,
	}
	const plugins = "networking.k8s.aws/resources"
	terminating := func(finalizers ...string) func(*networkingv1.NetworkPolicy) {
		return func(n *networkingv1.NetworkPolicy) {
			n.DeletionTimestamp, n.Finalizers = new(metav1.Unix(1, 0)), finalizers
		}
	}

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
		"without any mark of ours": {
			change: func(n *networkingv1.NetworkPolicy) { n.Labels, n.Annotations = nil, nil },
			want:   func(o *plan.Observed) { o.Owner, o.MetadataIntact, o.Ours, o.Plain = "", false, false, false },
		},
		"with a label of another client": {
			change: func(n *networkingv1.NetworkPolicy) { n.Labels["team"] = "web" },
			want:   func(o *plan.Observed) { o.Plain = false },
		},
		"with an annotation of another client": {
			change: func(n *networkingv1.NetworkPolicy) { n.Annotations["example.com/seen"] = "true" },
			want:   func(o *plan.Observed) { o.Plain = false },
		},
		"with a finalizer of another client, which keeps nothing that lives": {
			change: func(n *networkingv1.NetworkPolicy) { n.Finalizers = []string{plugins} },
			want:   func(o *plan.Observed) { o.Plain = false },
		},
		"isolating one direction": {
			change: func(n *networkingv1.NetworkPolicy) { n.Spec.PolicyTypes = []networkingv1.PolicyType{"Egress"} },
			want: func(o *plan.Observed) {
				spec := networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Egress"}}
				o.SpecHash, o.Isolates = policy.HashSpec(&spec), plan.Egress
			},
		},
		"deleted, but kept by a finalizer": {
			change: terminating("example.com/keep"),
			want:   func(o *plan.Observed) { o.Terminating, o.KeptBy, o.Plain = true, "example.com/keep", false },
		},
		"deleted, but kept by several, of which a network plugin's is the one that is not taken off": {
			change: terminating("example.com/keep", plugins),
			want:   func(o *plan.Observed) { o.Terminating, o.KeptBy, o.Plain = true, plugins, false },
		},
		"deleted, and kept by nothing that is known": {
			change: terminating(), want: func(o *plan.Observed) { o.Terminating = true },
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
