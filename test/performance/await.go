package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/netbaseline/netbaseline/test/performance/measure"
)

// await polls until a condition is met. If that does not happen in time, the error reports the last
// failure.
func await(ctx context.Context, patience, interval time.Duration, what string, condition func(context.Context) error) error {
	var unmet error
	err := wait.PollUntilContextTimeout(ctx, interval, patience, true, func(ctx context.Context) (bool, error) {
		err := condition(ctx)
		if err == nil || ctx.Err() == nil { // the result of an interrupted check does not count
			unmet = err
		}
		return err == nil, nil
	})
	switch {
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("waited %s for %s: %w", patience, what, unmet)
	}
	return nil
}

const (
	// A process has come to rest when it has used less than restCPU in restTime.
	restTime     = 1500 * time.Millisecond
	restCPU      = 20 * time.Millisecond
	restPatience = 15 * time.Second
)

// settle waits until a process has come to rest, or until a timeout.
func settle(ctx context.Context, pid int) error {
	deadline := time.Now().Add(restPatience)
	ticker := time.NewTicker(restTime)
	defer ticker.Stop()
	before, err := measure.UsageOf(pid)
	if err != nil {
		return err
	}
	for time.Now().Before(deadline) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		now, err := measure.UsageOf(pid)
		if err != nil || now.CPU-before.CPU < restCPU {
			return err
		}
		before = now
	}
	return nil
}
