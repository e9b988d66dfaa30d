package controllers

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/netbaseline/netbaseline/internal/apply"
	"github.com/netbaseline/netbaseline/internal/ledger"
	"github.com/netbaseline/netbaseline/internal/plan"
)

// metrics holds the metrics that the manager updates itself. No label can take more values than
// there are baselines.
type metrics struct {
	writes     *prometheus.CounterVec
	repairs    prometheus.Counter
	protection prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer, book *ledger.Ledger) (*metrics, error) {
	m := &metrics{
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "netbaseline_policy_writes_total",
			Help: "NetworkPolicies written, by operation (create, update, delete).",
		}, []string{"operation"}),
		repairs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "netbaseline_drift_repairs_total",
			Help: "Times the policies of a namespace were restored after another client had changed or deleted them.",
		}),
		protection: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "netbaseline_namespace_protection_seconds",
			Help: "Seconds from seeing a new namespace to its protection. Namespaces that exist at the start are not counted.",
			// From a quiet API server (a few hundredths) to the minute after which a baseline stops
			// being Ready.
			Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60},
		}),
	}
	for _, operation := range []plan.Operation{plan.Create, plan.Update, plan.Delete} {
		m.writes.WithLabelValues(string(operation)) // so that a rate over them begins at 0
	}
	for _, collector := range []prometheus.Collector{m.writes, m.repairs, m.protection, theWatchErrors.total, &ledgerCollector{book}} {
		if err := registerer.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) countWrites(written []apply.Written) {
	for i := range written {
		m.writes.WithLabelValues(string(written[i].Operation)).Inc()
	}
}

var (
	namespacesDesc = prometheus.NewDesc("netbaseline_namespaces",
		"Namespaces by baseline and state (synced, pending, failed, held, releasing). Held ones whose baseline does not exist have an empty baseline.",
		[]string{"baseline", "state"}, nil)
	contestedDesc = prometheus.NewDesc("netbaseline_contested_namespaces",
		"Namespaces whose policies another client keeps changing although they are restored each time.", nil, nil)
)

// ledgerCollector reads the ledger when metrics are scraped, so that they cannot fall behind it.
type ledgerCollector struct{ ledger *ledger.Ledger }

// Describe implements prometheus.Collector.
func (c *ledgerCollector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- namespacesDesc
	descriptions <- contestedDesc
}

// Collect implements prometheus.Collector.
func (c *ledgerCollector) Collect(out chan<- prometheus.Metric) {
	totals, contested := c.ledger.Totals()
	for _, total := range totals {
		out <- prometheus.MustNewConstMetric(namespacesDesc, prometheus.GaugeValue, float64(total.Namespaces), total.Baseline, string(total.State))
	}
	out <- prometheus.MustNewConstMetric(contestedDesc, prometheus.GaugeValue, float64(contested))
}
