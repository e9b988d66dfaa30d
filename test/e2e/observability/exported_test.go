package observability

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// root is the root of the repository.
const root = "../../.."

// own is how the metrics begin that are the operator's and not a library's.
const own = "netbaseline_"

// family is a metric as a program exports it.
type family struct {
	name, kind, help string
	// labels has the values of each label.
	labels map[string][]string
	// open are labels whose values are not all known, because they come from objects: every value
	// is possible.
	open []string
}

func newFamily(name, kind, help string) *family {
	return &family{name: name, kind: kind, help: help, labels: map[string][]string{}}
}

func (f *family) note(label, value string) {
	if !slices.Contains(f.labels[label], value) {
		f.labels[label] = append(f.labels[label], value)
		slices.Sort(f.labels[label])
	}
}

// observation is what a running manager shows.
type observation struct {
	metrics  []*family
	baseline map[string]any // as the API server has it
}

// observe runs a manager on a control plane, once for all tests.
var observe = sync.OnceValues(func() (*observation, error) {
	directory, err := os.MkdirTemp("", "netbaseline-observability-*")
	if err != nil {
		return nil, err
	}
	seen, err := observeIn(directory)
	return seen, errors.Join(err, os.RemoveAll(directory))
})

func observeIn(directory string) (*observation, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	// Not `go run`, which passes no signal on: the control plane would be left behind.
	program, baselineFile := filepath.Join(directory, "exposition"), filepath.Join(directory, "baseline.json")
	if _, err := output(exec.CommandContext(ctx, "go", "build", "-o", program, "./test/utils/exposition")); err != nil {
		return nil, err
	}
	exposition, err := output(exec.CommandContext(ctx, program, "-baseline", baselineFile))
	if err != nil {
		return nil, err
	}
	seen := &observation{}
	if seen.metrics, err = parseExposition(exposition); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(baselineFile)
	if err != nil {
		return nil, err
	}
	return seen, json.Unmarshal(content, &seen.baseline)
}

// output runs a command in the root of the repository, and ends it gently if it takes too long.
func output(command *exec.Cmd) ([]byte, error) {
	command.Dir = root
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = time.Minute
	var complaints bytes.Buffer
	command.Stderr = &complaints
	printed, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(command.Args, " "), err, complaints.String())
	}
	return printed, nil
}

func parseExposition(exposition []byte) ([]*family, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	parsed, err := parser.TextToMetricFamilies(bytes.NewReader(exposition))
	if err != nil {
		return nil, err
	}
	var found []*family
	for name, exported := range parsed {
		f := newFamily(name, strings.ToLower(exported.GetType().String()), exported.GetHelp())
		for _, metric := range exported.GetMetric() {
			for _, label := range metric.GetLabel() {
				f.note(label.GetName(), label.GetValue())
			}
			noteBuckets(f, metric)
		}
		if _, there := f.labels["baseline"]; there {
			f.open = append(f.open, "baseline")
		}
		found = append(found, f)
	}
	slices.SortFunc(found, func(a, b *family) int { return strings.Compare(a.name, b.name) })
	return found, nil
}

func noteBuckets(f *family, metric *dto.Metric) {
	for _, bucket := range metric.GetHistogram().GetBucket() {
		f.note("le", fmt.Sprint(bucket.GetUpperBound()))
	}
}

func mustObserve(t *testing.T) *observation {
	t.Helper()
	seen, err := observe()
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// known is everything that an expression may be about, by the name of the series.
func known(t *testing.T) map[string]*family {
	t.Helper()
	seen := mustObserve(t)
	series := map[string]*family{}
	for _, f := range slices.Concat(seen.metrics, stateMetrics(t, seen.baseline), prometheusItself()) {
		for _, name := range f.series() {
			series[name] = f
		}
	}
	return series
}

// series are the names under which Prometheus stores a metric.
func (f *family) series() []string {
	switch f.kind {
	case "histogram":
		return []string{f.name + "_bucket", f.name + "_sum", f.name + "_count"}
	case "summary":
		return []string{f.name, f.name + "_sum", f.name + "_count"}
	}
	return []string{f.name}
}

// prometheusItself is what Prometheus adds.
func prometheusItself() []*family {
	return []*family{newFamily("up", "gauge", "1 if the last scrape succeeded")}
}

// targetLabels are added by Prometheus, going by where it scrapes.
var targetLabels = []string{"job", "instance", "namespace", "pod", "service", "endpoint", "container"}

func TestNoLabelOfOursIsUnbounded(t *testing.T) {
	bounded := []string{"baseline", "operation", "resource", "state", "le"}
	ours := 0
	for _, f := range mustObserve(t).metrics {
		if !strings.HasPrefix(f.name, own) {
			continue
		}
		ours++
		for label := range f.labels {
			if !slices.Contains(bounded, label) {
				t.Errorf("%s has the label %q: there must be no more values of it than baselines", f.name, label)
			}
		}
	}
	if ours == 0 {
		t.Error("the manager exports no metric of its own")
	}
}
