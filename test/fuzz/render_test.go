package fuzz

import (
	"errors"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/choices"
	"github.com/netbaseline/netbaseline/test/utils/specs"
)

// Whatever the API server admits as a baseline renders, in whatever namespace, to policies that it
// admits and stores as they are, and that open nothing but what the baseline says.
func FuzzRender(f *testing.F) {
	for _, example := range choices.Examples(128) {
		f.Add(example)
	}
	baselines, policies := mustServe(f)
	f.Fuzz(func(t *testing.T, input []byte) {
		g := specs.Generator{Source: choices.From(input)}
		labelKey := choices.Pick(g.Source, "environment", g.LabelKey())
		namespace := g.Namespace(labelKey)
		document := g.Document(labelKey)
		baseline, refusal := baselines.admit(document)
		if baseline == nil {
			return
		}
		check(t, policies, baseline, refusal, namespace)
		if t.Failed() {
			t.Logf("in namespace %+v with %s", namespace, document)
		}
	})
}

// As FuzzRender, but of any document.
func FuzzRenderDocument(f *testing.F) {
	const key, value = "environment", "production"
	for _, sample := range []string{"policy_v1alpha1_clusternetworkbaseline.yaml", "policy_v1alpha1_clusternetworkbaseline_audit.yaml"} {
		document, err := os.ReadFile("../../config/samples/" + sample)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(document, "shop", key, value)
	}
	for _, example := range choices.Examples(64) {
		f.Add(specs.Generator{Source: choices.From(example)}.Document(key), "shop", key, value)
	}
	for _, spec := range oddSpecs {
		f.Add([]byte("{metadata: {name: b}, spec: {namespaceSelector: {}, "+spec+"}}"), "shop", key, value)
	}
	f.Add([]byte(`{metadata: {name: b}, spec: {namespaceSelector: {}, environmentIsolation: {labelKey: "1.example.com/1"}}}`), "1", "1.example.com/1", "1_000")
	f.Add([]byte(`{metadata: {name: `+strings.Repeat("b", 64)+`}, spec: {namespaceSelector: {}}}`), "shop", key, value)
	baselines, policies := mustServe(f)
	f.Fuzz(func(t *testing.T, document []byte, name, key, value string) {
		baseline, refusal := baselines.admit(asBaseline(document))
		if baseline == nil {
			return
		}
		check(t, policies, baseline, refusal, policy.Namespace{Name: name, Labels: map[string]string{key: value}})
	})
}

// oddSpecs are at the border of what is admitted, on either side of it.
var oddSpecs = []string{
	`dns: {static: {peers: [{cidr: 10.1.2.3/16}]}}`,
	`dns: {static: {peers: [{cidr: "::ffff:10.0.0.0/104"}]}}`,
	`dns: {static: {peers: [{cidr: 10.0.0.010/32}]}}`,
	`dns: {static: {peers: [{cidr: "fe80::%eth0/64"}]}}`,
	`dns: {static: {peers: [{cidr: "FD00:0:0::/48"}, {cidr: 0.0.0.0/0}, {cidr: "::/0"}]}}`,
	`dns: {static: {peers: [{namespace: a, cidr: 10.0.0.0/8}]}}`,
	`dns: {static: {peers: [{namespace: "", cidr: 10.0.0.0/8}]}}`,
	`dns: {static: {peers: [{}]}}`,
	`dns: {static: {peers: [{podSelector: {}}]}}`,
	`dns: {static: {peers: [{namespace: a, podSelector: {}}, {namespace: a}]}}`,
	`dns: {static: {peers: []}}`,
	`dns: {static: {ports: []}}`,
	`dns: {source: None, static: {peers: []}}`,
	`dns: {static: {ports: [{protocol: UDP, port: 0}]}}`,
	`dns: {static: {ports: [{protocol: UDP, port: 53.0}]}}`,
	`defaultDeny: {policyTypes: []}`,
	`defaultDeny: {policyTypes: [Ingress, Ingress]}`,
	`environmentIsolation: {labelKey: ""}`,
	`environmentIsolation: {labelKey: "a/b/c"}`,
	`priority: 1e3`,
	`excludedNamespaces: ["*"]`,
	`excludedNamespaces: ["a*b"]`,
	`excludedNamespaces: ["a-*", "-*", ""]`,
	`mode: enforce`,
	`namespaceSelector: {matchLabels: {a: null, b: ""}}`,
	`namespaceSelector: {matchExpressions: [{key: a, operator: In, values: [null]}]}`,
	`namespaceSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}`,
}

// check checks what becomes of a baseline that was admitted or refused.
func check(t *testing.T, server *policyServer, baseline *v1alpha1.ClusterNetworkBaseline, refusal error, namespace policy.Namespace) {
	t.Helper()
	mistakes := policy.Validate(baseline)
	switch {
	case len(apimachineryvalidation.NameIsDNSSubdomain(baseline.Name, false)) > 0:
		return // under no version of the schema
	case refusal == nil && len(mistakes) > 0:
		t.Errorf("admitted by the API server and not by the operator: %s", policy.Explain(mistakes))
	case refusal != nil && len(mistakes) == 0 && !beyondValidate(baseline, refusal):
		t.Errorf("refused by the API server and not by the operator: %v", refusal)
	case len(mistakes) > 0 || !specs.Possible(namespace):
		return
	}
	before := baseline.DeepCopy()
	rendered := policy.Render(baseline, namespace)
	if diff := cmp.Diff(rendered, policy.Render(baseline, namespace)); diff != "" {
		t.Errorf("rendered twice (-first +second):\n%s", diff)
	}
	if diff := cmp.Diff(before, baseline); diff != "" {
		t.Errorf("rendering changes the baseline (-before +after):\n%s", diff)
	}
	checkNames(t, baseline, rendered)
	for _, desired := range rendered {
		checkStored(t, server, desired, namespace.Name)
		checkTraffic(t, baseline, namespace, desired.Policy)
	}
}

// beyondValidate reports whether a refusal is about what the operator need not refuse: bounds,
// duplicates, the priority and what is written about DNS without being used do not keep a baseline
// from being carried out, and in a Go type "" and null are as absent.
func beyondValidate(baseline *v1alpha1.ClusterNetworkBaseline, refusal error) bool {
	status, ok := errors.AsType[*apierrors.StatusError](refusal)
	if !ok || status.ErrStatus.Details == nil {
		return false
	}
	for _, cause := range status.ErrStatus.Details.Causes {
		switch {
		case strings.Contains(cause.Message, "should be at least 1 chars long"):
			return true
		case strings.Contains(cause.Message, "some validation rules were not checked"):
		case strings.HasPrefix(cause.Field, "metadata.labels"):
		case strings.HasPrefix(cause.Field, "spec.dns.static") && baseline.Spec.DNS.Source == v1alpha1.DNSSourceNone:
		case cause.Field == "spec.priority":
		case slices.Contains([]metav1.CauseType{metav1.CauseTypeTooMany, metav1.CauseTypeFieldValueDuplicate, metav1.CauseTypeTypeInvalid, metav1.CauseTypeTooLong}, cause.Type):
		default:
			return false
		}
	}
	return true
}

// checkNames checks that exactly the policies that the baseline asks for are there, under our names
// and in their order.
func checkNames(t *testing.T, baseline *v1alpha1.ClusterNetworkBaseline, rendered []policy.Desired) {
	t.Helper()
	var names []string
	for _, desired := range rendered {
		names = append(names, desired.Policy.Name)
	}
	spec := &baseline.Spec
	dns := spec.Denies(v1alpha1.PolicyTypeEgress) && spec.DNS.Source == v1alpha1.DNSSourceStatic
	if !slices.Contains(names, v1alpha1.DefaultDenyName) || slices.Contains(names, v1alpha1.AllowDNSName) != dns {
		t.Errorf("rendered to %v", names)
	}
	inOrder := slices.DeleteFunc(slices.Clone(policy.Names), func(name string) bool { return !slices.Contains(names, name) })
	if !slices.Equal(names, inOrder) {
		t.Errorf("rendered to %v, want each once and in the order of %v", names, policy.Names)
	}
}

// checkStored checks that the API server admits a policy without a word and stores exactly what was
// rendered.
func checkStored(t *testing.T, server *policyServer, desired policy.Desired, namespace string) {
	t.Helper()
	name := desired.Policy.Name
	if desired.Policy.Namespace != namespace || desired.Hash != policy.HashSpec(&desired.Policy.Spec) {
		t.Errorf("%s is for namespace %q, or its hash is another", name, desired.Policy.Namespace)
	}
	a, err := server.create(desired.Policy)
	if err != nil {
		t.Errorf("%s is refused: %v", name, err)
		return
	}
	if len(a.warnings) > 0 {
		t.Errorf("%s is admitted with warnings: %v", name, a.warnings)
	}
	if policy.HashSpec(&a.stored.Spec) != desired.Hash {
		t.Errorf("%s is not stored as rendered (-rendered +stored):\n%s", name, cmp.Diff(desired.Policy.Spec, a.stored.Spec))
	}
	if !maps.Equal(a.stored.Labels, desired.Policy.Labels) || !policy.MetadataIntact(a.stored) {
		t.Errorf("%s: its metadata is not stored as rendered: %v %v", name, a.stored.Labels, a.stored.Annotations)
	}
}

// checkTraffic checks that a policy isolates every pod in denied directions only, and opens them
// only to peers that the baseline names.
func checkTraffic(t *testing.T, baseline *v1alpha1.ClusterNetworkBaseline, namespace policy.Namespace, rendered *networkingv1.NetworkPolicy) {
	t.Helper()
	spec := &rendered.Spec
	if len(spec.PodSelector.MatchLabels)+len(spec.PodSelector.MatchExpressions) > 0 {
		t.Errorf("%s is about some pods only", rendered.Name)
	}
	for _, direction := range []v1alpha1.PolicyType{v1alpha1.PolicyTypeIngress, v1alpha1.PolicyTypeEgress} {
		isolates := slices.Contains(spec.PolicyTypes, networkingv1.PolicyType(direction))
		asked := baseline.Spec.Denies(direction) && (rendered.Name != v1alpha1.AllowDNSName || direction == v1alpha1.PolicyTypeEgress)
		if isolates != asked {
			t.Errorf("%s isolates %s: %t, want %t", rendered.Name, direction, isolates, asked)
		}
		if rules := map[v1alpha1.PolicyType]int{v1alpha1.PolicyTypeIngress: len(spec.Ingress), v1alpha1.PolicyTypeEgress: len(spec.Egress)}[direction]; !asked && rules > 0 {
			t.Errorf("%s has %d rules for %s, which it is not about", rendered.Name, rules, direction)
		}
	}
	for _, rule := range spec.Ingress {
		checkRule(t, baseline, namespace, rendered.Name, rule.From, rule.Ports)
	}
	for _, rule := range spec.Egress {
		checkRule(t, baseline, namespace, rendered.Name, rule.To, rule.Ports)
	}
}

// checkRule checks a rule. One without peers would be open to everybody, and one without ports is
// open on all of them.
func checkRule(
	t *testing.T, baseline *v1alpha1.ClusterNetworkBaseline, namespace policy.Namespace, name string,
	peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort,
) {
	t.Helper()
	if len(peers) == 0 || name == v1alpha1.DefaultDenyName {
		t.Errorf("%s has a rule, for %v", name, peers)
	}
	if (len(ports) > 0) != (name == v1alpha1.AllowDNSName) {
		t.Errorf("%s has a rule for the ports %v", name, ports)
	}
	for _, port := range ports {
		if port.Protocol == nil || port.Port == nil || port.EndPort != nil || !slices.Contains(baseline.Spec.DNS.Static.Ports, v1alpha1.DNSPort{
			Protocol: v1alpha1.DNSProtocol(*port.Protocol), Port: port.Port.IntVal,
		}) {
			t.Errorf("%s opens the port %+v, which the baseline does not name", name, port)
		}
	}
	for _, peer := range peers {
		if name == v1alpha1.AllowDNSName && !namedForDNS(baseline, peer) || name == v1alpha1.EnvironmentIsolationName && !ownEnvironment(baseline, namespace, peer) {
			t.Errorf("%s opens to %s, which the baseline does not name", name, peer.String())
		}
	}
}

// namedForDNS reports whether the baseline names a peer as a DNS server. The namespace is named by
// the label that cannot be forged.
func namedForDNS(baseline *v1alpha1.ClusterNetworkBaseline, peer networkingv1.NetworkPolicyPeer) bool {
	return slices.ContainsFunc(baseline.Spec.DNS.Static.Peers, func(named v1alpha1.DNSPeer) bool {
		if named.CIDR != "" {
			asked, err := netip.ParsePrefix(named.CIDR)
			return err == nil && peer.IPBlock != nil && peer.IPBlock.CIDR == asked.String() && len(peer.IPBlock.Except) == 0 &&
				peer.NamespaceSelector == nil && peer.PodSelector == nil
		}
		var pods *metav1.LabelSelector
		if named.PodSelector != nil {
			pods = named.PodSelector.AsLabelSelector()
		}
		return peer.IPBlock == nil && cmp.Equal(pods, peer.PodSelector) && named.Namespace != "" &&
			cmp.Equal(peer.NamespaceSelector, &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: named.Namespace}})
	})
}

// ownEnvironment reports whether a peer is the pods of the namespace itself, or the namespaces of
// its environment.
func ownEnvironment(baseline *v1alpha1.ClusterNetworkBaseline, namespace policy.Namespace, peer networkingv1.NetworkPolicyPeer) bool {
	isolation := &baseline.Spec.EnvironmentIsolation
	environment := namespace.Labels[string(isolation.LabelKey)]
	own := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}}
	same := networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{string(isolation.LabelKey): environment}}}
	return isolation.Scope == v1alpha1.IsolationScopeSameEnvironment &&
		(cmp.Equal(peer, own) && (environment != "" || isolation.Unlabeled == v1alpha1.UnlabeledSameNamespace) || cmp.Equal(peer, same) && environment != "")
}
