package harness

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/netbaseline/netbaseline/controllers"
)

// Manager is a manager that runs in this process.
type Manager struct {
	// Metrics holds its metrics.
	Metrics *prometheus.Registry

	cancel context.CancelFunc
	ended  chan error
}

// StartManager runs the manager under the operator's own service account, so that the shipped RBAC
// must suffice. It does not wait.
func (e *Environment) StartManager() (*Manager, error) { return e.StartManagerWith(e.OperatorConfig()) }

// StartManagerWith is StartManager with another client configuration.
func (e *Environment) StartManagerWith(config *rest.Config) (*Manager, error) {
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:  controllers.NewScheme(),
		Cache:   controllers.CacheOptions(),
		Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		return nil, fmt.Errorf("make a manager: %w", err)
	}
	running := &Manager{Metrics: prometheus.NewRegistry(), ended: make(chan error, 1)}
	if err := controllers.Setup(mgr, controllers.Options{OperatorNamespace: OperatorNamespace, Registerer: running.Metrics}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	running.cancel = cancel
	go func() { running.ended <- mgr.Start(ctx) }()
	return running, nil
}

// stopTimeout is how long a manager may take to end: its own grace period is 30 s, and the machine
// may be busy.
const stopTimeout = 90 * time.Second

// Stop ends the manager and waits until it has ended.
func (m *Manager) Stop() error {
	m.cancel()
	select {
	case err := <-m.ended:
		m.ended <- nil // so that a second Stop returns immediately
		return err
	case <-time.After(stopTimeout):
		return errors.New("the manager did not end in time")
	}
}

// Metric returns the sum of a counter's or gauge's values over the label values given, 0 if there
// is none.
func (m *Manager) Metric(name string, labels map[string]string) (float64, error) {
	families, err := m.Metrics.Gather()
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			matches := true
			for _, pair := range metric.GetLabel() {
				if want, ok := labels[pair.GetName()]; ok && want != pair.GetValue() {
					matches = false
				}
			}
			if matches {
				sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum, nil
}
