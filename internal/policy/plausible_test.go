package policy_test

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

var shop = policy.Namespace{Name: "shop", Labels: builder.Labels("environment", "production", "team", "web", "kubernetes.io/metadata.name", "shop")}

func TestWhatABaselineRendersIsPlausible(t *testing.T) {
	t.Parallel()
	for name, baseline := range map[string]*builder.BaselineBuilder{
		"the default":            builder.Baseline("default"),
		"ingress alone":          builder.Baseline("default").Denying(v1alpha1.PolicyTypeIngress),
		"other servers":          builder.Baseline("default").DNSPeers(builder.DNSPods("dns"), v1alpha1.DNSPeer{CIDR: "10.0.0.10/32"}),
		"another label":          builder.Baseline("default").With(func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.EnvironmentIsolation.LabelKey = "team" }),
		"a label that is absent": builder.Baseline("default").With(func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.EnvironmentIsolation.LabelKey = "tier" }),
	} {
		for _, desired := range policy.Render(baseline.Obj(), shop) {
			if !policy.IsPlausible(desired.Policy.Name, &desired.Policy.Spec, shop.Labels) {
				t.Errorf("%s: %s is not taken for a baseline's: %+v", name, desired.Policy.Name, desired.Policy.Spec)
			}
		}
	}
}

func TestWhatNoBaselineRendersIsNotPlausible(t *testing.T) {
	t.Parallel()
	type spec = networkingv1.NetworkPolicySpec
	toEverybody := []networkingv1.NetworkPolicyEgressRule{{}}
	fromEverybody := []networkingv1.NetworkPolicyIngressRule{{}}
	selecting := func(key, value string) networkingv1.NetworkPolicyPeer {
		return networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{MatchLabels: builder.Labels(key, value)}}
	}
	for title, test := range map[string]struct {
		name   string
		change func(*spec)
	}{
		"default-deny that lets in":  {v1alpha1.DefaultDenyName, func(s *spec) { s.Ingress = fromEverybody }},
		"default-deny that lets out": {v1alpha1.DefaultDenyName, func(s *spec) { s.Egress = toEverybody }},
		"default-deny of some pods":  {v1alpha1.DefaultDenyName, func(s *spec) { s.PodSelector.MatchLabels = builder.Labels("app", "web") }},
		"DNS that lets in":           {v1alpha1.AllowDNSName, func(s *spec) { s.Ingress = fromEverybody }},
		"DNS to everybody":           {v1alpha1.AllowDNSName, func(s *spec) { s.Egress[0].To = nil }},
		"DNS on every port":          {v1alpha1.AllowDNSName, func(s *spec) { s.Egress[0].Ports = nil }},
		"DNS on a range of ports":    {v1alpha1.AllowDNSName, func(s *spec) { s.Egress[0].Ports[0].EndPort = new(int32(60000)) }},
		"DNS on a named port":        {v1alpha1.AllowDNSName, func(s *spec) { s.Egress[0].Ports[0].Port = new(intstr.FromString("dns")) }},
		"DNS with a second rule":     {v1alpha1.AllowDNSName, func(s *spec) { s.Egress = append(s.Egress, toEverybody...) }},
		"DNS in every namespace":     {v1alpha1.AllowDNSName, func(s *spec) { s.Egress[0].To[0].NamespaceSelector.MatchLabels = nil }},
		"isolation to everybody":     {v1alpha1.EnvironmentIsolationName, func(s *spec) { s.Egress = toEverybody }},
		"isolation from everybody":   {v1alpha1.EnvironmentIsolationName, func(s *spec) { s.Ingress = fromEverybody }},
		"isolation from another":     {v1alpha1.EnvironmentIsolationName, func(s *spec) { s.Ingress[0].From = append(s.Ingress[0].From, selecting("environment", "staging")) }},
		"isolation from all namespaces": {v1alpha1.EnvironmentIsolationName, func(s *spec) {
			s.Ingress[0].From = append(s.Ingress[0].From, networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{}})
		}},
		"isolation from addresses": {v1alpha1.EnvironmentIsolationName, func(s *spec) {
			s.Ingress[0].From = append(s.Ingress[0].From, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0"}})
		}},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			for _, desired := range policy.Render(builder.Baseline("default").Obj(), shop) {
				if desired.Policy.Name != test.name {
					continue
				}
				changed := desired.Policy.Spec.DeepCopy()
				test.change(changed)
				if policy.IsPlausible(test.name, changed, shop.Labels) {
					t.Errorf("%+v passes for a baseline's", changed)
				}
			}
		})
	}
	if policy.IsPlausible("netbaseline-other", &spec{PolicyTypes: []networkingv1.PolicyType{"Ingress"}}, nil) {
		t.Error("a name that is not ours passes")
	}
}
