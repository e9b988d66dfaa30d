package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// listing answers every list and every watch in the same way.
func listing(list runtime.Object, w watch.Interface, err error) *toolscache.ListWatch {
	return &toolscache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) { return list, err },
		WatchFuncWithContext: func(_ context.Context, options metav1.ListOptions) (watch.Interface, error) {
			switch {
			case err != nil:
				return nil, err
			case options.SendInitialEvents != nil: // then the informer lists
				return nil, apierrors.NewInvalid(schema.GroupKind{}, "", nil)
			}
			return w, nil
		},
	}
}

// policiesOfAll are policies under our names and others, with our labels and without.
func policiesOfAll() (all []networkingv1.NetworkPolicy, ours []string) {
	for _, name := range append(slices.Clone(policy.Names), "tenant", "netbaseline-allow-web", "netbaseline-", "not-netbaseline-default-deny") {
		for label, labels := range map[string]map[string]string{
			"labelled": policy.Labels("default"), "stripped": nil, "relabelled": builder.Labels(v1alpha1.BaselineLabel, "forged", "app", "web"),
		} {
			object := networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: label, Name: name, Labels: labels}}
			all = append(all, object)
			if slices.Contains(policy.Names, name) {
				ours = append(ours, label+"/"+name)
			}
		}
	}
	slices.Sort(ours)
	return all, ours
}

func TestOfAListOnlyOurNamesAreKept(t *testing.T) {
	t.Parallel()
	all, want := policiesOfAll()
	list := &networkingv1.NetworkPolicyList{ListMeta: metav1.ListMeta{ResourceVersion: "7", Continue: "more"}, Items: all}
	got, err := onlyClaimed(listing(list, nil, nil)).ListWithContext(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kept := got.(*networkingv1.NetworkPolicyList)
	var names []string
	for i := range kept.Items {
		names = append(names, kept.Items[i].Namespace+"/"+kept.Items[i].Name)
	}
	slices.Sort(names)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if kept.ResourceVersion != "7" || kept.Continue != "more" {
		t.Errorf("the list goes on from %q with %q, want it as it came", kept.ResourceVersion, kept.Continue)
	}
	if cap(kept.Items) > len(all) || &kept.Items[0] == &all[0] {
		t.Error("what is kept holds on to the whole list")
	}
}

func TestAFailedListOrWatchStaysAFailure(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection refused")
	lw := onlyClaimed(listing(nil, nil, cause))
	if _, err := lw.ListWithContext(t.Context(), metav1.ListOptions{}); !errors.Is(err, cause) {
		t.Errorf("the list fails with %v, want %v", err, cause)
	}
	if w, err := lw.WatchWithContext(t.Context(), metav1.ListOptions{}); !errors.Is(err, cause) || w != nil {
		t.Errorf("the watch is %v and fails with %v, want none and %v", w, err, cause)
	}
}

func TestOfAWatchOnlyOurNamesBookmarksAndErrorsPass(t *testing.T) {
	t.Parallel()
	from := watch.NewFakeWithOptions(watch.FakeOptions{ChannelSize: 200})
	w, err := onlyClaimed(listing(nil, from, nil)).WatchWithContext(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	all, ours := policiesOfAll()
	var want, got []string
	for _, kind := range []watch.EventType{watch.Added, watch.Modified, watch.Deleted} {
		for i := range all {
			from.Action(kind, &all[i])
		}
		for _, name := range ours {
			want = append(want, string(kind)+" "+name)
		}
	}
	from.Action(watch.Bookmark, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "9"}})
	from.Action(watch.Error, &metav1.Status{Message: "too old resource version"})
	want = append(want, "BOOKMARK 9", "ERROR too old resource version")
	from.Stop()
	for event := range w.ResultChan() {
		switch object := event.Object.(type) {
		case *metav1.Status:
			got = append(got, string(event.Type)+" "+object.Message)
		case *networkingv1.NetworkPolicy:
			if event.Type == watch.Bookmark {
				got = append(got, string(event.Type)+" "+object.ResourceVersion)
				continue
			}
			got = append(got, fmt.Sprintf("%s %s/%s", event.Type, object.Namespace, object.Name))
		}
	}
	if last := got[len(got)-1]; last != want[len(want)-1] {
		t.Errorf("the last event is %q, want %q", last, want[len(want)-1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// A watch is stopped while events of other policies are still on their way; in the bubble, a
// leftover goroutine would be a deadlock.
func TestAStoppedWatchLeavesNoGoroutine(t *testing.T) {
	t.Parallel()
	all, _ := policiesOfAll()
	synctest.Test(t, func(t *testing.T) {
		for range 3 {
			from := watch.NewFakeWithOptions(watch.FakeOptions{ChannelSize: 200})
			w, err := onlyClaimed(listing(nil, from, nil)).WatchWithContext(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for i := range all {
				from.Action(watch.Added, &all[i])
			}
			synctest.Wait() // an event for our policy is never read
			w.Stop()
			w.Stop()
		}
	})
}

func TestOnlyListsOfPoliciesAreFiltered(t *testing.T) {
	t.Parallel()
	namespaces := &metav1.PartialObjectMetadataList{Items: []metav1.PartialObjectMetadata{
		{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, {ObjectMeta: metav1.ObjectMeta{Name: "web"}},
	}}
	all, ours := policiesOfAll()
	for name, test := range map[string]struct {
		object runtime.Object
		list   runtime.Object
		want   int
	}{
		"policies":   {&networkingv1.NetworkPolicy{}, &networkingv1.NetworkPolicyList{Items: all}, len(ours)},
		"namespaces": {namespaceMetadata(), namespaces, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			informer := newInformer(listing(test.list, watch.NewFake(), nil), test.object, 0, toolscache.Indexers{toolscache.NamespaceIndex: nil})
			done := make(chan struct{})
			go func() {
				defer close(done)
				informer.RunWithContext(ctx)
			}()
			if !toolscache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
				t.Error("it is never filled")
			}
			cancel()
			<-done
			if got := len(informer.GetStore().ListKeys()); got != test.want {
				t.Errorf("%d objects are held, want %d", got, test.want)
			}
			if indexers := informer.GetIndexer().GetIndexers(); len(indexers) > 0 {
				t.Errorf("indexed by %v: nothing uses that, and it takes a tenth of all memory", indexers)
			}
		})
	}
}
