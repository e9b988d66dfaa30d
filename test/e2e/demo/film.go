package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// film records every revision of policies, namespaces and baselines, and when it came. A hole that
// is closed within a few hundredths of a second shows up in it, with its duration.
type film struct {
	mu     sync.Mutex
	frames []frame
	failed error
}

// frame is one revision of an object.
type frame struct {
	at     time.Time
	event  watch.EventType
	object client.Object
}

// startFilm records until ctx ends.
func startFilm(ctx context.Context, reader client.WithWatch) (*film, error) {
	f := &film{}
	for _, list := range []client.ObjectList{&networkingv1.NetworkPolicyList{}, &corev1.NamespaceList{}, &v1alpha1.ClusterNetworkBaselineList{}} {
		if err := f.record(ctx, reader, list); err != nil {
			return nil, fmt.Errorf("watch: %w", err)
		}
	}
	return f, nil
}

func (f *film) record(ctx context.Context, reader client.WithWatch, list client.ObjectList) error {
	if err := reader.List(ctx, list); err != nil {
		return err
	}
	err := meta.EachListItem(list, func(item runtime.Object) error {
		f.add(watch.Event{Type: watch.Added, Object: item})
		return nil
	})
	if err != nil {
		return err
	}
	from := client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.GetResourceVersion()}}
	watcher, err := reader.Watch(ctx, list, &from)
	if err != nil {
		return err
	}
	go func() {
		for event := range watcher.ResultChan() {
			f.add(event)
		}
		if ctx.Err() == nil {
			f.fail(errors.New("the API server ended a watch"))
		}
	}()
	return nil
}

func (f *film) add(event watch.Event) {
	object, ok := event.Object.(client.Object)
	if !ok {
		f.fail(fmt.Errorf("a watch brought %v", event.Object))
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frames = append(f.frames, frame{at: time.Now(), event: event.Type, object: object})
}

func (f *film) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = err
}

// length is how many frames there are by now.
func (f *film) length() int { return len(f.until(-1)) }

// until returns the first frames, all for a negative number. Frames are only appended, so that the
// result does not change.
func (f *film) until(count int) []frame {
	f.mu.Lock()
	defer f.mu.Unlock()
	if count < 0 {
		count = len(f.frames)
	}
	return f.frames[:count:count]
}

// since returns the frames from a place on.
func (f *film) since(start int) ([]frame, error) {
	frames := f.until(-1)[start:]
	f.mu.Lock()
	defer f.mu.Unlock()
	return frames, f.failed
}

// policies returns the policies as they were when a number of frames had come, by namespace and
// name.
func (f *film) policies(count int) map[client.ObjectKey]*networkingv1.NetworkPolicy {
	policies := map[client.ObjectKey]*networkingv1.NetworkPolicy{}
	for _, frame := range f.until(count) {
		policy, ok := frame.object.(*networkingv1.NetworkPolicy)
		switch {
		case !ok:
		case frame.event == watch.Deleted:
			delete(policies, client.ObjectKeyFromObject(policy))
		default:
			policies[client.ObjectKeyFromObject(policy)] = policy
		}
	}
	return policies
}

// intact reports whether a frame shows a policy as it was before.
func (f frame) intact(original *networkingv1.NetworkPolicy) bool {
	policy, ok := f.object.(*networkingv1.NetworkPolicy)
	return ok && f.event != watch.Deleted && same(policy, original)
}

// same compares the fields of a policy that users set.
func same(a, b *networkingv1.NetworkPolicy) bool {
	return apiequality.Semantic.DeepEqual(a.Spec, b.Spec) && maps.Equal(a.Labels, b.Labels) && maps.Equal(a.Annotations, b.Annotations)
}

// What a frame may show.
type shows func(frame) bool

// aBaseline is shown coming, changing or going.
func aBaseline(event watch.EventType) shows {
	return func(f frame) bool {
		_, ok := f.object.(*v1alpha1.ClusterNetworkBaseline)
		return ok && f.event == event
	}
}

// theNamespace is shown coming, changing or going.
func theNamespace(name string, event watch.EventType) shows {
	return func(f frame) bool {
		namespace, ok := f.object.(*corev1.Namespace)
		return ok && f.event == event && namespace.Name == name
	}
}

// aPolicy is shown coming, changing or going, in one namespace or, for "", in any.
func aPolicy(namespace string, event watch.EventType) shows {
	return func(f frame) bool {
		policy, ok := f.object.(*networkingv1.NetworkPolicy)
		return ok && f.event == event && (namespace == "" || policy.Namespace == namespace)
	}
}

// thePolicy is shown at all.
func thePolicy(key client.ObjectKey) shows {
	return func(f frame) bool {
		policy, ok := f.object.(*networkingv1.NetworkPolicy)
		return ok && client.ObjectKeyFromObject(policy) == key
	}
}
