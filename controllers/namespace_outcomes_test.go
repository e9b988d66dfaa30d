package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/ledger"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

func TestANamespaceIsProtectedAndThenLeftAlone(t *testing.T) {
	t.Parallel()
	baseline := enforcing().Obj()
	baseline.UID = "b"
	s := newSite(t, baseline)
	s.ledger.Arrived("shop", noon.Add(-2*time.Second))

	got := s.reconcile()
	if diff := cmp.Diff(allWritten, got.writes); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	want := ledger.Record{
		Target:   policy.TargetOf(policy.RenderEnvironment(baseline, "production")),
		Baseline: "default", Generation: 3, UID: "b", NamespaceUID: "shop", Environment: "production", State: ledger.Synced, Reached: true,
		Selecting: []string{"default"},
	}
	if diff := cmp.Diff(want, got.record); diff != "" || got.err != nil || got.again != 0 {
		t.Errorf("error %v, again in %s, record (-want +got):\n%s", got.err, got.again, diff)
	}
	if len(got.events) > 0 {
		t.Errorf("events %v: one for each namespace would be too many", got.events)
	}
	if enforced, _ := s.ledger.TakeTallies("default"); enforced.String() != "" {
		t.Errorf("reported is %q: the protection of a new namespace is not an event", enforced)
	}
	if count, sum := s.metric("netbaseline_namespace_protection_seconds count"), s.metric("netbaseline_namespace_protection_seconds sum"); count != 1 || sum != 2 {
		t.Errorf("protection took %v seconds in %v cases, want 2 in 1", sum, count)
	}

	s.clock = noon.Add(time.Minute)
	again := s.reconcile()
	if len(again.writes) > 0 || len(again.events) > 0 || again.err != nil || again.again != 0 {
		t.Errorf("a second look: writes %v, events %v, error %v, again in %s; want nothing", again.writes, again.events, again.err, again.again)
	}
	if s.metric("netbaseline_namespace_protection_seconds count") != 1 || s.metric("netbaseline_drift_repairs_total") != 0 {
		t.Error("a second look is counted")
	}
	if got := s.metric(`netbaseline_policy_writes_total{operation="create"}`); got != 3 {
		t.Errorf("%v creates are counted, want 3", got)
	}
}

func TestThatAnOldNamespaceIsProtectedIsTold(t *testing.T) {
	t.Parallel()
	s := newSite(t, enforcing().Obj())
	if got := s.reconcile(); len(got.events) > 0 {
		t.Errorf("events %v: one for each namespace would be too many", got.events)
	}
	if enforced, _ := s.ledger.TakeTallies("default"); enforced.String() != "1 namespace: shop" {
		t.Errorf("reported is %q", enforced)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	resource := networkingv1.Resource("networkpolicies")
	created := noon.Add(-time.Hour) // in the first round it may have waited since then
	terminating := apierrors.NewForbidden(resource, v1alpha1.AllowDNSName, errors.New("being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}

	tests := map[string]struct {
		err        error
		want       ledger.Record // state, reason and since are compared
		wantErr    bool
		wantAgain  time.Duration
		wantWrites int
	}{
		"refused for good": {
			err:  apierrors.NewForbidden(resource, v1alpha1.AllowDNSName, errors.New("no")),
			want: ledger.Record{State: ledger.Failed, Reason: v1alpha1.ReasonForbidden}, wantErr: true, wantWrites: 1,
		},
		"a quota leaves no room": {
			err:  apierrors.NewForbidden(resource, v1alpha1.AllowDNSName, errors.New("exceeded quota: q")),
			want: ledger.Record{State: ledger.Failed, Reason: v1alpha1.ReasonQuotaExceeded}, wantErr: true, wantWrites: 1,
		},
		"the API server is down for a while": {
			err:  apierrors.NewServiceUnavailable("starting"),
			want: ledger.Record{State: ledger.Pending, Reason: v1alpha1.ReasonUnavailable, Since: created}, wantErr: true, wantWrites: 1,
		},
		"the reconcile took too long": {
			err:  context.DeadlineExceeded,
			want: ledger.Record{State: ledger.Pending, Reason: v1alpha1.ReasonUnavailable, Since: created}, wantErr: true, wantWrites: 1,
		},
		"another client writes too: that is no error, and is retried immediately": {
			err:  apierrors.NewConflict(resource, v1alpha1.AllowDNSName, errors.New("modified")),
			want: ledger.Record{State: ledger.Pending, Reason: v1alpha1.ReasonConflict, Since: created}, wantAgain: firstRetry, wantWrites: 1,
		},
		"the namespace is going: that is no failure": {err: terminating, wantWrites: 1},
		"the namespace is gone: that is no failure": {
			err: apierrors.NewNotFound(corev1.Resource("namespaces"), "shop"), wantWrites: 1,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, enforcing().Obj())
			s.refuse["create "+v1alpha1.AllowDNSName] = test.err
			got := s.reconcile()
			if got.record.State != test.want.State || got.record.Reason != test.want.Reason || !got.record.Since.Equal(test.want.Since) {
				t.Errorf("got %s because of %s since %s, want %+v", got.record.State, got.record.Reason, got.record.Since, test.want)
			}
			if (got.err != nil) != test.wantErr || (test.wantErr && !errors.Is(got.err, test.err)) {
				t.Errorf("the queue gets %v, want an error %t", got.err, test.wantErr)
			}
			if got.again != test.wantAgain || len(got.writes) != test.wantWrites {
				t.Errorf("again in %s after %v, want %s and %d writes", got.again, got.writes, test.wantAgain, test.wantWrites)
			}
			cause := test.err.Error()
			cause = cause[strings.LastIndex(cause, ": ")+1:]
			if test.want.Reason != "" && !strings.HasSuffix(got.record.Message, cause) {
				t.Errorf("the message %q does not end with the cause %q", got.record.Message, cause)
			}
			delete(s.refuse, "create "+v1alpha1.AllowDNSName)
			if got = s.reconcile(); got.record.State != ledger.Synced || got.err != nil {
				t.Errorf("afterwards it is %q with the error %v, want it synced", got.record.State, got.err)
			}
		})
	}
}

// An error is a line in the log. One that stays the same is in the log already, and is retried
// anyway.
func TestAFailureThatStaysIsAnErrorOnce(t *testing.T) {
	t.Parallel()
	const call = "create " + v1alpha1.AllowDNSName
	s := newSite(t, enforcing().Obj())
	s.refuse[call] = apierrors.NewForbidden(networkingv1.Resource("networkpolicies"), v1alpha1.AllowDNSName, errors.New("no"))
	if got := s.reconcile(); got.err == nil {
		t.Error("the first time it is no error")
	}
	var delays []time.Duration
	for range 15 {
		s.clock = s.clock.Add(time.Hour)
		got := s.reconcile()
		if got.err != nil || got.record.State != ledger.Failed || len(got.writes) != 1 {
			t.Errorf("error %v, state %s, writes %v; want it retried without another error", got.err, got.record.State, got.writes)
		}
		delays = append(delays, got.again)
	}
	if !slices.IsSorted(delays) || delays[0] != firstRetry || delays[14] != lastRetry {
		t.Errorf("tried again in %v, want it to grow from %s to %s", delays, firstRetry, lastRetry)
	}

	s.refuse[call] = apierrors.NewConflict(networkingv1.Resource("networkpolicies"), v1alpha1.AllowDNSName, errors.New("modified"))
	s.clock = s.clock.Add(time.Hour)
	if got := s.reconcile(); got.record.State != ledger.Failed || got.record.Reason != v1alpha1.ReasonForbidden || got.again != firstRetry {
		t.Errorf("a conflict hides the failure: %s because of %s, again in %s", got.record.State, got.record.Reason, got.again)
	}
	s.edit("default", func(b *v1alpha1.ClusterNetworkBaseline) {
		b.Spec.ExcludedNamespaces = []v1alpha1.NamespacePattern{"ci-*"}
	})
	if got := s.reconcile(); got.record.Generation != 4 || got.record.Reason != v1alpha1.ReasonForbidden {
		t.Errorf("after an edit that changes nothing here it is %s because of %s, of generation %d", got.record.State, got.record.Reason, got.record.Generation)
	}
	s.refuse[call] = apierrors.NewForbidden(networkingv1.Resource("networkpolicies"), v1alpha1.AllowDNSName, errors.New("exceeded quota: q"))
	s.clock = s.clock.Add(time.Hour)
	if got := s.reconcile(); got.err == nil || got.record.Reason != v1alpha1.ReasonQuotaExceeded {
		t.Errorf("another reason: error %v because of %s; want it reported", got.err, got.record.Reason)
	}
	delete(s.refuse, call)
	s.clock = s.clock.Add(time.Hour)
	if got := s.reconcile(); got.record.State != ledger.Synced || s.retries.NumRequeues("shop") != 0 {
		t.Errorf("in the end it is %s, with %d retries remembered", got.record.State, s.retries.NumRequeues("shop"))
	}
}

func TestDriftIsRepairedAtOnceAndTold(t *testing.T) {
	t.Parallel()
	const deny = v1alpha1.DefaultDenyName
	tests := map[string]struct {
		drift      func(*site)
		wantWrites []string
		wantEvent  string
	}{
		"opened to all traffic": {
			drift:      func(s *site) { s.change(deny, letIn) },
			wantWrites: []string{"update " + deny}, wantEvent: "Normal Repaired Another client changed this policy",
		},
		"deleted": {
			drift:      func(s *site) { s.delete(deny) },
			wantWrites: []string{"create " + deny}, wantEvent: "Normal Repaired Another client deleted this policy",
		},
		"without our label": {
			drift: func(s *site) {
				s.change(deny, func(n *networkingv1.NetworkPolicy) { delete(n.Labels, v1alpha1.BaselineLabel) })
			},
			wantWrites: []string{"update " + deny}, wantEvent: "Normal Repaired Another client changed this policy",
		},
		"replaced by one that never was ours": {
			drift: func(s *site) {
				s.change(deny, func(n *networkingv1.NetworkPolicy) { n.Labels, n.Annotations = nil, nil; letIn(n) })
			},
			wantWrites: []string{"update " + deny}, wantEvent: "Warning TakenOver netbaseline owns this name",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, enforcing().Obj())
			s.reconcile()
			s.ledger.TakeTallies("default")
			s.clock = noon.Add(time.Hour)
			test.drift(s)
			got := s.reconcile()
			if diff := cmp.Diff(test.wantWrites, got.writes); diff != "" {
				t.Errorf("writes (-want +got):\n%s", diff)
			}
			if got.record.State != ledger.Synced || got.record.Contested || got.err != nil {
				t.Errorf("got %+v and %v, want it synced", got.record, got.err)
			}
			if len(got.events) != 1 || !strings.HasPrefix(got.events[0], test.wantEvent) {
				t.Errorf("events %v, want one: %s", got.events, test.wantEvent)
			}
			if repairs := s.metric("netbaseline_drift_repairs_total"); repairs != 1 {
				t.Errorf("%v repairs are counted, want 1", repairs)
			}
			if enforced, _ := s.ledger.TakeTallies("default"); enforced.String() != "" {
				t.Errorf("reported as newly enforced: %q", enforced)
			}
			if got.again != time.Minute+time.Millisecond {
				t.Errorf("looked at again in %s, want a minute, to forget it", got.again)
			}
			s.clock = s.clock.Add(got.again)
			if got = s.reconcile(); got.again != 0 || len(got.writes) > 0 || len(s.contention.namespaces) != 0 {
				t.Errorf("a minute later: again in %s, writes %v, %d remembered; want nothing", got.again, got.writes, len(s.contention.namespaces))
			}
		})
	}
}

func TestAContest(t *testing.T) {
	t.Parallel()
	s := newSite(t, enforcing().Obj())
	s.reconcile()
	told := map[string]int{}
	var last result
	for i := range 15 {
		s.clock = noon.Add(time.Duration(i+1) * time.Second)
		s.change(v1alpha1.DefaultDenyName, letIn)
		last = s.reconcile()
		for _, text := range last.events {
			told[strings.Fields(text)[1]]++
		}
		if len(last.writes) != 1 || last.err != nil {
			t.Fatalf("repair %d: writes %v, error %v", i+1, last.writes, last.err)
		}
		if wantContested := i+1 > contestedAfter; last.record.Contested != wantContested || last.record.State != ledger.Synced {
			t.Errorf("after repair %d it is %s, contested %t; want synced and %t", i+1, last.record.State, last.record.Contested, wantContested)
		}
	}
	if diff := cmp.Diff(map[string]int{"Repaired": contestedAfter, "Contested": 1}, told); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if last.record.Reason != v1alpha1.ReasonContested || last.record.Message == "" {
		t.Errorf("status would say %q: %q", last.record.Reason, last.record.Message)
	}

	for looks := 0; last.again > 0; looks++ {
		if looks > 20 {
			t.Fatal("it does not end")
		}
		s.clock = s.clock.Add(last.again)
		if last = s.reconcile(); len(last.writes) > 0 || len(last.events) > 0 {
			t.Errorf("in the calm afterwards: writes %v, events %v", last.writes, last.events)
		}
	}
	if last.record.Contested || last.record.Reason != "" || len(s.contention.namespaces) != 0 {
		t.Errorf("after a quiet minute: %+v, %d remembered; want it forgotten", last.record, len(s.contention.namespaces))
	}
}

func TestWhatAnAdmissionPluginAltersIsNotWrittenAgainAtOnce(t *testing.T) {
	t.Parallel()
	const deny = v1alpha1.DefaultDenyName
	s := newSite(t, enforcing().Obj())
	s.admit = func(n *networkingv1.NetworkPolicy) {
		if n.Name == deny {
			letIn(n)
		}
	}
	got := s.reconcile()
	if diff := cmp.Diff(allWritten, got.writes); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if got.record.State != ledger.Failed || got.record.Reason != v1alpha1.ReasonAlteredByAdmission || got.err != nil || got.again != futileRetry {
		t.Errorf("got %s because of %s, error %v, again in %s; want it failed, and tried again in a minute", got.record.State, got.record.Reason, got.err, got.again)
	}
	failure := got.record

	s.clock = noon.Add(time.Second)
	got = s.reconcile() // our own write is an event, too
	if len(got.writes) > 0 || got.err != nil || got.again != 59*time.Second {
		t.Errorf("a second later: writes %v, error %v, again in %s; want none, and to wait for the rest of the minute", got.writes, got.err, got.again)
	}
	if diff := cmp.Diff(failure, got.record); diff != "" {
		t.Errorf("meanwhile it is reported as something else (-want +got):\n%s", diff)
	}

	s.change(deny, func(n *networkingv1.NetworkPolicy) { n.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}} })
	if got = s.reconcile(); !slices.Equal(got.writes, []string{"update " + deny}) {
		t.Errorf("after a tenant's edit: writes %v, want it restored: the alteration must not shield the edit", got.writes)
	}

	for _, wait := range []time.Duration{2 * time.Minute, 4 * time.Minute, 8 * time.Minute, futileMaxRetry, futileMaxRetry} {
		s.clock = s.clock.Add(wait - time.Second)
		if got = s.reconcile(); len(got.writes) > 0 || got.again != time.Second || got.record.State != ledger.Failed {
			t.Errorf("a second before %s are over: writes %v, again in %s, it is %s", wait, got.writes, got.again, got.record.State)
		}
		s.clock = s.clock.Add(time.Second)
		if got = s.reconcile(); len(got.writes) != 1 {
			t.Errorf("after %s: writes %v, want another attempt", wait, got.writes)
		}
	}

	s.admit = nil
	s.clock = s.clock.Add(futileMaxRetry)
	if got = s.reconcile(); got.record.State != ledger.Synced || got.err != nil || len(got.writes) != 1 {
		t.Errorf("without the plugin: %+v, error %v, writes %v; want it synced", got.record, got.err, got.writes)
	}
	if got = s.reconcile(); len(s.contention.namespaces) > 0 || len(got.writes) > 0 {
		t.Errorf("remembered is %v and written %v, want nothing", s.contention.namespaces, got.writes)
	}
}

func TestRelease(t *testing.T) {
	t.Parallel()
	conflict := apierrors.NewConflict(networkingv1.Resource("networkpolicies"), v1alpha1.DefaultDenyName, errors.New("modified"))
	deleting := func() *v1alpha1.ClusterNetworkBaseline { return enforcing().Deleting().Obj() }
	all, selecting := slices.Sorted(slices.Values(policy.Names)), []string{"default"}

	tests := map[string]struct {
		baseline   *v1alpha1.ClusterNetworkBaseline
		refuse     map[string]error
		want       ledger.Record
		wantErr    bool
		wantAgain  time.Duration
		wantLeft   []string
		wantTold   string
		wantWrites int
	}{
		"the baseline is being deleted": {
			baseline: deleting(), want: ledger.Record{NamespaceUID: "shop", Selecting: selecting}, wantTold: "1 namespace: shop", wantWrites: 3,
		},
		"the baseline does not select the namespace any more: after a restart, that may be a label that blinks": {
			baseline: enforcing().Excluding("shop").With(func(b *v1alpha1.ClusterNetworkBaseline) { b.Status.ObservedGeneration = b.Generation }).Obj(),
			wantLeft: all, wantAgain: labelSettles,
			want: ledger.Record{
				Baseline: "default", Generation: 3, NamespaceUID: "shop", State: ledger.Pending, Reason: v1alpha1.ReasonLeaving, Since: noon, LeavingSince: noon,
			},
		},
		"the baseline was edited since its status was written, and does not select the namespace any more": {
			baseline: enforcing().Excluding("shop").Obj(), want: ledger.Record{NamespaceUID: "shop"}, wantTold: "1 namespace: shop", wantWrites: 3,
		},
		"another client changes a policy meanwhile: it is judged anew": {
			baseline: deleting(), refuse: map[string]error{"delete " + v1alpha1.DefaultDenyName: conflict},
			want:      ledger.Record{Baseline: "default", NamespaceUID: "shop", State: ledger.Releasing, Reason: v1alpha1.ReasonConflict, Since: noon, Selecting: selecting},
			wantAgain: firstRetry, wantLeft: []string{v1alpha1.AllowDNSName, v1alpha1.DefaultDenyName}, wantWrites: 3,
		},
		"the API server refuses: DNS stays while a policy isolates": {
			baseline: deleting(), refuse: map[string]error{"delete " + v1alpha1.DefaultDenyName: apierrors.NewForbidden(networkingv1.Resource("networkpolicies"), "", errors.New("no"))},
			want:    ledger.Record{Baseline: "default", NamespaceUID: "shop", State: ledger.Releasing, Reason: v1alpha1.ReasonForbidden, Since: noon, Selecting: selecting},
			wantErr: true, wantLeft: []string{v1alpha1.AllowDNSName, v1alpha1.DefaultDenyName}, wantWrites: 2,
		},
		"the API server cannot be asked: everything stays": {
			baseline: deleting(), refuse: map[string]error{readLive: apierrors.NewServiceUnavailable("down")},
			want:    ledger.Record{Baseline: "default", NamespaceUID: "shop", State: ledger.Held, Reason: v1alpha1.ReasonUnconfirmed, Selecting: selecting},
			wantErr: true, wantLeft: all,
		},
		"in Audit everything stays": {
			baseline: enforcing().Mode(v1alpha1.ModeAudit).Obj(), wantLeft: all,
			want: ledger.Record{
				Baseline: "default", NamespaceUID: "shop", State: ledger.Held, Reason: v1alpha1.ReasonBaselineInAudit, Selecting: selecting,
				Previewed: []ledger.Previewed{{Baseline: "default", Effect: ledger.Leave}},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := []client.Object{test.baseline}
			for _, name := range policy.Names {
				object := written(name)
				object.ManagedFields = nil
				objects = append(objects, object)
			}
			s := newSite(t, objects...)
			s.refuse = test.refuse
			got := s.reconcile()
			record := got.record
			record.Message = ""
			if diff := cmp.Diff(test.want, record, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
			if (got.err != nil) != test.wantErr || got.again != test.wantAgain || len(got.writes) != test.wantWrites {
				t.Errorf("error %v, again in %s, writes %v; want error %t, %s, %d", got.err, got.again, got.writes, test.wantErr, test.wantAgain, test.wantWrites)
			}
			if diff := cmp.Diff(test.wantLeft, s.policies()); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
			if _, released := s.ledger.TakeTallies("default"); released.String() != test.wantTold {
				t.Errorf("reported is %q, want %q", released, test.wantTold)
			}
		})
	}
}

func TestAPolicyThatAForeignFinalizerKeepsIsHeld(t *testing.T) {
	t.Parallel()
	deny := written(v1alpha1.DefaultDenyName)
	deny.ManagedFields, deny.Finalizers, deny.DeletionTimestamp = nil, []string{"example.com/keep"}, new(metav1.NewTime(noon))
	s := newSite(t, enforcing().Deleting().Obj(), deny)
	got := s.reconcile()
	if got.record.State != ledger.Held || got.record.Reason != v1alpha1.ReasonTerminatingPolicy || got.record.Baseline != "default" {
		t.Errorf("got %+v, want it held for default", got.record)
	}
	if !strings.Contains(got.record.Message, deny.Name) || len(got.writes) > 0 || got.err != nil {
		t.Errorf("message %q, writes %v, error %v; want it named and left alone", got.record.Message, got.writes, got.err)
	}
}

// The cache alone is no reason to delete: an object that has lost our marks meanwhile belongs to a
// tenant.
func TestWhatIsNoLongerWantedIsJudgedLive(t *testing.T) {
	t.Parallel()
	dns := written(v1alpha1.AllowDNSName)
	dns.ManagedFields = nil
	s := newSite(t, enforcing().WithoutDNS().Obj(), dns)
	s.cache = compacting{stale{s.api, dns.DeepCopy()}}
	s.change(v1alpha1.AllowDNSName, func(n *networkingv1.NetworkPolicy) { n.Labels, n.Annotations = nil, nil })
	got := s.reconcile()
	if slices.Contains(got.writes, "delete "+v1alpha1.AllowDNSName) || got.err != nil {
		t.Errorf("writes %v, error %v: deleted is an object without any mark of ours", got.writes, got.err)
	}
	if got.record.State != ledger.Synced {
		t.Errorf("it is %q, want it synced", got.record.State)
	}

	s.refuse[readLive] = apierrors.NewServiceUnavailable("down")
	if got = s.reconcile(); got.record.State != ledger.Pending || got.record.Reason != v1alpha1.ReasonUnavailable || got.err == nil || len(got.writes) > 0 {
		t.Errorf("when it cannot be judged live: %+v, error %v, writes %v; want it pending", got.record, got.err, got.writes)
	}
}

// An API server that is behind may show an old version of a baseline that required less.
func TestProtectionIsTakenAwayOnlyIfTheAPIServerConfirmsIt(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		less   *builder.BaselineBuilder
		beside []*v1alpha1.ClusterNetworkBaseline
		want   []string // the writes if that version is current
	}{
		"ingress is no longer denied": {
			less: enforcing().Denying("Egress"),
			want: []string{"update " + v1alpha1.EnvironmentIsolationName, "update " + v1alpha1.DefaultDenyName},
		},
		"egress is no longer denied": {
			less: enforcing().Denying("Ingress"),
			want: []string{"update " + v1alpha1.EnvironmentIsolationName, "update " + v1alpha1.DefaultDenyName, "delete " + v1alpha1.AllowDNSName},
		},
		"DNS is no longer allowed": {less: enforcing().WithoutDNS(), want: []string{"delete " + v1alpha1.AllowDNSName}},
		"environments are no longer isolated, and DNS moves": {
			less: enforcing().Scope(v1alpha1.IsolationScopeNone).DNSPeers(builder.DNSRange("10.0.0.10/32")),
			want: []string{"update " + v1alpha1.AllowDNSName, "delete " + v1alpha1.EnvironmentIsolationName},
		},
		"another baseline governs and requires less": {
			less:   builder.Baseline("another").DeletionPolicy(v1alpha1.DeletionPolicyRetain).Priority(7).Denying("Ingress").WithoutDNS(),
			beside: []*v1alpha1.ClusterNetworkBaseline{enforcing().Obj()},
			want:   []string{"update " + v1alpha1.EnvironmentIsolationName, "update " + v1alpha1.DefaultDenyName, "delete " + v1alpha1.AllowDNSName},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			less := test.less.Obj()
			for _, confirmed := range []bool{false, true} {
				s := newSite(t, enforcing().Obj())
				s.reconcile()
				baselines := append([]*v1alpha1.ClusterNetworkBaseline{less}, test.beside...)
				s.snapshots.reader = believing{s.api, baselines}
				if confirmed {
					s.live.api = believing{s.live.api, baselines}
				}
				s.snapshots.invalidate()
				got := s.reconcile()
				if want := test.want; confirmed && !slices.Equal(got.writes, want) || !confirmed && len(got.writes) > 0 {
					t.Errorf("confirmed %t: writes %v, want %v if so, else none", confirmed, got.writes, want)
				}
				if got.record.State != ledger.Synced || got.err != nil || (got.record.Baseline == less.Name) != (confirmed || less.Name == "default") {
					t.Errorf("confirmed %t: it is %q for %s, error %v", confirmed, got.record.State, got.record.Baseline, got.err)
				}
			}
		})
	}
}

// believing lists these baselines and no other.
type believing struct {
	client.Reader
	baselines []*v1alpha1.ClusterNetworkBaseline
}

func (b believing) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if baselines, ok := list.(*v1alpha1.ClusterNetworkBaselineList); ok {
		for _, baseline := range b.baselines {
			baselines.Items = append(baselines.Items, *baseline.DeepCopy())
		}
		return nil
	}
	return b.Reader.List(ctx, list, opts...)
}

// stale reads one policy as it was before.
type stale struct {
	client.Reader
	before *networkingv1.NetworkPolicy
}

func (s stale) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	if networkPolicy, ok := object.(*networkingv1.NetworkPolicy); ok && key.Name == s.before.Name {
		*networkPolicy = *s.before.DeepCopy()
		return nil
	}
	return s.Reader.Get(ctx, key, object, opts...)
}

// lagging reads policies as they were when it stopped following.
type lagging struct {
	client.Reader
	stopped bool
}

func (l *lagging) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	if _, ok := object.(*networkingv1.NetworkPolicy); ok && l.stopped {
		return apierrors.NewNotFound(networkingv1.Resource("networkpolicies"), key.Name)
	}
	return l.Reader.Get(ctx, key, object, opts...)
}

func TestWhatTheCacheDoesNotShowYetIsNotWrittenTwice(t *testing.T) {
	t.Parallel()
	const deny = v1alpha1.DefaultDenyName
	s := newSite(t, enforcing().Obj())
	s.silent = true
	lag := &lagging{Reader: s.api, stopped: true}
	s.cache = compacting{lag}
	s.reconcile()

	s.clock = noon.Add(assumedFor / 2)
	got := s.reconcile()
	if len(got.writes) > 0 || got.record.State != ledger.Synced || got.again != assumedFor/2 {
		t.Errorf("before the watch reports it: writes %v, %s, again in %s; want none, synced and to look again", got.writes, got.record.State, got.again)
	}
	// A watch that reports nothing for so long is not relied on: the policies are read from the API
	// server, again and again.
	for _, missing := range []string{"", deny} {
		if missing != "" {
			s.delete(missing)
		}
		s.clock = s.clock.Add(2 * assumedFor)
		if got = s.reconcile(); len(got.writes) > 1 || (len(got.writes) == 1) != (missing != "") || got.again != assumedFor {
			t.Errorf("with %q missing behind a silent watch: writes %v, again in %s", missing, got.writes, got.again)
		}
	}

	// The watch reports that another client has deleted one; that the cache does not show the
	// others yet has no effect on that.
	s = newSite(t, enforcing().Obj())
	s.silent = true
	s.cache = compacting{&lagging{Reader: s.api, stopped: true}}
	s.reconcile()
	object := &networkingv1.NetworkPolicy{}
	if err := s.api.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: deny}, object); err != nil {
		t.Fatal(err)
	}
	s.delete(deny)
	s.policyHandler().Delete(t.Context(), event.DeleteEvent{Object: object}, newQueue(t))
	if got = s.reconcile(); !slices.Equal(got.writes, []string{"create " + deny}) {
		t.Errorf("after the watch has reported a deletion: writes %v, want it created immediately", got.writes)
	}
}

// A tenant may be faster than the rest of a plan.
func TestWhatIsDeletedWhileTheOthersAreWrittenIsNotBelievedIn(t *testing.T) {
	t.Parallel()
	const dns, deny = v1alpha1.AllowDNSName, v1alpha1.DefaultDenyName
	s := newSite(t, enforcing().Obj())
	s.silent = true
	s.cache = compacting{&lagging{Reader: s.api, stopped: true}}
	s.admit = func(n *networkingv1.NetworkPolicy) {
		if n.Name != deny {
			n.UID = types.UID("uid of " + n.Name)
			return
		}
		gone := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: dns, UID: types.UID("uid of " + dns)}}
		s.policyHandler().Delete(t.Context(), event.DeleteEvent{Object: gone}, newQueue(t))
	}
	s.reconcile()
	s.admit = nil
	if got := s.reconcile(); !slices.Equal(got.writes, []string{"create " + dns}) {
		t.Errorf("writes %v, want the deleted one and no other", got.writes)
	}
}

func TestANamespaceThatIsGoneIsForgotten(t *testing.T) {
	t.Parallel()
	s := newSite(t, enforcing().Obj())
	s.reconcile()
	s.change(v1alpha1.DefaultDenyName, letIn)
	s.reconcile()
	s.ledger.Arrived("shop", noon)
	s.directly(func() error {
		return s.api.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}})
	})
	got := s.reconcile()
	if got.err != nil || got.again != 0 || len(got.writes) > 0 {
		t.Errorf("error %v, again in %s, writes %v; want nothing", got.err, got.again, got.writes)
	}
	if _, known := s.ledger.Get("shop"); known || len(s.contention.namespaces) > 0 || len(s.lanes.slow) > 0 {
		t.Errorf("in the ledger %t, in the guard %v, sighted %v; want it forgotten", known, s.contention.namespaces, s.lanes.slow)
	}
}

func TestWhichNamespacesGetTheirPoliciesSideBySide(t *testing.T) {
	t.Parallel()
	one := plan.Inventory{v1alpha1.AllowDNSName: {}}
	tests := map[string]struct {
		age       time.Duration
		inventory plan.Inventory
		want      bool
	}{
		"one that was just created":               {want: true},
		"one of nearly ten seconds":               {age: gracePeriod - time.Millisecond, want: true},
		"one of ten seconds, which may hold pods": {age: gracePeriod},
		"an old one": {age: time.Hour},
		"one from the near future of a fast clock": {age: -gracePeriod + time.Millisecond, want: true},
		"one from the far future of a wrong clock": {age: -time.Hour},
		"a young one with a policy of ours":        {inventory: one},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &namespaceReconciler{now: func() time.Time { return noon }}
			seen := &situation{namespace: namespaceMetadata(), inventory: test.inventory}
			seen.namespace.CreationTimestamp = metav1.NewTime(noon.Add(-test.age))
			if got := r.parallel(seen); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

func TestTheFirstReconcileOpensTheFirstRound(t *testing.T) {
	t.Parallel()
	other := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "other"}}
	s := newSite(t, enforcing().Obj(), other)
	s.reconcile()
	if summary := s.ledger.Summarize("default"); summary.Round != 1 || summary.Awaited != 1 || summary.Complete() {
		t.Errorf("round %d awaits %d, want round 1 and the other one", summary.Round, summary.Awaited)
	}
	s.reconcile()
	if got := s.ledger.Round(); got != 1 {
		t.Errorf("a second reconcile has opened round %d", got)
	}
}

func TestAChangeDuringAReconcileIsAwaitedStill(t *testing.T) {
	t.Parallel()
	s := newSite(t, enforcing().Obj())
	s.reconcile()
	s.change(v1alpha1.DefaultDenyName, letIn)
	s.admit = func(*networkingv1.NetworkPolicy) { s.ledger.Begin([]string{"shop"}, noon) }
	s.reconcile()
	if summary := s.ledger.Summarize("default"); summary.Complete() {
		t.Error("a reconcile that began before a change has completed the round of the change")
	}
	s.admit = nil
	s.reconcile()
	if summary := s.ledger.Summarize("default"); !summary.Complete() {
		t.Error("a reconcile that began after the change has not completed its round")
	}
}

func TestTheSoonerOfTwoDelays(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ a, b, want time.Duration }{{0, 0, 0}, {0, 5, 5}, {5, 0, 5}, {3, 5, 3}, {5, 3, 3}} {
		t.Run(fmt.Sprintf("of %d and %d", test.a, test.b), func(t *testing.T) {
			t.Parallel()
			if got := soonest(test.a, test.b); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}
