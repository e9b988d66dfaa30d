package controllers

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/ledger"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// otherOrder is a possible rendering by another build of netbaseline: the same ports, in reverse
// order.
func otherOrder(object *networkingv1.NetworkPolicy) { slices.Reverse(object.Spec.Egress[0].Ports) }

// rivalled is a site in which another client has written the same harmless policy over ours as
// often as it is reverted immediately.
func rivalled(t *testing.T) *site {
	t.Helper()
	s := newSite(t, builder.Baseline("default").Finalized().Obj())
	s.reconcile()
	for i := range 1 + rivalPatience { // the first replacement needs no read
		s.change(v1alpha1.AllowDNSName, otherOrder)
		if got := s.reconcile(); len(got.writes) != 1 || got.record.State != ledger.Synced {
			t.Fatalf("repair %d: %+v, want one write immediately", i, got)
		}
	}
	s.change(v1alpha1.AllowDNSName, otherOrder)
	return s
}

func TestAHarmlessRivalIsLeftAloneForLongerAndLonger(t *testing.T) {
	t.Parallel()
	s := rivalled(t)
	for _, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 10 * time.Minute, 10 * time.Minute} {
		waited := time.Duration(0)
		got := s.reconcile()
		for ; len(got.writes) == 0 && got.again > 0; got = s.reconcile() {
			if got.record.State != ledger.Synced || got.record.Reason != v1alpha1.ReasonContested || !got.record.Contested {
				t.Errorf("record %+v, want it synced and contested: it allows no more than the baseline says", got.record)
			}
			s.clock = s.clock.Add(got.again)
			waited += got.again
		}
		if waited != want || len(got.writes) != 1 || got.record.State != ledger.Synced {
			t.Errorf("after %s: %+v, want one more repair, after %s", waited, got, want)
		}
		s.change(v1alpha1.AllowDNSName, otherOrder)
	}
}

func TestARivalIsNotLeftAlone(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*site){
		"that opens the policy":     func(s *site) { s.change(v1alpha1.AllowDNSName, letIn) },
		"that opens another policy": func(s *site) { s.change(v1alpha1.DefaultDenyName, letIn) },
		"that deletes another one":  func(s *site) { s.delete(v1alpha1.DefaultDenyName) },
		"that strips our label": func(s *site) {
			s.change(v1alpha1.AllowDNSName, func(o *networkingv1.NetworkPolicy) { delete(o.Labels, v1alpha1.BaselineLabel) })
		},
		"that writes something else": func(s *site) {
			s.change(v1alpha1.AllowDNSName, func(o *networkingv1.NetworkPolicy) { o.Spec.Egress = nil })
		},
		"once the namespace has another environment": func(s *site) {
			namespace := &corev1.Namespace{}
			s.directly(func() error { return s.api.Get(s.t.Context(), keyOf("", "shop"), namespace) })
			namespace.Labels["environment"] = "staging"
			s.directly(func() error { return s.api.Update(s.t.Context(), namespace) })
		},
	}
	for name, act := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := rivalled(t)
			act(s)
			if got := s.reconcile(); len(got.writes) == 0 {
				t.Errorf("%+v, want it restored immediately", got)
			}
		})
	}
}

func TestAnOldRivalryIsForgotten(t *testing.T) {
	t.Parallel()
	s := rivalled(t)
	s.clock = s.clock.Add(time.Minute)
	s.reconcile()
	for range 100 { // as often as it requests a requeue
		if again := s.reconcile().again; again > 0 {
			s.clock = s.clock.Add(again)
		}
	}
	if len(s.contention.namespaces) != 0 {
		t.Error("it is remembered forever")
	}
	s.change(v1alpha1.AllowDNSName, otherOrder)
	if got := s.reconcile(); len(got.writes) != 1 {
		t.Errorf("%+v, want it restored immediately, as the first time", got)
	}
}

// Reverting such a change reduces protection, so the API server must confirm it each time: a tenant
// must not be able to cause that with each change.
func TestARivalThatIsolatesMoreCostsNoReadsOnceItIsLeftAlone(t *testing.T) {
	t.Parallel()
	const deny = v1alpha1.DefaultDenyName
	both := func(n *networkingv1.NetworkPolicy) {
		n.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	}
	s := newSite(t, enforcing().Denying(v1alpha1.PolicyTypeIngress).Obj())
	s.reconcile()
	for range 2 + rivalPatience {
		s.change(deny, both)
		s.reconcile()
	}
	s.change(deny, both)
	reads := s.countReads()
	if got := s.reconcile(); len(got.writes) > 0 || got.record.Reason != v1alpha1.ReasonContested {
		t.Errorf("writes %v, reason %s; want it left alone", got.writes, got.record.Reason)
	}
	if n := reads.policies.Load(); n > 0 {
		t.Errorf("%d policies were read live", n)
	}
}
