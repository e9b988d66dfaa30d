package gitops_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/pages"
)

// committed are baselines as users may have them in Git. The namespaces that each selects exist.
func committed(t *testing.T) map[string]string {
	t.Helper()
	head := "apiVersion: policy.netbaseline.dev/v1alpha1\nkind: ClusterNetworkBaseline\nmetadata: {name: committed}\n"
	manifests := map[string]string{
		"as little as possible": head + "spec: {namespaceSelector: {}}\n",
		"every default written out": head + `spec:
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
`,
		"nothing like the defaults": head + `spec:
  namespaceSelector:
    matchLabels: {suite: drift, kubernetes.io/metadata.name: drift-a}
    matchExpressions: [{key: environment, operator: In, values: [production, staging]}, {key: gone, operator: DoesNotExist}]
  excludedNamespaces: [zoo, ci-*, attic]
  priority: 7
  defaultDeny: {policyTypes: [Egress]}
  dns:
    static:
      peers: [{cidr: 10.0.0.0/8}, {namespace: resolver}, {namespace: dns, podSelector: {matchExpressions: [{key: app, operator: In, values: [b, a]}]}}]
      ports: [{protocol: TCP, port: 5353}]
  environmentIsolation: {scope: None, labelKey: example.com/stage, unlabeled: Deny}
  deletionPolicy: Retain
`,
		"empty lists and blocks": head + `spec:
  namespaceSelector: {matchLabels: {}, matchExpressions: []}
  excludedNamespaces: []
  defaultDeny: {}
  dns: {static: {}}
  environmentIsolation: {}
`,
		"labels and annotations of its own": strings.Replace(head, "{name: committed}", `{name: committed, labels: {team: platform}, annotations: {example.com/owner: platform}}`, 1) +
			"spec: {namespaceSelector: {}, mode: Audit}\n",
	}
	samples, err := filepath.Glob(harness.RepositoryPath("config/samples/policy_*.yaml"))
	if err != nil || len(samples) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, sample := range samples {
		text, err := os.ReadFile(sample)
		if err != nil {
			t.Fatal(err)
		}
		manifests[filepath.Base(sample)] = string(text)
	}
	for _, path := range []string{"README.md", "docs/gitops.md"} {
		page, err := pages.Read(harness.RepositoryPath(path))
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range page.Blocks {
			if block.Language == "yaml" && strings.Contains(block.Text, "\nkind: ClusterNetworkBaseline\n") {
				manifests[path+": "+block.Heading] = block.Text
			}
		}
	}
	return manifests
}

func TestABaselineFromGitIsNeverDrift(t *testing.T) {
	newNamespace(t, "drift-a", map[string]string{"suite": "drift", "environment": "production"})
	for name, manifest := range committed(t) {
		t.Run(name, func(t *testing.T) {
			t.Run("applied by kubectl", func(t *testing.T) {
				neverDrift(t, manifest, "apply")
			})
			t.Run("applied by the server, as Flux does", func(t *testing.T) {
				neverDrift(t, manifest, "apply", "--server-side")
			})
		})
	}
}

// neverDrift applies a manifest and asks for differences: before the operator may have seen it,
// when all its policies are there, and after applying it again, which must not change the object at
// all.
func neverDrift(t *testing.T, manifest string, apply ...string) {
	g := newGomega(t)
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &object.Object); err != nil {
		t.Fatal(err)
	}
	name := object.GetName()
	t.Cleanup(func() { remove(t, name) })
	run := func(arguments ...string) error {
		_, err := environment.KubectlWithInput(t.Context(), manifest, append(arguments, "-f", "-")...)
		return err
	}
	diff := append([]string{"diff"}, apply[1:]...)
	g.Expect(run(apply...)).To(Succeed())
	g.Expect(run(diff...)).To(Succeed(), "immediately")
	g.Eventually(reason).WithArguments(t.Context(), name).Should(Or(Equal(v1alpha1.ReasonSynced), Equal(v1alpha1.ReasonAudit)))
	g.Expect(run(diff...)).To(Succeed(), "with finalizer and status")
	before, err := live(t.Context(), name)
	g.Expect(err).NotTo(HaveOccurred())
	if len(apply) == 1 {
		g.Expect(threeWay(t, manifest, before)).To(Equal("{}"), "compared as Argo CD does")
	}
	g.Eventually(func(g Gomega) { // the operator may write one more status meanwhile
		before, err := live(t.Context(), name)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(run(apply...)).To(Succeed())
		after, err := live(t.Context(), name)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(after.GetResourceVersion()).To(Equal(before.GetResourceVersion()))
	}).Should(Succeed(), "applying it again changes nothing")
}

// threeWay returns what has to change in the live object for it to be what Git says: last applied,
// wanted, live. Argo CD compares custom resources in this way unless it is told to ask the server.
func threeWay(t *testing.T, manifest string, object *unstructured.Unstructured) string {
	t.Helper()
	wanted, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	applied := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(object.GetAnnotations()[corev1.LastAppliedConfigAnnotation]), &applied.Object); err != nil {
		t.Fatal(err)
	}
	if len(applied.GetAnnotations()) == 0 {
		applied.SetAnnotations(nil) // kubectl notes an empty map, where it has put this very note
	}
	before, err := json.Marshal(applied.Object)
	if err != nil {
		t.Fatal(err)
	}
	current, err := json.Marshal(object.Object)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := jsonmergepatch.CreateThreeWayJSONMergePatch(before, wanted, current)
	if err != nil {
		t.Fatal(err)
	}
	return string(patch)
}

// Without this, the test above could not fail.
func TestAChangeOfABaselineIsDrift(t *testing.T) {
	const manifest = "apiVersion: policy.netbaseline.dev/v1alpha1\nkind: ClusterNetworkBaseline\nmetadata: {name: changed}\n" +
		"spec: {mode: Audit, namespaceSelector: {matchLabels: {suite: none}}}\n"
	t.Cleanup(func() { remove(t, "changed") })
	if _, err := environment.KubectlWithInput(t.Context(), manifest, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	if _, err := environment.Kubectl(t.Context(), "patch", "cnb", "changed", "--type=merge", "--patch", `{"spec":{"mode":"Enforce"}}`); err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{{"diff", "-f", "-"}, {"diff", "--server-side", "--force-conflicts", "-f", "-"}} {
		shown, err := environment.KubectlWithInput(t.Context(), manifest, arguments...)
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || exit.ExitCode() != 1 || !strings.Contains(shown, "+  mode: Audit") {
			t.Errorf("kubectl %s shows no difference: %v\n%s", strings.Join(arguments, " "), err, shown)
		}
	}
	object, err := live(t.Context(), "changed")
	if err != nil {
		t.Fatal(err)
	}
	if patch := threeWay(t, manifest, object); patch != `{"spec":{"mode":"Audit"}}` {
		t.Errorf("compared as Argo CD does, the difference is %s", patch)
	}
}

// What an Argo CD Application sees of our policies after a user has made it track them.
func TestPoliciesTellArgoCDToLeaveThemAlone(t *testing.T) {
	g := newGomega(t)
	const name = "tracked"
	newNamespace(t, "tracked-a", map[string]string{"suite": "tracked"})
	t.Cleanup(func() { remove(t, name) })
	manifest := "apiVersion: policy.netbaseline.dev/v1alpha1\nkind: ClusterNetworkBaseline\nmetadata: {name: " + name + "}\n" +
		"spec: {namespaceSelector: {matchLabels: {suite: tracked}}}\n"
	if _, err := environment.KubectlWithInput(t.Context(), manifest, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	g.Eventually(reason).WithArguments(t.Context(), name).Should(Equal(v1alpha1.ReasonSynced))
	read := func() (string, error) {
		return environment.Kubectl(t.Context(), "get", "networkpolicies", "--namespace", "tracked-a", "--output",
			`jsonpath={range .items[*]}{.metadata.annotations.argocd\.argoproj\.io/compare-options} {.metadata.annotations.argocd\.argoproj\.io/sync-options}{"\n"}{end}`)
	}
	const wanted = "IgnoreExtraneous Prune=false,Delete=false\n"
	g.Expect(read()).To(Equal(strings.Repeat(wanted, 3)))
	if _, err := environment.Kubectl(t.Context(), "annotate", "networkpolicy", v1alpha1.DefaultDenyName, "--namespace", "tracked-a", "argocd.argoproj.io/sync-options-"); err != nil {
		t.Fatal(err)
	}
	g.Eventually(read).Should(Equal(strings.Repeat(wanted, 3)), "a tenant who takes one off gets it back")
}

// refusePolicies creates a namespace whose quota leaves no room for a policy.
func refusePolicies(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	none := corev1.ResourceList{"count/networkpolicies.networking.k8s.io": resource.MustParse("0")}
	ctx := context.WithoutCancel(t.Context())
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := environment.Admin.Create(ctx, namespace); err != nil {
		t.Fatal(err)
	}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "none"}, Spec: corev1.ResourceQuotaSpec{Hard: none}}
	if err := environment.Admin.Create(ctx, quota); err != nil {
		t.Fatal(err)
	}
	newGomega(t).Eventually(func() (corev1.ResourceList, error) {
		err := environment.Admin.Get(ctx, client.ObjectKeyFromObject(quota), quota)
		return quota.Status.Hard, err
	}).ShouldNot(BeEmpty(), "the quota controller must have seen it")
	namespace.Labels = labels // and now it is chosen
	if err := environment.Admin.Update(ctx, namespace); err != nil {
		t.Fatal(err)
	}
}
