package policy_test

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

func TestLabelsNameTheBaselineAndTheManager(t *testing.T) {
	t.Parallel()
	want := builder.Labels("policy.netbaseline.dev/baseline", "web", "app.kubernetes.io/managed-by", "netbaseline")
	if diff := cmp.Diff(want, policy.Labels("web")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAnnotationsSayWhatEachPolicyIsForAndThatArgoCDHasNothingToDoWithIt(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, name := range policy.Names {
		annotations := policy.Annotations(name)
		description := annotations["policy.netbaseline.dev/description"]
		want := map[string]string{
			"policy.netbaseline.dev/description": description,
			"argocd.argoproj.io/compare-options": "IgnoreExtraneous",
			"argocd.argoproj.io/sync-options":    "Prune=false,Delete=false",
		}
		if diff := cmp.Diff(want, annotations); diff != "" || description == "" {
			t.Errorf("the annotations of %s (-want +got):\n%s", name, diff)
		}
		if other, ok := seen[description]; ok {
			t.Errorf("%s and %s have the same description", name, other)
		}
		seen[description] = name
	}
}

func TestMetadataIntact(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*metav1.ObjectMeta)
		want   bool
	}{
		"as it was written": {want: true},
		"with the label of another baseline, which the caller compares": {
			change: func(m *metav1.ObjectMeta) { m.Labels[v1alpha1.BaselineLabel] = "other" }, want: true,
		},
		"with a foreign label": {change: func(m *metav1.ObjectMeta) { m.Labels["team"] = "web" }, want: true},
		"with a foreign annotation": {
			change: func(m *metav1.ObjectMeta) { m.Annotations["projectcalico.org/metadata"] = "{}" }, want: true,
		},
		"with the spec that it replaced": {
			change: func(m *metav1.ObjectMeta) { m.Annotations[v1alpha1.ReplacedSpecAnnotation] = "{}" }, want: true,
		},
		"with a foreign finalizer": {change: func(m *metav1.ObjectMeta) { m.Finalizers = []string{"example.com/f"} }, want: true},
		"without managedFields":    {change: func(m *metav1.ObjectMeta) { m.ManagedFields = nil }, want: true},
		"without labels":           {change: func(m *metav1.ObjectMeta) { m.Labels = nil }},
		"managed by another tool":  {change: func(m *metav1.ObjectMeta) { m.Labels[v1alpha1.ManagedByLabel] = "helm" }},
		"without annotations":      {change: func(m *metav1.ObjectMeta) { m.Annotations = nil }},
		"with another description": {change: func(m *metav1.ObjectMeta) { m.Annotations[v1alpha1.DescriptionAnnotation] = "mine" }},
		"with another policy's":    {change: func(m *metav1.ObjectMeta) { m.Annotations = policy.Annotations(dns) }},
		"without what Argo CD compares by": {
			change: func(m *metav1.ObjectMeta) { delete(m.Annotations, v1alpha1.ArgoCDCompareOptionsAnnotation) },
		},
		"that Argo CD may prune": {change: func(m *metav1.ObjectMeta) { m.Annotations[v1alpha1.ArgoCDSyncOptionsAnnotation] = "Prune=true" }},
		"with an owner reference": {change: func(m *metav1.ObjectMeta) {
			m.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "bait", UID: "1"}}
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{
				Name: deny, Namespace: "shop", Labels: policy.Labels("web"), Annotations: maps.Clone(policy.Annotations(deny)),
				ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "netbaseline"}},
			}}
			if test.change != nil {
				test.change(&object.ObjectMeta)
			}
			if got := policy.MetadataIntact(object); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

func TestWasOurs(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		labels, annotations map[string]string
		want                bool
	}{
		"our label":                      {labels: builder.Labels(v1alpha1.BaselineLabel, "web"), want: true},
		"only the manager's label":       {labels: builder.Labels(v1alpha1.ManagedByLabel, "netbaseline"), want: true},
		"only our description":           {annotations: builder.Labels(v1alpha1.DescriptionAnnotation, "changed"), want: true},
		"nothing of ours":                {labels: builder.Labels("team", "web"), annotations: builder.Labels("note", "x")},
		"managed by another tool":        {labels: builder.Labels(v1alpha1.ManagedByLabel, "helm")},
		"neither labels nor annotations": {},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: deny, Labels: test.labels, Annotations: test.annotations}}
			if got := policy.WasOurs(object); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

func TestIsPlain(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*metav1.ObjectMeta)
		want   bool
	}{
		"as it was written":                  {change: func(*metav1.ObjectMeta) {}, want: true},
		"with our label changed":             {change: func(m *metav1.ObjectMeta) { m.Labels[v1alpha1.BaselineLabel] = "other" }, want: true},
		"with our label stripped":            {change: func(m *metav1.ObjectMeta) { m.Labels = nil }, want: true},
		"with our annotations changed":       {change: func(m *metav1.ObjectMeta) { m.Annotations[v1alpha1.DescriptionAnnotation] = "mine" }, want: true},
		"with all of our marks stripped":     {change: func(m *metav1.ObjectMeta) { m.Labels, m.Annotations = nil, nil }},
		"with a foreign label":               {change: func(m *metav1.ObjectMeta) { m.Labels["team"] = "web" }},
		"with a foreign annotation":          {change: func(m *metav1.ObjectMeta) { m.Annotations["projectcalico.org/metadata"] = "{}" }},
		"with the spec that it replaced":     {change: func(m *metav1.ObjectMeta) { m.Annotations[v1alpha1.ReplacedSpecAnnotation] = "{}" }},
		"with a foreign finalizer":           {change: func(m *metav1.ObjectMeta) { m.Finalizers = []string{"networking.k8s.aws/resources"} }},
		"with the prefix of a generated one": {change: func(m *metav1.ObjectMeta) { m.GenerateName = "x" }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{
				Name: deny, Namespace: "shop", Labels: policy.Labels("web"), Annotations: maps.Clone(policy.Annotations(deny)),
			}}
			test.change(&object.ObjectMeta)
			if got := policy.IsPlain(object); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

func TestIsPluginFinalizer(t *testing.T) {
	t.Parallel()
	for finalizer, want := range map[string]bool{
		"networking.k8s.aws/resources": true, "networking.k8s.aws/other": false, "example.com/keep": false, metav1.FinalizerDeleteDependents: false, "": false,
	} {
		if got := policy.IsPluginFinalizer(finalizer); got != want {
			t.Errorf("%q: got %t, want %t", finalizer, got, want)
		}
	}
}

func TestAnEnvironmentsPoliciesAreThoseOfItsNamespaces(t *testing.T) {
	t.Parallel()
	baseline := builder.Baseline("web").Obj()
	for environment, labels := range map[string]map[string]string{"production": builder.Labels("environment", "production"), "": nil} {
		want := policy.Render(baseline, policy.Namespace{Name: "shop", Labels: labels})
		for i := range want {
			want[i].Policy.Namespace = ""
		}
		if diff := cmp.Diff(want, policy.RenderEnvironment(baseline, environment)); diff != "" {
			t.Errorf("environment %q (-want +got):\n%s", environment, diff)
		}
	}
}
