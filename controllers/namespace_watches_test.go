package controllers

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/apply"
	"github.com/netbaseline/netbaseline/internal/ledger"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// always checks that a predicate passes create, delete and generic events.
func always(t *testing.T, p predicate.Predicate, object client.Object) {
	t.Helper()
	if !p.Create(event.CreateEvent{Object: object}) || !p.Delete(event.DeleteEvent{Object: object}) || !p.Generic(event.GenericEvent{Object: object}) {
		t.Error("what comes or goes must pass")
	}
}

// cachedNamespace is a namespace as the cache holds it.
func cachedNamespace(t *testing.T, change func(*metav1.PartialObjectMetadata)) *metav1.PartialObjectMetadata {
	t.Helper()
	object := namespaceMetadata()
	object.ObjectMeta = metav1.ObjectMeta{
		Name: "shop", UID: "1", ResourceVersion: "7", CreationTimestamp: metav1.NewTime(noon),
		Labels:      builder.Labels(corev1.LabelMetadataName, "shop", "environment", "production"),
		Annotations: map[string]string{"a": "b"}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}
	if change != nil {
		change(object)
	}
	transformed, err := compactNamespace(object)
	if err != nil {
		t.Fatal(err)
	}
	return transformed.(*metav1.PartialObjectMetadata)
}

func TestWhichChangesOfANamespaceCount(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*metav1.PartialObjectMetadata)
		want   bool
	}{
		"nothing, as at a resync":            {change: func(*metav1.PartialObjectMetadata) {}},
		"a status, which metadata shows not": {change: func(o *metav1.PartialObjectMetadata) { o.ResourceVersion = "8" }},
		"an annotation":                      {change: func(o *metav1.PartialObjectMetadata) { o.Annotations["a"], o.ResourceVersion = "c", "8" }},
		"managedFields":                      {change: func(o *metav1.PartialObjectMetadata) { o.ManagedFields = nil }},
		"a finalizer":                        {change: func(o *metav1.PartialObjectMetadata) { o.Finalizers = []string{"example.com/keep"} }},
		"another environment":                {change: func(o *metav1.PartialObjectMetadata) { o.Labels["environment"] = "staging" }, want: true},
		"an empty environment":               {change: func(o *metav1.PartialObjectMetadata) { o.Labels["environment"] = "" }, want: true},
		"no environment":                     {change: func(o *metav1.PartialObjectMetadata) { delete(o.Labels, "environment") }, want: true},
		"another label, which may select":    {change: func(o *metav1.PartialObjectMetadata) { o.Labels["team"] = "web" }, want: true},
		"it is being deleted":                {change: func(o *metav1.PartialObjectMetadata) { o.DeletionTimestamp = new(metav1.NewTime(noon)) }, want: true},
		"it was created again":               {change: func(o *metav1.PartialObjectMetadata) { o.UID = "2" }, want: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := cachedNamespace(t, nil), cachedNamespace(t, test.change)
			for _, e := range []event.UpdateEvent{{ObjectOld: from, ObjectNew: to}, {ObjectOld: to, ObjectNew: from}} {
				if got := namespaceChanged().Update(e); got != test.want {
					t.Errorf("passes %t, want %t", got, test.want)
				}
			}
			always(t, namespaceChanged(), to)
		})
	}
}

func TestWhichPoliciesCount(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{
		v1alpha1.DefaultDenyName: true, v1alpha1.AllowDNSName: true, v1alpha1.EnvironmentIsolationName: true,
		"netbaseline-allow-web": false, "netbaseline-": false, "tenant": false, "": false,
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{
				Namespace: "shop", Name: name, Labels: builder.Labels(v1alpha1.BaselineLabel, "default"),
			}}
			p := policyChanged()
			got := []bool{
				p.Create(event.CreateEvent{Object: object}), p.Update(event.UpdateEvent{ObjectOld: object, ObjectNew: object}),
				p.Delete(event.DeleteEvent{Object: object}), p.Generic(event.GenericEvent{Object: object}),
			}
			if slices.Contains(got, !want) {
				t.Errorf("created, updated, deleted, sent by hand: pass %v, want %t", got, want)
			}
		})
	}
}

func TestWhichChangesOfABaselineCount(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*v1alpha1.ClusterNetworkBaseline)
		want   bool
	}{
		"nothing, as at a resync": {change: func(*v1alpha1.ClusterNetworkBaseline) {}},
		"its status, which we write ourselves": {change: func(b *v1alpha1.ClusterNetworkBaseline) {
			b.Status.Namespaces.Governed, b.Status.ObservedGeneration, b.ResourceVersion = 7, 3, "8"
			b.Status.Conditions = nil
		}},
		"a label":       {change: func(b *v1alpha1.ClusterNetworkBaseline) { b.Labels = map[string]string{"a": "b"} }},
		"an annotation": {change: func(b *v1alpha1.ClusterNetworkBaseline) { b.Annotations = map[string]string{"a": "b"} }},
		"managedFields": {change: func(b *v1alpha1.ClusterNetworkBaseline) {
			b.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "x"}}
		}},
		"its spec":              {change: func(b *v1alpha1.ClusterNetworkBaseline) { b.Generation++ }, want: true},
		"its finalizer is gone": {change: func(b *v1alpha1.ClusterNetworkBaseline) { b.Finalizers = nil }, want: true},
		"another finalizer":     {change: func(b *v1alpha1.ClusterNetworkBaseline) { b.Finalizers = append(b.Finalizers, "example.com/keep") }, want: true},
		"it is being deleted":   {change: func(b *v1alpha1.ClusterNetworkBaseline) { b.DeletionTimestamp = new(metav1.NewTime(noon)) }, want: true},
		"it was created again":  {change: func(b *v1alpha1.ClusterNetworkBaseline) { b.UID = "another" }, want: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := enforcing().Obj(), enforcing().Obj()
			test.change(to)
			for _, e := range []event.UpdateEvent{{ObjectOld: from, ObjectNew: to}, {ObjectOld: to, ObjectNew: from}} {
				if got := governanceChanged().Update(e); got != test.want {
					t.Errorf("passes %t, want %t", got, test.want)
				}
			}
			always(t, governanceChanged(), to)
		})
	}
}

// watcher is a reconciler, as far as its watches are concerned, in a cluster with these namespaces.
func watcher(t *testing.T, namespaces ...string) *namespaceReconciler {
	t.Helper()
	reader := fake.NewClientBuilder().WithScheme(NewScheme())
	for _, name := range namespaces {
		reader.WithObjects(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	cached := reader.Build()
	return &namespaceReconciler{
		cache: cached, ledger: ledger.New(func(string) {}), snapshots: &snapshots{reader: cached}, assumed: newAssumedWrites(),
		lanes: newLanes(), contention: newContention(), now: func() time.Time { return noon },
	}
}

func newQueue(t *testing.T) priorityqueue.PriorityQueue[reconcile.Request] {
	t.Helper()
	q := priorityqueue.New[reconcile.Request](t.Name())
	t.Cleanup(q.ShutDown)
	return q
}

func requestFor(namespace string) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKey{Name: namespace}}
}

// drain takes this many requests out of a queue and returns the names of their namespaces in order,
// and their priorities.
func drain(t *testing.T, q priorityqueue.PriorityQueue[reconcile.Request], count int) (names []string, priorities map[string]int) {
	t.Helper()
	if q.Len() < count {
		t.Fatalf("%d requests are in the queue, want at least %d", q.Len(), count)
	}
	priorities = map[string]int{}
	for range count {
		request, priority, shutdown := q.GetWithPriority()
		if shutdown || request.Namespace != "" {
			t.Fatalf("got %v, shut down %t; want the name of a namespace", request, shutdown)
		}
		names = append(names, request.Name)
		priorities[request.Name] = priority
		q.Done(request)
	}
	return names, priorities
}

func TestAChangedBaselineSendsEveryNamespaceBehindTheNewOnes(t *testing.T) {
	t.Parallel()
	before, after := enforcing().Obj(), enforcing().Generation(4).Obj()
	after.UID = "u"
	tests := map[string]struct {
		send func(t *testing.T, h handler.EventHandler, q queue)
		want ledger.Version // that the round is about
	}{
		"created": {
			send: func(t *testing.T, h handler.EventHandler, q queue) {
				h.Create(t.Context(), event.CreateEvent{Object: after}, q)
			},
			want: ledger.Version{UID: "u", Generation: 4, Finalized: true},
		},
		"changed": {
			send: func(t *testing.T, h handler.EventHandler, q queue) {
				h.Update(t.Context(), event.UpdateEvent{ObjectOld: before, ObjectNew: after}, q)
			},
			want: ledger.Version{UID: "u", Generation: 4, Finalized: true},
		},
		"gone": {
			send: func(t *testing.T, h handler.EventHandler, q queue) {
				h.Delete(t.Context(), event.DeleteEvent{Object: before}, q)
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, q := watcher(t, "a", "b", "c"), newQueue(t)
			r.ledger.Begin(nil, noon, present(before))
			if _, err := r.snapshots.current(t.Context()); err != nil {
				t.Fatal(err)
			}
			test.send(t, r.baselineHandler(), q)
			q.Add(requestFor("new"))
			q.Add(requestFor("b")) // another client changes a policy there, too

			names, priorities := drain(t, q, 4)
			if diff := cmp.Diff(map[string]int{"new": 0, "b": 0, "a": handler.LowPriority, "c": handler.LowPriority}, priorities); diff != "" {
				t.Errorf("priorities (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"new", "b", "a", "c"}, names); diff != "" {
				t.Errorf("order (-want +got):\n%s", diff)
			}
			if q.Len() != 0 {
				t.Errorf("%d more are in the queue: one would be looked at twice", q.Len())
			}
			if summary := r.ledger.Summarize("default"); summary.Awaited != 3 || summary.Round != 2 || summary.Observed != test.want {
				t.Errorf("round %d awaits %d and is about %+v; want round 2, 3 and %+v", summary.Round, summary.Awaited, summary.Observed, test.want)
			}
			if r.snapshots.snapshot != nil {
				t.Error("the snapshot from before is still in use")
			}
		})
	}
}

// At the start each baseline is an event, and every namespace is in the queue already.
func TestBeforeTheFirstRoundABaselineSendsNobody(t *testing.T) {
	t.Parallel()
	r, q := watcher(t, "a", "b"), newQueue(t)
	baseline := enforcing().Obj()
	r.baselineHandler().Create(t.Context(), event.CreateEvent{Object: baseline, IsInInitialList: true}, q)
	q.Add(requestFor("marker"))
	if names, _ := drain(t, q, 1); names[0] != "marker" || q.Len() != 0 {
		t.Errorf("sent is %s and %d more, want no namespace", names[0], q.Len())
	}
	if summary := r.ledger.Summarize("default"); summary.Round != 0 || summary.Observed != versionOf(baseline) {
		t.Errorf("round %d is about %+v, want round 0 about %+v", summary.Round, summary.Observed, versionOf(baseline))
	}
}

func TestANamespaceIsSightedWhenItIsNew(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		send         func(t *testing.T, h handler.EventHandler, q queue, object client.Object)
		standby      bool
		wantSighted  bool
		wantPriority int
	}{
		"created": {
			send: func(t *testing.T, h handler.EventHandler, q queue, o client.Object) {
				h.Create(t.Context(), event.CreateEvent{Object: o}, q)
			},
			wantSighted: true,
		},
		"created while another leader protects it": {
			send: func(t *testing.T, h handler.EventHandler, q queue, o client.Object) {
				h.Create(t.Context(), event.CreateEvent{Object: o}, q)
			},
			standby: true,
		},
		"there at the start, which waits behind what is new": {
			send: func(t *testing.T, h handler.EventHandler, q queue, o client.Object) {
				h.Create(t.Context(), event.CreateEvent{Object: o, IsInInitialList: true}, q)
			},
			wantPriority: handler.LowPriority,
		},
		"changed": {
			send: func(t *testing.T, h handler.EventHandler, q queue, o client.Object) {
				old := o.DeepCopyObject().(client.Object)
				old.SetResourceVersion("6")
				h.Update(t.Context(), event.UpdateEvent{ObjectOld: old, ObjectNew: o}, q)
			},
		},
		"gone": {
			send: func(t *testing.T, h handler.EventHandler, q queue, o client.Object) {
				h.Delete(t.Context(), event.DeleteEvent{Object: o}, q)
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, q := watcher(t), newQueue(t)
			if !test.standby {
				r.ledger.Begin(nil, noon)
			}
			test.send(t, r.namespaceHandler(), q, cachedNamespace(t, nil))
			names, priorities := drain(t, q, 1)
			if names[0] != "shop" || priorities["shop"] != test.wantPriority {
				t.Errorf("sent are %v, want shop at priority %d", priorities, test.wantPriority)
			}
			at, sighted := r.ledger.Arrival("shop")
			if sighted != test.wantSighted || (sighted && !at.Equal(noon)) {
				t.Errorf("sighted %t at %s, want %t at noon", sighted, at, test.wantSighted)
			}
		})
	}
}

func TestAPolicySendsItsNamespace(t *testing.T) {
	t.Parallel()
	object := written(v1alpha1.DefaultDenyName)
	old := object.DeepCopy()
	old.ResourceVersion = "6"
	for name, send := range map[string]func(t *testing.T, h handler.EventHandler, q queue){
		"created": func(t *testing.T, h handler.EventHandler, q queue) {
			h.Create(t.Context(), event.CreateEvent{Object: object}, q)
		},
		"changed": func(t *testing.T, h handler.EventHandler, q queue) {
			h.Update(t.Context(), event.UpdateEvent{ObjectOld: old, ObjectNew: object}, q)
		},
		"gone, or without our label": func(t *testing.T, h handler.EventHandler, q queue) {
			h.Delete(t.Context(), event.DeleteEvent{Object: object}, q)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, q := watcher(t), newQueue(t)
			send(t, r.policyHandler(), q)
			if names, priorities := drain(t, q, 1); names[0] != "shop" || priorities["shop"] != 0 {
				t.Errorf("sent are %v, want shop, before everything that can wait", priorities)
			}
		})
	}
}

// The watch's reports of our own writes change nothing; reconciling them would double the
// reconciles.
func TestAnOwnWriteStartsNoReconcile(t *testing.T) {
	t.Parallel()
	object := written(v1alpha1.DefaultDenyName)
	old, next := object.DeepCopy(), object.DeepCopy()
	old.ResourceVersion, next.ResourceVersion = "6", "8"
	for name, test := range map[string]struct {
		operation plan.Operation
		send      func(t *testing.T, h handler.EventHandler, q queue)
		wantSent  bool
	}{
		"a create": {operation: plan.Create, send: func(t *testing.T, h handler.EventHandler, q queue) {
			h.Create(t.Context(), event.CreateEvent{Object: object}, q)
		}},
		"an update": {operation: plan.Update, send: func(t *testing.T, h handler.EventHandler, q queue) {
			h.Update(t.Context(), event.UpdateEvent{ObjectOld: old, ObjectNew: object}, q)
		}},
		"a removal": {operation: plan.Delete, send: func(t *testing.T, h handler.EventHandler, q queue) {
			h.Delete(t.Context(), event.DeleteEvent{Object: object}, q)
		}},
		"another client's update after ours": {operation: plan.Update, wantSent: true, send: func(t *testing.T, h handler.EventHandler, q queue) {
			h.Update(t.Context(), event.UpdateEvent{ObjectOld: object, ObjectNew: next}, q)
		}},
		"another client's removal of what we wrote": {operation: plan.Update, wantSent: true, send: func(t *testing.T, h handler.EventHandler, q queue) {
			h.Delete(t.Context(), event.DeleteEvent{Object: object}, q)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, q := watcher(t), newQueue(t)
			r.assumed.begin("shop")
			r.assumed.note("shop", []apply.Written{{Operation: test.operation, Object: object}}, nil, noon)
			test.send(t, r.policyHandler(), q)
			q.Add(requestFor("marker"))
			want := []string{"marker"}
			if test.wantSent {
				want = []string{"shop", "marker"}
			}
			if names, _ := drain(t, q, len(want)); !slices.Equal(names, want) || q.Len() > 0 {
				t.Errorf("sent are %v and %d more, want %v", names, q.Len(), want)
			}
		})
	}
}

func TestAPolicyThatIsThereAtTheStartSendsNobody(t *testing.T) {
	t.Parallel()
	r, q := watcher(t), newQueue(t)
	object := written(v1alpha1.DefaultDenyName)
	r.policyHandler().Create(t.Context(), event.CreateEvent{Object: object, IsInInitialList: true}, q)
	r.policyHandler().Update(t.Context(), event.UpdateEvent{ObjectOld: object, ObjectNew: object}, q) // a resync
	q.Add(requestFor("marker"))
	if names, _ := drain(t, q, 1); names[0] != "marker" || q.Len() > 0 {
		t.Errorf("sent are %v and %d more: it is looked at with its namespace", names, q.Len())
	}
}

func TestAQueueWithoutPrioritiesIsServedAllTheSame(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	addAtLowPriority(struct{ queue }{q}, []reconcile.Request{requestFor("a"), requestFor("b")})
	if names, _ := drain(t, q, 2); !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("sent are %v, want a and b", names)
	}
}
