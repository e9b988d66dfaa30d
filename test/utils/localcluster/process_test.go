package localcluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestProcessRunsAgainAndAppendsToItsLog(t *testing.T) {
	process := shell(t, `echo "$GREETING $1"`, "world")
	process.env = []string{"GREETING=hello"}
	for range 2 {
		if err := process.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-process.Exited()
	}
	if got, want := readTestFile(t, process.LogPath()), "hello world\nhello world\n"; got != want {
		t.Errorf("log %q, want %q", got, want)
	}
}

func TestFailedStartSaysWhyAndLeavesNothing(t *testing.T) {
	tests := map[string]struct {
		script string
		until  string // it prints this, it is waited for
		want   []string
	}{
		"the process exits":        {script: "echo ports are taken; exit 3", until: "never", want: []string{"exit status 3", "ports are taken"}},
		"the process says nothing": {script: "echo still busy; exec sleep 600", until: "still busy", want: []string{"connection refused", "still busy"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			process := shell(t, test.script)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			process.Ready = func(context.Context) error {
				if strings.Contains(readTestFile(t, process.LogPath()), test.until) {
					defer cancel()
				}
				return errors.New("connection refused")
			}
			err := process.Start(ctx)
			if err == nil {
				t.Fatal("started")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not mention %q", err, want)
				}
			}
			if pid := process.PID(); pid != 0 {
				t.Errorf("process %d is left", pid)
			}
		})
	}
}

func TestErrorsShowOnlyThisLifesLog(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "marker")
	process := shell(t, `if [ -e "$1" ]; then echo second; else echo first; touch "$1"; fi; exit 1`, marker)
	process.Ready = func(context.Context) error { return errors.New("no") }
	if err := process.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "first") {
		t.Fatalf("first start: %v", err)
	}
	err := process.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "second") || strings.Contains(err.Error(), "first") {
		t.Errorf("second start: %v", err)
	}
}

func TestStopEscalatesToSIGKILL(t *testing.T) {
	process := shell(t, `trap "" TERM; touch "$0.up"; while :; do sleep 600; done`)
	process.Ready = fileExists(process.args[1] + ".up")
	process.GracePeriod = 100 * time.Millisecond
	mustStart(t, process)
	if err := process.Stop(); err != nil {
		t.Fatal(err)
	}
	if process.PID() != 0 {
		t.Error("still running")
	}
	if err := process.Stop(); err != nil {
		t.Errorf("a second Stop: %v", err)
	}
}

func TestStopOfAPausedProcessIsGraceful(t *testing.T) {
	process := shell(t, `trap "echo bye; exit 0" TERM; touch "$0.up"; while :; do sleep 0.1; done`)
	process.Ready = fileExists(process.args[1] + ".up")
	mustStart(t, process)
	if err := process.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := process.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := readTestFile(t, process.LogPath()); got != "bye\n" {
		t.Errorf("log %q: the process did not see SIGTERM", got)
	}
}

func TestRestartIsANewProcess(t *testing.T) {
	process := shell(t, "exec sleep 600")
	mustStart(t, process)
	first := process.PID()
	if err := process.Start(t.Context()); !errors.Is(err, ErrRunning) {
		t.Errorf("second Start: %v, want ErrRunning", err)
	}
	if err := process.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if second := process.PID(); second == 0 || second == first {
		t.Errorf("process ids %d and %d", first, second)
	}
	if isAlive(first) {
		t.Errorf("process %d is left", first)
	}
}

func TestSignalsNeedARunningProcess(t *testing.T) {
	process := shell(t, "exit 0")
	for name, method := range map[string]func() error{"Kill": process.Kill, "Pause": process.Pause, "Resume": process.Resume} {
		if err := method(); !errors.Is(err, ErrNotRunning) {
			t.Errorf("%s: %v, want ErrNotRunning", name, err)
		}
	}
	select {
	case <-process.Exited():
	default:
		t.Error("Exited is open though nothing runs")
	}
}

func TestMissingProgram(t *testing.T) {
	process := NewProcess("ghost", "/nonexistent/ghost", nil, nil, filepath.Join(t.TempDir(), "log"))
	if err := process.Start(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want ErrNotExist", err)
	}
}

// shell returns a process that runs a script; $0 is the path of the script, $1 and so on are args.
func shell(t *testing.T, script string, args ...string) *Process {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "script.sh")
	writeTestFile(t, path, script+"\n", 0o600)
	process := NewProcess("script", "/bin/sh", append([]string{"-u", path}, args...), nil, filepath.Join(dir, "log"))
	t.Cleanup(func() {
		if err := process.Kill(); err != nil && !errors.Is(err, ErrNotRunning) {
			t.Error(err)
		}
	})
	return process
}

func mustStart(t *testing.T, process *Process) {
	t.Helper()
	if err := process.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func fileExists(path string) func(context.Context) error {
	return func(context.Context) error {
		_, err := os.Stat(path)
		return err
	}
}

func readTestFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// isAlive is false for a process that has ended but has not been waited for yet.
func isAlive(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil {
		return false
	}
	stat, err := os.ReadFile(procStat(pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	_, state, found := strings.Cut(string(stat), ") ")
	return !found || !strings.HasPrefix(state, "Z")
}
