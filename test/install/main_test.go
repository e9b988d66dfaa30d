// Package install_test holds the three ways of installing netbaseline together, and takes them through their whole life on a real control
// plane: kustomize, one file, and the Helm chart. What docs/install.md tells its reader to type is what runs here.
package install_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/controllers"
	"github.com/netbaseline/netbaseline/internal/localcluster"
	"github.com/netbaseline/netbaseline/test/harness"
)

const (
	// patience is for a busy machine.
	patience = 90 * time.Second
	interval = 50 * time.Millisecond
)

var (
	// cluster is one control plane for the package. Nothing is installed in it at first, and every test takes away what it brings.
	cluster *localcluster.Cluster
	// admin may do everything. It reads live.
	admin client.Client
	// workplace is what the commands run in: a copy of what they use of the repository, so that they change nothing in it.
	workplace string
)

func TestMain(m *testing.M) { harness.Main(func() (int, error) { return run(m) }) }

func run(m *testing.M) (code int, err error) {
	if _, err := os.Stat(harness.RepositoryPath("bin/helm")); err != nil {
		return 0, fmt.Errorf("%w: run `make helm`", err)
	}
	if workplace, err = os.MkdirTemp("", "netbaseline-install-*"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(workplace)) }()
	if err := furnish(); err != nil {
		return 0, err
	}
	// Without its controller, nobody says how much of a quota is used, and no pod is admitted where there is one.
	cluster, err = localcluster.Start(context.Background(), localcluster.Options{
		ControllerManagerArgs: []string{"--controllers=resourcequota-controller"},
		AuditReadsOf:          []string{harness.OperatorUser},
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, harness.SaveAccesses(cluster), cluster.Stop()) }()
	scheme := controllers.NewScheme()
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		return 0, err
	}
	if admin, err = client.New(quiet(cluster.Config()), client.Options{Scheme: scheme}); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// furnish copies what the commands use. The copied make does not regenerate manifests: what is in the repository is what is tested.
func furnish() error {
	for _, directory := range []string{"config", "charts", "internal/tools"} {
		source := os.DirFS(harness.RepositoryPath(directory))
		if err := os.CopyFS(filepath.Join(workplace, directory), source); err != nil {
			return err
		}
	}
	makefile, err := os.ReadFile(harness.RepositoryPath("Makefile"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(workplace, "Makefile"), makefile, 0o600); err != nil {
		return err
	}
	path, err := exec.LookPath("make")
	if err != nil {
		return err
	}
	tools := filepath.Join(workplace, "bin")
	if err := os.Mkdir(tools, 0o700); err != nil {
		return err
	}
	if err := os.Symlink(harness.RepositoryPath("bin/helm"), filepath.Join(tools, "helm")); err != nil {
		return err
	}
	shim := fmt.Sprintf("#!/bin/sh\nexec %q -o manifests \"$@\"\n", path)
	return os.WriteFile(filepath.Join(tools, "make"), []byte(shim), 0o700)
}

// shell runs commands as somebody would who reads the documentation: in the root of the repository, with kubectl, helm and make at
// hand. It returns what they print; its error holds what they complain about.
func shell(ctx context.Context, script string) (string, error) {
	variables := append(slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "MAKE") || strings.HasPrefix(variable, "MFLAGS=") || strings.HasPrefix(variable, "HELM_")
	}),
		"PATH="+strings.Join([]string{filepath.Join(workplace, "bin"), filepath.Dir(cluster.Kubectl()), os.Getenv("PATH")}, string(filepath.ListSeparator)),
		"KUBECONFIG="+cluster.KubeconfigPath(),
		"KUBECACHEDIR="+filepath.Join(workplace, "kubectl-cache"),
		"HELM_CACHE_HOME="+filepath.Join(workplace, "helm", "cache"),
		"HELM_CONFIG_HOME="+filepath.Join(workplace, "helm", "config"),
		"HELM_DATA_HOME="+filepath.Join(workplace, "helm", "data"),
	)
	return harness.Shell(ctx, workplace, variables, script)
}

// mustRun is shell for what has to succeed.
func mustRun(t *testing.T, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	output, err := shell(ctx, script)
	if err != nil {
		t.Fatal(err)
	}
	return output
}
