// Package reactor is the floor that netbaseline is measured against: the least that any controller
// can do on an API server. It watches namespaces and immediately creates the policies that
// netbaseline would create. It has no cache, checks nothing, repairs nothing, and never retries.
package reactor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// PhaseLabel is on the namespaces of a benchmark and names their phase; Existing marks those that a
// reactor leaves alone until it receives the signal to begin.
const (
	PhaseLabel = "bench"
	Existing   = "existing"
)

// Watching is what a reactor prints as soon as it would notice a new namespace.
const Watching = "watching"

// existingWorkers is how many existing namespaces are processed in parallel: twice as many as in
// netbaseline, which leaves room for new ones.
const existingWorkers = 32

// Reactor creates three policies in each new namespace.
type Reactor struct {
	Client client.WithWatch
	// SideBySide writes the three policies of a namespace at the same time, else one after the
	// other.
	SideBySide bool
	// Log receives what went wrong; it may be written to by several goroutines.
	Log io.Writer
}

var baseline = builder.Baseline("default").Obj()

// Run reacts until ctx ends or the watch does. Each value from begin makes it protect the existing
// namespaces.
func (r *Reactor) Run(ctx context.Context, begin <-chan struct{}) error {
	list := &corev1.NamespaceList{}
	if err := r.Client.List(ctx, list, client.HasLabels{PhaseLabel}, client.Limit(1)); err != nil {
		return fmt.Errorf("list namespaces: %w", err)
	}
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &toolscache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, raw metav1.ListOptions) (watch.Interface, error) {
			return r.Client.Watch(ctx, &corev1.NamespaceList{}, client.HasLabels{PhaseLabel}, &client.ListOptions{Raw: &raw})
		},
	})
	if err != nil {
		return fmt.Errorf("watch namespaces: %w", err)
	}
	defer watcher.Stop()
	r.logf(Watching)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-begin:
			go r.protectExisting(ctx)
		case event, open := <-watcher.ResultChan():
			if !open {
				return errors.New("the watch ended")
			}
			r.react(ctx, event)
		}
	}
}

func (r *Reactor) react(ctx context.Context, event watch.Event) {
	namespace, ok := event.Object.(*corev1.Namespace)
	if ok && event.Type == watch.Added && namespace.Labels[PhaseLabel] != Existing {
		go r.protect(ctx, namespace)
	}
}

func (r *Reactor) protectExisting(ctx context.Context) {
	list := &corev1.NamespaceList{}
	if err := r.Client.List(ctx, list, client.MatchingLabels{PhaseLabel: Existing}); err != nil {
		r.logf("list: %v", err)
		return
	}
	numbers := make(chan int)
	var group sync.WaitGroup
	for range existingWorkers {
		group.Go(func() {
			for i := range numbers {
				r.protect(ctx, &list.Items[i])
			}
		})
	}
	for i := range list.Items {
		numbers <- i
	}
	close(numbers)
	group.Wait()
}

func (r *Reactor) protect(ctx context.Context, namespace *corev1.Namespace) {
	desired := policy.Render(baseline, policy.Namespace{Name: namespace.Name, Labels: namespace.Labels})
	var group sync.WaitGroup
	for i := range desired {
		create := func() {
			if err := r.Client.Create(ctx, desired[i].Policy); err != nil {
				r.logf("create: %v", err)
			}
		}
		if r.SideBySide && i < len(desired)-1 {
			group.Go(create)
			continue
		}
		create()
	}
	group.Wait()
}

func (r *Reactor) logf(format string, arguments ...any) {
	_, _ = fmt.Fprintf(r.Log, format+"\n", arguments...) // there is nowhere to report it
}
