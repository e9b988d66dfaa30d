package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

func TestDefaultDeny(t *testing.T) {
	t.Parallel()
	const ingress, egress = v1alpha1.PolicyTypeIngress, v1alpha1.PolicyTypeEgress

	tests := map[string]struct {
		denied []v1alpha1.PolicyType
		want   []networkingv1.PolicyType
	}{
		"both directions":                          {denied: []v1alpha1.PolicyType{ingress, egress}, want: []networkingv1.PolicyType{"Ingress", "Egress"}},
		"both, in the API server's own order":      {denied: []v1alpha1.PolicyType{egress, ingress}, want: []networkingv1.PolicyType{"Ingress", "Egress"}},
		"Ingress only":                             {denied: []v1alpha1.PolicyType{ingress}, want: []networkingv1.PolicyType{"Ingress"}},
		"Egress only, which must be said":          {denied: []v1alpha1.PolicyType{egress}, want: []networkingv1.PolicyType{"Egress"}},
		"a direction that is listed twice":         {denied: []v1alpha1.PolicyType{egress, egress}, want: []networkingv1.PolicyType{"Egress"}},
		"an unknown direction adds no policy type": {denied: []v1alpha1.PolicyType{ingress, "Sideways"}, want: []networkingv1.PolicyType{"Ingress"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The pod selector is empty, which is every pod, and no rule allows anything.
			want := &networkingv1.NetworkPolicySpec{PolicyTypes: test.want}
			if diff := cmp.Diff(want, render(builder.Baseline("default").Denying(test.denied...), nil, deny)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
