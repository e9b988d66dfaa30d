package observability

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// stateConfig is a configuration of kube-state-metrics, as far as ours goes. A field that is not
// here is an error.
type stateConfig struct {
	Kind string `json:"kind"`
	Spec struct {
		Resources []stateResource `json:"resources"`
	} `json:"spec"`
}

type stateResource struct {
	GroupVersionKind struct {
		Group   string `json:"group"`
		Version string `json:"version"`
		Kind    string `json:"kind"`
	} `json:"groupVersionKind"`
	MetricNamePrefix string              `json:"metricNamePrefix"`
	LabelsFromPath   map[string][]string `json:"labelsFromPath"`
	Metrics          []stateMetric       `json:"metrics"`
}

type stateMetric struct {
	Name string `json:"name"`
	Help string `json:"help"`
	Each struct {
		Type     string     `json:"type"`
		Info     *stateEach `json:"info"`
		StateSet *stateEach `json:"stateSet"`
		Gauge    *stateEach `json:"gauge"`
	} `json:"each"`
}

type stateEach struct {
	Path           []string            `json:"path"`
	LabelsFromPath map[string][]string `json:"labelsFromPath"`
	LabelName      string              `json:"labelName"`
	LabelFromKey   string              `json:"labelFromKey"`
	List           []string            `json:"list"`
	ValueFrom      []string            `json:"valueFrom"`
}

// stateMetrics is what kube-state-metrics makes of a baseline, by our configuration and by its
// rules.
func stateMetrics(t *testing.T, baseline map[string]any) []*family {
	t.Helper()
	config := &stateConfig{}
	if err := yaml.UnmarshalStrict(read(t, "config/kube-state-metrics/custom_resource_state.yaml"), config); err != nil {
		t.Fatal(err)
	}
	var found []*family
	for i := range config.Spec.Resources {
		resource := &config.Spec.Resources[i]
		for j := range resource.Metrics {
			f, err := resource.family(&resource.Metrics[j], baseline)
			if err != nil {
				t.Fatalf("config/kube-state-metrics: %s: %v", resource.Metrics[j].Name, err)
			}
			found = append(found, f)
		}
	}
	return found
}

func (r *stateResource) family(metric *stateMetric, object map[string]any) (*family, error) {
	f := newFamily(r.MetricNamePrefix+"_"+metric.Name, "gauge", metric.Help)
	if err := noteLabels(f, r.LabelsFromPath, object); err != nil {
		return nil, err
	}
	f.open = slices.Collect(maps.Keys(r.LabelsFromPath))
	each := map[string]*stateEach{"Info": metric.Each.Info, "StateSet": metric.Each.StateSet, "Gauge": metric.Each.Gauge}[metric.Each.Type]
	if each == nil {
		return nil, fmt.Errorf("type %q and what stands under it do not agree", metric.Each.Type)
	}
	at, err := lookup(object, each.Path)
	if err != nil {
		return nil, err
	}
	switch metric.Each.Type {
	case "Info":
		f.open = append(f.open, slices.Collect(maps.Keys(each.LabelsFromPath))...)
		return f, noteLabels(f, each.LabelsFromPath, at)
	case "StateSet":
		return f, each.noteStates(f, at)
	}
	return f, each.noteNumbers(f, at)
}

// noteStates notes a series for each element of a list and each of the states that it can have.
func (e *stateEach) noteStates(f *family, at any) error {
	elements, ok := at.([]any)
	if !ok || len(elements) == 0 {
		return fmt.Errorf("%v is %T, want a list with something in it", e.Path, at)
	}
	for _, element := range elements {
		state, err := lookup(element, e.ValueFrom)
		if err != nil {
			return err
		}
		if !slices.Contains(e.List, fmt.Sprint(state)) {
			return fmt.Errorf("%v is %v, which is not in the list %v", e.ValueFrom, state, e.List)
		}
		if err := noteLabels(f, e.LabelsFromPath, element); err != nil {
			return err
		}
	}
	for _, state := range e.List {
		f.note(e.LabelName, state)
	}
	return nil
}

// noteNumbers notes a series for each key of a map.
func (e *stateEach) noteNumbers(f *family, at any) error {
	numbers, ok := at.(map[string]any)
	if !ok || len(numbers) == 0 {
		return fmt.Errorf("%v is %T, want a map with something in it", e.Path, at)
	}
	for key, value := range numbers {
		if _, ok := value.(float64); !ok {
			return fmt.Errorf("%s is %T, want a number", key, value)
		}
		f.note(e.LabelFromKey, key)
	}
	return nil
}

func noteLabels(f *family, paths map[string][]string, object any) error {
	for label, path := range paths {
		value, err := lookup(object, path)
		if err != nil {
			return err
		}
		f.note(label, fmt.Sprint(value))
	}
	return nil
}

func lookup(object any, path []string) (any, error) {
	for _, part := range path {
		fields, ok := object.(map[string]any)
		if !ok || fields[part] == nil {
			return nil, fmt.Errorf("the baseline has no %v", path)
		}
		object = fields[part]
	}
	return object, nil
}

func TestStateMetricsTellWhatABaselineSays(t *testing.T) {
	got := map[string]map[string][]string{}
	for _, f := range stateMetrics(t, mustObserve(t).baseline) {
		got[f.name] = f.labels
	}
	baseline := []string{"default"}
	want := map[string]map[string][]string{
		"kube_clusternetworkbaseline_info": {
			"baseline": baseline, "mode": {"Enforce"}, "deletion_policy": {"Delete"}, "priority": {"0"},
		},
		"kube_clusternetworkbaseline_status_condition": {
			"baseline": baseline, "type": {"Accepted", "Ready", "Synced"}, "status": {"False", "True", "Unknown"},
		},
		"kube_clusternetworkbaseline_status_namespaces": {
			"baseline": baseline,
			"state":    {"failed", "governed", "held", "matched", "overridden", "pending", "synced", "unlabeled"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
