package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/controllers"
	"github.com/netbaseline/netbaseline/test/performance/reactor"
)

// reactorCommand makes this program a bare reactor, in a process of its own so that it can be
// measured like the manager.
const reactorCommand = "reactor"

// beginSignal has a reactor protect the existing namespaces.
const beginSignal = syscall.SIGUSR1

func react(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet(reactorCommand, flag.ExitOnError)
	sideBySide := flags.Bool("side-by-side", false, "Write the three policies of a namespace at the same time.")
	_ = flags.Parse(arguments) // exits on an error
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv(clientcmd.RecommendedConfigPathEnvVar))
	if err != nil {
		return fmt.Errorf("find a cluster: %w", err)
	}
	config.QPS = -1 // as in the manager
	connection, err := client.NewWithWatch(config, client.Options{Scheme: controllers.NewScheme()})
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	signals, begin := make(chan os.Signal, 1), make(chan struct{}, 1)
	signal.Notify(signals, beginSignal)
	go func() {
		for range signals {
			begin <- struct{}{}
		}
	}()
	r := &reactor.Reactor{Client: connection, SideBySide: *sideBySide, Log: os.Stdout}
	return r.Run(ctx, begin)
}
