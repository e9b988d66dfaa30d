package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

func baseline() *builder.BaselineBuilder { return builder.Baseline("default") }

// change changes the spec in a way that the API server would reject.
func change(f func(*v1alpha1.ClusterNetworkBaselineSpec)) *builder.BaselineBuilder {
	return baseline().With(func(b *v1alpha1.ClusterNetworkBaseline) { f(&b.Spec) })
}

func podSelector(selector v1alpha1.PodSelector) *builder.BaselineBuilder {
	return baseline().DNSPeers(v1alpha1.DNSPeer{Namespace: "dns", PodSelector: &selector})
}

func TestValidateAccepts(t *testing.T) {
	t.Parallel()
	tests := map[string]*builder.BaselineBuilder{
		"the defaults":                   baseline(),
		"a name of 63 characters":        builder.Baseline(strings.Repeat("a", 63)),
		"a selector with labels":         baseline().Selecting("environment", "production").Selecting("example.com/team", ""),
		"a selector with every operator": baseline().SelectingWhere("a", "In", "1").SelectingWhere("b", "NotIn", "1", "2").SelectingWhere("c", "Exists").SelectingWhere("d", "DoesNotExist"),
		"excluded names and prefixes":    baseline().Excluding("ci-runner", "ci-*", "c*"),
		"mode Audit":                     baseline().Mode(v1alpha1.ModeAudit),
		"deletionPolicy Retain":          baseline().DeletionPolicy(v1alpha1.DeletionPolicyRetain),
		"Ingress only":                   baseline().Denying(v1alpha1.PolicyTypeIngress),
		"Egress only":                    baseline().Denying(v1alpha1.PolicyTypeEgress),
		"dns.source None":                baseline().WithoutDNS(),
		"dns.source None with nothing listed": change(func(s *v1alpha1.ClusterNetworkBaselineSpec) {
			s.DNS = v1alpha1.DNS{Source: v1alpha1.DNSSourceNone}
		}),
		"a DNS peer without podSelector":    baseline().DNSPeers(builder.DNSPods("dns")),
		"a DNS peer with empty podSelector": podSelector(v1alpha1.PodSelector{}),
		"a DNS peer with expressions":       podSelector(v1alpha1.PodSelector{MatchExpressions: []v1alpha1.PodSelectorRequirement{{Key: "a", Operator: "NotIn", Values: []v1alpha1.LabelValue{"1"}}}}),
		"a DNS peer with an IPv4 range":     baseline().DNSPeers(builder.DNSRange("10.0.0.0/8")),
		"a DNS peer with an IPv6 range":     baseline().DNSPeers(builder.DNSRange("fd00::/64")),
		"the lowest and the highest port":   baseline().DNSPorts(v1alpha1.DNSPort{Protocol: "UDP", Port: 1}, v1alpha1.DNSPort{Protocol: "TCP", Port: 65535}),
		"scope None":                        baseline().Scope(v1alpha1.IsolationScopeNone),
		"unlabeled Deny":                    baseline().Unlabeled(v1alpha1.UnlabeledDeny),
		"the label that cannot be forged":   baseline().LabelKey("kubernetes.io/metadata.name"),
	}
	for name, accepted := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if errs := policy.Validate(accepted.Obj()); len(errs) != 0 {
				t.Errorf("refused: %v", errs.ToAggregate())
			}
		})
	}
}

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	const invalid, required, notSupported = field.ErrorTypeInvalid, field.ErrorTypeRequired, field.ErrorTypeNotSupported

	tests := map[string]struct {
		baseline  *builder.BaselineBuilder
		wantField string
		wantType  field.ErrorType
	}{
		"a name of 64 characters": {
			baseline: builder.Baseline(strings.Repeat("a", 64)), wantField: "metadata.name", wantType: field.ErrorTypeTooLong,
		},
		"no namespaceSelector": {
			baseline:  change(func(s *v1alpha1.ClusterNetworkBaselineSpec) { s.NamespaceSelector = nil }),
			wantField: "spec.namespaceSelector", wantType: required,
		},
		"a selector's bad key": {
			baseline: baseline().Selecting("-a", "1"), wantField: "spec.namespaceSelector.matchLabels", wantType: invalid,
		},
		"a selector's bad value": {
			baseline: baseline().Selecting("a", "-"), wantField: "spec.namespaceSelector.matchLabels", wantType: invalid,
		},
		"an expression's bad key": {
			baseline:  baseline().SelectingWhere("a b", "Exists"),
			wantField: "spec.namespaceSelector.matchExpressions[0].key", wantType: invalid,
		},
		"an expression's bad value": {
			baseline:  baseline().SelectingWhere("a", "In", "a b"),
			wantField: "spec.namespaceSelector.matchExpressions[0].values[0]", wantType: invalid,
		},
		"In without values": {
			baseline:  baseline().SelectingWhere("a", "In"),
			wantField: "spec.namespaceSelector.matchExpressions[0].values", wantType: required,
		},
		"NotIn without values": {
			baseline:  baseline().SelectingWhere("a", "NotIn"),
			wantField: "spec.namespaceSelector.matchExpressions[0].values", wantType: required,
		},
		"Exists with values": {
			baseline:  baseline().SelectingWhere("a", "Exists", "1"),
			wantField: "spec.namespaceSelector.matchExpressions[0].values", wantType: field.ErrorTypeForbidden,
		},
		"DoesNotExist with values": {
			baseline:  baseline().SelectingWhere("a", "DoesNotExist", "1"),
			wantField: "spec.namespaceSelector.matchExpressions[0].values", wantType: field.ErrorTypeForbidden,
		},
		"an unknown operator": {
			baseline:  baseline().SelectingWhere("a", "Gt", "1"),
			wantField: "spec.namespaceSelector.matchExpressions[0].operator", wantType: invalid,
		},
		"an unknown mode":           {baseline: baseline().Mode("Warn"), wantField: "spec.mode", wantType: notSupported},
		"no mode":                   {baseline: baseline().Mode(""), wantField: "spec.mode", wantType: notSupported},
		"an unknown deletionPolicy": {baseline: baseline().DeletionPolicy("Orphan"), wantField: "spec.deletionPolicy", wantType: notSupported},
		"no deletionPolicy":         {baseline: baseline().DeletionPolicy(""), wantField: "spec.deletionPolicy", wantType: notSupported},
		"no policyTypes":            {baseline: baseline().Denying(), wantField: "spec.defaultDeny.policyTypes", wantType: required},
		"an unknown policyType": {
			baseline:  baseline().Denying(v1alpha1.PolicyTypeIngress, "Sideways"),
			wantField: "spec.defaultDeny.policyTypes[1]", wantType: notSupported,
		},
		"an unknown dns.source": {
			baseline:  change(func(s *v1alpha1.ClusterNetworkBaselineSpec) { s.DNS.Source = "Discovered" }),
			wantField: "spec.dns.source", wantType: notSupported,
		},
		"no dns.source": {
			baseline:  change(func(s *v1alpha1.ClusterNetworkBaselineSpec) { s.DNS.Source = "" }),
			wantField: "spec.dns.source", wantType: notSupported,
		},
		"no DNS peers": {baseline: baseline().DNSPeers(), wantField: "spec.dns.static.peers", wantType: required},
		"no DNS ports": {baseline: baseline().DNSPorts(), wantField: "spec.dns.static.ports", wantType: required},
		"a DNS peer with cidr and podSelector": {
			baseline:  baseline().DNSPeers(v1alpha1.DNSPeer{CIDR: "10.0.0.0/8", PodSelector: &v1alpha1.PodSelector{}}),
			wantField: "spec.dns.static.peers[0].podSelector", wantType: field.ErrorTypeForbidden,
		},
		"an exclusion of everything": {
			baseline: baseline().Excluding("*"), wantField: "spec.excludedNamespaces[0]", wantType: invalid,
		},
		"an exclusion with a star in its middle": {
			baseline: baseline().Excluding("a*b"), wantField: "spec.excludedNamespaces[0]", wantType: invalid,
		},
		"a DNS peer with neither namespace nor cidr": {
			baseline: baseline().DNSPeers(v1alpha1.DNSPeer{}), wantField: "spec.dns.static.peers[0]", wantType: invalid,
		},
		"a DNS peer with both namespace and cidr": {
			baseline:  baseline().DNSPeers(builder.DNSPods("dns"), v1alpha1.DNSPeer{Namespace: "dns", CIDR: "10.0.0.0/8"}),
			wantField: "spec.dns.static.peers[1]", wantType: invalid,
		},
		"a DNS peer's bad namespace": {
			baseline: baseline().DNSPeers(builder.DNSPods("Kube_System")), wantField: "spec.dns.static.peers[0].namespace", wantType: invalid,
		},
		"a DNS peer's bad podSelector": {
			baseline:  podSelector(v1alpha1.PodSelector{MatchLabels: map[string]v1alpha1.LabelValue{"-a": "1"}}),
			wantField: "spec.dns.static.peers[0].podSelector.matchLabels", wantType: invalid,
		},
		"a DNS peer's podSelector with In without values": {
			baseline:  podSelector(v1alpha1.PodSelector{MatchExpressions: []v1alpha1.PodSelectorRequirement{{Key: "a", Operator: "In"}}}),
			wantField: "spec.dns.static.peers[0].podSelector.matchExpressions[0].values", wantType: required,
		},
		"an address without a prefix length": {
			baseline: baseline().DNSPeers(builder.DNSRange("10.0.0.1")), wantField: "spec.dns.static.peers[0].cidr", wantType: invalid,
		},
		"an IPv4 range with host bits": {
			baseline: baseline().DNSPeers(builder.DNSRange("10.0.0.1/8")), wantField: "spec.dns.static.peers[0].cidr", wantType: invalid,
		},
		"an IPv6 range with host bits": {
			baseline: baseline().DNSPeers(builder.DNSRange("fd00::1/64")), wantField: "spec.dns.static.peers[0].cidr", wantType: invalid,
		},
		"an IPv4 address range in IPv6 form": {
			baseline: baseline().DNSPeers(builder.DNSRange("::ffff:10.0.0.0/104")), wantField: "spec.dns.static.peers[0].cidr", wantType: invalid,
		},
		"port 0": {
			baseline:  baseline().DNSPorts(v1alpha1.DNSPort{Protocol: "UDP", Port: 0}),
			wantField: "spec.dns.static.ports[0].port", wantType: invalid,
		},
		"port 65536": {
			baseline:  baseline().DNSPorts(v1alpha1.DNSPort{Protocol: "UDP", Port: 53}, v1alpha1.DNSPort{Protocol: "UDP", Port: 65536}),
			wantField: "spec.dns.static.ports[1].port", wantType: invalid,
		},
		"a protocol that DNS does not use": {
			baseline:  baseline().DNSPorts(v1alpha1.DNSPort{Protocol: "SCTP", Port: 53}),
			wantField: "spec.dns.static.ports[0].protocol", wantType: notSupported,
		},
		"an unknown scope":            {baseline: baseline().Scope("Cluster"), wantField: "spec.environmentIsolation.scope", wantType: notSupported},
		"no scope":                    {baseline: baseline().Scope(""), wantField: "spec.environmentIsolation.scope", wantType: notSupported},
		"an unknown unlabeled":        {baseline: baseline().Unlabeled("Open"), wantField: "spec.environmentIsolation.unlabeled", wantType: notSupported},
		"no unlabeled":                {baseline: baseline().Unlabeled(""), wantField: "spec.environmentIsolation.unlabeled", wantType: notSupported},
		"a labelKey with a space":     {baseline: baseline().LabelKey("my env"), wantField: "spec.environmentIsolation.labelKey", wantType: invalid},
		"a labelKey with two slashes": {baseline: baseline().LabelKey("a/b/c"), wantField: "spec.environmentIsolation.labelKey", wantType: invalid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			type complaint struct {
				Field string
				Type  field.ErrorType
			}
			var got []complaint
			for _, err := range policy.Validate(test.baseline.Obj()) {
				got = append(got, complaint{err.Field, err.Type})
			}
			if diff := cmp.Diff([]complaint{{test.wantField, test.wantType}}, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestValidateReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	errs := policy.Validate(baseline().Mode("Warn").Scope("Cluster").Denying().DNSPeers().Obj())
	if len(errs) != 4 {
		t.Errorf("%d complaints, want 4: %v", len(errs), errs.ToAggregate())
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	one := field.ErrorList{field.Required(field.NewPath("spec", "namespaceSelector"), "write one")}
	tests := map[string]struct {
		errs field.ErrorList
		want string
	}{
		"nothing to explain":         {},
		"one error is said as it is": {errs: one, want: "spec.namespaceSelector: Required value: write one"},
		"of several, the first":      {errs: append(one, one[0], one[0]), want: "spec.namespaceSelector: Required value: write one (and 2 more)"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := policy.Explain(test.errs); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
