package policy_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

const (
	dns       = v1alpha1.AllowDNSName
	isolation = v1alpha1.EnvironmentIsolationName
	deny      = v1alpha1.DefaultDenyName
)

func TestRenderWritesExactlyThePoliciesThatTheBaselineAsksFor(t *testing.T) {
	t.Parallel()
	production, unlabelled := builder.Labels("environment", "production"), map[string]string(nil)

	tests := map[string]struct {
		baseline  *builder.BaselineBuilder
		labels    map[string]string
		wantNames []string
		wantTypes []networkingv1.PolicyType // of all policies together
	}{
		"by default a labelled namespace gets all three, in the order in which they are written": {
			baseline: builder.Baseline("default"), labels: production,
			wantNames: []string{dns, isolation, deny}, wantTypes: []networkingv1.PolicyType{"Egress", "Ingress"},
		},
		"an unlabelled namespace is protected like any other": {
			baseline: builder.Baseline("default"), labels: unlabelled,
			wantNames: []string{dns, isolation, deny}, wantTypes: []networkingv1.PolicyType{"Egress", "Ingress"},
		},
		"with unlabeled: Deny an unlabelled namespace gets no isolation policy": {
			baseline: builder.Baseline("default").Unlabeled(v1alpha1.UnlabeledDeny), labels: unlabelled,
			wantNames: []string{dns, deny}, wantTypes: []networkingv1.PolicyType{"Egress", "Ingress"},
		},
		"with unlabeled: Deny an empty value counts as unlabelled": {
			baseline: builder.Baseline("default").Unlabeled(v1alpha1.UnlabeledDeny), labels: builder.Labels("environment", ""),
			wantNames: []string{dns, deny}, wantTypes: []networkingv1.PolicyType{"Egress", "Ingress"},
		},
		"with unlabeled: Deny a labelled namespace is not affected": {
			baseline: builder.Baseline("default").Unlabeled(v1alpha1.UnlabeledDeny), labels: production,
			wantNames: []string{dns, isolation, deny}, wantTypes: []networkingv1.PolicyType{"Egress", "Ingress"},
		},
		"with scope None there is no isolation policy": {
			baseline: builder.Baseline("default").Scope(v1alpha1.IsolationScopeNone), labels: production,
			wantNames: []string{dns, deny}, wantTypes: []networkingv1.PolicyType{"Egress", "Ingress"},
		},
		"with dns.source None there is no DNS policy": {
			baseline: builder.Baseline("default").WithoutDNS(), labels: production,
			wantNames: []string{isolation, deny}, wantTypes: []networkingv1.PolicyType{"Egress", "Ingress"},
		},
		"with Ingress only no policy touches egress, and DNS needs none": {
			baseline: builder.Baseline("default").Denying(v1alpha1.PolicyTypeIngress), labels: production,
			wantNames: []string{isolation, deny}, wantTypes: []networkingv1.PolicyType{"Ingress"},
		},
		"with Egress only no policy touches ingress": {
			baseline: builder.Baseline("default").Denying(v1alpha1.PolicyTypeEgress), labels: production,
			wantNames: []string{dns, isolation, deny}, wantTypes: []networkingv1.PolicyType{"Egress"},
		},
		"an unknown source of DNS opens nothing": {
			baseline:  builder.Baseline("default").With(func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.DNS.Source = "Discovered" }),
			labels:    production,
			wantNames: []string{isolation, deny}, wantTypes: []networkingv1.PolicyType{"Egress", "Ingress"},
		},
		"an unknown scope opens nothing": {
			baseline:  builder.Baseline("default").Scope("SameTeam"),
			labels:    production,
			wantNames: []string{dns, deny}, wantTypes: []networkingv1.PolicyType{"Egress", "Ingress"},
		},
		"an unknown value of unlabeled opens nothing": {
			baseline: builder.Baseline("default").Unlabeled("Everyone"), labels: unlabelled,
			wantNames: []string{dns, deny}, wantTypes: []networkingv1.PolicyType{"Egress", "Ingress"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var names []string
			var types []networkingv1.PolicyType
			for _, desired := range policy.Render(test.baseline.Obj(), policy.Namespace{Name: "shop", Labels: test.labels}) {
				names = append(names, desired.Policy.Name)
				types = append(types, desired.Policy.Spec.PolicyTypes...)
			}
			if diff := cmp.Diff(test.wantNames, names); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			slices.Sort(types)
			if diff := cmp.Diff(test.wantTypes, slices.Compact(types)); diff != "" {
				t.Errorf("directions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRenderGivesEachPolicyItsMetadataAndTheHashOfItsSpec(t *testing.T) {
	t.Parallel()
	for _, desired := range policy.Render(builder.Baseline("web").Obj(), policy.Namespace{Name: "shop"}) {
		want := metav1.ObjectMeta{
			Name: desired.Policy.Name, Namespace: "shop",
			Labels:      policy.Labels("web"),
			Annotations: policy.Annotations(desired.Policy.Name),
		}
		if diff := cmp.Diff(want, desired.Policy.ObjectMeta); diff != "" {
			t.Errorf("metadata of %s (-want +got):\n%s", desired.Policy.Name, diff)
		}
		if !policy.MetadataIntact(desired.Policy) {
			t.Errorf("%s does not count as intact", desired.Policy.Name)
		}
		if desired.Hash != policy.HashSpec(&desired.Policy.Spec) {
			t.Errorf("%s carries the hash of another spec", desired.Policy.Name)
		}
	}
}

// The policies of a namespace go through a cache and a diff: a difference between two renderings of
// the same input would be repaired forever.
func TestRenderAnswersTheSameEachTimeAndLeavesItsInputAlone(t *testing.T) {
	t.Parallel()
	baseline := builder.Baseline("default").DNSPeers(builder.DNSPods("dns", "a", "1", "b", "2", "c", "3")).Obj()
	before := baseline.DeepCopy()
	namespace := policy.Namespace{Name: "shop", Labels: builder.Labels("environment", "production", "team", "web")}
	first := policy.Render(baseline, namespace)
	for range 20 {
		if diff := cmp.Diff(first, policy.Render(baseline, namespace)); diff != "" {
			t.Fatalf("another rendering differs (-first +other):\n%s", diff)
		}
	}
	if diff := cmp.Diff(before, baseline); diff != "" {
		t.Errorf("Render changed the baseline (-before +after):\n%s", diff)
	}
}

func TestOnlyTheNamespacesEnvironmentMatters(t *testing.T) {
	t.Parallel()
	baseline := builder.Baseline("default").Obj()
	want := policy.Render(baseline, policy.Namespace{Name: "shop", Labels: builder.Labels("environment", "production")})
	got := policy.Render(baseline, policy.Namespace{Name: "shop", Labels: builder.Labels("environment", "production", "team", "web")})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a label that is not the environment changes the policies (-without +with):\n%s", diff)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		baseline *builder.BaselineBuilder
		labels   map[string]string
		want     string
	}{
		"the value of the label environment": {
			baseline: builder.Baseline("default"), labels: builder.Labels("environment", "staging"), want: "staging",
		},
		"none without labels":     {baseline: builder.Baseline("default")},
		"none with another label": {baseline: builder.Baseline("default"), labels: builder.Labels("env", "staging")},
		"none with an empty value": {
			baseline: builder.Baseline("default"), labels: builder.Labels("environment", ""),
		},
		"the value of the baseline's own key": {
			baseline: builder.Baseline("default").LabelKey("example.com/tier"),
			labels:   builder.Labels("environment", "staging", "example.com/tier", "gold"), want: "gold",
		},
		"the namespace's name, with the label that cannot be forged": {
			baseline: builder.Baseline("default").LabelKey("kubernetes.io/metadata.name"),
			labels:   builder.Labels("environment", "staging", "kubernetes.io/metadata.name", "shop"), want: "shop",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := policy.Environment(&test.baseline.Obj().Spec, test.labels); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestNamesAreWrittenWithDNSFirstAndDefaultDenyLast(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{dns, isolation, deny}, policy.Names); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, name := range policy.Names {
		if !v1alpha1.IsPolicyName(name) {
			t.Errorf("%s is written but not claimed", name)
		}
	}
}

// render returns the spec of the policy of this name, or nil if there is none.
func render(baseline *builder.BaselineBuilder, labels map[string]string, name string) *networkingv1.NetworkPolicySpec {
	for _, desired := range policy.Render(baseline.Obj(), policy.Namespace{Name: "shop", Labels: labels}) {
		if desired.Policy.Name == name {
			return &desired.Policy.Spec
		}
	}
	return nil
}

func TestTheNamesAreThoseThatTheAPIClaims(t *testing.T) {
	t.Parallel()
	for _, name := range policy.Names {
		if !v1alpha1.IsPolicyName(name) {
			t.Errorf("%s is written, but its events count as those of a foreign policy", name)
		}
	}
	baseline := builder.Baseline("default").Obj()
	rendered := policy.Render(baseline, policy.Namespace{Name: "shop"})
	if len(rendered) != len(policy.Names) {
		t.Errorf("%d policies by default, and %d names", len(rendered), len(policy.Names))
	}
}
