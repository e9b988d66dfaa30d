package localcluster

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// tailLines of a log usually show why a process did not start; tailBytes are read to find them.
const (
	tailLines = 25
	tailBytes = 64 << 10
)

// run is one execution of a process.
type run struct {
	process   *os.Process
	logOffset int64
	exited    chan struct{}
	exitErr   error // to be read only after exited is closed
}

// startRun starts a process whose output is appended to a file.
func startRun(path string, args, env []string, logPath string) (*run, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the child has a descriptor of its own
	info, err := log.Stat()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = env, log, log, sysProcAttr()

	next := &run{logOffset: info.Size(), exited: make(chan struct{})}
	started := make(chan error)
	go next.live(cmd, started)
	if err := <-started; err != nil {
		return nil, err
	}
	return next, nil
}

// live starts the process and stays until it ends. The kernel kills the child when the thread that
// started it ends (PR_SET_PDEATHSIG), and Go may end threads at any time: so the goroutine stays
// locked to its thread.
func (r *run) live(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	r.process = cmd.Process
	started <- nil
	r.exitErr = cmd.Wait()
	close(r.exited)
}

func (r *run) hasExited() bool {
	select {
	case <-r.exited:
		return true
	default:
		return false
	}
}

func (r *run) signal(signal syscall.Signal) error {
	err := r.process.Signal(signal)
	if errors.Is(err, os.ErrProcessDone) {
		return ErrNotRunning
	}
	return err
}

func exitReason(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// logTail returns the last lines of a log that were written from offset on.
func logTail(path string, offset int64) string {
	file, err := os.Open(path)
	if err != nil {
		return "no log: " + err.Error()
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return "no log: " + err.Error()
	}
	offset = max(offset, info.Size()-tailBytes)
	text, err := io.ReadAll(io.NewSectionReader(file, offset, info.Size()-offset))
	if err != nil {
		return "no log: " + err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return "last lines of " + path + ":\n" + strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
