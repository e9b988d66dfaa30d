package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

func TestEnvironmentIsolation(t *testing.T) {
	t.Parallel()
	ownPods := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}}
	labelled := func(key, value string) networkingv1.NetworkPolicyPeer {
		return networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{MatchLabels: builder.Labels(key, value)}}
	}
	production := builder.Labels("environment", "production")
	both := []v1alpha1.PolicyType{v1alpha1.PolicyTypeIngress, v1alpha1.PolicyTypeEgress}

	tests := map[string]struct {
		baseline       *builder.BaselineBuilder
		labels         map[string]string
		wantPeers      []networkingv1.NetworkPolicyPeer // nil: no policy
		wantDirections []v1alpha1.PolicyType
	}{
		"a labelled namespace is open to its own pods and to its environment, both ways": {
			baseline: builder.Baseline("default"), labels: production,
			wantPeers: []networkingv1.NetworkPolicyPeer{ownPods, labelled("environment", "production")}, wantDirections: both,
		},
		"an unlabelled namespace is open to its own pods only": {
			baseline:  builder.Baseline("default"),
			wantPeers: []networkingv1.NetworkPolicyPeer{ownPods}, wantDirections: both,
		},
		"an empty value is no environment to share": {
			baseline: builder.Baseline("default"), labels: builder.Labels("environment", ""),
			wantPeers: []networkingv1.NetworkPolicyPeer{ownPods}, wantDirections: both,
		},
		"another label key": {
			baseline: builder.Baseline("default").LabelKey("example.com/tier"), labels: builder.Labels("example.com/tier", "gold"),
			wantPeers: []networkingv1.NetworkPolicyPeer{ownPods, labelled("example.com/tier", "gold")}, wantDirections: both,
		},
		"every namespace on its own, by its name": {
			baseline: builder.Baseline("default").LabelKey("kubernetes.io/metadata.name"),
			labels:   builder.Labels("kubernetes.io/metadata.name", "shop"),
			wantPeers: []networkingv1.NetworkPolicyPeer{
				ownPods, labelled("kubernetes.io/metadata.name", "shop"),
			}, wantDirections: both,
		},
		"Ingress only": {
			baseline: builder.Baseline("default").Denying(v1alpha1.PolicyTypeIngress), labels: production,
			wantPeers:      []networkingv1.NetworkPolicyPeer{ownPods, labelled("environment", "production")},
			wantDirections: []v1alpha1.PolicyType{v1alpha1.PolicyTypeIngress},
		},
		"Egress only": {
			baseline: builder.Baseline("default").Denying(v1alpha1.PolicyTypeEgress), labels: production,
			wantPeers:      []networkingv1.NetworkPolicyPeer{ownPods, labelled("environment", "production")},
			wantDirections: []v1alpha1.PolicyType{v1alpha1.PolicyTypeEgress},
		},
		"none with scope None": {
			baseline: builder.Baseline("default").Scope(v1alpha1.IsolationScopeNone), labels: production,
		},
		"none for an unlabelled namespace with unlabeled: Deny": {
			baseline: builder.Baseline("default").Unlabeled(v1alpha1.UnlabeledDeny),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want *networkingv1.NetworkPolicySpec
			if test.wantPeers != nil {
				want = &networkingv1.NetworkPolicySpec{}
			}
			for _, direction := range test.wantDirections {
				want.PolicyTypes = append(want.PolicyTypes, networkingv1.PolicyType(direction))
				if direction == v1alpha1.PolicyTypeIngress {
					want.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: test.wantPeers}}
				} else {
					want.Egress = []networkingv1.NetworkPolicyEgressRule{{To: test.wantPeers}}
				}
			}
			if diff := cmp.Diff(want, render(test.baseline, test.labels, isolation)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
