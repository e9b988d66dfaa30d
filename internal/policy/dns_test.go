package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

func TestAllowDNS(t *testing.T) {
	t.Parallel()
	port53 := []networkingv1.NetworkPolicyPort{port("UDP", 53), port("TCP", 53)}

	tests := map[string]struct {
		baseline  *builder.BaselineBuilder
		wantPorts []networkingv1.NetworkPolicyPort
		wantPeers []networkingv1.NetworkPolicyPeer
		wantNone  bool
	}{
		"by default kube-dns in kube-system and NodeLocal DNSCache, over UDP and TCP": {
			baseline:  builder.Baseline("default"),
			wantPorts: port53,
			wantPeers: []networkingv1.NetworkPolicyPeer{
				podsOf("kube-system", &metav1.LabelSelector{MatchLabels: builder.Labels("k8s-app", "kube-dns")}),
				{IPBlock: &networkingv1.IPBlock{CIDR: "169.254.20.10/32"}},
			},
		},
		"a peer without a podSelector is every pod of that namespace and of no other": {
			baseline:  builder.Baseline("default").DNSPeers(builder.DNSPods("dns")),
			wantPorts: port53,
			wantPeers: []networkingv1.NetworkPolicyPeer{podsOf("dns", nil)},
		},
		"a peer with an empty podSelector is every pod of that namespace and of no other": {
			baseline:  builder.Baseline("default").DNSPeers(v1alpha1.DNSPeer{Namespace: "dns", PodSelector: &v1alpha1.PodSelector{}}),
			wantPorts: port53,
			wantPeers: []networkingv1.NetworkPolicyPeer{podsOf("dns", &metav1.LabelSelector{})},
		},
		"a podSelector with expressions is taken over as it is": {
			baseline: builder.Baseline("default").DNSPeers(v1alpha1.DNSPeer{Namespace: "dns", PodSelector: &v1alpha1.PodSelector{
				MatchLabels: map[string]v1alpha1.LabelValue{"a": "1"},
				MatchExpressions: []v1alpha1.PodSelectorRequirement{
					{Key: "b", Operator: "In", Values: []v1alpha1.LabelValue{"2", "3"}},
					{Key: "c", Operator: "DoesNotExist"},
				},
			}}),
			wantPorts: port53,
			wantPeers: []networkingv1.NetworkPolicyPeer{podsOf("dns", &metav1.LabelSelector{
				MatchLabels: builder.Labels("a", "1"),
				MatchExpressions: []metav1.LabelSelectorRequirement{
					{Key: "b", Operator: metav1.LabelSelectorOpIn, Values: []string{"2", "3"}},
					{Key: "c", Operator: metav1.LabelSelectorOpDoesNotExist},
				},
			})},
		},
		"peers and ports keep their order": {
			baseline: builder.Baseline("default").
				DNSPeers(builder.DNSRange("fd00::/64"), builder.DNSPods("dns"), builder.DNSRange("10.0.0.0/8")).
				DNSPorts(v1alpha1.DNSPort{Protocol: "TCP", Port: 5353}, v1alpha1.DNSPort{Protocol: "UDP", Port: 53}),
			wantPorts: []networkingv1.NetworkPolicyPort{port("TCP", 5353), port("UDP", 53)},
			wantPeers: []networkingv1.NetworkPolicyPeer{
				{IPBlock: &networkingv1.IPBlock{CIDR: "fd00::/64"}},
				podsOf("dns", nil),
				{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8"}},
			},
		},
		"none with source None, whatever is listed": {baseline: builder.Baseline("default").WithoutDNS(), wantNone: true},
		"none while egress is not denied, because it would isolate egress": {
			baseline: builder.Baseline("default").Denying(v1alpha1.PolicyTypeIngress), wantNone: true,
		},
		"none without peers, because a rule without peers allows everyone": {
			baseline: builder.Baseline("default").DNSPeers(), wantNone: true,
		},
		"none without ports, because a rule without ports allows every port": {
			baseline: builder.Baseline("default").DNSPorts(), wantNone: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want *networkingv1.NetworkPolicySpec
			if !test.wantNone {
				want = &networkingv1.NetworkPolicySpec{
					PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
					Egress:      []networkingv1.NetworkPolicyEgressRule{{Ports: test.wantPorts, To: test.wantPeers}},
				}
			}
			if diff := cmp.Diff(want, render(test.baseline, nil, dns)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func port(protocol corev1.Protocol, number int32) networkingv1.NetworkPolicyPort {
	return networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: new(intstr.FromInt32(number))}
}

func podsOf(namespace string, selector *metav1.LabelSelector) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: builder.Labels("kubernetes.io/metadata.name", namespace)},
		PodSelector:       selector,
	}
}
