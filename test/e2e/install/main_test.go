// Package install_test keeps the three ways of installing netbaseline consistent, and takes them
// through their whole life cycle on a real control plane: kustomize, one file, and the Helm chart.
// It runs the commands of docs/install.md.
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
	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

const (
	// patience is for a busy machine.
	patience = 90 * time.Second
	interval = 50 * time.Millisecond
)

var (
	// cluster is one control plane for the package. Nothing is installed in it at first, and every
	// test removes what it installs.
	cluster *localcluster.Cluster
	// admin may do everything. It reads live.
	admin client.Client
	// workplace is the directory of the commands: a copy of the files that they use, so that they
	// change nothing in the repository.
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
	// Without its controller, the usage of a quota is unknown, and no pod is admitted where there
	// is one.
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

// furnish copies what the commands use. The copied make does not regenerate manifests:
// the committed ones are tested.
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

// shell runs commands as a reader of the documentation would: in the root of the repository, with
// kubectl, helm and make available. It returns their output; the error contains their stderr.
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

// mustRun is shell for commands that must succeed.
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
