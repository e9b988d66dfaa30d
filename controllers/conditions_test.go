package controllers

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/apply"
	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/internal/ledger"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// noon is when the tests take place.
var noon = time.Date(2026, time.May, 4, 12, 0, 0, 0, time.UTC)

// enforcing begins the baseline that most of these tests are about.
func enforcing() *builder.BaselineBuilder {
	return builder.Baseline("default").Generation(3).Finalized()
}

// records are the results of reconciles, by the name of the namespace.
type records map[string]ledger.Record

// summarize has a ledger observe a baseline and record namespaces; the awaited ones have not been
// reconciled yet.
func summarize(baseline *v1alpha1.ClusterNetworkBaseline, outcomes records, awaited ...string) *ledger.Summary {
	book := ledger.New(func(string) {})
	book.Observe(ledger.Observation{Name: baseline.Name, Version: new(versionOf(baseline))})
	book.Begin(nil, noon) // the first round is over
	book.Begin(slices.Concat(slices.Collect(maps.Keys(outcomes)), awaited), noon)
	for namespace, record := range outcomes {
		book.Record(namespace, book.Round(), record)
	}
	summary := book.Summarize(baseline.Name)
	return &summary
}

func record(state ledger.State) ledger.Record {
	return ledger.Record{Baseline: "default", Generation: 3, Environment: "production", State: state, Selecting: []string{"default"}}
}

func synced() ledger.Record { return record(ledger.Synced) }

func contested() ledger.Record {
	r := record(ledger.Synced)
	r.Contested, r.Reason, r.Message = true, v1alpha1.ReasonContested, "another client changed its policies more than 10 times in the last minute; each time they were restored"
	return r
}

// because is a record of a namespace whose policies could not be written, with the explanation that
// production code gives.
func because(state ledger.State, since time.Time, err error) ledger.Record {
	refusal := apply.Explain(err)
	r := record(state)
	r.Reason, r.Message, r.Since = refusal.Reason, refusal.Message, since
	return r
}

func failed() ledger.Record {
	refused := apierrors.NewForbidden(networkingv1.Resource("networkpolicies"), v1alpha1.DefaultDenyName, errors.New("a policy of the cluster forbids it"))
	return because(ledger.Failed, time.Time{}, fmt.Errorf("create %s: %w", v1alpha1.DefaultDenyName, refused))
}

func pendingSince(since time.Time) ledger.Record {
	return because(ledger.Pending, since, apierrors.NewTimeoutError("the API server is slow today", 1))
}

func held() ledger.Record {
	r := record(ledger.Held)
	r.Environment, r.Reason, r.Message = "", v1alpha1.ReasonBaselineInAudit, `baseline "default" is in Audit, so its policies stay as they are`
	return r
}

// releasing is a namespace that no baseline governs any more and that refuses the removal of its
// policies.
func releasing() ledger.Record {
	r := failed()
	r.State, r.Environment, r.Selecting = ledger.Releasing, "", nil
	return r
}

// audited is a namespace that no baseline governs and a baseline in Audit selects, or selected.
func audited(effect ledger.Effect) ledger.Record {
	return ledger.Record{Selecting: []string{"default"}, Previewed: []ledger.Previewed{{Baseline: "default", Effect: effect}}}
}

func overridden() ledger.Record {
	r := record(ledger.Synced)
	r.Baseline, r.Selecting = "strict", []string{"strict", "default"}
	return r
}

// reported returns the baseline with the status that is written at a given time.
func reported(baseline *v1alpha1.ClusterNetworkBaseline, summary *ledger.Summary, now time.Time) *v1alpha1.ClusterNetworkBaseline {
	after := baseline.DeepCopy()
	after.Status = renderStatus(governance.NewCandidate(baseline), &file{}, summary, now)
	return after
}

func condition(t *testing.T, baseline *v1alpha1.ClusterNetworkBaseline, kind string) metav1.Condition {
	t.Helper()
	found := meta.FindStatusCondition(baseline.Status.Conditions, kind)
	if found == nil {
		t.Fatalf("no condition %s in %v", kind, baseline.Status.Conditions)
	}
	return *found
}

// compute returns the status according to kstatus, as a GitOps tool does.
func compute(t *testing.T, baseline *v1alpha1.ClusterNetworkBaseline) *kstatus.Result {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(baseline)
	if err != nil {
		t.Fatal(err)
	}
	object := &unstructured.Unstructured{Object: content}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ClusterNetworkBaseline"))
	result, err := kstatus.Compute(object)
	if err != nil {
		t.Fatalf("kstatus: %v", err)
	}
	return result
}

func TestEveryStateOfABaseline(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		baseline    *builder.BaselineBuilder
		records     records
		awaited     []string
		wantReady   metav1.ConditionStatus
		wantReason  string
		wantMessage []string // parts of what Ready says
		wantSynced  metav1.ConditionStatus
		wantStalled bool
		wantKstatus kstatus.Status
	}{
		"in progress: namespaces have not been looked at yet": {
			baseline: enforcing(), records: records{"shop": synced()}, awaited: []string{"web", "db"},
			wantReady: "Unknown", wantReason: "Progressing", wantMessage: []string{"generation 3", "2 still to do"},
			wantSynced: "Unknown", wantKstatus: kstatus.InProgressStatus,
		},
		"in progress: a namespace waits for its first policies": {
			baseline: enforcing(), records: records{"shop": pendingSince(noon), "web": synced()},
			wantReady: "Unknown", wantReason: "Progressing", wantMessage: []string{"1 of 2 namespaces not protected", "shop", "Unavailable", "slow today"},
			wantSynced: "Unknown", wantKstatus: kstatus.InProgressStatus,
		},
		"ready": {
			baseline: enforcing(), records: records{"shop": synced(), "web": synced()},
			wantReady: "True", wantReason: "Synced", wantMessage: []string{"2 namespaces protected"},
			wantSynced: "True", wantKstatus: kstatus.CurrentStatus,
		},
		"ready: no namespace is selected": {
			baseline: enforcing(), records: records{"shop": {}},
			wantReady: "True", wantReason: "Synced", wantMessage: []string{"No namespace to govern"},
			wantSynced: "True", wantKstatus: kstatus.CurrentStatus,
		},
		"ready: some are governed by another baseline": {
			baseline: enforcing(), records: records{"shop": synced(), "web": overridden()},
			wantReady: "True", wantReason: "Synced", wantMessage: []string{"1 namespace protected", "1 governed by another baseline"},
			wantSynced: "True", wantKstatus: kstatus.CurrentStatus,
		},
		"ready: one is contested, and named": {
			baseline: enforcing(), records: records{"shop": contested(), "web": synced()},
			wantReady: "True", wantReason: "Synced", wantMessage: []string{"2 namespaces protected", "1 contested", "shop", "keeps changing its policies"},
			wantSynced: "True", wantKstatus: kstatus.CurrentStatus,
		},
		"ready: one is held, and the cause is reported": {
			baseline: enforcing(), records: records{"shop": held(), "web": synced()},
			wantReady: "True", wantReason: "Synced", wantMessage: []string{"1 namespace protected", "1 held", "is in Audit"},
			wantSynced: "True", wantKstatus: kstatus.CurrentStatus,
		},
		"ready: one refuses the removal of policies, and the cause is reported": {
			baseline: enforcing(), records: records{"shop": releasing(), "web": synced()},
			wantReady: "True", wantReason: "Synced", wantMessage: []string{"1 namespace protected", "1 no longer governed", "shop", "forbids it"},
			wantSynced: "True", wantKstatus: kstatus.CurrentStatus,
		},
		"deleting: one refuses the removal of policies": {
			baseline: enforcing().Deleting(), records: records{"shop": releasing()},
			wantReady: "False", wantReason: "Deleting", wantMessage: []string{"1 namespace left", "shop", "forbids it"},
			wantSynced: "False", wantKstatus: kstatus.TerminatingStatus,
		},
		"slow: a namespace waits for a minute": {
			baseline: enforcing(), records: records{"shop": pendingSince(noon.Add(-slowAfter)), "web": synced()},
			wantReady: "False", wantReason: "Slow", wantMessage: []string{"1 of 2 namespaces not protected", "shop", "Unavailable", "slow today"},
			wantSynced: "False", wantKstatus: kstatus.InProgressStatus,
		},
		"failed: a namespace refuses its policies": {
			baseline: enforcing(), records: records{"shop": failed(), "web": synced(), "db": pendingSince(noon)},
			wantReady: "False", wantReason: "NamespacesFailed",
			wantMessage: []string{"1 of 3 namespaces not protected", "shop", "Forbidden", "a policy of the cluster forbids it"},
			wantSynced:  "False", wantStalled: true, wantKstatus: kstatus.FailedStatus,
		},
		"needs a human: the spec cannot be carried out": {
			baseline: enforcing().Mode("Warn"), records: records{"shop": synced()},
			wantReady: "False", wantReason: "InvalidSpec", wantMessage: []string{"Not accepted, so nothing is changed", "spec.mode", `"Warn"`, `"Enforce"`},
			wantSynced: "Unknown", wantStalled: true, wantKstatus: kstatus.FailedStatus,
		},
		"audit": {
			baseline: enforcing().Mode(v1alpha1.ModeAudit), records: records{"shop": audited(ledger.Create), "web": overridden()},
			wantReady: "True", wantReason: "Audit", wantMessage: []string{"Audit: nothing is written; 1 namespace would be governed (1 new, 0 changed, 0 left as they are)"},
			wantSynced: "True", wantKstatus: kstatus.CurrentStatus,
		},
		"audit of much": {
			baseline: enforcing().Mode(v1alpha1.ModeAudit), records: records{
				"a": audited(ledger.Create), "b": audited(ledger.Change), "c": audited(ledger.Change), "d": audited(ledger.Leave), "e": audited(ledger.Remove),
			},
			wantReady: "True", wantReason: "Audit", wantSynced: "True", wantKstatus: kstatus.CurrentStatus,
			wantMessage: []string{"4 namespaces would be governed (1 new, 2 changed, 1 left as they are)", "1 namespace would lose the policies of an earlier Enforce"},
		},
		"audit after an Enforce": {
			baseline: enforcing().Mode(v1alpha1.ModeAudit), records: records{"shop": held()},
			wantReady: "True", wantReason: "Audit", wantMessage: []string{"1 keep the policies of an earlier Enforce"},
			wantSynced: "True", wantKstatus: kstatus.CurrentStatus,
		},
		"deleting": {
			baseline: enforcing().Deleting(), records: records{"shop": synced(), "web": synced()},
			wantReady: "False", wantReason: "Deleting", wantMessage: []string{"Removing policies", "2 namespaces left"},
			wantSynced: "False", wantKstatus: kstatus.TerminatingStatus,
		},
		"deleting: a held namespace is reported, with its cause": {
			baseline: enforcing().Deleting(), records: records{"shop": held(), "web": synced()},
			wantReady: "False", wantReason: "Deleting", wantMessage: []string{"2 namespaces left", "1 held", "is in Audit"},
			wantSynced: "False", wantKstatus: kstatus.TerminatingStatus,
		},
		"deleting: no human is needed, whatever else is wrong": {
			baseline: enforcing().Mode("Warn").Deleting(), records: records{"shop": failed()},
			wantReady: "False", wantReason: "Deleting", wantMessage: []string{"Removing policies"},
			wantSynced: "Unknown", wantKstatus: kstatus.TerminatingStatus,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := test.baseline.Obj()
			baseline := reported(before, summarize(before, test.records, test.awaited...), noon)

			ready := condition(t, baseline, v1alpha1.ConditionReady)
			if ready.Status != test.wantReady || ready.Reason != test.wantReason {
				t.Errorf("Ready is %s because of %s, want %s because of %s", ready.Status, ready.Reason, test.wantReady, test.wantReason)
			}
			for _, part := range test.wantMessage {
				if !strings.Contains(ready.Message, part) {
					t.Errorf("Ready does not say %q: %s", part, ready.Message)
				}
			}
			if got := condition(t, baseline, v1alpha1.ConditionSynced).Status; got != test.wantSynced {
				t.Errorf("Synced is %s, want %s", got, test.wantSynced)
			}
			stalled := meta.FindStatusCondition(baseline.Status.Conditions, v1alpha1.ConditionStalled)
			if (stalled != nil) != test.wantStalled {
				t.Errorf("Stalled: %v, want it %t", stalled, test.wantStalled)
			}
			if stalled != nil && (stalled.Status != metav1.ConditionTrue || stalled.Message != ready.Message) {
				t.Errorf("Stalled is %s and says %q, want what Ready says: %q", stalled.Status, stalled.Message, ready.Message)
			}
			if got := compute(t, baseline); got.Status != test.wantKstatus {
				t.Errorf("kstatus says %s (%s), want %s", got.Status, got.Message, test.wantKstatus)
			}
			for _, c := range baseline.Status.Conditions {
				if c.ObservedGeneration != baseline.Generation {
					t.Errorf("%s speaks of generation %d", c.Type, c.ObservedGeneration) // kubectl wait reads this one
				}
			}
			if baseline.Status.ObservedGeneration != baseline.Generation {
				t.Errorf("the status speaks of generation %d", baseline.Status.ObservedGeneration) // kstatus reads this one
			}
			if diff := cmp.Diff(baseline.Status, reported(baseline, summarize(before, test.records, test.awaited...), noon.Add(time.Second)).Status); diff != "" {
				t.Errorf("a second later, with nothing new, the status is another (-first +second):\n%s", diff)
			}
		})
	}
}

func TestWhatTheOperatorHasNotSeenIsInProgress(t *testing.T) {
	t.Parallel()
	edited := func(outcomes records) *v1alpha1.ClusterNetworkBaseline {
		baseline := enforcing().Obj()
		baseline = reported(baseline, summarize(baseline, outcomes), noon)
		baseline.Generation++
		return baseline
	}
	tests := map[string]*v1alpha1.ClusterNetworkBaseline{
		"fresh: as the API server fills it in":  builder.Baseline("default").Generation(1).Obj(),
		"stale: edited since it was ready":      edited(records{"shop": synced()}),
		"stale: edited since a namespace fails": edited(records{"shop": failed()}),
	}
	for name, baseline := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := compute(t, baseline); got.Status != kstatus.InProgressStatus {
				t.Errorf("kstatus says %s (%s), want %s", got.Status, got.Message, kstatus.InProgressStatus)
			}
		})
	}
}

func TestAcceptedSaysWhetherTheSpecCanBeCarriedOut(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		baseline    *builder.BaselineBuilder
		wantStatus  metav1.ConditionStatus
		wantReason  string
		wantMessage string
	}{
		"it can": {enforcing(), "True", "Accepted", "The spec can be carried out"},
		"it cannot": {
			enforcing().DNSPeers(builder.DNSRange("10.0.0.1/8")), "False", "InvalidSpec", `spec.dns.static.peers[0].cidr: Invalid value: "10.0.0.1/8"`,
		},
		"it could not, although it is being deleted": {enforcing().Scope("SameTeam").Deleting(), "False", "InvalidSpec", `spec.environmentIsolation.scope`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			baseline := test.baseline.Obj()
			got := condition(t, reported(baseline, summarize(baseline, nil), noon), v1alpha1.ConditionAccepted)
			if got.Status != test.wantStatus || got.Reason != test.wantReason || !strings.Contains(got.Message, test.wantMessage) {
				t.Errorf("got %s, %s: %s", got.Status, got.Reason, got.Message)
			}
		})
	}
}

// The state of a baseline through an incident: each step starts from the status that the previous
// one has left.
func TestReadyDoesNotFlap(t *testing.T) {
	t.Parallel()
	waiting := records{"shop": pendingSince(noon), "web": synced()}
	fine := records{"shop": synced(), "web": synced()}
	steps := []struct {
		after     time.Duration
		records   records
		wantReady metav1.ConditionStatus
		wantSaid  string
		wantSince time.Duration
	}{
		{0, fine, "True", "2 namespaces protected", 0},
		{time.Second, waiting, "True", "1 namespace protected; 1 more on the way", 0},
		{59 * time.Second, waiting, "True", "1 more on the way", 0},
		{60 * time.Second, waiting, "False", "shop", 60 * time.Second},
		{90 * time.Second, waiting, "False", "shop", 60 * time.Second},
		{95 * time.Second, fine, "True", "2 namespaces protected", 95 * time.Second},
		{96 * time.Second, records{"shop": failed(), "web": synced()}, "False", "shop", 96 * time.Second},
		{97 * time.Second, fine, "True", "2 namespaces protected", 97 * time.Second},
	}
	baseline := enforcing().Obj()
	for _, step := range steps {
		now := noon.Add(step.after)
		baseline = reported(baseline, summarize(baseline, step.records), now)
		for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionSynced} {
			got := condition(t, baseline, kind)
			if got.Status != step.wantReady || !strings.Contains(got.Message, step.wantSaid) {
				t.Errorf("after %s %s is %s: %q, want %s: %q", step.after, kind, got.Status, got.Message, step.wantReady, step.wantSaid)
			}
			if since := got.LastTransitionTime.Sub(noon); since != step.wantSince {
				t.Errorf("after %s %s reports a flip after %s, want %s", step.after, kind, since, step.wantSince)
			}
		}
		if since := condition(t, baseline, v1alpha1.ConditionAccepted).LastTransitionTime; !since.Time.Equal(noon) {
			t.Errorf("after %s Accepted, which never flips, has flipped at %s", step.after, since)
		}
		stalled := meta.FindStatusCondition(baseline.Status.Conditions, v1alpha1.ConditionStalled)
		if fails := step.records["shop"].State == ledger.Failed; (stalled != nil) != fails {
			t.Errorf("after %s Stalled is %v", step.after, stalled)
		}
	}
}

// With an edited spec, a pending namespace does not have the desired policies yet; that it was
// ready before does not count.
func TestANamespaceThatWaitsForANewSpecIsNotReady(t *testing.T) {
	t.Parallel()
	baseline := enforcing().Obj()
	baseline = reported(baseline, summarize(baseline, records{"shop": synced()}), noon)
	baseline.Generation++
	baseline = reported(baseline, summarize(baseline, records{"shop": pendingSince(noon)}), noon.Add(time.Second))
	if got := condition(t, baseline, v1alpha1.ConditionReady); got.Status != metav1.ConditionUnknown || got.Reason != v1alpha1.ReasonProgressing {
		t.Errorf("Ready is %s because of %s", got.Status, got.Reason)
	}
}

// A round on behalf of another baseline reconciles every namespace again. Nothing becomes less
// certain by that.
func TestARoundForAnotherBaselineDoesNotChangeReady(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]records{"ready": {"shop": synced()}, "failed": {"shop": failed()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settled := reported(enforcing().Obj(), summarize(enforcing().Obj(), before), noon)
			during := reported(settled, summarize(enforcing().Obj(), before, "other"), noon.Add(time.Second))
			if diff := cmp.Diff(settled.Status.Conditions, during.Status.Conditions); diff != "" {
				t.Errorf("(-before +during):\n%s", diff)
			}
			edited := settled.DeepCopy()
			edited.Generation++
			edited = reported(edited, summarize(edited, before, "other"), noon.Add(time.Second))
			if got := condition(t, edited, v1alpha1.ConditionReady); got.Status != metav1.ConditionUnknown {
				t.Errorf("with an edited spec, Ready is %s", got.Status)
			}
		})
	}
}

func TestTheLongestWaitDecidesWhetherItIsSlow(t *testing.T) {
	t.Parallel()
	baseline := enforcing().Obj()
	baseline = reported(baseline, summarize(baseline, records{
		"a": pendingSince(noon.Add(-time.Second)), "b": pendingSince(noon.Add(-2 * time.Minute)), "c": pendingSince(noon),
	}), noon)
	got := condition(t, baseline, v1alpha1.ConditionReady)
	if got.Reason != v1alpha1.ReasonSlow || !strings.Contains(got.Message, "3 of 3 namespaces not protected; b: ") {
		t.Errorf("Ready is %s because of %s: %s", got.Status, got.Reason, got.Message)
	}
}

// Other controllers may add conditions of their own. The schema allows eight in all.
func TestOurConditionsAlwaysFit(t *testing.T) {
	t.Parallel()
	baseline := enforcing().Obj()
	for i := range 8 {
		meta.SetStatusCondition(&baseline.Status.Conditions, metav1.Condition{Type: fmt.Sprintf("Foreign%d", i), Status: metav1.ConditionTrue, Reason: "Theirs"})
	}
	for name, outcomes := range map[string]records{"ready": {"shop": synced()}, "failed, with one more": {"shop": failed()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			after := reported(baseline, summarize(baseline, outcomes), noon)
			if len(after.Status.Conditions) > 8 {
				t.Errorf("%d conditions: the API server refuses the status", len(after.Status.Conditions))
			}
			for _, kind := range []string{v1alpha1.ConditionAccepted, v1alpha1.ConditionSynced, v1alpha1.ConditionReady, "Foreign0", "Foreign3"} {
				condition(t, after, kind)
			}
			if again := reported(after, summarize(baseline, outcomes), noon); !cmp.Equal(after.Status, again.Status) {
				t.Error("a second look drops more")
			}
		})
	}
}

// After a start the status of the previous leader stays for five seconds; then it reports what is
// left to do, and what is open.
func TestTheRoundOfTheStartUpIsInProgress(t *testing.T) {
	t.Parallel()
	baseline := enforcing().Obj()
	baseline = reported(baseline, summarize(baseline, records{"shop": synced(), "web": synced()}), noon) // by the last leader
	book := ledger.New(func(string) {})
	book.Observe(ledger.Observation{Name: "default", Version: new(versionOf(baseline))})
	book.Begin([]string{"shop", "web", "db"}, noon)
	book.Expect("shop", pendingSince(noon))
	book.Record("web", book.Round(), synced())
	summary := book.Summarize("default")

	ready := condition(t, reported(baseline, &summary, noon.Add(firstProgressAfter)), v1alpha1.ConditionReady)
	if ready.Status != metav1.ConditionUnknown || ready.Reason != v1alpha1.ReasonProgressing {
		t.Errorf("Ready is %s because of %s: not every namespace has been seen yet", ready.Status, ready.Reason)
	}
	for _, part := range []string{"after a start", "2 still to do", "shop", "Unavailable"} {
		if !strings.Contains(ready.Message, part) {
			t.Errorf("Ready does not say %q: %s", part, ready.Message)
		}
	}
}
