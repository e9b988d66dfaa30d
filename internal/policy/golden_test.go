package policy_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

var update = flag.Bool("update", false, "write the golden files anew: go test ./internal/policy -update")

func TestRenderedManifests(t *testing.T) {
	production := builder.Labels("environment", "production")

	tests := map[string]struct {
		baseline *builder.BaselineBuilder
		labels   map[string]string
	}{
		"default-in-production": {baseline: builder.Baseline("default"), labels: production},
		"default-unlabelled":    {baseline: builder.Baseline("default")},
		"unlabelled-deny":       {baseline: builder.Baseline("default").Unlabeled(v1alpha1.UnlabeledDeny)},
		"scope-none":            {baseline: builder.Baseline("default").Scope(v1alpha1.IsolationScopeNone), labels: production},
		"ingress-only":          {baseline: builder.Baseline("default").Denying(v1alpha1.PolicyTypeIngress), labels: production},
		"custom-dns": {
			baseline: builder.Baseline("openshift").
				DNSPeers(
					builder.DNSPods("openshift-dns", "dns.operator.openshift.io/daemonset-dns", "default"),
					builder.DNSRange("10.96.0.10/32"), builder.DNSRange("fd00:10:96::a/128"),
				).
				DNSPorts(v1alpha1.DNSPort{Protocol: "UDP", Port: 5353}, v1alpha1.DNSPort{Protocol: "TCP", Port: 5353}),
			labels: production,
		},
	}
	var wantFiles []string
	for name, test := range tests {
		file := filepath.Join("testdata", name+".yaml")
		wantFiles = append(wantFiles, file)
		t.Run(name, func(t *testing.T) {
			got := manifest(t, policy.Render(test.baseline.Obj(), policy.Namespace{Name: "shop", Labels: test.labels}))
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v; write it with -update", err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("if this is meant, write it with -update (-%s +rendered):\n%s", file, diff)
			}
		})
	}

	files, err := filepath.Glob(filepath.Join("testdata", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(wantFiles)
	if diff := cmp.Diff(wantFiles, files); diff != "" {
		t.Errorf("golden files (-tested +found):\n%s", diff)
	}
}

// A golden file shows readers a policy, so it must be exactly what the API server would store.
func TestGoldenManifestsReadBackAsTheSamePolicies(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join("testdata", "default-in-production.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	desired := policy.Render(builder.Baseline("default").Obj(),
		policy.Namespace{Name: "shop", Labels: builder.Labels("environment", "production")})
	documents := strings.Split(string(content), "---\n")
	if len(documents) != len(desired) {
		t.Fatalf("%d documents, want %d", len(documents), len(desired))
	}
	for i, document := range documents {
		read := &networkingv1.NetworkPolicy{}
		if err := yaml.UnmarshalStrict([]byte(document), read); err != nil {
			t.Fatal(err)
		}
		if policy.HashSpec(&read.Spec) != desired[i].Hash {
			t.Errorf("%s has another hash than the policy it was written from", read.Name)
		}
	}
}

func manifest(t *testing.T, desired []policy.Desired) []byte {
	t.Helper()
	var documents [][]byte
	for _, d := range desired {
		object := d.Policy.DeepCopy()
		object.TypeMeta = metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "NetworkPolicy"}
		document, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, document)
	}
	return bytes.Join(documents, []byte("---\n"))
}
