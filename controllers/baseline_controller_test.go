package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/ledger"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

func TestARefusedFinalizerIsTriedAgain(t *testing.T) {
	t.Parallel()
	baselines := schema.GroupResource{Group: "policy.netbaseline.dev", Resource: "clusternetworkbaselines"}
	broken := errors.New("connection reset by peer")
	tests := map[string]struct {
		answer    error
		wantAgain time.Duration
		wantErr   error
	}{
		"another client was faster, without an event": {answer: apierrors.NewConflict(baselines, "default", nil), wantAgain: statusInterval},
		"the baseline is gone":                        {answer: apierrors.NewNotFound(baselines, "default"), wantAgain: statusInterval},
		"the API server cannot be reached":            {answer: broken, wantErr: broken},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := fake.NewClientBuilder().WithScheme(NewScheme()).WithObjects(builder.Baseline("default").Obj()).
				WithInterceptorFuncs(interceptor.Funcs{
					Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
						return test.answer
					},
				}).Build()
			r := &baselineReconciler{
				cache: api, writer: api, ledger: ledger.New(func(string) {}), events: &eventWriter{recorder: &events.FakeRecorder{}},
				now: func() time.Time { return noon }, files: map[string]*file{},
			}
			result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Name: "default"}})
			if !errors.Is(err, test.wantErr) || (err == nil) != (test.wantErr == nil) || result.RequeueAfter != test.wantAgain {
				t.Errorf("got %v and to come back in %s, want %v and %s", err, result.RequeueAfter, test.wantErr, test.wantAgain)
			}
		})
	}
}

// asking is a baseline reconciler with a clock, and an API server that counts requests about
// policies and our CustomResourceDefinition.
type asking struct {
	*baselineReconciler
	clock time.Time
	asked int
}

func newAsking(t *testing.T, refuse error, objects ...client.Object) *asking {
	t.Helper()
	a := &asking{clock: noon}
	crd := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: crdName}}
	crd.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	count := func(object any) {
		switch object.(type) {
		case *metav1.PartialObjectMetadata, *metav1.PartialObjectMetadataList:
			a.asked++
		}
	}
	api := fake.NewClientBuilder().WithScheme(NewScheme()).WithObjects(append(objects, crd)...).
		WithStatusSubresource(&v1alpha1.ClusterNetworkBaseline{}).
		WithInterceptorFuncs(interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
				count(o)
				return c.Get(ctx, key, o, opts...)
			},
			List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
				count(list)
				return c.List(ctx, list, opts...)
			},
			Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
				if refuse != nil {
					return refuse
				}
				return c.Patch(ctx, o, p, opts...)
			},
		}).Build()
	a.baselineReconciler = &baselineReconciler{
		cache: api, writer: api, live: liveReader{api: api}, ledger: ledger.New(func(string) {}),
		events: &eventWriter{recorder: &events.FakeRecorder{}}, now: func() time.Time { return a.clock }, files: map[string]*file{},
	}
	for _, object := range objects {
		if baseline, ok := object.(*v1alpha1.ClusterNetworkBaseline); ok {
			a.ledger.Observe(present(baseline))
		}
	}
	a.ledger.Begin(nil, noon)
	return a
}

func (a *asking) reconcile(t *testing.T) ctrl.Result {
	t.Helper()
	result, err := a.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Name: "default"}})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func (a *asking) baseline(t *testing.T) *v1alpha1.ClusterNetworkBaseline {
	t.Helper()
	baseline := &v1alpha1.ClusterNetworkBaseline{}
	if err := a.cache.Get(t.Context(), client.ObjectKey{Name: "default"}, baseline); err != nil {
		t.Fatal(err)
	}
	return baseline
}

// A thousand changes of the ledger in ten seconds trigger a thousand reconciles of the baseline.
func TestManyChangesAskTheAPIServerLittle(t *testing.T) {
	t.Parallel()
	keeper := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{
		Namespace: "stuck", Name: v1alpha1.DefaultDenyName, Labels: map[string]string{v1alpha1.BaselineLabel: "default"},
	}}
	for name, test := range map[string]struct {
		baseline *v1alpha1.ClusterNetworkBaseline
		record   func(i int) ledger.Record
		want     int // requests at most
	}{
		"while it is being deleted, and namespaces are released": {
			baseline: enforcing().Deleting().Obj(), record: func(int) ledger.Record { return synced() }, want: 10,
		},
		"while it is being deleted, and nothing is known to be left": {
			baseline: enforcing().Deleting().Obj(), record: func(int) ledger.Record { return overridden() }, want: 20,
		},
		"in Audit": {
			baseline: enforcing().Mode(v1alpha1.ModeAudit).Obj(), record: func(int) ledger.Record { return audited(ledger.Create) }, want: 10,
		},
		"while it enforces": {baseline: enforcing().Obj(), record: func(int) ledger.Record { return synced() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAsking(t, nil, test.baseline, keeper)
			for i := range 1000 {
				a.clock = noon.Add(time.Duration(i) * 10 * time.Millisecond)
				a.ledger.Record(fmt.Sprintf("n%d", i), a.ledger.Round(), test.record(i))
				a.reconcile(t)
			}
			if a.asked > test.want || test.want > 0 && a.asked == 0 {
				t.Errorf("%d requests, want at most %d", a.asked, test.want)
			}
			if test.want == 0 {
				return
			}
			// Nothing changes any more: requests become less and less frequent.
			a.asked = 0
			for end := a.clock.Add(time.Hour); a.clock.Before(end); {
				again := a.reconcile(t).RequeueAfter
				if again <= 0 || again > lastRetry {
					t.Fatalf("reconciled again in %s, want within %s: no event reports that the last policy is gone", again, lastRetry)
				}
				a.clock = a.clock.Add(again)
			}
			if a.asked > 2*70 {
				t.Errorf("%d requests in an hour without a change", a.asked)
			}
		})
	}
}

func TestARefusedFinalizerIsInTheStatus(t *testing.T) {
	t.Parallel()
	forbidden := apierrors.NewForbidden(schema.GroupResource{Group: "policy.netbaseline.dev", Resource: "clusternetworkbaselines"}, "default", errors.New("finalizers are not allowed here"))
	a := newAsking(t, forbidden, builder.Baseline("default").Generation(3).Obj())
	patches := 0
	for range 20 {
		if again := a.reconcile(t).RequeueAfter; again <= 0 || again > lastRetry {
			t.Fatalf("tried again in %s, want within %s", again, lastRetry)
		}
		if a.files["default"].attempts.next.After(a.clock) {
			patches++
		}
		a.clock = a.clock.Add(time.Second)
	}
	baseline := a.baseline(t)
	ready := condition(t, baseline, v1alpha1.ConditionReady)
	if ready.Status != metav1.ConditionFalse || ready.Reason != v1alpha1.ReasonFinalizerRefused || !strings.Contains(ready.Message, "finalizers are not allowed here") {
		t.Errorf("Ready is %s because of %s: %s", ready.Status, ready.Reason, ready.Message)
	}
	if got := compute(t, baseline); got.Status != kstatus.FailedStatus {
		t.Errorf("kstatus says %s, want %s", got.Status, kstatus.FailedStatus)
	}
	if baseline.Finalizers != nil || patches == 0 {
		t.Errorf("finalizers %v after %d attempts", baseline.Finalizers, patches)
	}
}
