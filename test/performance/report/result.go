// Package report owns the results of a benchmark run: the figures, the aims, and how both are
// shown, as a table, as Markdown and as plots. It measures nothing.
package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/netbaseline/netbaseline/test/performance/measure"
)

// The tools that are measured.
const (
	Parallel    = "parallel reactor"
	Ordered     = "ordered reactor"
	Netbaseline = "netbaseline"
)

// The phases of a run. Each is in one of two sessions, both on a fresh control plane.
const (
	Paced         = "paced"          // new namespaces, a fixed number a second
	Burst         = "burst"          // new namespaces, as fast as they can be created
	Existing      = "existing"       // namespaces that were there before the tool was to protect them
	Rest          = "rest"           // new namespaces at a fixed pace, with all others protected
	Roll          = "roll"           // a change of the spec for all namespaces
	RepairSingle  = "repair-single"  // one policy after the other deleted or opened
	RepairDeleted = "repair-deleted" // many deleted at the same time
	RepairOpened  = "repair-opened"  // many opened at the same time
	Idle          = "idle"           // nothing happens
	Restart       = "restart"        // the tool is stopped and started
)

// Result is one run.
type Result struct {
	Namespaces int `json:"namespaces"`
	// Foreign is how many policies of others existed in namespaces that no baseline selects.
	Foreign int `json:"foreignPolicies,omitempty"`
	// Run is which of several runs of its kind it is, from 1.
	Run         int       `json:"run"`
	Rate        int       `json:"newNamespacesPerSecond"`
	Began       time.Time `json:"began"`
	Seconds     float64   `json:"seconds"`
	Machine     Machine   `json:"machine"`
	Tools       []Tool    `json:"tools"`
	NotMeasured []string  `json:"notMeasured"`
}

// Machine is the machine of a run.
type Machine struct {
	CPU         string  `json:"cpu"`
	Cores       int     `json:"cores"`
	MemoryMiB   int     `json:"memoryMiB"`
	Kernel      string  `json:"kernel"`
	Go          string  `json:"go"`
	Kubernetes  string  `json:"kubernetes"`
	Etcd        string  `json:"etcd"`
	Revision    string  `json:"revision"`
	LoadAverage float64 `json:"loadAverageAtStart"`
}

// Tool holds the measurements of one tool.
type Tool struct {
	Name   string           `json:"name"`
	Phases map[string]Phase `json:"phases"`
}

// Phase holds the measurements of one tool in one phase. Fields that do not apply are zero, or nil.
type Phase struct {
	// Namespaces is how many the phase covers; Missing, how many never reached the desired state.
	Namespaces int `json:"namespaces"`
	Missing    int `json:"missing"`
	// Seconds is from the phase's beginning to the last namespace.
	Seconds float64 `json:"seconds"`
	// Latency is, for each namespace or repaired policy of the phase, the time that it took.
	Latency *measure.Distribution `json:"latency,omitempty"`
	// Meanwhile is the same for namespaces that were created in the meantime, of which
	// MeanwhileMissing were never protected.
	Meanwhile        *measure.Distribution `json:"meanwhile,omitempty"`
	MeanwhileMissing int                   `json:"meanwhileMissing"`
	// CPUSeconds is the CPU time of the tool's process in the phase, PeakRSS in bytes its maximum
	// since it started.
	CPUSeconds float64 `json:"cpuSeconds"`
	PeakRSS    int64   `json:"peakRSS"`
	// AnonymousRSS is the part of the resident set, at the end, that is heap and stacks; the rest
	// is pages of the program's own file.
	AnonymousRSS int64 `json:"anonymousRSS"`
	// WindowSeconds is how long requests were counted: until the tool had come to rest.
	WindowSeconds float64 `json:"windowSeconds"`
	// Requests are the tool's own, by verb and resource; OtherRequests those of all other clients,
	// by user.
	Requests      map[string]int `json:"requests"`
	OtherRequests map[string]int `json:"otherRequests"`
	// Total is how many namespaces there were at the end.
	Total int `json:"total"`
	// LiveHeap is what a garbage collection leaves after the phase, in bytes, and HeapPerNamespace
	// what each of its namespaces has added.
	LiveHeap         int64 `json:"liveHeap,omitempty"`
	HeapPerNamespace int64 `json:"heapPerNamespace,omitempty"`
	// SyncedSeconds is from a restart until the caches were filled, ReadySeconds until every
	// namespace had been looked at.
	SyncedSeconds float64 `json:"syncedSeconds,omitempty"`
	ReadySeconds  float64 `json:"readySeconds,omitempty"`
}

// Of returns the measurements of a tool in a phase; false if there are none.
func (r *Result) Of(tool, phase string) (Phase, bool) {
	for i := range r.Tools {
		if r.Tools[i].Name == tool {
			found, ok := r.Tools[i].Phases[phase]
			return found, ok
		}
	}
	return Phase{}, false
}

// Write writes a result where Read finds it, and returns the path.
func (r *Result) Write(directory string) (string, error) {
	if err := os.MkdirAll(directory, 0o750); err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", err
	}
	kind := strconv.Itoa(r.Namespaces)
	if r.Foreign > 0 {
		kind += "-beside-" + strconv.Itoa(r.Foreign)
	}
	if r.Run == 1 {
		if err := discard(filepath.Join(directory, kind+".run*.json")); err != nil {
			return "", err
		}
	}
	path := filepath.Join(directory, fmt.Sprintf("%s.run%d.json", kind, r.Run))
	return path, os.WriteFile(path, append(text, '\n'), 0o600)
}

// discard removes the results of earlier runs.
func discard(pattern string) error {
	paths, err := filepath.Glob(pattern)
	for _, path := range paths {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// Read returns all results in a directory: those of a kind together, in the order of their runs,
// and the smallest kind first.
func Read(directory string) ([]Series, error) {
	paths, err := filepath.Glob(filepath.Join(directory, "*.json"))
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(paths))
	for i, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, &results[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	slices.SortFunc(results, func(a, b Result) int {
		return cmp.Or(a.Namespaces-b.Namespaces, a.Foreign-b.Foreign, a.Run-b.Run)
	})
	var all []Series
	for _, result := range results {
		if last := len(all) - 1; last >= 0 && all[last].sameKind(&result) {
			all[last] = append(all[last], result)
			continue
		}
		all = append(all, Series{result})
	}
	return all, nil
}
