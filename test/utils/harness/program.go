package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"

	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

// Main is the body of a TestMain: it ends the program with the code that a function returns, or
// reports why it could not.
func Main(run func() (int, error)) {
	code, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// WithManager starts an environment and a manager in it for as long as a function runs, and returns
// its code.
func WithManager(do func(*Environment, *Manager) int) (code int, err error) {
	environment, err := Start(context.Background(), localcluster.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, environment.Stop()) }()
	manager, err := environment.StartManager()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, manager.Stop()) }()
	return do(environment, manager), nil
}

// BuildManager builds the manager into a file; with a warm cache that takes a second.
func BuildManager(ctx context.Context, path string) error {
	command := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/manager")
	command.Dir = RepositoryPath(".")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build the manager: %w: %s", err, output)
	}
	return nil
}

// Program is the manager as shipped: a process under its own account, with leader election.
type Program struct {
	*localcluster.Process
	// Metrics and Probes are base URLs, such as https://127.0.0.1:20001. The certificate is made at
	// each start.
	Metrics, Probes string
}

// StartProgram starts a manager that BuildManager has built. Its log goes into a file.
func (e *Environment) StartProgram(ctx context.Context, path, log string) (*Program, error) {
	kubeconfig, err := e.Cluster.ServiceAccountKubeconfig(ctx, OperatorNamespace, OperatorServiceAccount)
	if err != nil {
		return nil, err
	}
	metrics, err := FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	probes, err := FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	process := localcluster.NewProcess("manager", path, []string{
		"--leader-elect", "--metrics-bind-address=" + metrics, "--health-probe-bind-address=" + probes,
	}, append(os.Environ(), "KUBECONFIG="+kubeconfig), log)
	return &Program{Process: process, Metrics: "https://" + metrics, Probes: "http://" + probes}, process.Start(ctx)
}

// FreeAddress returns an address of this machine, such as 127.0.0.1:20001, without a listener.
func FreeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// Shell runs a script in bash, which ends at the first command that fails, with exactly these
// environment variables. It returns the output of the script; the error contains its stderr.
func Shell(ctx context.Context, directory string, environment []string, script string) (string, error) {
	command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	command.Dir, command.Env = directory, environment
	var complaints strings.Builder
	command.Stderr = &complaints
	output, err := command.Output()
	if err != nil {
		return string(output), fmt.Errorf("%s\n%w: %s%s", script, err, output, complaints.String())
	}
	return string(output), nil
}
