package schema_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// defaults is what docs/reference/api.md promises for a baseline that says nothing but which
// namespaces it wants.
const defaults = `
namespaceSelector: {}
priority: 0
mode: Enforce
defaultDeny: {policyTypes: [Ingress, Egress]}
dns:
  source: Static
  static:
    peers: [{namespace: kube-system, podSelector: {matchLabels: {k8s-app: kube-dns}}}, {cidr: 169.254.20.10/32}]
    ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
environmentIsolation: {scope: SameEnvironment, labelKey: environment, unlabeled: SameNamespace}
deletionPolicy: Delete
`

// store creates a baseline for the length of a test and returns what the API server then holds.
func store(t *testing.T, document string) *unstructured.Unstructured {
	t.Helper()
	baseline := object(t, document)
	if err := admin.Create(t.Context(), baseline, client.FieldValidation(metav1.FieldValidationStrict)); err != nil {
		t.Fatalf("create: %v", err)
	}
	t.Cleanup(func() {
		if err := admin.Delete(context.WithoutCancel(t.Context()), baseline); err != nil {
			t.Errorf("delete: %v", err)
		}
	})
	stored := object(t, document)
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(baseline), stored); err != nil {
		t.Fatalf("get: %v", err)
	}
	return stored
}

func typed(t *testing.T, object *unstructured.Unstructured) *v1alpha1.ClusterNetworkBaseline {
	t.Helper()
	baseline := &v1alpha1.ClusterNetworkBaseline{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, baseline); err != nil {
		t.Fatal(err)
	}
	return baseline
}

func TestAMinimalBaselineIsStoredWithEveryDefault(t *testing.T) {
	t.Parallel()
	stored := store(t, "{metadata: {name: minimal}, spec: {namespaceSelector: {}}}")

	want := &v1alpha1.ClusterNetworkBaselineSpec{}
	if err := yaml.UnmarshalStrict([]byte(defaults), want); err != nil {
		t.Fatal(err)
	}
	got := typed(t, stored)
	if diff := cmp.Diff(*want, got.Spec); diff != "" {
		t.Errorf("spec (-promised +stored):\n%s", diff)
	}
	if diff := cmp.Diff(builder.Baseline("minimal").Obj().Spec, got.Spec); diff != "" {
		t.Errorf("spec (-builder +stored):\n%s", diff)
	}
	if len(got.Finalizers) != 0 || got.Generation != 1 {
		t.Errorf("finalizers %v, generation %d", got.Finalizers, got.Generation)
	}
}

func TestAFreshBaselineIsNeverTakenForCurrent(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"without a status":                    "{metadata: {name: fresh}, spec: {namespaceSelector: {}}}",
		"with a status that claims otherwise": "{metadata: {name: forged}, spec: {namespaceSelector: {}}, status: {observedGeneration: 1, conditions: []}}",
	}
	for name, document := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stored := typed(t, store(t, document))
			want := v1alpha1.ClusterNetworkBaselineStatus{
				ObservedGeneration: -1,
				Conditions: []metav1.Condition{{
					Type: "Ready", Status: metav1.ConditionUnknown, Reason: "Waiting",
					Message: "Waiting for the netbaseline operator", LastTransitionTime: metav1.Unix(0, 0),
				}},
			}
			if diff := cmp.Diff(want, stored.Status); diff != "" {
				t.Errorf("status (-want +stored):\n%s", diff)
			}
			row, err := environment.Kubectl(t.Context(), "get", "cnb", stored.Name, "--no-headers")
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range []string{"Enforce", "Unknown", "Waiting for the netbaseline operator"} {
				if !strings.Contains(row, word) {
					t.Errorf("kubectl get cnb does not show %q: %s", word, row)
				}
			}
		})
	}
}

// Absent, null and empty are the same to the API server: absence can never switch anything off.
func TestAbsenceIsTheDefault(t *testing.T) {
	t.Parallel()
	absent := accept(t, "{}")
	tests := []string{
		"{excludedNamespaces: null}", "{priority: null}", "{mode: null}", "{deletionPolicy: null}",
		"{defaultDeny: null}", "{defaultDeny: {}}", "{defaultDeny: {policyTypes: null}}",
		"{dns: null}", "{dns: {}}", "{dns: {source: null}}", "{dns: {static: null}}", "{dns: {static: {}}}",
		"{dns: {static: {peers: null}}}", "{dns: {static: {ports: null}}}",
		"{environmentIsolation: null}", "{environmentIsolation: {}}", "{environmentIsolation: {scope: null}}",
		"{environmentIsolation: {labelKey: null}}", "{environmentIsolation: {unlabeled: null}}",
	}
	for _, document := range tests {
		t.Run(document, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(absent.Object["spec"], accept(t, document).Object["spec"]); diff != "" {
				t.Errorf("differs from a baseline that does not mention it (-absent +this):\n%s", diff)
			}
		})
	}
}

// The schema cannot see such a null: the API server drops it before any rule is asked. This is here
// so that the day it no longer does is noticed; the description of matchLabels warns of it.
func TestALabelWhoseValueIsNullIsDropped(t *testing.T) {
	t.Parallel()
	got := typed(t, accept(t, "namespaceSelector: {matchLabels: {environment: null, team: a}}"))
	if diff := cmp.Diff(map[string]v1alpha1.LabelValue{"team": "a"}, got.Spec.NamespaceSelector.MatchLabels); diff != "" {
		t.Errorf("matchLabels (-want +stored):\n%s", diff)
	}
}

func TestWhatIsWrittenReplacesTheDefaultAndNothingElse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		document string
		want     *builder.BaselineBuilder
	}{
		"None switches DNS off": {"dns: {source: None}", builder.Baseline("case").WithoutDNS()},
		"peers replace the default peers and leave the ports": {
			"dns: {static: {peers: [{cidr: 10.0.0.10/32}]}}", builder.Baseline("case").DNSPeers(builder.DNSRange("10.0.0.10/32")),
		},
		"ports replace the default ports and leave the peers": {
			"dns: {static: {ports: [{protocol: UDP, port: 5353}]}}",
			builder.Baseline("case").DNSPorts(v1alpha1.DNSPort{Protocol: "UDP", Port: 5353}),
		},
		"one direction is one direction": {"defaultDeny: {policyTypes: [Ingress]}", builder.Baseline("case").Denying("Ingress")},
		"a peer without podSelector gets none": {
			"dns: {static: {peers: [{namespace: dns}]}}", builder.Baseline("case").DNSPeers(builder.DNSPods("dns")),
		},
		"None switches isolation off": {"environmentIsolation: {scope: None}", builder.Baseline("case").Scope("None")},
		"Retain":                      {"deletionPolicy: Retain", builder.Baseline("case").DeletionPolicy("Retain")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want.Obj().Spec, typed(t, accept(t, test.document)).Spec); diff != "" {
				t.Errorf("spec (-want +stored):\n%s", diff)
			}
		})
	}
}
