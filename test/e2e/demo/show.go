package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// show is one run of the demo, from the first line to the last.
type show struct {
	screen *screen
	pause  time.Duration
	keep   bool
}

// run returns the exit code.
func (s *show) run(interrupt context.Context) int {
	started := time.Now()
	ctx, end := context.WithCancelCause(interrupt)
	defer end(nil)
	stage := &stage{screen: s.screen}
	err := s.perform(ctx, end, stage)
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		err = cause // what ended everything, and not what broke because of it
	}
	interrupted := interrupt.Err() != nil
	end(nil)
	s.report(err, interrupted)
	clean := s.leave(stage)
	switch {
	case interrupted && s.keep && clean:
		return exitDone
	case interrupted:
		return exitInterrupted
	case err != nil || !clean:
		return exitFailed
	}
	s.farewell(time.Since(started))
	return exitDone
}

func (s *show) perform(ctx context.Context, end context.CancelCauseFunc, stage *stage) error {
	s.screen.heading("", "netbaseline: default deny, DNS and environment isolation that stay in place")
	for _, prepare := range []func(context.Context) error{stage.build, stage.startManager, stage.startFilm} {
		if err := prepare(ctx); err != nil {
			return err
		}
	}
	go stage.guard(ctx, end)
	if s.keep {
		return s.stay(ctx, stage)
	}
	return s.tell(ctx, stage)
}

// tell plays the story.
func (s *show) tell(ctx context.Context, stage *stage) error {
	s.screen.line("")
	s.screen.say("There are no nodes here, so no packets either. Who may talk to whom is computed from the policies that the API server holds, " +
		"by cyclonus, an evaluator of NetworkPolicies that shares no code with netbaseline.")
	steps := story()
	play := &play{stage: stage}
	for i := range steps {
		if err := rest(ctx, s.pause); err != nil {
			return err
		}
		s.screen.heading(fmt.Sprintf("%d/%d  ", i+1, len(steps)), steps[i].title)
		if err := play.step(ctx, &steps[i]); err != nil {
			return fmt.Errorf("step %d did not come out as announced: %w", i+1, err)
		}
	}
	return nil
}

// rest pauses, unless ctx ends.
func rest(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// report prints why the demo ended early.
func (s *show) report(err error, interrupted bool) {
	s.screen.line("")
	switch {
	case interrupted && s.keep:
		// Ctrl-C is how it ends.
	case interrupted:
		s.screen.line("Interrupted.")
	case err != nil:
		s.screen.failed(err.Error())
		if died, ok := errors.AsType[*managerDiedError](err); ok {
			s.screen.remark("The last lines of its log:")
			s.screen.clipped(died.log...)
		}
		s.screen.line("")
	}
}

// leave removes everything, and reports whether that succeeded.
func (s *show) leave(stage *stage) bool {
	started := time.Now()
	s.screen.busy("ending all processes")
	if err := stage.close(); err != nil {
		s.screen.failed("not everything could be taken away: " + err.Error())
		return false
	}
	s.screen.done(fmt.Sprintf("all processes are ended and all files removed (%s)", seconds(time.Since(started))))
	return true
}

func (s *show) farewell(took time.Duration) {
	s.screen.line("")
	s.screen.line(s.screen.paint(bold, fmt.Sprintf("All %d steps came out as announced, in %s. What to try next:", len(story()), seconds(took))))
	s.screen.line("")
	for _, next := range [][2]string{
		{"make local-cluster", "the same cluster, kept running for you to play with"},
		{"make test", "everything that was shown here and much more, as tests"},
		{"make help", "all else, such as make deploy for a cluster of yours"},
	} {
		s.screen.line(fmt.Sprintf("  %s%s", s.screen.paint(cyan, fmt.Sprintf("%-20s", next[0])), next[1]))
	}
	s.screen.line("")
	s.screen.say("What was not shown, because NetworkPolicies only add up: what a tenant allows in a policy of another name is allowed. " +
		"docs/security.md lists what NetworkPolicies cannot do.")
}
