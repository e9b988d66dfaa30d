package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/controllers"
	"github.com/netbaseline/netbaseline/test/performance/measure"
	"github.com/netbaseline/netbaseline/test/performance/observer"
	"github.com/netbaseline/netbaseline/test/performance/report"
	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

// session is one tool on a control plane of its own, with its own observer.
type session struct {
	options     *options
	screen      *screen
	environment *harness.Environment
	// admin creates, deletes and edits, over a connection of its own, so that it does not wait
	// behind the observer's watches.
	admin    client.Client
	observer *observer.Observer
	tool     *tool

	name    string // of the tool
	phases  map[string]report.Phase
	windows []measure.Window
}

// starter starts a tool.
type starter func(context.Context, *harness.Environment) (*tool, error)

// open starts a control plane, an observer and a tool. fail is called when the observer has lost
// sight.
func (s *session) open(ctx context.Context, start starter, fail func(error)) error {
	s.screen.busy(s.name, "starting a control plane")
	var err error
	if s.environment, err = harness.Start(ctx, localcluster.Options{AuditReads: true}); err != nil {
		return err
	}
	scheme := client.Options{Scheme: controllers.NewScheme()}
	if s.admin, err = client.New(ownConnection(s.environment.Cluster.Config()), scheme); err != nil {
		return err
	}
	reader, err := client.NewWithWatch(ownConnection(s.environment.Cluster.Config()), scheme)
	if err != nil {
		return err
	}
	s.screen.busy(s.name, "policies of others")
	if err := createForeign(ctx, s.admin, s.options.foreign); err != nil {
		return err
	}
	s.observer = observer.New(baseline().Obj())
	if err := s.observer.Watch(ctx, reader, fail); err != nil {
		return err
	}
	s.screen.busy(s.name, "starting")
	s.tool, err = start(ctx, s.environment)
	return err
}

// ownConnection makes a configuration whose clients share a connection with no other.
func ownConnection(config *rest.Config) *rest.Config {
	config.Dial = new(net.Dialer).DialContext
	return config
}

// close counts the requests of all phases, and ends everything.
func (s *session) close() error {
	var errs []error
	if len(s.windows) > 0 {
		errs = append(errs, s.countRequests())
	}
	if s.tool != nil {
		errs = append(errs, s.tool.Stop())
	}
	if s.environment != nil {
		errs = append(errs, s.environment.Stop())
	}
	return errors.Join(errs...)
}

func (s *session) countRequests() error {
	s.screen.busy(s.name, "reading the audit log")
	log, err := os.Open(s.environment.Cluster.AuditLogPath())
	if err != nil {
		return err
	}
	counts, err := measure.CountRequests(log, s.windows)
	for name, requests := range counts {
		phase := s.phases[name]
		phase.Requests, phase.OtherRequests = requests[s.tool.user], map[string]int{}
		for user, byRequest := range requests {
			for _, count := range byRequest {
				if user != s.tool.user {
					phase.OtherRequests[user] += count
				}
			}
		}
		s.phases[name] = phase
	}
	return errors.Join(err, log.Close())
}

// measured runs a phase: resources and requests of the tool are counted from the beginning of work
// until the tool has come to rest.
func (s *session) measured(ctx context.Context, name string, work func(context.Context, *report.Phase) error) error {
	if err := settle(ctx, s.tool.PID()); err != nil {
		return s.toolGone(err)
	}
	pid := s.tool.PID()
	before, err := measure.UsageOf(pid)
	if err != nil {
		return s.toolGone(err)
	}
	window, phase := measure.Window{Name: name, From: time.Now()}, report.Phase{}
	if err := work(ctx, &phase); err != nil {
		return s.toolGone(fmt.Errorf("%s, phase %s: %w", s.name, name, err))
	}
	if err := settle(ctx, s.tool.PID()); err != nil {
		return s.toolGone(err)
	}
	window.To = time.Now()
	after, err := measure.UsageOf(s.tool.PID())
	if err != nil {
		return s.toolGone(err)
	}
	if s.tool.PID() == pid { // else it was restarted, and its counters began at zero
		after.CPU -= before.CPU
	}
	phase.CPUSeconds, phase.PeakRSS, phase.AnonymousRSS = after.CPU.Seconds(), after.PeakRSS, after.AnonymousRSS
	phase.WindowSeconds = window.To.Sub(window.From).Seconds()
	phase.Total = s.observer.Rollout().Namespaces
	s.windows = append(s.windows, window)
	s.phases[name] = phase
	s.screen.done(s.name, name, &phase)
	return nil
}

// toolGone adds to an error that the tool has ended, if it has: every other error then follows from
// that.
func (s *session) toolGone(err error) error {
	if s.tool.PID() != 0 {
		return err
	}
	const last = 1000 // bytes of its log
	log, unread := os.ReadFile(s.tool.LogPath())
	log = log[max(0, len(log)-last):]
	return errors.Join(fmt.Errorf("%s ended unexpectedly: %w\n%s", s.name, err, log), unread)
}
