package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/reachability"
)

const (
	// deadline is how long a step may take to come out as announced. It is for a busy machine: a
	// quiet one needs hundredths of a second.
	deadline     = 60 * time.Second
	pollInterval = 50 * time.Millisecond
)

// play goes through steps. It keeps the state after the last one.
type play struct {
	stage  *stage
	before reach
}

// scene is the input of an expectation: the film since the step began, and the cluster as it is
// now.
type scene struct {
	film   *film
	start  int
	before reach
	// world and baselines are the current ones, and now is which connections the world allows.
	world     reachability.World
	baselines []v1alpha1.ClusterNetworkBaseline
	now       reach
}

// outcome is the outcome of a step.
type outcome struct {
	// sentence describes it.
	sentence string
	// between is which connections were allowed for a moment, if neither as before nor as now.
	between reach
}

func (p *play) step(ctx context.Context, step *step) error {
	screen := p.stage.screen
	screen.say(step.story)
	scene := &scene{film: p.stage.film, start: p.stage.film.length(), before: p.before}
	for _, command := range step.commands {
		if err := p.stage.typed(ctx, command); err != nil {
			return err
		}
	}
	screen.busy("waiting for it to come out as announced")
	result, err := p.await(ctx, step, scene)
	if err != nil {
		return err
	}
	screen.line("")
	screen.done(result.sentence)
	if err := errors.Join(p.stage.showBaseline(ctx), p.stage.showPolicies(ctx, step.interesting...)); err != nil {
		return err
	}
	p.draw(scene, result.between)
	p.before = scene.now
	return nil
}

// finalError is an error that waiting cannot fix.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// await polls until everything is as announced. If that does not happen in time, the error reports
// what is missing.
func (p *play) await(ctx context.Context, step *step, scene *scene) (result outcome, err error) {
	var missing error
	err = wait.PollUntilContextTimeout(ctx, pollInterval, deadline, true, func(ctx context.Context) (bool, error) {
		found, err := p.check(ctx, step, scene)
		if final, ok := errors.AsType[finalError](err); ok {
			return false, final
		}
		if ctx.Err() == nil { // the result of an interrupted check does not count
			result, missing = found, err
		}
		return err == nil, nil
	})
	switch {
	case context.Cause(ctx) != nil:
		return outcome{}, context.Cause(ctx)
	case wait.Interrupted(err):
		return outcome{}, fmt.Errorf("after %s, %w", deadline, missing)
	}
	return result, err
}

func (p *play) check(ctx context.Context, step *step, scene *scene) (outcome, error) {
	world, err := reachability.Live(ctx, p.stage.environment.Admin)
	if err != nil {
		return outcome{}, err
	}
	var baselines v1alpha1.ClusterNetworkBaselineList
	if err := p.stage.environment.Admin.List(ctx, &baselines); err != nil {
		return outcome{}, err
	}
	scene.world, scene.baselines, scene.now = world, baselines.Items, look(world)
	if err := errors.Join(governs(scene, step.governed), asAnnounced(scene, step.allows)); err != nil {
		return outcome{}, err
	}
	return step.expect(scene)
}

// draw shows which connections are allowed, and marks those that the step has changed.
func (p *play) draw(scene *scene, between reach) {
	moments, caption := []reach{scene.before, scene.now}, "who may talk to whom"
	switch newcomers := len(inTable(scene.now)) > len(inTable(scene.before)); {
	case between != nil:
		moments, caption = []reach{scene.before, between, scene.now}, caption+": before → in between → now"
	case len(difference(scene.before, scene.now)) > 0:
		caption += ": before → now"
	case newcomers && scene.before != nil:
		caption += ": for the others, as before"
	}
	p.stage.screen.caption(caption)
	p.stage.screen.table(environmentsIn(scene.world), moments...)
}

// environmentsIn returns the environment of each member of the cast.
func environmentsIn(world reachability.World) map[string]string {
	environments := map[string]string{internet: "outside"}
	for _, name := range cast {
		environments[name] = "none"
		if environment := world.Namespaces[name]["environment"]; environment != "" {
			environments[name] = environment
		}
	}
	return environments
}
