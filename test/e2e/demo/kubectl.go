package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// kubectl runs the real kubectl, as an administrator, in the root of the repository. It returns the
// output of kubectl, stderr included.
func (s *stage) kubectl(ctx context.Context, arguments ...string) ([]string, error) {
	command := exec.CommandContext(ctx, s.environment.Cluster.Kubectl(), arguments...)
	command.Dir = harness.RepositoryPath(".")
	command.Env = append(command.Environ(), "KUBECONFIG="+s.environment.Cluster.KubeconfigPath())
	output, err := command.CombinedOutput()
	if interrupted := context.Cause(ctx); interrupted != nil {
		return nil, interrupted
	}
	lines := strings.Split(strings.TrimRight(string(output), "\n"), "\n")
	if err != nil {
		return nil, &kubectlError{arguments: arguments, said: lines, err: err}
	}
	return lines, nil
}

// typed prints a command and its output, and returns an error if the command does not end as
// expected.
func (s *stage) typed(ctx context.Context, command command) error {
	s.screen.command(append([]string{"kubectl"}, command.arguments...)...)
	lines, err := s.kubectl(ctx, command.arguments...)
	switch refusal, refused := errors.AsType[*kubectlError](err); {
	case command.refused && err == nil:
		err = fmt.Errorf("kubectl %s was not refused", strings.Join(command.arguments, " "))
	case command.refused && refused && strings.Contains(refusal.said[0], "(Forbidden)"):
		lines, err = refusal.said, nil
	case command.patient && refused:
		lines, err = s.untilItSucceeds(ctx, command.arguments)
	}
	if err != nil {
		return err
	}
	s.screen.output(lines...)
	return nil
}

// kubectlError is a kubectl that failed, and its output.
type kubectlError struct {
	arguments, said []string
	err             error
}

func (e *kubectlError) Error() string {
	return fmt.Sprintf("kubectl %s: %v: %s", strings.Join(e.arguments, " "), e.err, strings.Join(e.said, "\n"))
}

func (s *stage) untilItSucceeds(ctx context.Context, arguments []string) (lines []string, err error) {
	timeout := wait.PollUntilContextTimeout(ctx, pollInterval, deadline, false, func(ctx context.Context) (bool, error) {
		lines, err = s.kubectl(ctx, arguments...)
		return err == nil, nil
	})
	if timeout != nil {
		return nil, errors.Join(context.Cause(ctx), err)
	}
	return lines, nil
}

// showBaseline shows the status of the baseline.
func (s *stage) showBaseline(ctx context.Context) error {
	return s.typed(ctx, kubectl("get", "cnb"))
}

// showPolicies shows all policies, but writes out only those of the interesting namespaces and
// counts the others.
func (s *stage) showPolicies(ctx context.Context, interesting ...string) error {
	lines, err := s.kubectl(ctx, "get", "netpol", "-A")
	if err != nil {
		return err
	}
	s.screen.command("kubectl", "get", "netpol", "-A")
	shown, left, others := abridge(lines, interesting)
	s.screen.output(shown...)
	if left > 0 {
		s.screen.remark(fmt.Sprintf("… and %d more: %s", left, others))
	}
	return nil
}
