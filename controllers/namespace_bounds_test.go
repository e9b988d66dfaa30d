package controllers

import (
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/ledger"
)

func TestWhatAnAdmissionPluginAltersIsNoRepair(t *testing.T) {
	t.Parallel()
	s := newSite(t, enforcing().Obj())
	s.admit = func(n *networkingv1.NetworkPolicy) {
		if n.Name == v1alpha1.DefaultDenyName {
			letIn(n)
		}
	}
	s.reconcile()
	for i := range 3 {
		s.clock = noon.Add(time.Duration(i+1) * (futileRetry + time.Second))
		got := s.reconcile()
		if len(got.events) > 0 || s.metric("netbaseline_drift_repairs_total") > 0 {
			t.Errorf("retry %d of an altered policy: writes %v events %v, repairs %v, state %s", i, got.writes, got.events, s.metric("netbaseline_drift_repairs_total"), got.record.State)
		}
	}
}

// Its pods may still run, so a policy that a tenant opens must be closed, also if the first attempt
// fails.
func TestARepairInATerminatingNamespaceIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, enforcing().Obj())
	s.reconcile()
	s.terminate()
	s.change(v1alpha1.DefaultDenyName, letIn)
	const call = "update " + v1alpha1.DefaultDenyName
	s.refuse[call] = apierrors.NewServiceUnavailable("starting")
	if got := s.reconcile(); got.again == 0 || got.err != nil || got.record.State != ledger.Unmanaged {
		t.Errorf("again in %s, error %v, state %q; want it retried without an error", got.again, got.err, got.record.State)
	}
	delete(s.refuse, call)
	s.clock = s.clock.Add(time.Minute)
	if got := s.reconcile(); got.again != 0 || len(got.writes) != 1 {
		t.Errorf("again in %s after %v, want one write and peace", got.again, got.writes)
	}
}

func TestARelabelledNamespaceDoesNotWaitForAnAlteration(t *testing.T) {
	t.Parallel()
	s := newSite(t, enforcing().Obj())
	s.admit = func(n *networkingv1.NetworkPolicy) { letIn(n) }
	s.reconcile()
	s.clock = noon.Add(time.Second)
	s.relabel("staging")
	s.admit = nil // even the plugin is gone
	got := s.reconcile()
	if len(got.writes) == 0 {
		t.Errorf("a relabelled namespace keeps the old environment for %s, reported as %s %s: %s", got.again, got.record.State, got.record.Reason, got.record.Message)
	}
}

// Another client's changes to the policies of another baseline, or of another environment, no
// longer count.
func TestAContestIsAboutWhatIsAskedForNow(t *testing.T) {
	t.Parallel()
	s := newSite(t, enforcing().Obj())
	s.reconcile()
	for i := range contestedAfter + 1 {
		s.clock = noon.Add(time.Duration(i) * time.Second)
		s.change(v1alpha1.DefaultDenyName, letIn)
		s.reconcile()
	}
	if record, _ := s.ledger.Get("shop"); !record.Contested {
		t.Fatal("nothing is contested: nothing is shown")
	}
	s.relabel("staging")
	if got := s.reconcile(); got.record.Contested || got.record.State != ledger.Synced {
		t.Errorf("still reported as %s %s: %s", got.record.State, got.record.Reason, got.record.Message)
	}
}

func TestAFailedReleaseKeepsTheEnvironment(t *testing.T) {
	t.Parallel()
	deny := written(v1alpha1.DefaultDenyName)
	deny.ManagedFields = nil
	s := newSite(t, enforcing().Deleting().Obj(), deny)
	s.refuse["delete "+v1alpha1.DefaultDenyName] = apierrors.NewForbidden(networkingv1.Resource("networkpolicies"), "", errors.New("no"))
	got := s.reconcile()
	if c := s.ledger.Summarize("default").Counts; c.Unlabeled > 0 {
		t.Errorf("%+v: %+v", got.record, c)
	}
	if ns := got.record.Message; len(ns) == 0 {
		t.Error(ns)
	}
}

func TestTheRefusalOfSeveralRemovalsIsOneLine(t *testing.T) {
	t.Parallel()
	var objects []client.Object
	for _, n := range []string{v1alpha1.DefaultDenyName, v1alpha1.AllowDNSName} {
		o := written(n)
		o.ManagedFields = nil
		objects = append(objects, o)
	}
	s := newSite(t, append(objects, enforcing().Deleting().Obj())...)
	for _, n := range []string{v1alpha1.DefaultDenyName, v1alpha1.AllowDNSName} {
		s.refuse["delete "+n] = apierrors.NewForbidden(networkingv1.Resource("networkpolicies"), n, errors.New("no"))
	}
	got := s.reconcile()
	for _, c := range got.record.Message {
		if c == '\n' {
			t.Errorf("message %q", got.record.Message)
			break
		}
	}
}

func TestAReleaseAfterAStartIsNoDisturbance(t *testing.T) {
	t.Parallel()
	deny := written(v1alpha1.DefaultDenyName)
	deny.ManagedFields = nil
	s := newSite(t, enforcing().Deleting().Obj(), deny)
	s.reconcile()
	s.clock = noon.Add(24 * time.Hour)
	s.reconcile()
	if len(s.contention.namespaces) > 0 {
		t.Errorf("remembered a day later: %v", s.contention.namespaces)
	}
}

// relabel moves the namespace shop to another environment.
func (s *site) relabel(environment string) {
	s.t.Helper()
	namespace := &corev1.Namespace{}
	s.directly(func() error { return s.api.Get(s.t.Context(), client.ObjectKey{Name: "shop"}, namespace) })
	namespace.Labels["environment"] = environment
	s.directly(func() error { return s.api.Update(s.t.Context(), namespace) })
}

// terminate deletes the namespace shop, which a finalizer keeps.
func (s *site) terminate() {
	s.t.Helper()
	namespace := &corev1.Namespace{}
	s.directly(func() error { return s.api.Get(s.t.Context(), client.ObjectKey{Name: "shop"}, namespace) })
	namespace.Finalizers = []string{"example.com/keep"}
	s.directly(func() error { return s.api.Update(s.t.Context(), namespace) })
	s.directly(func() error { return s.api.Delete(s.t.Context(), namespace) })
}
