package foreign

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"sigs.k8s.io/yaml"
)

// The example for Flux, as it is read by Flux: no unknown fields, every reference leads to
// something in it, and each Kustomization waits.
func TestTheExampleForFlux(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "gitops.md"))
	if err != nil {
		t.Fatal(err)
	}
	repositories, kustomizations := map[string]bool{}, map[string]*kustomizev1.Kustomization{}
	for _, document := range documents(string(text)) {
		kind := struct{ Kind string }{}
		if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.Contains(document, sourcev1.GroupVersion.String()+"\n"):
			repository := &sourcev1.GitRepository{}
			decode(t, document, repository)
			repositories[repository.Name] = kind.Kind == sourcev1.GitRepositoryKind && repository.Spec.URL != ""
		case strings.Contains(document, kustomizev1.GroupVersion.String()+"\n"):
			kustomization := &kustomizev1.Kustomization{}
			decode(t, document, kustomization)
			kustomizations[kustomization.Name] = kustomization
		}
	}
	if len(kustomizations) != 2 {
		t.Errorf("there are %d Kustomizations, want 2", len(kustomizations))
	}
	for name, kustomization := range kustomizations {
		spec := &kustomization.Spec
		if !spec.Wait || spec.Interval.Duration <= 0 || spec.Timeout == nil || spec.Path == "" {
			t.Errorf("%s does not wait, or has no interval, timeout or path", name)
		}
		if spec.SourceRef.Kind != sourcev1.GitRepositoryKind || !repositories[spec.SourceRef.Name] {
			t.Errorf("%s comes from %s %s, which is not in the example", name, spec.SourceRef.Kind, spec.SourceRef.Name)
		}
		for _, dependency := range spec.DependsOn {
			if kustomizations[dependency.Name] == nil {
				t.Errorf("%s depends on %s, which is not in the example", name, dependency.Name)
			}
		}
	}
	if len(kustomizations["network-baselines"].Spec.DependsOn) == 0 {
		t.Error("the baselines do not wait for the operator")
	}
}

func decode(t *testing.T, document string, object any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
		t.Error(err)
	}
}

// documents returns the documents in the YAML blocks of a page.
func documents(page string) (found []string) {
	for _, after := range strings.Split(page, "\n```yaml")[1:] {
		_, block, _ := strings.Cut(after, "\n")
		block, _, _ = strings.Cut(block, "```")
		found = append(found, strings.Split(block, "---\n")...)
	}
	return found
}
