package main

import (
	"context"
	"fmt"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/performance/measure"
	"github.com/netbaseline/netbaseline/test/performance/report"
)

// upkeep measures what only a controller does: roll out a change, repair, stay idle, and resume
// after a restart.
func (s *session) upkeep(ctx context.Context) error {
	for _, phase := range []struct {
		name string
		work func(context.Context, *report.Phase) error
	}{
		{report.Rest, s.paced(report.Rest, min(s.options.paced, restPaced))},
		{report.Roll, s.roll},
		{report.RepairSingle, s.repairSingles},
		{report.RepairDeleted, func(ctx context.Context, r *report.Phase) error { return s.repairStorm(ctx, r, s.deletePolicy) }},
		{report.RepairOpened, func(ctx context.Context, r *report.Phase) error { return s.repairStorm(ctx, r, s.openPolicy) }},
		{report.Idle, s.idle},
	} {
		if err := s.measured(ctx, phase.name, phase.work); err != nil {
			return err
		}
	}
	if err := s.readHeap(ctx, report.Idle); err != nil {
		return err
	}
	return s.measured(ctx, report.Restart, s.restart)
}

// restPaced is how many new namespaces are measured with all others at rest.
const restPaced = 200

// roll measures a change of the spec for all namespaces: another port of the DNS servers, thus one
// of the three policies.
func (s *session) roll(ctx context.Context, result *report.Phase) error {
	changed := baseline().DNSPorts(dnsPort("UDP", 53), dnsPort("TCP", 53), dnsPort("UDP", 5353))
	s.observer.Expect(changed.Obj())
	count := s.observer.Rollout().Namespaces
	return s.withArrivals(ctx, report.Roll, result, func() error {
		began := time.Now()
		current := &v1alpha1.ClusterNetworkBaseline{}
		if err := s.admin.Get(ctx, client.ObjectKey{Name: baselineName}, current); err != nil {
			return err
		}
		current.Spec = changed.Obj().Spec
		if err := s.admin.Update(ctx, current); err != nil {
			return err
		}
		err := await(ctx, patience, lookInterval, "the change to arrive everywhere", func(context.Context) error {
			now := s.observer.Rollout()
			s.screen.progress(s.name, report.Roll, min(now.Current, count), count)
			if now.Current < count { // new ones are current anyway, and late by no more than they take
				return fmt.Errorf("%d of %d namespaces follow the change", now.Current, count)
			}
			result.Seconds = now.Last.Sub(began).Seconds()
			return nil
		})
		result.Namespaces = count
		return err
	})
}

func dnsPort(protocol v1alpha1.DNSProtocol, port int32) v1alpha1.DNSPort {
	return v1alpha1.DNSPort{Protocol: protocol, Port: port}
}

var opened = client.RawPatch(types.MergePatchType, []byte(`{"spec":{"ingress":[{}]}}`))

func (s *session) openPolicy(ctx context.Context, namespace string) error {
	return s.admin.Patch(ctx, defaultDeny(namespace), opened)
}

func (s *session) deletePolicy(ctx context.Context, namespace string) error {
	return s.admin.Delete(ctx, defaultDeny(namespace))
}

func defaultDeny(namespace string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1alpha1.DefaultDenyName}}
}

// repairStorm breaks one policy in each of many namespaces at the same time.
func (s *session) repairStorm(ctx context.Context, result *report.Phase, damage func(context.Context, string) error) error {
	count := s.options.repairs
	s.observer.TakeRepairs()
	began := time.Now()
	err := inParallel(count, count, func(number int) error { return damage(ctx, namespaceName(report.Existing, number)) })
	if err != nil {
		return err
	}
	return s.concludeRepairs(ctx, count, began, result)
}

// repairSingles breaks one policy after the other, in another namespace each, deleted and opened in
// turn.
func (s *session) repairSingles(ctx context.Context, result *report.Phase) error {
	s.observer.TakeRepairs()
	began, count := time.Now(), s.options.singles
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for number := range count {
		s.screen.progress(s.name, report.RepairSingle, number, count)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		damage := s.deletePolicy
		if number%2 == 1 {
			damage = s.openPolicy
		}
		// From the other end than the storms.
		if err := damage(ctx, namespaceName(report.Existing, s.options.namespaces-1-number)); err != nil {
			return err
		}
	}
	return s.concludeRepairs(ctx, count, began, result)
}

// pause is between two single damages: many times what a repair takes.
const pause = 500 * time.Millisecond

func (s *session) concludeRepairs(ctx context.Context, count int, began time.Time, result *report.Phase) error {
	// A policy that is not repaired in time counts as missing, which is a result and not an error.
	err := await(ctx, stalled, lookInterval, "repairs", func(context.Context) error {
		if repaired := s.observer.Repaired(); repaired < count {
			return fmt.Errorf("%d of %d are done", repaired, count)
		}
		return nil
	})
	if ctx.Err() != nil {
		return err
	}
	repairs, _ := s.observer.TakeRepairs()
	var durations []time.Duration
	for _, repair := range repairs {
		durations = append(durations, repair.Whole.Sub(repair.Broken))
		result.Seconds = max(result.Seconds, repair.Whole.Sub(began).Seconds())
	}
	distribution := measure.Distribute(durations)
	result.Namespaces, result.Missing, result.Latency = count, count-len(repairs), &distribution
	return nil
}

// idle watches the tool at rest. Its metrics are not read meanwhile: each read would have it
// send a review to the API server.
func (s *session) idle(ctx context.Context, _ *report.Phase) error {
	return s.pass(ctx, fmt.Sprintf("idle: %s at rest", s.options.idle), s.options.idle)
}

// pass lets time pass, in which nothing is done.
func (s *session) pass(ctx context.Context, what string, duration time.Duration) error {
	s.screen.busy(s.name, what)
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// readHeap adds to a phase how much memory the manager needs after it. The reactors export no
// metrics.
func (s *session) readHeap(ctx context.Context, name string) error {
	if s.tool.meters == nil {
		return nil
	}
	s.screen.busy(s.name, "waiting for garbage collections")
	heap, err := s.tool.meters.liveHeap(ctx)
	phase := s.phases[name]
	phase.LiveHeap = heap
	s.phases[name] = phase
	return err
}

// restart stops the manager and starts it again.
func (s *session) restart(ctx context.Context, result *report.Phase) error {
	s.screen.busy(s.name, "restart")
	if err := s.tool.Stop(); err != nil {
		return err
	}
	began := time.Now()
	if err := s.tool.Start(ctx); err != nil { // until the caches are filled
		return err
	}
	result.SyncedSeconds = time.Since(began).Seconds()
	total := s.observer.Rollout().Namespaces
	err := await(ctx, patience, lookInterval, "the manager to look at every namespace", func(ctx context.Context) error {
		now, err := s.tool.meters.scrape(ctx)
		if err != nil {
			return err
		}
		if synced := int(now.sum("netbaseline_namespaces", "state", "synced")); synced < total {
			return fmt.Errorf("%d of %d", synced, total)
		}
		return nil
	})
	result.ReadySeconds, result.Namespaces = time.Since(began).Seconds(), total
	return err
}
