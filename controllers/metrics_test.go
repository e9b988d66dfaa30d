package controllers

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/netbaseline/netbaseline/internal/apply"
	"github.com/netbaseline/netbaseline/internal/ledger"
	"github.com/netbaseline/netbaseline/internal/plan"
)

// scraped returns the result of a scrape: the value of each series, written as in PromQL; of a
// histogram the count and the sum.
func scraped(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", label.GetName(), label.GetValue()))
			}
			name := family.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			switch {
			case metric.GetCounter() != nil:
				series[name] = metric.GetCounter().GetValue()
			case metric.GetGauge() != nil:
				series[name] = metric.GetGauge().GetValue()
			case metric.GetHistogram() != nil:
				series[name+" count"] = float64(metric.GetHistogram().GetSampleCount())
				series[name+" sum"] = metric.GetHistogram().GetSampleSum()
			}
		}
	}
	return series
}

func newTestMetrics(t *testing.T, book *ledger.Ledger) (*metrics, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	m, err := newMetrics(registry, book)
	if err != nil {
		t.Fatal(err)
	}
	return m, registry
}

func TestEverySeriesIsThereFromTheBeginning(t *testing.T) {
	t.Parallel()
	_, registry := newTestMetrics(t, ledger.New(func(string) {}))
	want := map[string]float64{
		`netbaseline_policy_writes_total{operation="create"}`:                0,
		`netbaseline_policy_writes_total{operation="update"}`:                0,
		`netbaseline_policy_writes_total{operation="delete"}`:                0,
		`netbaseline_watch_errors_total{resource="namespaces"}`:              0,
		`netbaseline_watch_errors_total{resource="networkpolicies"}`:         0,
		`netbaseline_watch_errors_total{resource="clusternetworkbaselines"}`: 0,
		`netbaseline_drift_repairs_total`:                                    0,
		`netbaseline_namespace_protection_seconds count`:                     0,
		`netbaseline_namespace_protection_seconds sum`:                       0,
		`netbaseline_namespaces{baseline="",state="held"}`:                   0,
		`netbaseline_contested_namespaces`:                                   0,
	}
	if diff := cmp.Diff(want, scraped(t, registry)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestMetricsCount(t *testing.T) {
	t.Parallel()
	book := ledger.New(func(string) {})
	m, registry := newTestMetrics(t, book)
	for _, baseline := range []string{"default", "strict"} {
		book.Observe(ledger.Observation{Name: baseline, Version: &ledger.Version{Generation: 1}})
	}
	gone := held()
	gone.Baseline = "gone"
	for namespace, record := range (records{
		"k": releasing(), "a": synced(), "b": synced(), "c": contested(), "d": pendingSince(noon), "e": failed(), "f": held(), "g": overridden(), "h": {},
		"i": gone, "j": gone,
	}) {
		book.Record(namespace, 0, record)
	}
	m.countWrites([]apply.Written{{Operation: plan.Create}, {Operation: plan.Create}, {Operation: plan.Update}})
	m.countWrites([]apply.Written{{Operation: plan.Delete}})
	m.countWrites(nil)
	m.repairs.Inc()
	m.protection.Observe(0.2)

	want := map[string]float64{
		`netbaseline_policy_writes_total{operation="create"}`:                2,
		`netbaseline_policy_writes_total{operation="update"}`:                1,
		`netbaseline_policy_writes_total{operation="delete"}`:                1,
		`netbaseline_watch_errors_total{resource="namespaces"}`:              0,
		`netbaseline_watch_errors_total{resource="networkpolicies"}`:         0,
		`netbaseline_watch_errors_total{resource="clusternetworkbaselines"}`: 0,
		`netbaseline_drift_repairs_total`:                                    1,
		`netbaseline_namespace_protection_seconds count`:                     1,
		`netbaseline_namespace_protection_seconds sum`:                       0.2,
		`netbaseline_namespaces{baseline="default",state="synced"}`:          3,
		`netbaseline_namespaces{baseline="default",state="pending"}`:         1,
		`netbaseline_namespaces{baseline="default",state="failed"}`:          1,
		`netbaseline_namespaces{baseline="default",state="held"}`:            1,
		`netbaseline_namespaces{baseline="default",state="releasing"}`:       1,
		`netbaseline_namespaces{baseline="strict",state="synced"}`:           1,
		`netbaseline_namespaces{baseline="strict",state="pending"}`:          0,
		`netbaseline_namespaces{baseline="strict",state="failed"}`:           0,
		`netbaseline_namespaces{baseline="strict",state="held"}`:             0,
		`netbaseline_namespaces{baseline="strict",state="releasing"}`:        0,
		`netbaseline_namespaces{baseline="",state="held"}`:                   2,
		`netbaseline_contested_namespaces`:                                   1,
	}
	if diff := cmp.Diff(want, scraped(t, registry)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A tenant chooses the names of namespaces and can forge the names of baselines; neither may become
// a series.
func TestNoLabelTakesMoreValuesThanThereAreBaselines(t *testing.T) {
	t.Parallel()
	book := ledger.New(func(string) {})
	m, registry := newTestMetrics(t, book)
	book.Observe(ledger.Observation{Name: "default", Version: &ledger.Version{Generation: 1}})
	for i := range 200 {
		forged := held()
		forged.Baseline = fmt.Sprintf("forged-%d", i)
		book.Record(fmt.Sprintf("tenant-%d", i), 0, forged)
		book.Record(fmt.Sprintf("other-%d", i), 0, synced())
	}
	m.countWrites([]apply.Written{{Operation: plan.Create}})

	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]map[string]bool{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if values[label.GetName()] == nil {
					values[label.GetName()] = map[string]bool{}
				}
				values[label.GetName()][label.GetValue()] = true
			}
		}
	}
	got := map[string][]string{}
	for label, of := range values {
		got[label] = slices.Sorted(maps.Keys(of))
	}
	want := map[string][]string{
		"baseline": {"", "default"}, "state": {"failed", "held", "pending", "releasing", "synced"}, "operation": {"create", "delete", "update"},
		"resource": {"clusternetworkbaselines", "namespaces", "networkpolicies"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestMetricsThatAreThereAlreadyAreAnError(t *testing.T) {
	t.Parallel()
	book := ledger.New(func(string) {})
	_, registry := newTestMetrics(t, book)
	if _, err := newMetrics(registry, book); err == nil {
		t.Error("registered twice without an error: one of the two would never be scraped")
	}
}
