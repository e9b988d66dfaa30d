package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/netbaseline/netbaseline/test/performance/report"
)

// screen shows how far a run is: on a terminal in one line that is updated, and everywhere in one
// line for each phase that is over.
type screen struct {
	terminal bool
	busyLine bool
	updated  time.Time
}

func newScreen() *screen { return &screen{terminal: term.IsTerminal(int(os.Stdout.Fd()))} }

func (s *screen) line(text string) {
	if s.busyLine {
		fmt.Print("\r\x1b[K")
		s.busyLine = false
	}
	fmt.Println(text)
}

// busy shows the current activity on a terminal. The next line replaces it.
func (s *screen) busy(tool, text string) {
	if s.terminal {
		fmt.Printf("\r\x1b[K  … %s: %s", tool, text)
		s.busyLine, s.updated = true, time.Now()
	}
}

// progress is busy with a count, at a readable rate.
func (s *screen) progress(tool, phase string, done, count int) {
	const often = 200 * time.Millisecond
	if time.Since(s.updated) > often {
		s.busy(tool, fmt.Sprintf("%s: %d of %d", phase, done, count))
	}
}

// done prints the result of a phase.
func (s *screen) done(tool, name string, phase *report.Phase) {
	text := []string{fmt.Sprintf("CPU %.2f s", phase.CPUSeconds), fmt.Sprintf("peak RSS %.1f MiB", float64(phase.PeakRSS)/(1<<20))}
	if phase.Latency != nil {
		text = append(text, fmt.Sprintf("p50 %.3f s, p99 %.3f s", phase.Latency.P50, phase.Latency.P99))
	}
	if phase.Meanwhile != nil {
		text = append(text, fmt.Sprintf("new ones meanwhile p99 %.3f s of %d", phase.Meanwhile.P99, phase.Meanwhile.Count))
	}
	if phase.Seconds > 0 {
		text = append(text, fmt.Sprintf("%d in %.2f s", phase.Namespaces, phase.Seconds))
	}
	if missing := phase.Missing + phase.MeanwhileMissing; missing > 0 {
		text = append(text, fmt.Sprintf("%d MISSING", missing))
	}
	s.line(fmt.Sprintf("  ✓ %-17s %-15s %s", tool, name, strings.Join(text, "; ")))
}
