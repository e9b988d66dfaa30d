package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// meters reads the manager's probes and metrics, as Prometheus does: over TLS, with a token.
type meters struct {
	metrics, probes string // addresses
	token           string
}

func newMeters(ctx context.Context, environment *harness.Environment) (*meters, error) {
	m := &meters{}
	for _, address := range []*string{&m.metrics, &m.probes} {
		free, err := harness.FreeAddress(ctx)
		if err != nil {
			return nil, err
		}
		*address = free
	}
	var err error
	if m.token, err = environment.Token(ctx, "scraper"); err != nil {
		return nil, fmt.Errorf("set up scraping: %w", err)
	}
	if err := environment.LetReadMetrics(ctx, "scraper"); err != nil {
		return nil, fmt.Errorf("set up scraping: %w", err)
	}
	return m, nil
}

// ready returns an error unless the manager's caches are filled.
func (m *meters) ready(ctx context.Context) error {
	response, err := m.get(ctx, "http://"+m.probes+"/readyz")
	if err != nil {
		return err
	}
	return response.Body.Close()
}

func (m *meters) get(ctx context.Context, url string) (*http.Response, error) {
	response, err := harness.Get(ctx, url, m.token)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("%s: %s", url, response.Status), response.Body.Close())
	}
	return response, nil
}

// sample is all that the manager exports at one moment.
type sample map[string]*dto.MetricFamily

func (m *meters) scrape(ctx context.Context) (sample, error) {
	response, err := m.get(ctx, "https://"+m.metrics+"/metrics")
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // only read
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(response.Body)
}

// sum adds up the metrics of a name that carry a label.
func (s sample) sum(name, label, value string) float64 {
	sum := 0.0
	for _, metric := range s[name].GetMetric() {
		matches := label == ""
		for _, pair := range metric.GetLabel() {
			matches = matches || pair.GetName() == label && pair.GetValue() == value
		}
		if matches {
			sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	return sum
}

const (
	collectionsMetric = "go_gc_cycles_total_gc_cycles_total"
	liveHeapMetric    = "go_gc_heap_live_bytes"
	// collections is after how many garbage collections what is no longer needed is gone: the first
	// one finalises.
	collections   = 2
	heapInterval  = 20 * time.Millisecond
	heapPatience  = 5 * time.Minute // a collection is forced after two minutes
	missingMetric = "the manager does not export "
)

// liveHeap returns what the manager's last garbage collection has left, once that collection is
// recent. Reading the metrics makes garbage, so frequent reads trigger a collection.
func (m *meters) liveHeap(ctx context.Context) (int64, error) {
	first, err := m.scrape(ctx)
	if err != nil {
		return 0, err
	}
	if first[liveHeapMetric] == nil || first[collectionsMetric] == nil {
		return 0, errors.New(missingMetric + liveHeapMetric)
	}
	enough := first.sum(collectionsMetric, "", "") + collections
	var heap float64
	err = await(ctx, heapPatience, heapInterval, "garbage collections of the manager", func(ctx context.Context) error {
		now, err := m.scrape(ctx)
		if err != nil {
			return err
		}
		heap = now.sum(liveHeapMetric, "", "")
		if now.sum(collectionsMetric, "", "") < enough {
			return errors.New("no collection yet")
		}
		return nil
	})
	return int64(heap), err
}
