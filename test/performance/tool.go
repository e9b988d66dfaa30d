package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/performance/reactor"
	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

// tool is the process under measurement, which protects namespaces.
type tool struct {
	*localcluster.Process
	user string
	// begin makes it protect the namespaces that exist already. It returns without waiting for
	// that.
	begin func(context.Context) error
	// meters reads the manager's metrics; nil for the reactors.
	meters *meters
}

const reactorAccount = "reactor"

// startReactor starts a bare reactor. It runs under a service account too: an administrator would
// bypass the queues of the API server.
func startReactor(ctx context.Context, environment *harness.Environment, sideBySide bool) (*tool, error) {
	account := metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: reactorAccount}
	role := metav1.ObjectMeta{Name: reactorAccount}
	for _, object := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: account},
		&rbacv1.ClusterRole{ObjectMeta: role, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"list", "watch"}},
			{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"networkpolicies"}, Verbs: []string{"create"}},
		}},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: role, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: account.Namespace, Name: account.Name}},
		},
	} {
		if err := environment.Admin.Create(ctx, object); err != nil {
			return nil, fmt.Errorf("set up the reactor: %w", err)
		}
	}
	kubeconfig, err := environment.Cluster.ServiceAccountKubeconfig(ctx, account.Namespace, account.Name)
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	logPath := filepath.Join(environment.Cluster.Dir(), "logs", "reactor.log")
	process := localcluster.NewProcess("reactor", program, []string{reactorCommand, fmt.Sprintf("--side-by-side=%t", sideBySide)},
		[]string{"KUBECONFIG=" + kubeconfig}, logPath)
	process.Ready = func(context.Context) error { return says(logPath, reactor.Watching) }
	begin := func(context.Context) error { return syscall.Kill(process.PID(), beginSignal) }
	user := "system:serviceaccount:" + account.Namespace + ":" + account.Name
	return &tool{Process: process, user: user, begin: begin}, process.Start(ctx)
}

// says returns an error unless a log contains a word.
func says(path, word string) error {
	text, err := os.ReadFile(path)
	if err == nil && !bytes.Contains(text, []byte(word)) {
		err = errors.New("not " + word + " yet")
	}
	return err
}

const baselineName = "default"

// baseline is the baseline for the manager, and the source of the policies that the reactors write.
func baseline() *builder.BaselineBuilder {
	return builder.Baseline(baselineName).SelectingWhere(reactor.PhaseLabel, "Exists")
}

// startManager starts bin/manager, without a baseline.
func startManager(ctx context.Context, environment *harness.Environment) (*tool, error) {
	kubeconfig, err := environment.Cluster.ServiceAccountKubeconfig(ctx, harness.OperatorNamespace, harness.OperatorServiceAccount)
	if err != nil {
		return nil, err
	}
	meters, err := newMeters(ctx, environment)
	if err != nil {
		return nil, err
	}
	process := localcluster.NewProcess("bin/manager", harness.RepositoryPath("bin/manager"), []string{
		"--leader-elect", "--metrics-bind-address=" + meters.metrics, "--health-probe-bind-address=" + meters.probes,
	}, []string{"KUBECONFIG=" + kubeconfig}, filepath.Join(environment.Cluster.Dir(), "logs", "manager.log"))
	process.Ready = meters.ready
	begin := func(ctx context.Context) error { return environment.Admin.Create(ctx, baseline().Obj()) }
	return &tool{Process: process, user: harness.OperatorUser, begin: begin, meters: meters}, process.Start(ctx)
}

// baselineReady returns an error unless the status reports the current baseline as ready.
func baselineReady(ctx context.Context, admin client.Client) error {
	current := &v1alpha1.ClusterNetworkBaseline{}
	if err := admin.Get(ctx, client.ObjectKey{Name: baselineName}, current); err != nil {
		return err
	}
	if current.Status.ObservedGeneration != current.Generation || !meta.IsStatusConditionTrue(current.Status.Conditions, v1alpha1.ConditionReady) {
		return errors.New("the baseline is not ready")
	}
	return nil
}
