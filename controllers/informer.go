package controllers

import (
	"context"
	"sync"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// newInformer makes an informer without the namespace index that the cache would keep: policies are
// read one by one, by name, and the index would take a tenth of all memory. A list of policies in
// one namespace from the cache therefore fails.
//
// Of NetworkPolicies it keeps those under our names, whatever their labels: a tenant can remove a
// label, and no event would report changes to an object that a label selector excludes. The API
// server cannot select by a set of names, so all policies of the cluster pass through here; all
// others are dropped before any part of them is stored.
func newInformer(lw toolscache.ListerWatcher, object runtime.Object, resync time.Duration, _ toolscache.Indexers) toolscache.SharedIndexInformer {
	if _, ok := object.(*networkingv1.NetworkPolicy); ok {
		lw = onlyClaimed(lw)
	}
	return toolscache.NewSharedIndexInformer(lw, object, resync, toolscache.Indexers{})
}

// onlyClaimed removes objects with other names than ours from lists and watches. A name never
// changes, so an object is in or out for its whole life.
func onlyClaimed(lw toolscache.ListerWatcher) *toolscache.ListWatch {
	from := toolscache.ToListerWatcherWithContext(lw)
	return &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list, err := from.ListWithContext(ctx, options)
			if policies, ok := list.(*networkingv1.NetworkPolicyList); ok && err == nil {
				claimed := policies.Items[:0:0]
				for i := range policies.Items {
					if v1alpha1.IsPolicyName(policies.Items[i].Name) {
						claimed = append(claimed, policies.Items[i])
					}
				}
				policies.Items = claimed
			}
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			w, err := from.WatchWithContext(ctx, options)
			if err != nil {
				return nil, err
			}
			return &claimedWatch{Interface: watch.Filter(w, claimed)}, nil
		},
	}
}

// claimed also passes bookmarks and errors: the reflector depends on them.
func claimed(event watch.Event) (watch.Event, bool) {
	if event.Type == watch.Bookmark || event.Type == watch.Error {
		return event, true
	}
	object, err := meta.Accessor(event.Object)
	return event, err != nil || v1alpha1.IsPolicyName(object.GetName())
}

// claimedWatch ends the goroutine of watch.Filter, which otherwise blocks until the process ends if
// its last event is not read.
type claimedWatch struct {
	watch.Interface

	stop sync.Once
}

// Stop implements watch.Interface.
func (w *claimedWatch) Stop() {
	w.Interface.Stop()
	w.stop.Do(func() {
		go func() {
			for range w.ResultChan() {
			}
		}()
	})
}
