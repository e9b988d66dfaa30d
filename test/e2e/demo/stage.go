package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/controllers"
	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

const (
	// managerStartTimeout is for a busy machine.
	managerStartTimeout = 60 * time.Second
	// logLines of a dead manager are shown.
	logLines = 8
)

// stage is the environment of the story: a control plane with netbaseline installed, and the
// manager next to it.
type stage struct {
	screen       *screen
	environment  *harness.Environment
	manager      *localcluster.Process
	film         *film
	kubectlCache string
}

// build starts everything. close ends it, also after an error.
func (s *stage) build(ctx context.Context) error {
	started := time.Now()
	s.screen.busy("starting etcd, kube-apiserver and kube-controller-manager")
	var err error
	// Without this, kubectl would cache the discovery of this cluster in the user's home.
	if s.kubectlCache, err = os.MkdirTemp("", "netbaseline-kubectl-*"); err != nil {
		return err
	}
	if err := os.Setenv("KUBECACHEDIR", s.kubectlCache); err != nil {
		return err
	}
	options := localcluster.Options{ControllerManagerArgs: []string{"--controllers=resourcequota-controller"}} // for visitors who try a quota
	if s.environment, err = harness.Start(ctx, options); err != nil {
		return err
	}
	s.screen.done(fmt.Sprintf("Kubernetes %s runs on this machine, and the CRD and RBAC of config/default are installed (%s)",
		s.version(ctx), seconds(time.Since(started))))
	return nil
}

func (s *stage) version(ctx context.Context) string {
	lines, err := s.kubectl(ctx, "get", "--raw", "/version")
	if err != nil {
		return "unknown"
	}
	_, rest, _ := strings.Cut(strings.Join(lines, ""), `"gitVersion": "v`)
	version, _, _ := strings.Cut(rest, `"`)
	return version
}

// startManager runs bin/manager as a process of its own, under the service account of config/rbac.
func (s *stage) startManager(ctx context.Context) error {
	started := time.Now()
	s.screen.busy("starting bin/manager")
	cluster := s.environment.Cluster
	account, err := cluster.ServiceAccountKubeconfig(ctx, harness.OperatorNamespace, harness.OperatorServiceAccount)
	if err != nil {
		return err
	}
	arguments := []string{"--leader-elect=true", "--metrics-bind-address=0", "--health-probe-bind-address=0"}
	s.manager = localcluster.NewProcess("bin/manager", harness.RepositoryPath("bin/manager"), arguments,
		[]string{"KUBECONFIG=" + account}, filepath.Join(cluster.Dir(), "logs", "manager.log"))
	s.manager.Ready = s.hasLeader
	ctx, cancel := context.WithTimeout(ctx, managerStartTimeout)
	defer cancel()
	if err := s.manager.Start(ctx); err != nil {
		return err
	}
	s.screen.done(fmt.Sprintf("bin/manager runs as process %d and leads, under its own service account: it may do what that RBAC "+
		"grants, and nothing else (%s)", s.manager.PID(), seconds(time.Since(started))))
	return nil
}

func (s *stage) hasLeader(ctx context.Context) error {
	leader, err := s.environment.Leader(ctx)
	if err != nil {
		return err
	}
	if leader == "" {
		return errors.New("no leader yet")
	}
	return nil
}

// startFilm records what happens in the cluster from now on.
func (s *stage) startFilm(ctx context.Context) error {
	reader, err := client.NewWithWatch(s.environment.Cluster.Config(), client.Options{Scheme: controllers.NewScheme()})
	if err != nil {
		return err
	}
	s.film, err = startFilm(ctx, reader)
	return err
}

// guard ends the story when the manager ends. It returns when ctx ends.
func (s *stage) guard(ctx context.Context, end context.CancelCauseFunc) {
	pid := s.manager.PID()
	select {
	case <-ctx.Done():
	case <-s.manager.Exited():
		end(&managerDiedError{pid: pid, log: tail(s.manager.LogPath())})
	}
}

// managerDiedError means that the manager ended before the demo stopped it.
type managerDiedError struct {
	pid int
	log []string
}

func (e *managerDiedError) Error() string {
	return fmt.Sprintf("bin/manager (process %d) ended unexpectedly", e.pid)
}

func tail(path string) []string {
	text, err := os.ReadFile(path)
	if err != nil {
		return []string{err.Error()}
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return lines[max(0, len(lines)-logLines):]
}

// close ends all processes and removes all files.
func (s *stage) close() error {
	var errs []error
	if s.manager != nil {
		errs = append(errs, s.manager.Stop())
	}
	if s.environment != nil {
		errs = append(errs, s.environment.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(s.kubectlCache))...)
}
