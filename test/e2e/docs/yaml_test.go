package docs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// elsewhere are API groups that our control plane does not serve. What a page shows of them is
// checked against their own Go types, in the module test/e2e/docs/foreign.
var elsewhere = []string{"kustomize.toolkit.fluxcd.io", "source.toolkit.fluxcd.io"}

func TestEveryYAMLBlockIsAccepted(t *testing.T) {
	blocks := 0
	for path, page := range allPages(t) {
		for i := range page.Blocks {
			block := &page.Blocks[i]
			if block.Language != "yaml" {
				continue
			}
			blocks++
			t.Run(fmt.Sprintf("%s:%d", path, block.Line), func(t *testing.T) {
				for _, document := range documents(t, block.Text) {
					accepted(t, document)
				}
			})
		}
	}
	if blocks == 0 {
		t.Error("there are no YAML blocks")
	}
}

func documents(t *testing.T, text string) (found []string) {
	t.Helper()
	reader := utilyaml.NewDocumentDecoder(io.NopCloser(strings.NewReader(text)))
	buffer := make([]byte, 1<<20)
	for {
		n, err := reader.Read(buffer)
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		if document := bytes.TrimSpace(buffer[:n]); len(document) > 0 {
			found = append(found, string(document))
		}
	}
}

func accepted(t *testing.T, document string) {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict([]byte(document), &object.Object); err != nil {
		t.Fatal(err)
	}
	group := object.GroupVersionKind().Group
	switch {
	case object.Object["resources"] != nil && object.GetKind() == "":
		rendered(t, document)
	case strings.Contains(strings.Join(elsewhere, " "), group) && group != "":
		if object.GetName() == "" || object.Object["spec"] == nil {
			t.Errorf("it has no name or no spec")
		}
	default:
		dryRun(t, object)
	}
}

// dryRun offers an object to the API server, in a namespace that exists there.
func dryRun(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	if object.GetNamespace() != "" {
		object.SetNamespace("default")
	}
	text, err := yaml.Marshal(object.Object)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := environment.KubectlWithInput(t.Context(), string(text), "apply", "--dry-run=server", "--validate=strict", "--filename=-"); err != nil {
		t.Error(err)
	}
}

const ourRepository = "https://github.com/netbaseline/netbaseline//"

// rendered checks a kustomization that takes this repository as a base: here, without a network,
// from a copy of it.
func rendered(t *testing.T, kustomization string) {
	t.Helper()
	directory := t.TempDir()
	if err := os.CopyFS(filepath.Join(directory, "base", "config"), os.DirFS(harness.RepositoryPath("config"))); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(kustomization, ourRepository) {
		t.Fatalf("it does not take %s as a base", ourRepository)
	}
	overlay := filepath.Join(directory, "overlay")
	if err := os.Mkdir(overlay, 0o700); err != nil {
		t.Fatal(err)
	}
	local := strings.ReplaceAll(kustomization, ourRepository, "../base/")
	local = strings.ReplaceAll(local, "?ref=main", "")
	if err := os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(local), 0o600); err != nil {
		t.Fatal(err)
	}
	manifests, err := environment.Kubectl(t.Context(), "kustomize", overlay)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(manifests, "image: registry.example.com/netbaseline:dev") {
		t.Error("the image is not the one that the page sets")
	}
}
