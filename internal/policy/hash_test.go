package policy_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

type specChange map[string]func(*networkingv1.NetworkPolicySpec)

// Everything that a tenant, or an admission webhook, could do to a policy of ours.
var semanticChanges = specChange{
	"a pod label is required": func(s *networkingv1.NetworkPolicySpec) {
		s.PodSelector.MatchLabels = builder.Labels("a", "1")
	},
	"a pod expression is required": func(s *networkingv1.NetworkPolicySpec) {
		s.PodSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Exists"}}
	},
	"ingress is not listed any more": func(s *networkingv1.NetworkPolicySpec) { s.PolicyTypes = s.PolicyTypes[1:] },
	"egress is not listed any more":  func(s *networkingv1.NetworkPolicySpec) { s.PolicyTypes = s.PolicyTypes[:1] },
	"ingress rules are removed":      func(s *networkingv1.NetworkPolicySpec) { s.Ingress = nil },
	"egress rules are removed":       func(s *networkingv1.NetworkPolicySpec) { s.Egress = nil },
	"an ingress rule for everyone is added": func(s *networkingv1.NetworkPolicySpec) {
		s.Ingress = append(s.Ingress, networkingv1.NetworkPolicyIngressRule{})
	},
	"an egress rule for everyone is added": func(s *networkingv1.NetworkPolicySpec) {
		s.Egress = append(s.Egress, networkingv1.NetworkPolicyEgressRule{})
	},
	"the ingress peers are removed":     func(s *networkingv1.NetworkPolicySpec) { s.Ingress[0].From = nil },
	"the egress peers are removed":      func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].To = nil },
	"the egress ports are removed":      func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].Ports = nil },
	"an ingress port is added":          func(s *networkingv1.NetworkPolicySpec) { s.Ingress[0].Ports = s.Egress[0].Ports },
	"one peer is removed":               func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].To = s.Egress[0].To[:2] },
	"a peer loses its podSelector":      func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].To[1].PodSelector = nil },
	"a peer gets an empty podSelector":  func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].To[1].PodSelector = &metav1.LabelSelector{} },
	"a peer loses its namespace":        func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].To[1].NamespaceSelector = nil },
	"a peer is opened to all":           func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].To[1].NamespaceSelector = &metav1.LabelSelector{} },
	"own pods become pods of all":       func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].To[0].NamespaceSelector = &metav1.LabelSelector{} },
	"a label of a namespace is changed": func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].To[1].NamespaceSelector.MatchLabels["e"] = "q" },
	"an operator is changed": func(s *networkingv1.NetworkPolicySpec) {
		s.Egress[0].To[1].PodSelector.MatchExpressions[0].Operator = "NotIn"
	},
	"a key is changed": func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].To[1].PodSelector.MatchExpressions[0].Key = "b" },
	"a value is removed": func(s *networkingv1.NetworkPolicySpec) {
		s.Egress[0].To[1].PodSelector.MatchExpressions[0].Values = []string{"1"}
	},
	"a range is widened":      func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].To[2].IPBlock.CIDR = "0.0.0.0/0" },
	"an exception is removed": func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].To[2].IPBlock.Except = nil },
	"a port is changed":       func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].Ports[0].Port = new(intstr.FromInt32(54)) },
	"a port is given by name": func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].Ports[0].Port = new(intstr.FromString("53")) },
	"a port is left out":      func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].Ports[0].Port = nil },
	"a port becomes a range":  func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].Ports[0].EndPort = new(int32(60)) },
	"a protocol is changed":   func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].Ports[0].Protocol = new(corev1.ProtocolSCTP) },
}

func TestEverySemanticDifferenceChangesTheHash(t *testing.T) {
	t.Parallel()
	seen := map[policy.Hash]string{policy.HashSpec(richSpec()): "nothing is changed"}
	for name, change := range semanticChanges {
		spec := richSpec()
		change(spec)
		hash := policy.HashSpec(spec)
		if other, ok := seen[hash]; ok {
			t.Errorf("%q and %q have the same hash", name, other)
		}
		seen[hash] = name
	}
}

func TestWhatTheAPIServerStoresAlikeHasTheSameHash(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spec, same networkingv1.NetworkPolicySpec
	}{
		"no ingress rules":   {same: networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{}}},
		"no egress rules":    {same: networkingv1.NetworkPolicySpec{Egress: []networkingv1.NetworkPolicyEgressRule{}}},
		"no policy types":    {same: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{}}},
		"no pod labels":      {same: networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{}}}},
		"no pod expressions": {same: networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{}}}},
		"no values": {
			spec: networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{
				MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Exists"}},
			}},
			same: networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{
				MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Exists", Values: []string{}}},
			}},
		},
		"no ingress peers and ports": {
			spec: ingress(networkingv1.NetworkPolicyIngressRule{}),
			same: ingress(networkingv1.NetworkPolicyIngressRule{From: []networkingv1.NetworkPolicyPeer{}, Ports: []networkingv1.NetworkPolicyPort{}}),
		},
		"no egress peers and ports": {
			spec: egress(networkingv1.NetworkPolicyEgressRule{}),
			same: egress(networkingv1.NetworkPolicyEgressRule{To: []networkingv1.NetworkPolicyPeer{}, Ports: []networkingv1.NetworkPolicyPort{}}),
		},
		"no exceptions": {
			spec: egress(to(networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8"}})),
			same: egress(to(networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8", Except: []string{}}})),
		},
		"an empty selector of a peer": {
			spec: egress(to(networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}})),
			same: egress(to(networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{}}})),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !bytes.Equal(stored(t, &test.spec), stored(t, &test.same)) {
				t.Fatal("the test is wrong: the API server stores these two differently")
			}
			if policy.HashSpec(&test.spec) != policy.HashSpec(&test.same) {
				t.Error("absent and empty have different hashes, so the policy would be repaired forever")
			}
		})
	}
}

func TestWhatTheAPIServerKeepsApartHasAnotherHash(t *testing.T) {
	t.Parallel()
	own := egress(to(networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}}))
	tests := map[string]struct {
		a, b networkingv1.NetworkPolicySpec
	}{
		"no ingress rule, and one that allows everyone": {b: ingress(networkingv1.NetworkPolicyIngressRule{})},
		"no egress rule, and one that allows everyone":  {b: egress(networkingv1.NetworkPolicyEgressRule{})},
		"no peer, and one without selectors": {
			a: egress(networkingv1.NetworkPolicyEgressRule{}), b: egress(to(networkingv1.NetworkPolicyPeer{})),
		},
		"the own namespace, and every namespace": {
			a: own,
			b: egress(to(networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}, NamespaceSelector: &metav1.LabelSelector{}})),
		},
		"the namespaces' pods, and the own pods": {
			a: own, b: egress(to(networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{}})),
		},
		"an ingress rule, and the same as an egress rule": {
			a: ingress(networkingv1.NetworkPolicyIngressRule{}), b: egress(networkingv1.NetworkPolicyEgressRule{}),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if policy.HashSpec(&test.a) == policy.HashSpec(&test.b) {
				t.Error("the same hash: the difference would never be repaired")
			}
		})
	}
}

// Two specs have the same hash exactly when their stored form, which knows no difference between
// absent and empty lists, is the same.
func TestTheHashIsTheSameExactlyWhenTheStoredFormIs(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	byHash, byStored := map[policy.Hash]string{}, map[string]policy.Hash{}
	for range 20_000 {
		spec := randomSpec(random)
		hash, form := policy.HashSpec(spec), string(stored(t, spec))
		if other, ok := byHash[hash]; ok && other != form {
			t.Fatalf("seed %d: two specs that are stored differently have the same hash; one is %v", seed, spec)
		}
		if other, ok := byStored[form]; ok && other != hash {
			t.Fatalf("seed %d: two specs that are stored alike have different hashes; one is %v", seed, spec)
		}
		byHash[hash], byStored[form] = form, hash
	}
	if len(byHash) < 1000 || len(byHash) > 19_000 {
		t.Errorf("seed %d: %d different specs of 20000: too few, or too few that are alike, to show anything", seed, len(byHash))
	}
}

func richSpec() *networkingv1.NetworkPolicySpec {
	return &networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
		Ingress: []networkingv1.NetworkPolicyIngressRule{{
			From: []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{}}},
		}},
		Egress: []networkingv1.NetworkPolicyEgressRule{{
			Ports: []networkingv1.NetworkPolicyPort{port("UDP", 53)},
			To: []networkingv1.NetworkPolicyPeer{
				{PodSelector: &metav1.LabelSelector{}},
				{
					NamespaceSelector: &metav1.LabelSelector{MatchLabels: builder.Labels("e", "p")},
					PodSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
						{Key: "a", Operator: "In", Values: []string{"1", "2"}},
					}},
				},
				{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8", Except: []string{"10.1.0.0/16"}}},
			},
		}},
	}
}

// stored is the form in which the API server keeps a spec in etcd.
func stored(t *testing.T, spec *networkingv1.NetworkPolicySpec) []byte {
	t.Helper()
	content, err := spec.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func ingress(rules ...networkingv1.NetworkPolicyIngressRule) networkingv1.NetworkPolicySpec {
	return networkingv1.NetworkPolicySpec{Ingress: rules}
}

func egress(rules ...networkingv1.NetworkPolicyEgressRule) networkingv1.NetworkPolicySpec {
	return networkingv1.NetworkPolicySpec{Egress: rules}
}

func to(peers ...networkingv1.NetworkPolicyPeer) networkingv1.NetworkPolicyEgressRule {
	return networkingv1.NetworkPolicyEgressRule{To: peers}
}

// randomSpec draws from few values, so that equal specs, and absent next to empty lists, come up
// often.
func randomSpec(random *rand.Rand) *networkingv1.NetworkPolicySpec {
	spec := &networkingv1.NetworkPolicySpec{PodSelector: *randomSelector(random)}
	spec.PolicyTypes = randomList(random, 2, func() networkingv1.PolicyType {
		return pick(random, networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress)
	})
	spec.Ingress = randomList(random, 2, func() networkingv1.NetworkPolicyIngressRule {
		return networkingv1.NetworkPolicyIngressRule{From: randomPeers(random), Ports: randomPorts(random)}
	})
	spec.Egress = randomList(random, 1, func() networkingv1.NetworkPolicyEgressRule {
		return networkingv1.NetworkPolicyEgressRule{To: randomPeers(random), Ports: randomPorts(random)}
	})
	return spec
}

func randomPeers(random *rand.Rand) []networkingv1.NetworkPolicyPeer {
	return randomList(random, 1, func() networkingv1.NetworkPolicyPeer {
		switch random.IntN(3) {
		case 0:
			return networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{
				CIDR: pick(random, "10.0.0.0/8", "0.0.0.0/0"), Except: randomList(random, 1, func() string { return "10.1.0.0/16" }),
			}}
		case 1:
			return networkingv1.NetworkPolicyPeer{NamespaceSelector: pick(random, nil, randomSelector(random)), PodSelector: randomSelector(random)}
		default:
			return networkingv1.NetworkPolicyPeer{PodSelector: pick(random, nil, randomSelector(random))}
		}
	})
}

func randomPorts(random *rand.Rand) []networkingv1.NetworkPolicyPort {
	return randomList(random, 1, func() networkingv1.NetworkPolicyPort {
		return networkingv1.NetworkPolicyPort{
			Protocol: pick(random, nil, new(corev1.ProtocolTCP), new(corev1.ProtocolUDP)),
			Port:     pick(random, nil, new(intstr.FromInt32(53)), new(intstr.FromString("53"))),
			EndPort:  pick(random, nil, nil, new(int32(60))),
		}
	})
}

func randomSelector(random *rand.Rand) *metav1.LabelSelector {
	return &metav1.LabelSelector{
		MatchLabels: pick(random, nil, map[string]string{}, builder.Labels("a", "1"), builder.Labels("a", "")),
		MatchExpressions: randomList(random, 1, func() metav1.LabelSelectorRequirement {
			return metav1.LabelSelectorRequirement{
				Key: "a", Operator: pick(random, metav1.LabelSelectorOpIn, metav1.LabelSelectorOpExists),
				Values: randomList(random, 1, func() string { return "1" }),
			}
		}),
	}
}

// randomList returns nil, an empty list, or up to most elements; the short ones are more likely.
func randomList[T any](random *rand.Rand, most int, element func() T) []T {
	if random.IntN(3) == 0 {
		return nil
	}
	list := []T{}
	for range random.IntN(most + 1) {
		list = append(list, element())
	}
	return list
}

func pick[T any](random *rand.Rand, choices ...T) T { return choices[random.IntN(len(choices))] }
