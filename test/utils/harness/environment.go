// Package harness runs netbaseline on a control plane of its own, for the suites: the shipped CRD
// and RBAC installed, the manager under its own service account. It contains no expectations; those
// belong to the suites.
package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/controllers"
	"github.com/netbaseline/netbaseline/test/utils/localcluster"
	"github.com/netbaseline/netbaseline/test/utils/manifests"
)

// The names in config/default of the operator's namespace, its service account and our
// CustomResourceDefinition, and the name of the manager's lease.
const (
	OperatorNamespace      = "netbaseline-system"
	OperatorServiceAccount = "netbaseline-controller-manager"
	OperatorUser           = "system:serviceaccount:" + OperatorNamespace + ":" + OperatorServiceAccount
	CRDName                = "clusternetworkbaselines.policy.netbaseline.dev"
	LeaseName              = "netbaseline.policy.netbaseline.dev"
)

// FieldManager is the field manager of the harness's own writes.
const FieldManager = "harness"

// Environment is a running control plane with netbaseline installed. No manager runs in it until
// StartManager.
type Environment struct {
	Cluster *localcluster.Cluster
	// Admin may do everything. It reads live.
	Admin client.Client

	operator *rest.Config
	excuse   string // see ExcuseDenials
	writes   writeLog
}

// Start starts a control plane and installs what config/default ships, except the Deployment and
// its NetworkPolicy: the manager runs here instead.
func Start(ctx context.Context, options localcluster.Options) (*Environment, error) {
	options.AuditReadsOf = append(options.AuditReadsOf, OperatorUser) // see SaveAccesses
	cluster, err := localcluster.Start(ctx, options)
	if err != nil {
		return nil, err
	}
	environment := &Environment{Cluster: cluster}
	if err := environment.install(ctx); err != nil {
		return nil, errors.Join(err, cluster.Stop())
	}
	return environment, nil
}

// Stop ends the control plane and removes its data.
func (e *Environment) Stop() error {
	return errors.Join(saveAccesses(e.Cluster, e.excuse), e.Cluster.Stop())
}

func (e *Environment) install(ctx context.Context) error {
	if err := e.Cluster.WaitReady(ctx); err != nil {
		return err
	}
	scheme := controllers.NewScheme()
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		return err
	}
	admin, err := client.New(e.Cluster.Config(), client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	e.Admin = admin
	shipped, err := e.Kubectl(ctx, "kustomize", RepositoryPath("config/default"))
	if err != nil {
		return err
	}
	if err := e.applyAll(ctx, shipped); err != nil {
		return err
	}
	if err := e.waitPublished(ctx); err != nil {
		return err
	}
	path, err := e.Cluster.ServiceAccountKubeconfig(ctx, OperatorNamespace, OperatorServiceAccount)
	if err != nil {
		return err
	}
	if e.operator, err = clientcmd.BuildConfigFromFlags("", path); err != nil {
		return fmt.Errorf("read the operator's kubeconfig: %w", err)
	}
	e.operator.QPS = -1 // as in the manager: priority and fairness of the API server governs
	return nil
}

// waitPublished waits until kubectl finds the kind and its schema, which the API server publishes
// when it serves the kind, or some time after.
func (e *Environment) waitPublished(ctx context.Context) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		_, last = e.Kubectl(ctx, "explain", "clusternetworkbaselines.spec")
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the schema: %w: %w", err, last)
	}
	return nil
}

func (e *Environment) applyAll(ctx context.Context, text string) error {
	objects, err := manifests.Objects(text)
	if err != nil {
		return err
	}
	for _, object := range objects {
		// The manager runs here and not in a pod. The NetworkPolicy of its pods would disturb
		// suites that list all policies.
		if kind := object.GetKind(); kind == "Deployment" || kind == "NetworkPolicy" {
			continue
		}
		if err := e.Admin.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.ForceOwnership, client.FieldOwner(FieldManager)); err != nil {
			return fmt.Errorf("install %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// OperatorConfig returns a fresh copy of a client configuration for the operator's own service
// account.
func (e *Environment) OperatorConfig() *rest.Config { return rest.CopyConfig(e.operator) }

// Kubectl runs kubectl as an administrator and returns its output; the error contains its stderr.
func (e *Environment) Kubectl(ctx context.Context, args ...string) (string, error) {
	return e.KubectlWithInput(ctx, "", args...)
}

// KubectlWithInput is Kubectl with something on standard input.
func (e *Environment) KubectlWithInput(ctx context.Context, input string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, e.Cluster.Kubectl(), append([]string{"--kubeconfig", e.Cluster.KubeconfigPath()}, args...)...)
	command.Env = append(os.Environ(), "KUBECACHEDIR="+filepath.Join(e.Cluster.Dir(), "kubectl-cache")) // not in the user's home
	command.Stdin = strings.NewReader(input)
	var complaints strings.Builder
	command.Stderr = &complaints
	output, err := command.Output()
	if err != nil {
		return string(output), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaints.String()))
	}
	return string(output), nil
}

// RepositoryPath returns the absolute path of a file in this repository.
func RepositoryPath(relative string) string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", filepath.FromSlash(relative))
}
