// Package docs_test checks the documentation against the software. It runs the commands that the
// pages mark as runnable, submits every YAML block to a real API server, follows every link, and
// checks each message that the pages quote.
package docs_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/pages"
)

const (
	// patience is for a busy machine.
	patience = 60 * time.Second
	interval = 50 * time.Millisecond
)

var (
	environment *harness.Environment
	manager     *harness.Manager
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	harness.Main(func() (int, error) {
		return harness.WithManager(func(e *harness.Environment, running *harness.Manager) int {
			environment, manager = e, running
			return m.Run()
		})
	})
}

func newGomega(t *testing.T) Gomega {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(patience)
	g.SetDefaultEventuallyPollingInterval(interval)
	return g
}

// allPages reads README, CONTRIBUTING and the like, and everything under docs/, by their paths in
// the repository.
func allPages(t *testing.T) map[string]*pages.Page {
	t.Helper()
	root := harness.RepositoryPath(".")
	paths, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(filepath.Join(root, "docs"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Ext(path) == ".md" {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*pages.Page{}
	for _, path := range paths {
		page, err := pages.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.ToSlash(relative)] = page
	}
	return found
}

// shell runs commands as a reader of a page would: in the root of the repository, with the kubectl
// that belongs to the control plane. It returns their output; the error contains their stderr.
func shell(ctx context.Context, script string) (string, error) {
	variables := append(slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "KUBE") }),
		"PATH="+filepath.Dir(environment.Cluster.Kubectl())+string(filepath.ListSeparator)+os.Getenv("PATH"),
		"KUBECONFIG="+environment.Cluster.KubeconfigPath(),
		"KUBECACHEDIR="+filepath.Join(environment.Cluster.Dir(), "kubectl-cache"),
	)
	return harness.Shell(ctx, harness.RepositoryPath("."), variables, script)
}

// mustRun is shell for commands that must succeed.
func mustRun(t *testing.T, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*patience)
	defer cancel()
	output, err := shell(ctx, script)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

// clusterWide are the cluster-scoped kinds of which pages create objects.
var clusterWide = []string{"namespaces", "clusterroles", "clusterrolebindings"}

// tidy removes, at the end of a test, the objects that the pages' commands have created.
func tidy(t *testing.T) {
	t.Helper()
	list := func() map[string][]string {
		found := map[string][]string{}
		for _, kind := range clusterWide {
			found[kind] = strings.Fields(mustRun(t, "kubectl get "+kind+" --output name"))
		}
		return found
	}
	before := list()
	t.Cleanup(func() {
		mustRun(t, "kubectl delete validatingadmissionpolicybindings,validatingadmissionpolicies --selector app.kubernetes.io/name!=netbaseline")
		mustRun(t, "kubectl delete cnb --all --timeout=60s")
		mustRun(t, "kubectl delete networkpolicies --all-namespaces --all")
		made := []string{}
		for kind, names := range list() {
			made = append(made, slices.DeleteFunc(names, func(name string) bool { return slices.Contains(before[kind], name) })...)
		}
		if len(made) > 0 {
			mustRun(t, "kubectl delete "+strings.Join(made, " ")+" --timeout=60s")
		}
	})
}
