package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/netbaseline/netbaseline/test/performance/report"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// describeMachine describes the machine of a run. Unknown fields are left empty.
func describeMachine(ctx context.Context) (report.Machine, error) {
	kilobytes, _ := strconv.Atoi(strings.TrimSuffix(lineAfter("/proc/meminfo", "MemTotal:"), " kB"))
	load, _, _ := strings.Cut(lineAfter("/proc/loadavg", ""), " ")
	average, _ := strconv.ParseFloat(load, 64)
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		assets = harness.RepositoryPath("bin/k8s")
	}
	return report.Machine{
		CPU:         lineAfter("/proc/cpuinfo", "model name\t:"),
		Cores:       runtime.NumCPU(),
		MemoryMiB:   kilobytes >> 10,
		Kernel:      lineAfter("/proc/sys/kernel/osrelease", ""),
		Go:          runtime.Version(),
		Kubernetes:  output(ctx, filepath.Join(assets, "kube-apiserver"), "--version"),
		Etcd:        output(ctx, filepath.Join(assets, "etcd"), "--version"),
		Revision:    output(ctx, "git", "-C", harness.RepositoryPath("."), "describe", "--always", "--dirty"),
		LoadAverage: average,
	}, ctx.Err()
}

// lineAfter returns the rest of the first line of a file that begins with something.
func lineAfter(path, prefix string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, prefix); found {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// output returns the first line that a command prints.
func output(ctx context.Context, name string, arguments ...string) string {
	text, err := exec.CommandContext(ctx, name, arguments...).Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return line
}
