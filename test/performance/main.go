// Command bench measures what netbaseline costs, next to two bare reactors that show what any
// controller could do at best on the same API server: how fast namespaces are protected and
// policies repaired, and what that takes in requests, CPU and memory. Every tool runs as a process
// of its own, under a service account, on a fresh control plane, and all are judged by one
// observer.
//
// It decides nothing about netbaseline and changes nothing outside of its own control planes and
// the folder of its results.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/netbaseline/netbaseline/test/performance/report"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// What the command exits with.
const (
	exitDone        = 0
	exitFailed      = 1
	exitInterrupted = 130 // as shells have it for Ctrl-C
)

// options say what is measured.
type options struct {
	namespaces int
	rate       int
	paced      int
	repairs    int
	singles    int
	idle       time.Duration
	foreign    int
	runs       int
	results    string
	only       string
}

func main() {
	ctrl.SetLogger(logr.Discard()) // messages go to the screen
	ctx, release := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	code := run(ctx, os.Args[1:])
	release()
	os.Exit(code)
}

func run(ctx context.Context, arguments []string) int {
	if len(arguments) > 0 && arguments[0] == reactorCommand {
		return exitCode(ctx, react(ctx, arguments[1:]))
	}
	flags := flag.NewFlagSet("bench", flag.ExitOnError) // of our own: libraries add theirs to the common one
	var o options
	flags.IntVar(&o.namespaces, "n", 1000, "How many namespaces.")
	flags.IntVar(&o.rate, "rate", 20, "New namespaces a second where they come at a pace.")
	flags.IntVar(&o.paced, "paced", 0, "How many come at a pace; 0: as many as -n, at most 1000.")
	flags.IntVar(&o.repairs, "repairs", 100, "How many policies are deleted, and then opened, at the same time.")
	flags.IntVar(&o.singles, "singles", 20, "How many policies are deleted or opened one after the other.")
	flags.DurationVar(&o.idle, "idle", time.Minute, "How long the manager is watched at rest.")
	flags.IntVar(&o.foreign, "foreign", 0, "How many policies of others lie in namespaces that no baseline selects.")
	flags.IntVar(&o.runs, "runs", 1, "How often everything is measured; the results are shown as median, least and most.")
	flags.StringVar(&o.results, "results", harness.RepositoryPath("bin/bench"), "The folder of results.")
	flags.StringVar(&o.only, "only", "", "Measure this tool alone, such as netbaseline, and compare it with nothing; for a quick look.")
	docs := flags.Bool("docs", false, "Measure nothing: write docs/performance.md and its plots from the results.")
	_ = flags.Parse(arguments) // exits on an error
	if *docs {
		return exitCode(ctx, report.WriteDocs(o.results, harness.RepositoryPath("docs")))
	}
	o.settle()
	return exitCode(ctx, bench(ctx, &o))
}

// settle fills in what follows from the other options. At most half of the namespaces are damaged
// at the same time.
func (o *options) settle() {
	o.namespaces = max(o.namespaces, 1)
	if o.paced == 0 {
		o.paced = min(o.namespaces, 1000)
	}
	o.repairs = max(1, min(o.repairs, o.namespaces/2))
	o.singles = max(1, min(o.singles, o.namespaces/2))
}

func exitCode(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return exitDone
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "interrupted")
		return exitInterrupted
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	return exitFailed
}
