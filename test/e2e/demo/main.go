// Command demo shows netbaseline at work: on a temporary control plane of its own, with the shipped
// RBAC, in a story of a few steps, each of which has to come out as announced. It contains no logic
// of the operator and evaluates no policy itself.
package main

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

// Exit codes of the demo.
const (
	exitDone        = 0
	exitFailed      = 1
	exitInterrupted = 130 // as shells have it for Ctrl-C
)

func main() { os.Exit(run()) }

// run returns the exit code.
func run() int {
	flags := flag.NewFlagSet("demo", flag.ExitOnError) // of our own: libraries add theirs to the common one
	keep := flags.Bool("keep", false, "Set everything up, say how to use it from another terminal, and stay until Ctrl-C.")
	pace := flags.Float64("pace", -1, "Seconds to pause before each step; negative: 1 on a terminal, else 0.")
	_ = flags.Parse(os.Args[1:])   // exits on an error
	ctrl.SetLogger(logr.Discard()) // the demo prints to the screen

	// A closed terminal, or a reader of our output that has gone, must not leave processes behind
	// either.
	ctx, release := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer release()
	screen := newScreen(os.Stdout)
	show := &show{screen: screen, pause: pauseFor(*pace, screen.terminal), keep: *keep}
	return show.run(ctx)
}

func pauseFor(seconds float64, terminal bool) time.Duration {
	switch {
	case seconds >= 0:
		return time.Duration(seconds * float64(time.Second))
	case terminal:
		return time.Second
	default:
		return 0
	}
}
