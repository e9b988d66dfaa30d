package controllers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/apply"
	"github.com/netbaseline/netbaseline/internal/ledger"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// site is a namespace reconciler with a fake API server, for outcomes that a real one does not
// produce on demand.
type site struct {
	*namespaceReconciler
	t        *testing.T
	api      client.WithWatch
	clock    time.Time
	silent   bool // the watch reports nothing
	registry *prometheus.Registry
	recorder *events.FakeRecorder

	mu     sync.Mutex
	made   int
	writes []string         // each as "create netbaseline-allow-dns"
	refuse map[string]error // the answer to a write, or to readLive
	admit  func(*networkingv1.NetworkPolicy)
}

// newSite returns a site with the namespace shop, an hour old and of production, and with these
// baselines and other objects.
func newSite(t *testing.T, objects ...client.Object) *site {
	t.Helper()
	s := &site{t: t, clock: noon, refuse: map[string]error{}, recorder: events.NewFakeRecorder(1_000)}
	crd := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: crdName}}
	crd.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	shop := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: "shop", UID: "shop", CreationTimestamp: metav1.NewTime(noon.Add(-time.Hour)),
		Labels: builder.Labels(corev1.LabelMetadataName, "shop", "environment", "production"),
	}}
	s.api = fake.NewClientBuilder().WithScheme(NewScheme()).WithObjects(append(objects, shop, crd)...).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			return s.write("create", o, func() error { return c.Create(ctx, o, opts...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			return s.write("update", o, func() error { return unguarded(ctx, c, o, opts) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return s.write("delete", o, func() error { return c.Delete(ctx, o, opts...) })
		},
	}).Build()
	book := ledger.New(func(string) {})
	meters, registry := newTestMetrics(t, book)
	s.registry = registry
	cached := compacting{s.api}
	s.namespaceReconciler = &namespaceReconciler{
		cache: cached, live: liveReader{api: asked{s.api, s}, operatorNamespace: "netbaseline-system"},
		executor: apply.Executor{Writer: s.api, Live: s.api}, ledger: book, snapshots: &snapshots{reader: cached, operatorNamespace: "netbaseline-system"},
		lanes: newLanes(), contention: newContention(), assumed: newAssumedWrites(), events: &eventWriter{recorder: s.recorder}, metrics: meters,
		retries: workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetry, lastRetry),
		now:     func() time.Time { return s.clock },
	}
	for _, object := range objects {
		if baseline, ok := object.(*v1alpha1.ClusterNetworkBaseline); ok {
			book.Observe(present(baseline))
		}
	}
	s.lanes.now = s.now
	s.lanes.afterFunc = func(time.Duration, func()) *time.Timer { return time.NewTimer(time.Hour) } // nothing hangs
	return s
}

func (s *site) write(verb string, object client.Object, pass func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	call := verb + " " + object.GetName()
	s.writes = append(s.writes, call)
	if err := s.refuse[call]; err != nil {
		return err
	}
	networkPolicy, ok := object.(*networkingv1.NetworkPolicy)
	if ok && verb == "create" && object.GetUID() == "" {
		s.made++
		object.SetUID(types.UID(fmt.Sprintf("made %d", s.made))) // the fake gives none
	}
	if ok && s.admit != nil && verb != "delete" {
		s.admit(networkPolicy)
	}
	return pass()
}

// unguarded updates an object, even without a resource version: the API server allows that, and the
// fake does not for policies.
func unguarded(ctx context.Context, c client.Client, object client.Object, opts []client.UpdateOption) error {
	if _, ok := object.(*networkingv1.NetworkPolicy); ok && object.GetResourceVersion() == "" {
		live := &networkingv1.NetworkPolicy{}
		if err := c.Get(ctx, client.ObjectKeyFromObject(object), live); err != nil {
			return err
		}
		object.SetResourceVersion(live.ResourceVersion)
	}
	return c.Update(ctx, object, opts...)
}

// asked reads from the API server itself, without a cache, as liveReader does.
type asked struct {
	client.Reader
	site *site
}

// readLive is a read of a policy by liveReader.
const readLive = "read a policy live"

func (a asked) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	if _, ok := object.(*networkingv1.NetworkPolicy); ok && a.site.refuse[readLive] != nil {
		return a.site.refuse[readLive]
	}
	return a.Reader.Get(ctx, key, object, opts...)
}

// compacting reads as the manager's cache does: policies and namespaces compacted.
type compacting struct{ client.Reader }

func (c compacting) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	if err := c.Reader.Get(ctx, key, object, opts...); err != nil {
		return err
	}
	switch o := object.(type) {
	case *networkingv1.NetworkPolicy:
		compacted, err := compactPolicy(o)
		*o = *compacted.(*networkingv1.NetworkPolicy)
		return err
	case *metav1.PartialObjectMetadata:
		compacted, err := compactNamespace(o)
		*o = *compacted.(*metav1.PartialObjectMetadata)
		return err
	}
	return nil
}

// result is the outcome of a reconcile that is visible from outside.
type result struct {
	record ledger.Record
	again  time.Duration
	err    error
	writes []string
	events []string
}

// watch reports the existing policies, as the manager's watch would by now.
func (s *site) watch() {
	s.t.Helper()
	list := &networkingv1.NetworkPolicyList{}
	s.directly(func() error { return s.api.List(s.t.Context(), list) })
	for i := range list.Items {
		s.assumed.shown(&list.Items[i])
	}
}

// reconcile reconciles the namespace shop once.
func (s *site) reconcile() result {
	s.t.Helper()
	s.writes = nil
	got, err := s.Reconcile(s.t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Name: "shop"}})
	r := result{again: got.RequeueAfter, err: err, writes: slices.Clone(s.writes)}
	r.record, _ = s.ledger.Get("shop")
	if !s.silent {
		s.watch()
	}
	for len(s.recorder.Events) > 0 {
		r.events = append(r.events, <-s.recorder.Events)
	}
	return r
}

// change has another client change a policy in the namespace shop.
func (s *site) change(name string, change func(*networkingv1.NetworkPolicy)) {
	s.t.Helper()
	object := &networkingv1.NetworkPolicy{}
	if err := s.api.Get(s.t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, object); err != nil {
		s.t.Fatal(err)
	}
	change(object)
	s.directly(func() error { return s.api.Update(s.t.Context(), object) })
}

// delete has another client delete a policy in the namespace shop.
func (s *site) delete(name string) {
	s.t.Helper()
	object := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	s.directly(func() error { return s.api.Delete(s.t.Context(), object) })
}

// directly runs a function without the scripted refusals and admission.
func (s *site) directly(do func() error) {
	s.t.Helper()
	admit, refuse := s.admit, s.refuse
	s.admit, s.refuse = nil, nil
	defer func() { s.admit, s.refuse = admit, refuse }()
	if err := do(); err != nil {
		s.t.Fatal(err)
	}
}

// policies returns the names of the policies in the namespace shop.
func (s *site) policies() []string {
	s.t.Helper()
	list := &networkingv1.NetworkPolicyList{}
	s.directly(func() error { return s.api.List(s.t.Context(), list, client.InNamespace("shop")) })
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	slices.Sort(names)
	return names
}

func (s *site) metric(series string) float64 { return scraped(s.t, s.registry)[series] }

// allWritten are the writes that protect a namespace without policies.
var allWritten = []string{
	"create " + v1alpha1.AllowDNSName, "create " + v1alpha1.EnvironmentIsolationName, "create " + v1alpha1.DefaultDenyName,
}

// letIn opens a policy to all traffic, as a tenant would.
func letIn(object *networkingv1.NetworkPolicy) {
	object.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
}
