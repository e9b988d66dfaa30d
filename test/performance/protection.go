package main

import (
	"context"
	"fmt"
	"time"

	"github.com/netbaseline/netbaseline/test/performance/measure"
	"github.com/netbaseline/netbaseline/test/performance/report"
)

const (
	// patience is how long a baseline, a roll-out or a restart may take.
	patience     = 5 * time.Minute
	lookInterval = 50 * time.Millisecond
	// youngNamespace is longer than netbaseline takes a namespace for young, and writes its
	// policies in parallel. An existing one may hold pods, so that they come one after the other,
	// as from the ordered reactor.
	youngNamespace = 12 * time.Second
	// warmUps is how many namespaces come before what is measured, so that no tool pays for the
	// first use of connections and caches.
	warmUps = 20
)

// stream measures new namespaces, at a pace and then all together.
func (s *session) stream(ctx context.Context) error {
	if err := s.warmUp(ctx); err != nil {
		return err
	}
	if err := s.measured(ctx, report.Paced, s.paced(report.Paced, s.options.paced)); err != nil {
		return err
	}
	if err := s.readHeap(ctx, report.Paced); err != nil {
		return err
	}
	if err := s.measured(ctx, report.Burst, s.burst); err != nil {
		return err
	}
	if err := s.readHeap(ctx, report.Burst); err != nil {
		return err
	}
	burst := s.phases[report.Burst]
	// The paced namespaces have set up everything that is needed only once.
	burst.HeapPerNamespace = (burst.LiveHeap - s.phases[report.Paced].LiveHeap) / int64(s.options.namespaces)
	s.phases[report.Burst] = burst
	return nil
}

// warmUp has the tool protect a few namespaces. The manager gets its baseline first.
func (s *session) warmUp(ctx context.Context) error {
	const phase = "warm-up"
	if s.name == report.Netbaseline {
		if err := s.tool.begin(ctx); err != nil {
			return err
		}
		if err := await(ctx, patience, lookInterval, "the baseline", func(ctx context.Context) error { return baselineReady(ctx, s.admin) }); err != nil {
			return err
		}
	}
	if _, err := createPaced(ctx, s.admin, phase, s.options.rate, warmUps, nil); err != nil {
		return err
	}
	protection, err := s.awaitProtection(ctx, phase, warmUps)
	if err == nil && protection.missing > 0 {
		err = fmt.Errorf("%s: %d of %d namespaces were not protected", s.name, protection.missing, warmUps)
	}
	return err
}

// paced returns a phase of new namespaces that come at a pace.
func (s *session) paced(phase string, count int) func(context.Context, *report.Phase) error {
	return func(ctx context.Context, result *report.Phase) error {
		began := time.Now()
		s.screen.busy(s.name, fmt.Sprintf("%s: %d namespaces, %d a second", phase, count, s.options.rate))
		created, err := createPaced(ctx, s.admin, phase, s.options.rate, count, nil)
		if err != nil {
			return err
		}
		return s.conclude(ctx, phase, created, began, result)
	}
}

func (s *session) burst(ctx context.Context, result *report.Phase) error {
	began := time.Now()
	s.screen.busy(s.name, fmt.Sprintf("burst: %d namespaces", s.options.namespaces))
	if err := createAll(ctx, s.admin, report.Burst, s.options.namespaces); err != nil {
		return err
	}
	return s.conclude(ctx, report.Burst, s.options.namespaces, began, result)
}

// existing measures how long it takes to protect namespaces that are there already, while new ones
// keep arriving.
func (s *session) existing(ctx context.Context) error {
	s.screen.busy(s.name, fmt.Sprintf("creating %d namespaces", s.options.namespaces))
	if err := createAll(ctx, s.admin, report.Existing, s.options.namespaces); err != nil {
		return err
	}
	if err := s.pass(ctx, "waiting until none of them is young", youngNamespace); err != nil {
		return err
	}
	return s.measured(ctx, report.Existing, func(ctx context.Context, result *report.Phase) error {
		return s.withArrivals(ctx, report.Existing, result, func() error {
			began := time.Now()
			if err := s.tool.begin(ctx); err != nil {
				return err
			}
			if err := s.conclude(ctx, report.Existing, s.options.namespaces, began, result); err != nil {
				return err
			}
			result.Latency = nil // from when a namespace was created says nothing here
			return nil
		})
	})
}

// withArrivals does something while new namespaces arrive, and adds how long these took.
func (s *session) withArrivals(ctx context.Context, phase string, result *report.Phase, work func() error) error {
	arrivals := phase + "-meanwhile"
	stop, ended := make(chan struct{}), make(chan error, 1)
	created := 0
	go func() {
		var err error
		created, err = createPaced(ctx, s.admin, arrivals, s.options.rate, 1<<30, stop)
		ended <- err
	}()
	err := work()
	close(stop)
	if arriving := <-ended; err == nil {
		err = arriving
	}
	if err != nil {
		return err
	}
	protection, err := s.awaitProtection(ctx, arrivals, created)
	distribution := measure.Distribute(protection.latencies)
	result.Meanwhile, result.MeanwhileMissing = &distribution, protection.missing
	return err
}

// conclude waits until the namespaces of a phase are protected and writes down how long that took.
func (s *session) conclude(ctx context.Context, phase string, count int, began time.Time, result *report.Phase) error {
	protection, err := s.awaitProtection(ctx, phase, count)
	if err != nil {
		return err
	}
	distribution := measure.Distribute(protection.latencies)
	result.Namespaces, result.Missing, result.Latency = count, protection.missing, &distribution
	if !protection.last.IsZero() {
		result.Seconds = protection.last.Sub(began).Seconds()
	}
	return nil
}

type protected struct {
	latencies []time.Duration
	missing   int
	last      time.Time
}

// awaitProtection waits until so many namespaces of a phase are protected, or until there is no
// progress for the duration of stalled.
func (s *session) awaitProtection(ctx context.Context, phase string, count int) (protected, error) {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	changed, before := time.Now(), -1
	for {
		now := s.observer.Protection(phase)
		done := len(now.Latencies)
		s.screen.progress(s.name, phase, done, count)
		if done != before {
			changed, before = time.Now(), done
		}
		if done >= count || time.Since(changed) > stalled {
			return protected{now.Latencies, count - done, now.Last}, nil
		}
		select {
		case <-ctx.Done():
			return protected{}, context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// stalled is how long nothing may happen before what is left counts as missing.
const stalled = 30 * time.Second
