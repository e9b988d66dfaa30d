package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/netbaseline/netbaseline/test/performance/report"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// notMeasured is printed with every result.
var notMeasured = []string{
	"Other tools that users could pick: they would have to be built and installed first.",
	"Real nodes and packets: the times are until the API server has the policies, not until a network plugin enforces them.",
	"The floor of repairs and of a change of the spec: a bare reactor does neither.",
	"Live heap of the reactors: they export no metrics. Their peak RSS is measured.",
}

// bench measures all tools, for the given number of runs, and shows and saves the results.
func bench(ctx context.Context, o *options) error {
	screen := newScreen()
	screen.line(fmt.Sprintf("Measuring netbaseline and two bare reactors with %d namespaces; each has two control planes to itself, one after the other.", o.namespaces))
	var runs report.Series
	var paths []string
	for number := range o.runs {
		result, err := measureAll(ctx, o, screen, number+1)
		if err != nil {
			return err
		}
		path, err := result.Write(o.results)
		if err != nil {
			return err
		}
		runs, paths = append(runs, *result), append(paths, path)
	}
	show(screen, runs)
	plots, err := report.PlotAll(o.results, o.results)
	if err != nil {
		return err
	}
	screen.line("")
	screen.line("Written: " + strings.Join(append(paths, plots...), ", "))
	return nil
}

// measureAll measures each tool once.
func measureAll(ctx context.Context, o *options, screen *screen, run int) (*report.Result, error) {
	result := &report.Result{Namespaces: o.namespaces, Foreign: o.foreign, Run: run, Rate: o.rate, Began: time.Now().UTC(), NotMeasured: notMeasured}
	var err error
	if result.Machine, err = describeMachine(ctx); err != nil {
		return nil, err
	}
	for name, start := range tools() {
		if o.only != "" && o.only != name {
			continue
		}
		measured, err := benchTool(ctx, o, screen, name, start)
		if err != nil {
			return nil, err
		}
		result.Tools = append(result.Tools, measured)
	}
	result.Seconds = time.Since(result.Began).Seconds()
	return result, nil
}

// tools yields the tools to measure, the floors first.
func tools() func(func(string, starter) bool) {
	reactor := func(sideBySide bool) starter {
		return func(ctx context.Context, environment *harness.Environment) (*tool, error) {
			return startReactor(ctx, environment, sideBySide)
		}
	}
	return func(yield func(string, starter) bool) {
		_ = yield(report.Parallel, reactor(true)) && yield(report.Ordered, reactor(false)) && yield(report.Netbaseline, startManager)
	}
}

// benchTool measures one tool: streams of new namespaces on one control plane, existing ones and
// upkeep on another.
func benchTool(ctx context.Context, o *options, screen *screen, name string, start starter) (report.Tool, error) {
	result := report.Tool{Name: name, Phases: map[string]report.Phase{}}
	for _, work := range []func(*session, context.Context) error{(*session).stream, (*session).existingAndUpkeep} {
		s := &session{options: o, screen: screen, name: name, phases: result.Phases}
		if err := s.run(ctx, start, work); err != nil {
			return result, err
		}
	}
	return result, nil
}

// run does something in a session that ends with it. An observer that has lost sight ends it too.
func (s *session) run(ctx context.Context, start starter, work func(*session, context.Context) error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	err := s.open(ctx, start, fail)
	if err == nil {
		err = work(s, ctx)
	}
	fail(nil)
	return errors.Join(err, s.close())
}

func (s *session) existingAndUpkeep(ctx context.Context) error {
	if err := s.existing(ctx); err != nil || s.name != report.Netbaseline {
		return err
	}
	return s.upkeep(ctx)
}

func show(screen *screen, runs report.Series) {
	screen.line("")
	for _, line := range report.Aligned(runs.Table()) {
		screen.line("  " + line)
	}
	screen.line("")
	for _, line := range report.Aligned(runs.VerdictRows()) {
		screen.line("  " + line)
	}
	screen.line("")
	for _, missing := range notMeasured {
		screen.line("  not measured: " + missing)
	}
}
