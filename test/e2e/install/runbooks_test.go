package install_test

import (
	"context"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/pages"
)

// What is typed at three in the morning must work: every command of the runbooks, and of
// docs/monitoring.md, is run where netbaseline is installed and well. None of them may take a
// policy away.
func TestTheRunbooksAreTrue(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(patience)
	g.SetDefaultEventuallyPollingInterval(interval)
	startNode(t)
	t.Cleanup(func() {
		_, err := shell(context.WithoutCancel(t.Context()), "kubectl delete clusterrole,clusterrolebinding netbaseline-kube-state-metrics --ignore-not-found\n"+
			"kubectl delete crd servicemonitors.monitoring.coreos.com prometheusrules.monitoring.coreos.com --ignore-not-found")
		g.Expect(err).NotTo(HaveOccurred())
		removeAll(t, g)
	})
	for _, name := range []string{"shop", "monitoring"} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"environment": "production"}}}
		g.Expect(client.IgnoreAlreadyExists(admin.Create(t.Context(), namespace))).To(Succeed())
	}
	for plural, kind := range map[string]string{"servicemonitors": "ServiceMonitor", "prometheusrules": "PrometheusRule"} {
		g.Expect(admin.Create(t.Context(), anyKind("monitoring.coreos.com", plural, kind))).To(Succeed())
		mustRun(t, "kubectl wait --for=condition=Established --timeout=60s crd/"+plural+".monitoring.coreos.com")
	}
	p := readPage(t)
	p.follow(t, "Install with Helm", 0)
	expectPods(t, g, "dev", 2)
	before := firstBaseline(t, g, p)

	pages, err := filepath.Glob(harness.RepositoryPath("docs/runbooks/*.md"))
	g.Expect(err).NotTo(HaveOccurred())
	for _, path := range append(pages, harness.RepositoryPath("docs/monitoring.md")) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			blocks := commandsIn(t, path)
			if len(blocks) == 0 && filepath.Base(path) != "README.md" {
				t.Error("no commands found")
			}
			for _, block := range blocks {
				mustRun(t, adapted(block.Text))
			}
			mustRun(t, "kubectl delete clusterrolebinding netbaseline-metrics --ignore-not-found")
		})
	}
	after, err := policies(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	for name := range before {
		g.Expect(after).To(HaveKeyWithValue(name, before[name]))
	}
}

// commandsIn are the blocks of commands of a page, also of those within lists.
func commandsIn(t *testing.T, path string) []pages.Block {
	t.Helper()
	page, err := pages.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(page.Blocks, func(block pages.Block) bool { return block.Language != "sh" })
}

var (
	// There are no logs here: the pods are processes, and there is no kubelet.
	logs = regexp.MustCompile(`(?m)^\s*kubectl logs .*$`)
	// To answer "no" is no failure of the question.
	questions = regexp.MustCompile(`(?m)^(\s*kubectl auth can-i .*)$`)
	// All is well here, so what is tried is there already; whatever else refuses it is found first.
	attempts = regexp.MustCompile(`(?m)^(\s*kubectl create --dry-run=server .*)$`)
)

func adapted(block string) string {
	block = attempts.ReplaceAllString(logs.ReplaceAllString(block, ":"), "{ $1 2>&1 || true; } | grep 'already exists'")
	return questions.ReplaceAllString(block, "$1 || [ $$? = 1 ]")
}

// anyKind makes a kind whose objects may say anything.
func anyKind(group, plural, kind string) *apiextensionsv1.CustomResourceDefinition {
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: plural + "." + group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: group,
			Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: plural, Singular: strings.ToLower(kind), Kind: kind, ListKind: kind + "List"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{
					OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: new(true)},
				},
			}},
		},
	}
}
