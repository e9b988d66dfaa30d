package policy_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

func TestOpensNothing(t *testing.T) {
	t.Parallel()
	anybody := networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{}}
	port := networkingv1.NetworkPolicyPort{Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromInt32(9))}
	tests := map[string]struct {
		of     string
		change func(*networkingv1.NetworkPolicySpec)
		want   bool
	}{
		"the same":                        {dns, func(*networkingv1.NetworkPolicySpec) {}, true},
		"the same ports in another order": {dns, func(s *networkingv1.NetworkPolicySpec) { p := s.Egress[0].Ports; p[0], p[1] = p[1], p[0] }, true},
		"one port fewer":                  {dns, func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].Ports = s.Egress[0].Ports[:1] }, true},
		"one peer fewer":                  {isolation, func(s *networkingv1.NetworkPolicySpec) { s.Ingress[0].From = s.Ingress[0].From[:1] }, true},
		"one rule fewer":                  {isolation, func(s *networkingv1.NetworkPolicySpec) { s.Egress = nil }, true},
		"one rule twice":                  {isolation, func(s *networkingv1.NetworkPolicySpec) { s.Egress = append(s.Egress, s.Egress[0]) }, true},
		"a peer limited to a port":        {isolation, func(s *networkingv1.NetworkPolicySpec) { s.Ingress[0].Ports = []networkingv1.NetworkPolicyPort{port} }, true},
		"one more direction, closed":      {dns, func(s *networkingv1.NetworkPolicySpec) { s.PolicyTypes = append(s.PolicyTypes, "Ingress") }, true},
		"a port more":                     {dns, func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].Ports = append(s.Egress[0].Ports, port) }, false},
		"a peer more":                     {isolation, func(s *networkingv1.NetworkPolicySpec) { s.Ingress[0].From = append(s.Ingress[0].From, anybody) }, false},
		"a rule more":                     {deny, func(s *networkingv1.NetworkPolicySpec) { s.Ingress = []networkingv1.NetworkPolicyIngressRule{{}} }, false},
		"all ports":                       {dns, func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].Ports = nil }, false},
		"all peers, ingress":              {isolation, func(s *networkingv1.NetworkPolicySpec) { s.Ingress[0].From = nil }, false},
		"all peers, egress":               {isolation, func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].To = nil }, false},
		"a rule in one more direction": {dns, func(s *networkingv1.NetworkPolicySpec) {
			s.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: s.Egress[0].To}}
		}, false},
		"one direction fewer":   {deny, func(s *networkingv1.NetworkPolicySpec) { s.PolicyTypes = s.PolicyTypes[:1] }, false},
		"only some of the pods": {deny, func(s *networkingv1.NetworkPolicySpec) { s.PodSelector.MatchLabels = builder.Labels("app", "web") }, false},
		"only pods that match an expression": {deny, func(s *networkingv1.NetworkPolicySpec) {
			s.PodSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "app", Operator: metav1.LabelSelectorOpExists}}
		}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := policy.Namespace{Name: "shop", Labels: builder.Labels("environment", "production")}
			rendered := policy.Render(builder.Baseline("default").Obj(), namespace)
			desired := &rendered[slices.Index(policy.Names, test.of)].Policy.Spec
			found := desired.DeepCopy()
			test.change(found)
			if got := policy.OpensNothing(found, desired); got != test.want {
				t.Errorf("opens nothing: %t, want %t", got, test.want)
			}
		})
	}
}
