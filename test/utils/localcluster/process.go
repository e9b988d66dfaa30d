package localcluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	probeInterval = 50 * time.Millisecond

	// defaultGracePeriod is longer than a control plane process needs to stop on a busy machine.
	defaultGracePeriod = 20 * time.Second
)

var (
	// ErrNotRunning is returned by what needs a running process: Kill, Pause and Resume.
	ErrNotRunning = errors.New("process is not running")

	// ErrRunning is returned by Start of a process that runs already.
	ErrRunning = errors.New("process is already running")

	errExited = errors.New("exited before it was healthy")
)

// Process is one program that can be started repeatedly with the same arguments. Its output is
// appended to a file. On Linux it is killed when the program that started it ends for any reason.
// All methods may be called from several goroutines.
type Process struct {
	// Ready is polled until it returns nil before Start and Restart return. Nil means ready as soon
	// as it runs. Set it before the first Start.
	Ready func(ctx context.Context) error

	// GracePeriod is how long Stop waits after SIGTERM before it sends SIGKILL. Set it before the
	// first Start.
	GracePeriod time.Duration

	name    string
	path    string
	args    []string
	env     []string
	logPath string

	mu  sync.Mutex
	run *run
}

// NewProcess describes a program; Start starts it. The name appears in errors, args do not include
// the program itself, a nil env means this program's environment, and logPath receives stdout and
// stderr.
func NewProcess(name, path string, args, env []string, logPath string) *Process {
	return &Process{GracePeriod: defaultGracePeriod, name: name, path: path, args: args, env: env, logPath: logPath}
}

// Start starts the process and waits until it is ready. If it exits first, or ctx ends first, the
// process is killed and the error holds the last lines of its log. ctx bounds the waiting only: it
// does not end a started process.
func (p *Process) Start(ctx context.Context) error {
	current, err := p.launch()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	if err := p.waitReady(ctx, current); err != nil {
		_ = current.process.Kill()
		<-current.exited
		return fmt.Errorf("start %s: %w\n%s", p.name, err, logTail(p.logPath, current.logOffset))
	}
	return nil
}

// Stop sends SIGTERM, and SIGKILL if the process still runs after GracePeriod, and returns when it
// is gone. A paused process is resumed, or it would not see SIGTERM. Stop of a process that does
// not run does nothing.
func (p *Process) Stop() error {
	current := p.current()
	if current == nil {
		return nil
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGCONT} {
		if err := current.signal(signal); err != nil && !errors.Is(err, ErrNotRunning) {
			return fmt.Errorf("stop %s: %w", p.name, err)
		}
	}
	grace := time.NewTimer(p.GracePeriod)
	defer grace.Stop()
	select {
	case <-current.exited:
		return nil
	case <-grace.C:
	}
	if err := p.Kill(); err != nil && !errors.Is(err, ErrNotRunning) {
		return err
	}
	return nil
}

// Kill sends SIGKILL and returns when the process is gone. It returns ErrNotRunning if it was gone
// before.
func (p *Process) Kill() error {
	current, err := p.send(syscall.SIGKILL)
	if err != nil {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-current.exited
	return nil
}

// Pause sends SIGSTOP: connections stay open and nothing answers on them. It returns ErrNotRunning
// if there is no process to pause.
func (p *Process) Pause() error {
	if _, err := p.send(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("pause %s: %w", p.name, err)
	}
	return nil
}

// Resume sends SIGCONT, which does nothing to a process that is not paused. It returns
// ErrNotRunning if there is no process to resume.
func (p *Process) Resume() error {
	if _, err := p.send(syscall.SIGCONT); err != nil {
		return fmt.Errorf("resume %s: %w", p.name, err)
	}
	return nil
}

// Restart stops the process if it runs, starts it with the same arguments, and waits until it is
// ready. After Kill it completes a simulated crash.
func (p *Process) Restart(ctx context.Context) error {
	if err := p.Stop(); err != nil {
		return err
	}
	return p.Start(ctx)
}

// PID is the process id, or 0 if the process does not run.
func (p *Process) PID() int {
	if current := p.current(); current != nil {
		return current.process.Pid
	}
	return 0
}

// Exited returns a channel that is closed when the process that runs now ends; it is closed already
// if none runs.
func (p *Process) Exited() <-chan struct{} {
	if current := p.current(); current != nil {
		return current.exited
	}
	closed := make(chan struct{})
	close(closed)
	return closed
}

// LogPath is the file that holds the output of all runs of this process.
func (p *Process) LogPath() string { return p.logPath }

// current is the run that has not ended, or nil.
func (p *Process) current() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil || p.run.hasExited() {
		return nil
	}
	return p.run
}

func (p *Process) send(signal syscall.Signal) (*run, error) {
	current := p.current()
	if current == nil {
		return nil, ErrNotRunning
	}
	if err := current.signal(signal); err != nil {
		return nil, err
	}
	return current, nil
}

func (p *Process) launch() (*run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run != nil && !p.run.hasExited() {
		return nil, ErrRunning
	}
	next, err := startRun(p.path, p.args, p.env, p.logPath)
	if err != nil {
		return nil, err
	}
	p.run = next
	return next, nil
}

// waitReady polls Ready until it succeeds; it gives up when ctx or the process ends.
func (p *Process) waitReady(ctx context.Context, current *run) error {
	if p.Ready == nil {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-current.exited:
			cancel(errExited)
		case <-ctx.Done():
		}
	}()
	var notReady error
	err := wait.PollUntilContextCancel(ctx, probeInterval, true, func(ctx context.Context) (bool, error) {
		notReady = p.Ready(ctx)
		return notReady == nil, nil
	})
	switch {
	case errors.Is(context.Cause(ctx), errExited):
		return fmt.Errorf("%w: %w", errExited, exitReason(current.exitErr))
	case err != nil:
		return fmt.Errorf("not ready: %w (last probe: %w)", err, notReady)
	}
	return nil
}
