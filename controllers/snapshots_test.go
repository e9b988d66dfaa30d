package controllers

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// registry is a cache of baselines that counts how often it is read.
type registry struct {
	client.Reader
	reads atomic.Int64
	// whileReading, if set, happens after the list was taken and before it is returned.
	whileReading func()
	err          error

	mu        sync.Mutex
	baselines []v1alpha1.ClusterNetworkBaseline
}

func (r *registry) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	r.reads.Add(1)
	r.mu.Lock()
	list.(*v1alpha1.ClusterNetworkBaselineList).Items = append([]v1alpha1.ClusterNetworkBaseline(nil), r.baselines...)
	r.mu.Unlock()
	if r.whileReading != nil {
		r.whileReading()
	}
	return r.err
}

func (r *registry) add(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.baselines = append(r.baselines, *builder.Baseline(name).Finalized().Obj())
}

func TestAViewIsPreparedOnceForEachChange(t *testing.T) {
	t.Parallel()
	r := &registry{}
	r.add("first")
	v := &snapshots{reader: r, operatorNamespace: "netbaseline-system"}
	for range 5 {
		snapshot, err := v.current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if snapshot.Candidate("first") == nil || snapshot.Candidate("second") != nil || !snapshot.Protected("netbaseline-system") || snapshot.Protected("shop") {
			t.Fatal("this is not the snapshot of the baselines that there are")
		}
	}
	if got := r.reads.Load(); got != 1 {
		t.Errorf("read %d times, want once", got)
	}

	r.add("second")
	if snapshot, _ := v.current(t.Context()); snapshot.Candidate("second") != nil {
		t.Error("rebuilt without having been invalidated: this test shows nothing")
	}
	v.invalidate()
	for range 5 {
		snapshot, err := v.current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if snapshot.Candidate("second") == nil {
			t.Fatal("the change is not seen")
		}
	}
	if got := r.reads.Load(); got != 2 {
		t.Errorf("read %d times, want twice", got)
	}
}

// The list was taken before the change; kept, it would hide the change until the next one.
func TestAViewReadDuringAChangeIsNotKept(t *testing.T) {
	t.Parallel()
	r := &registry{}
	v := &snapshots{reader: r}
	r.whileReading = func() {
		r.whileReading = nil
		r.add("late")
		v.invalidate()
	}
	snapshot, err := v.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if snapshot.Candidate("late") != nil {
		t.Fatal("the list was taken after the change: this test shows nothing")
	}
	if snapshot, err = v.current(t.Context()); err != nil || snapshot.Candidate("late") == nil {
		t.Errorf("the snapshot from before the change was kept (error %v)", err)
	}
}

func TestAViewThatCouldNotBeReadIsNotKept(t *testing.T) {
	t.Parallel()
	cause := errors.New("no informer")
	r := &registry{err: cause}
	v := &snapshots{reader: r}
	if snapshot, err := v.current(t.Context()); !errors.Is(err, cause) || snapshot != nil {
		t.Errorf("got %v and %v, want the failure and no snapshot: an empty one would mean that every baseline is gone", snapshot, err)
	}
	r.err = nil
	if snapshot, err := v.current(t.Context()); err != nil || snapshot == nil {
		t.Errorf("got %v and %v, want a snapshot", snapshot, err)
	}
}

func TestNoWorkerSeesAViewFromBeforeAChangeThatItWasToldOf(t *testing.T) {
	t.Parallel()
	r := &registry{}
	v := &snapshots{reader: r}
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for range 100 {
				if _, err := v.current(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 50 {
		name := string(rune('a'+i%26)) + string(rune('a'+i/26))
		r.add(name)
		v.invalidate()
		snapshot, err := v.current(t.Context())
		if err != nil || snapshot.Candidate(name) == nil {
			t.Fatalf("after its change was reported, baseline %s is not in the snapshot (error %v)", name, err)
		}
	}
	workers.Wait()
}
