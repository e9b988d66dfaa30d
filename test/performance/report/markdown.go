package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// VerdictRows returns the verdicts of all runs as rows of cells; the first row is the head.
func (s Series) VerdictRows() [][]string {
	rows := [][]string{{"", "what", "aim", "measured"}}
	for _, runs := range s.Verdicts() {
		var marks, got string
		for i := range runs {
			if i > 0 && runs[i].Judged {
				got += " · "
			}
			marks += runs[i].Mark()
			if runs[i].Judged || i == 0 {
				got += runs[i].Got
			}
		}
		rows = append(rows, []string{marks, runs[0].What, runs[0].Aim, got})
	}
	return rows
}

const introduction = `# What netbaseline costs

Written by ` + "`bin/bench-scale -docs`" + ` from what ` + "`make bench-scale N=…`" + ` has measured; do not edit it by hand.

Measured beside netbaseline are two bare reactors, the floor of what any controller can do on that API server: they watch namespaces
and create the same three policies, the *parallel* one all at the same time, the *ordered* one after the other. They have no cache, check nothing
and repair nothing. Each tool is a process of its own under a service account of its own, on a fresh control plane (etcd without fsync,
kube-apiserver, kube-controller-manager, all on one machine), with the same creators. One observer, in another process, watches
namespaces and policies and judges all tools: a namespace is protected when it has seen the last of its three policies, with the
right spec. Requests are counted in the audit log, from the beginning of a phase until the tool has come to rest; CPU and memory are
from /proc. *Repairs* are from when the observer saw the damage.

`

const causes = `
## Where an aim is missed

On this machine the API server, etcd, the creators, the observer and the measured tool share two cores. Where those are busy, CPU that the tool takes is
time that the API server lacks.

- *CPU for new namespaces at a pace, and for existing ones.* The manager takes about twice the CPU of a bare reactor. A profile of the existing namespaces (680 ms of samples)
  has 28 % in the three creates, which the reactor makes as well; 20 % in the garbage collector, which runs when the heap has grown by half, to stay below 50 MiB;
  12 % in decoding the watch events of the policies just created, which is how the manager would notice a change; 8 % in queue, logger, decision and plan; the rest is HTTP/2, TLS and
  the scheduler. No part of our own code reaches 5 %. A reactor has no cache to fill and watches no policies. Where the namespaces come at a pace, the manager also
  writes the status every two seconds and renews its lease.
- *Existing namespaces, total.* That CPU, and eight namespaces at a time where the reactor has 32: more of them would delay a new namespace meanwhile, whose p99 is half the reactor's.
  See [lanes](decisions/2026-12-01-lanes.md).

At rest and at a pace, one new namespace in a hundred takes about 0.05 s with every tool, the reactors included: the p99 of a few dozen namespaces during a roll-out depends on whether it
includes one of those.
`

// WriteDocs writes performance.md and its plots into a folder.
func WriteDocs(results, docs string) error {
	all, err := Read(results)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("no results in %s: run make bench-scale first", results)
	}
	pictures := filepath.Join(docs, "performance")
	if err := os.MkdirAll(pictures, 0o750); err != nil {
		return err
	}
	if _, err := PlotAll(results, pictures); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(docs, "performance.md"), []byte(Markdown(all)), 0o600)
}

// Markdown shows results as a document, the largest first.
func Markdown(results []Series) string {
	var text strings.Builder
	text.WriteString(introduction)
	text.WriteString("![latency](performance/latency.svg)\n\n![memory](performance/memory.svg)\n")
	for i := len(results) - 1; i >= 0; i-- {
		results[i].markdown(&text)
	}
	text.WriteString(causes)
	text.WriteString("\n## Not measured\n\n")
	for _, missing := range results[len(results)-1][0].NotMeasured {
		text.WriteString("- " + missing + "\n")
	}
	return text.String()
}

func (s Series) markdown(text *strings.Builder) {
	r := &s[0]
	m := &r.Machine
	fmt.Fprintf(text, "\n## %s namespaces", grouped(r.Namespaces))
	if r.Foreign > 0 {
		fmt.Fprintf(text, " beside %s policies of others", grouped(r.Foreign))
	}
	fmt.Fprintf(text, "\n\n%s, revision %s, %d cores (%s), %d MiB, Linux %s, %s, %s, %s. Runs: %d, the first with a load average of %.2f at its start and in %.0f s.\n\n",
		r.Began.Format("2006-01-02 15:04 MST"), m.Revision, m.Cores, m.CPU, m.MemoryMiB, m.Kernel, m.Go, m.Kubernetes, m.Etcd, len(s), m.LoadAverage, r.Seconds)
	markdownTable(text, s.VerdictRows())
	text.WriteString("\n")
	markdownTable(text, s.Table())
	fmt.Fprintf(text, "\nRequests of netbaseline in the first run:\n\n")
	rows := [][]string{{"phase", "namespaces", "window", "requests", "of others"}}
	for _, phase := range []string{Paced, Burst, Existing, Rest, Roll, RepairSingle, RepairDeleted, RepairOpened, Idle, Restart} {
		if p, ok := r.Of(Netbaseline, phase); ok {
			rows = append(rows, []string{phase, grouped(p.Namespaces), fmt.Sprintf("%.0f s", p.WindowSeconds), listed(p.Requests), listed(p.OtherRequests)})
		}
	}
	markdownTable(text, rows)
}

func markdownTable(text *strings.Builder, rows [][]string) {
	for i, row := range rows {
		text.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			text.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
}
