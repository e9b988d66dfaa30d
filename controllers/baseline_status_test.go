package controllers

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/internal/ledger"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

func TestAStatusStaysSmallHoweverMuchThereIsToSay(t *testing.T) {
	t.Parallel()
	outcomes := records{}
	for i := range 15 {
		r := failed()
		r.Message, r.Environment = strings.Repeat("ü", 300), ""
		outcomes[fmt.Sprintf("failing-%02d", i)] = r
	}
	for environment := range 25 {
		for i := range environment + 1 {
			r := synced()
			r.Environment = fmt.Sprintf("env-%02d", environment)
			outcomes[fmt.Sprintf("fine-%02d-%02d", environment, i)] = r
		}
	}
	baseline := enforcing().Obj()
	status := reported(baseline, summarize(baseline, outcomes), noon).Status

	if len(status.Failures) != v1alpha1.MaxStatusFailures || status.Failures[0].Namespace != "failing-00" || status.Failures[9].Namespace != "failing-09" {
		t.Errorf("failures are %v, want the first 10 by name", status.Failures)
	}
	for _, failure := range status.Failures {
		if len(failure.Message) > v1alpha1.MaxFailureMessage || !utf8.ValidString(failure.Message) || !strings.Contains(failure.Message, "ü…ü") {
			t.Errorf("a message of %d bytes, valid UTF-8 %t: %s", len(failure.Message), utf8.ValidString(failure.Message), failure.Message)
		}
	}
	if len(status.Environments) != v1alpha1.MaxStatusEnvironments || status.EnvironmentCount != 25 {
		t.Errorf("%d environments listed and %d counted", len(status.Environments), status.EnvironmentCount)
	}
	want := v1alpha1.EnvironmentCount{Name: "env-24", Namespaces: 25}
	if diff := cmp.Diff(want, status.Environments[0]); diff != "" {
		t.Errorf("the first environment is not the largest (-want +got):\n%s", diff)
	}
	ready := condition(t, &v1alpha1.ClusterNetworkBaseline{Status: status}, v1alpha1.ConditionReady)
	if !strings.Contains(ready.Message, "15 of 340 namespaces not protected; failing-00: Forbidden: ") || len(ready.Message) > 400 {
		t.Errorf("Ready says: %s", ready.Message)
	}
}

func TestAStatusCountsEachNamespaceWhereItBelongs(t *testing.T) {
	t.Parallel()
	unlabelled := synced()
	unlabelled.Environment = ""
	baseline := enforcing().Obj()
	status := reported(baseline, summarize(baseline, records{
		"a": synced(), "b": unlabelled, "c": pendingSince(noon), "d": failed(), "e": contested(), "f": overridden(), "g": held(), "h": {},
	}), noon).Status

	want := v1alpha1.NamespaceCounts{Matched: 7, Governed: 5, Synced: 3, Pending: 1, Failed: 1, Held: 1, Overridden: 1, Unlabeled: 1}
	if diff := cmp.Diff(want, status.Namespaces); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	var named []string
	for _, failure := range status.Failures {
		named = append(named, failure.Namespace+" "+failure.Reason)
	}
	if diff := cmp.Diff([]string{"d Forbidden", "c Unavailable", "e Contested"}, named); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]v1alpha1.EnvironmentCount{{Name: "production", Namespaces: 4}}, status.Environments); diff != "" {
		t.Errorf("environments (-want +got):\n%s", diff)
	}
}

func TestAStatusCountsWhatEnforceWouldDoOnlyInAudit(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		baseline *v1alpha1.ClusterNetworkBaseline
		want     *v1alpha1.AuditCounts
	}{
		"in Audit":                            {enforcing().Mode(v1alpha1.ModeAudit).Obj(), &v1alpha1.AuditCounts{Create: 2, Leave: 1}},
		"in Enforce":                          {enforcing().Obj(), nil},
		"in Audit, but it is being deleted":   {enforcing().Mode(v1alpha1.ModeAudit).Finalized().Deleting().Obj(), nil},
		"in Audit, but it cannot be enforced": {enforcing().Mode(v1alpha1.ModeAudit).Scope("SameTeam").Obj(), nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outcomes := records{"a": audited(ledger.Create), "b": audited(ledger.Create), "c": audited(ledger.Leave)}
			status := reported(test.baseline, summarize(test.baseline, outcomes), noon).Status
			if diff := cmp.Diff(test.want, status.Audit); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// reporter is a reconciler at noon, with a client that counts its writes.
func reporter(baseline *v1alpha1.ClusterNetworkBaseline, writes *int) (*baselineReconciler, *time.Time) {
	now := noon
	writer := fake.NewClientBuilder().WithScheme(NewScheme()).WithObjects(baseline).WithStatusSubresource(baseline).
		WithInterceptorFuncs(interceptor.Funcs{
			SubResourceUpdate: func(ctx context.Context, c client.Client, name string, o client.Object, opts ...client.SubResourceUpdateOption) error {
				*writes++
				return c.SubResource(name).Update(ctx, o, opts...)
			},
		}).Build()
	return &baselineReconciler{
		cache: writer, writer: writer, ledger: ledger.New(func(string) {}), events: &eventWriter{recorder: &events.FakeRecorder{}},
		now: func() time.Time { return now }, files: map[string]*file{},
	}, &now
}

func TestAStatusIsWrittenOnceAndAtMostOnceASecond(t *testing.T) {
	t.Parallel()
	writes := 0
	r, now := reporter(enforcing().Obj(), &writes)
	steps := []struct {
		after      time.Duration
		records    records
		wantWrites int
		wantAgain  bool
	}{
		{0, records{"shop": synced()}, 1, false},
		{10 * time.Second, records{"shop": synced()}, 1, false},
		{20 * time.Second, records{"shop": synced(), "web": synced()}, 2, false},
		{20*time.Second + statusInterval - time.Millisecond, records{"shop": synced()}, 2, true},
		{20*time.Second + statusInterval, records{"shop": synced()}, 3, false},
	}
	for _, step := range steps {
		*now = noon.Add(step.after)
		baseline := &v1alpha1.ClusterNetworkBaseline{}
		if err := r.cache.Get(t.Context(), client.ObjectKey{Name: "default"}, baseline); err != nil {
			t.Fatal(err)
		}
		again, err := r.reportStatus(t.Context(), governance.NewCandidate(baseline), r.file(baseline.Name), summarize(baseline, step.records))
		if err != nil {
			t.Fatal(err)
		}
		if writes != step.wantWrites || (again > 0) != step.wantAgain {
			t.Errorf("after %s: %d writes, come back in %s; want %d writes, come back %t", step.after, writes, again, step.wantWrites, step.wantAgain)
		}
	}
}

func TestNoStatusIsWrittenBeforeItIsTrue(t *testing.T) {
	t.Parallel()
	round := func(number uint64, awaited int, began time.Time) *ledger.Summary {
		return &ledger.Summary{Observed: versionOf(enforcing().Obj()), Round: number, Awaited: awaited, Known: 9, Began: began}
	}
	tests := map[string]struct {
		baseline *builder.BaselineBuilder
		summary  *ledger.Summary
		wantWait time.Duration // 0: it may be written
	}{
		"before the first round":               {enforcing(), round(0, 0, time.Time{}), statusInterval},
		"while the first round has just begun": {enforcing(), round(1, 1, noon), firstProgressAfter},
		"when the first round takes its time":  {enforcing(), round(1, 1, noon.Add(-firstProgressAfter)), 0},
		"when the first round is over":         {enforcing(), round(1, 0, noon.Add(-time.Hour)), 0},
		"while a later round has just begun":   {enforcing(), round(2, 5, noon), progressAfter},
		"when a later round takes its time":    {enforcing(), round(2, 5, noon.Add(-progressAfter)), 0},
		"when a later round is over":           {enforcing(), round(2, 0, noon), 0},
		"while the ledger knows another spec":  {enforcing().Generation(4), round(2, 0, noon), statusInterval},
		"while the ledger knows another baseline of that name": {
			enforcing().With(func(b *v1alpha1.ClusterNetworkBaseline) { b.UID = "another" }), round(2, 0, noon), statusInterval,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &baselineReconciler{now: func() time.Time { return noon }, files: map[string]*file{}}
			if got := r.tooEarly(governance.NewCandidate(test.baseline.Obj()), &file{}, test.summary, noon); max(got, 0) != test.wantWait {
				t.Errorf("wait %s, want %s", got, test.wantWait)
			}
		})
	}
}

func TestAStatusIsLookedAtAgainWhenTimeAloneChangesIt(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		baseline *builder.BaselineBuilder
		records  records
		want     time.Duration
	}{
		"nothing waits":     {enforcing(), records{"shop": synced()}, 0},
		"a namespace waits": {enforcing(), records{"shop": pendingSince(noon.Add(-20 * time.Second))}, 40 * time.Second},
		"a namespace waits for longer than a minute":        {enforcing(), records{"shop": pendingSince(noon.Add(-time.Hour))}, statusInterval},
		"a failed namespace is not a matter of time":        {enforcing(), records{"shop": failed()}, 0},
		"a deletion is looked at with its finalizer":        {enforcing().Deleting(), records{"shop": synced()}, 0},
		"a contested namespace reports by itself, not here": {enforcing(), records{"shop": contested()}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			baseline := test.baseline.Obj()
			if got := nextLook(summarize(baseline, test.records), noon); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
