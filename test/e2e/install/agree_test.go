package install_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/netbaseline/netbaseline/test/utils/harness"
)

const (
	namespaceKey     = "Namespace netbaseline-system"
	networkPolicyKey = "NetworkPolicy netbaseline-system netbaseline-controller-manager"
	// fromMonitoring are the peers that config/overlays/prometheus lets reach the metrics port.
	fromMonitoring = `[{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]`
)

// The two differences that there have to be: Helm cannot bring the namespace that it keeps the
// release in, and only Helm understands that it is to keep the CustomResourceDefinition.
func asHelm(t *testing.T, kustomized objects) objects {
	t.Helper()
	if kustomized[namespaceKey] == nil {
		t.Fatalf("kustomize renders no %s", namespaceKey)
	}
	expected := kustomized.without(namespaceKey)
	crd := expected[crdKey].DeepCopy()
	annotations := crd.GetAnnotations()
	annotations[keepPolicy] = "keep"
	crd.SetAnnotations(annotations)
	expected[crdKey] = crd
	return expected
}

func TestTheChartIsWhatKustomizeInstalls(t *testing.T) {
	tests := map[string]struct{ values, directory string }{
		"by default":  {"", "config/default"},
		"one replica": {"--set replicas=1", "config/overlays/single-replica"},
		"with Prometheus": {
			"--set metrics.serviceMonitor.enabled=true --set metrics.prometheusRule.enabled=true --set-json 'networkPolicy.metricsFrom=" + fromMonitoring + "'",
			"config/overlays/prometheus",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			expected := asHelm(t, rendered(t, kustomize+test.directory))
			if diff := cmp.Diff(expected, rendered(t, helmTemplate+test.values)); diff != "" {
				t.Errorf("the chart differs from %s (-kustomize +helm):\n%s", test.directory, diff)
			}
		})
	}
}

func TestTheOverlaysChangeWhatTheySay(t *testing.T) {
	base := rendered(t, kustomize+"config/default")
	const deployment, budget = "Deployment netbaseline-system netbaseline-controller-manager", "PodDisruptionBudget netbaseline-system netbaseline-controller-manager"

	single := rendered(t, kustomize+"config/overlays/single-replica")
	if diff := cmp.Diff(base.without(deployment, budget), single.without(deployment)); diff != "" {
		t.Errorf("one replica changes something else too:\n%s", diff)
	}
	spec := single[deployment].DeepCopy().Object["spec"].(map[string]any)
	if spec["replicas"] != int64(1) {
		t.Errorf("replicas are %v, want 1", spec["replicas"])
	}
	spec["replicas"] = int64(2)
	if diff := cmp.Diff(base[deployment].Object["spec"], any(spec)); diff != "" {
		t.Errorf("one replica changes something else of the Deployment too:\n%s", diff)
	}

	monitored := rendered(t, kustomize+"config/overlays/prometheus")
	if len(monitored.only("ServiceMonitor")) != 1 || len(monitored.only("PrometheusRule")) != 1 {
		t.Error("the overlay for Prometheus has no ServiceMonitor, or no PrometheusRule")
	}
	for key := range monitored.only("ServiceMonitor", "PrometheusRule") {
		monitored = monitored.without(key)
	}
	policy := monitored[networkPolicyKey].DeepCopy()
	ingress, _, err := unstructured.NestedSlice(policy.Object, "spec", "ingress")
	if err != nil || len(ingress) != 1 {
		t.Fatalf("the policy of the operator has ingress %v (%v), want one rule", ingress, err)
	}
	rule := ingress[0].(map[string]any)
	var from []any
	if err := json.Unmarshal([]byte(fromMonitoring), &from); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(any(from), rule["from"]); diff != "" {
		t.Errorf("the overlay for Prometheus lets in others:\n%s", diff)
	}
	delete(rule, "from")
	if err := unstructured.SetNestedSlice(policy.Object, ingress, "spec", "ingress"); err != nil {
		t.Fatal(err)
	}
	monitored[networkPolicyKey] = policy
	if diff := cmp.Diff(base, monitored); diff != "" {
		t.Errorf("the overlay for Prometheus changes something else too:\n%s", diff)
	}
}

func TestTheInstallerIsWhatKustomizeInstalls(t *testing.T) {
	mustRun(t, "make build-installer IMG=registry.example.com/netbaseline:v1")
	installer, err := os.ReadFile(filepath.Join(workplace, "dist", "install.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	manifests := mustRun(t, kustomize+"config/default")
	replaced := strings.Replace(manifests, "image: controller:latest", "image: registry.example.com/netbaseline:v1", 1)
	if replaced == manifests {
		t.Fatal("kustomize renders no image to replace")
	}
	if diff := cmp.Diff(parse(t, replaced), parse(t, string(installer))); diff != "" {
		t.Errorf("dist/install.yaml differs from config/default (-kustomize +installer):\n%s", diff)
	}
	chart := rendered(t, helmTemplate+"--set image.repository=registry.example.com/netbaseline --set image.tag=v1")
	if diff := cmp.Diff(asHelm(t, parse(t, string(installer))), chart); diff != "" {
		t.Errorf("dist/install.yaml differs from the chart with the same image (-installer +helm):\n%s", diff)
	}
}

// What GitOps tools do: the base comes out of a Git repository at a ref, and an overlay elsewhere
// sets image and namespace.
func TestTheDefaultIsARemoteBase(t *testing.T) {
	remote, overlay := t.TempDir(), t.TempDir()
	if err := os.CopyFS(filepath.Join(remote, "config"), os.DirFS(harness.RepositoryPath("config"))); err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"add", "config"},
		{"-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet", "--message=Test"},
		{"tag", "v1"},
	} {
		command := exec.CommandContext(t.Context(), "git", arguments...)
		command.Dir = remote
		command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_DIR="+filepath.Join(remote, ".git"))
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v: %s", arguments, err, output)
		}
	}
	kustomization := "namespace: elsewhere\nresources:\n- file://" + remote + "//config/default?ref=v1\n" +
		"images:\n- {name: controller, newName: registry.example.com/netbaseline, newTag: v1}\n"
	if err := os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(kustomization), 0o600); err != nil {
		t.Fatal(err)
	}
	based := withoutNamespace(t, rendered(t, kustomize+overlay))
	chart := rendered(t, strings.Replace(helmTemplate, "netbaseline-system", "elsewhere", 1)+
		"--set image.repository=registry.example.com/netbaseline --set image.tag=v1 --set crds.keep=false")
	if diff := cmp.Diff(based.without("Namespace elsewhere"), chart); diff != "" {
		t.Errorf("the overlay differs from the chart in the same namespace (-kustomize +helm):\n%s", diff)
	}
	if based["Namespace elsewhere"] == nil {
		t.Error("the namespace was not renamed")
	}
}

// withoutNamespace takes the namespace from cluster-scoped kinds that an overlay gives one, as the
// API server does: see config/default/cluster_scoped.yaml.
func withoutNamespace(t *testing.T, all objects) objects {
	t.Helper()
	for key, object := range all.only("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding") {
		manifest, err := object.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		stored := mustRun(t, "kubectl apply --dry-run=server --output jsonpath={.metadata.namespace} --filename - <<'END'\n"+string(manifest)+"\nEND")
		if stored != "" {
			t.Errorf("%s would be stored with the namespace %s", key, stored)
		}
		object = object.DeepCopy()
		object.SetNamespace("")
		all = all.without(key)
		all[object.GetKind()+" "+object.GetName()] = object
	}
	return all
}
