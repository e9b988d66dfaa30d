package controllers

import (
	"context"
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/netbaseline/netbaseline/internal/ledger"
	"github.com/netbaseline/netbaseline/test/builder"
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
		"somebody else was faster, and no event says so": {answer: apierrors.NewConflict(baselines, "default", nil), wantAgain: statusInterval},
		"the baseline is gone":                           {answer: apierrors.NewNotFound(baselines, "default"), wantAgain: statusInterval},
		"the API server cannot be reached":               {answer: broken, wantErr: broken},
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
				cache: api, writer: api, ledger: ledger.New(func(string) {}), events: &announcer{recorder: &events.FakeRecorder{}},
				now: func() time.Time { return noon }, written: map[string]time.Time{},
			}
			result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Name: "default"}})
			if !errors.Is(err, test.wantErr) || (err == nil) != (test.wantErr == nil) || result.RequeueAfter != test.wantAgain {
				t.Errorf("got %v and to come back in %s, want %v and %s", err, result.RequeueAfter, test.wantErr, test.wantAgain)
			}
		})
	}
}
