package builder_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

const crdFile = "../../../config/crd/bases/policy.netbaseline.dev_clusternetworkbaselines.yaml"

func TestABaselineHasExactlyTheDefaultsOfTheSchema(t *testing.T) {
	t.Parallel()
	object := map[string]any{
		"metadata": map[string]any{"name": "default"},
		"spec":     map[string]any{"namespaceSelector": map[string]any{}},
	}
	defaulting.Default(object, crdSchema(t))

	want := &v1alpha1.ClusterNetworkBaseline{}
	if err := convert(object, want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, builder.Baseline("default").Obj()); diff != "" {
		t.Errorf("differs from what the schema fills in (-schema +builder):\n%s", diff)
	}
}

func TestTheMethodsOfABaselineSetWhatTheySay(t *testing.T) {
	t.Parallel()
	got := builder.Baseline("web").
		Selecting("environment", "production").SelectingWhere("team", "In", "a", "b").Excluding("ci-*").
		Priority(10).Mode(v1alpha1.ModeAudit).Denying(v1alpha1.PolicyTypeIngress).
		DNSPeers(builder.DNSPods("dns", "app", "coredns"), builder.DNSPods("dns"), builder.DNSRange("10.0.0.0/8")).
		DNSPorts(v1alpha1.DNSPort{Protocol: "UDP", Port: 5353}).WithoutDNS().
		Scope(v1alpha1.IsolationScopeNone).LabelKey("tier").Unlabeled(v1alpha1.UnlabeledDeny).
		DeletionPolicy(v1alpha1.DeletionPolicyRetain).Generation(7).Finalized().Obj()

	want := v1alpha1.ClusterNetworkBaselineSpec{
		NamespaceSelector: &v1alpha1.NamespaceSelector{
			MatchLabels:      map[string]v1alpha1.LabelValue{"environment": "production"},
			MatchExpressions: []v1alpha1.NamespaceSelectorRequirement{{Key: "team", Operator: "In", Values: []v1alpha1.LabelValue{"a", "b"}}},
		},
		ExcludedNamespaces: []v1alpha1.NamespacePattern{"ci-*"},
		Priority:           new(int32(10)),
		Mode:               v1alpha1.ModeAudit,
		DefaultDeny:        v1alpha1.DefaultDeny{PolicyTypes: []v1alpha1.PolicyType{v1alpha1.PolicyTypeIngress}},
		DNS: v1alpha1.DNS{Source: v1alpha1.DNSSourceNone, Static: v1alpha1.StaticDNS{
			Peers: []v1alpha1.DNSPeer{
				{Namespace: "dns", PodSelector: &v1alpha1.PodSelector{MatchLabels: map[string]v1alpha1.LabelValue{"app": "coredns"}}},
				{Namespace: "dns"},
				{CIDR: "10.0.0.0/8"},
			},
			Ports: []v1alpha1.DNSPort{{Protocol: "UDP", Port: 5353}},
		}},
		EnvironmentIsolation: v1alpha1.EnvironmentIsolation{
			Scope: v1alpha1.IsolationScopeNone, LabelKey: "tier", Unlabeled: v1alpha1.UnlabeledDeny,
		},
		DeletionPolicy: v1alpha1.DeletionPolicyRetain,
	}
	if diff := cmp.Diff(want, got.Spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{v1alpha1.CleanupFinalizer}, got.Finalizers); diff != "" {
		t.Errorf("finalizers (-want +got):\n%s", diff)
	}
	if got.Name != "web" || got.Generation != 7 || !got.DeletionTimestamp.IsZero() {
		t.Errorf("got name %q, generation %d, deletion timestamp %v", got.Name, got.Generation, got.DeletionTimestamp)
	}
	if builder.Baseline("web").Deleting().Obj().DeletionTimestamp.IsZero() {
		t.Error("Deleting sets no deletion timestamp")
	}
}

func TestWhatABuilderReturnedDoesNotChangeAnyMore(t *testing.T) {
	t.Parallel()
	b := builder.Baseline("default").Selecting("a", "1")
	first := b.Obj()
	b.Selecting("b", "2")
	if _, ok := first.Spec.NamespaceSelector.MatchLabels["b"]; ok {
		t.Error("a later Selecting changed an object that was handed out before")
	}
}

func crdSchema(t *testing.T) *schema.Structural {
	t.Helper()
	content, err := os.ReadFile(crdFile)
	if err != nil {
		t.Fatal(err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(content, crd); err != nil {
		t.Fatal(err)
	}
	if len(crd.Spec.Versions) != 1 {
		t.Fatalf("the CRD has %d versions: this test knows one", len(crd.Spec.Versions))
	}
	internal := &apiextensions.JSONSchemaProps{}
	err = apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, internal, nil)
	if err != nil {
		t.Fatal(err)
	}
	structural, err := schema.NewStructural(internal)
	if err != nil {
		t.Fatal(err)
	}
	return structural
}

func convert(from map[string]any, to any) error {
	content, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(content, to)
}
