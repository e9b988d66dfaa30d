package observer

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/test/performance/reactor"
)

// Watch observes a cluster until ctx ends, from now on. A broken watch resumes where it ended, so
// that nothing is lost. fail is called when that is not possible.
func (o *Observer) Watch(ctx context.Context, reader client.WithWatch, fail func(error)) error {
	namespaces := []client.ListOption{client.HasLabels{reactor.PhaseLabel}}
	for _, kind := range []struct {
		list    client.ObjectList
		options []client.ListOption
	}{{&corev1.NamespaceList{}, namespaces}, {&networkingv1.NetworkPolicyList{}, nil}} {
		if err := o.watchKind(ctx, reader, kind.list, kind.options, fail); err != nil {
			return err
		}
	}
	return nil
}

func (o *Observer) watchKind(ctx context.Context, reader client.WithWatch, list client.ObjectList, options []client.ListOption, fail func(error)) error {
	if err := reader.List(ctx, list, options...); err != nil {
		return fmt.Errorf("observe: %w", err)
	}
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, list.GetResourceVersion(), &toolscache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, raw metav1.ListOptions) (watch.Interface, error) {
			return reader.Watch(ctx, list, append(options, &client.ListOptions{Raw: &raw})...)
		},
	})
	if err != nil {
		return fmt.Errorf("observe: %w", err)
	}
	go func() {
		for event := range watcher.ResultChan() {
			if event.Type == watch.Error {
				fail(fmt.Errorf("observe: %v", event.Object))
				return
			}
			o.observe(event, time.Now())
		}
	}()
	return nil
}
