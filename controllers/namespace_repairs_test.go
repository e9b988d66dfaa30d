package controllers

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/ledger"
)

// However often another client repeats it, a change that opens the namespace, or that may hide such
// a change, is reverted immediately.
func TestTheRepairDoesNotGetSlower(t *testing.T) {
	t.Parallel()
	const deny = v1alpha1.DefaultDenyName
	for name, act := range map[string]func(s *site){
		"strips our label": func(s *site) {
			s.change(deny, func(n *networkingv1.NetworkPolicy) { delete(n.Labels, v1alpha1.BaselineLabel) })
		},
		"strips all marks": func(s *site) {
			s.change(deny, func(n *networkingv1.NetworkPolicy) { n.Labels, n.Annotations = nil, nil })
		},
		"gives it to another baseline": func(s *site) {
			s.change(deny, func(n *networkingv1.NetworkPolicy) { n.Labels[v1alpha1.BaselineLabel] = "other" })
		},
		"opens it":   func(s *site) { s.change(deny, letIn) },
		"deletes it": func(s *site) { s.delete(deny) },
		"strips and opens it": func(s *site) {
			s.change(deny, func(n *networkingv1.NetworkPolicy) { delete(n.Labels, v1alpha1.BaselineLabel); letIn(n) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, enforcing().Obj())
			s.reconcile()
			for i := range 50 {
				act(s)
				got := s.reconcile()
				if len(got.writes) != 1 || got.record.State != ledger.Synced || got.err != nil {
					t.Fatalf("the %d. time: writes %v, it is %q, error %v", i+1, got.writes, got.record.State, got.err)
				}
			}
			if got := s.reconcile(); len(got.writes) > 0 || !got.record.Contested {
				t.Errorf("afterwards: writes %v, contested %t", got.writes, got.record.Contested)
			}
		})
	}
}

// Two clients change different policies: leaving one change alone does not delay the other repair.
func TestWhatIsLeftAloneKeepsNothingElseBack(t *testing.T) {
	t.Parallel()
	s := rivalled(t)
	if got := s.reconcile(); len(got.writes) > 0 {
		t.Fatalf("writes %v: nothing is left alone", got.writes)
	}
	s.delete(v1alpha1.DefaultDenyName)
	s.change(v1alpha1.EnvironmentIsolationName, letIn)
	got := s.reconcile()
	want := []string{"update " + v1alpha1.EnvironmentIsolationName, "create " + v1alpha1.DefaultDenyName}
	if !slices.Equal(got.writes, want) || got.record.State != ledger.Synced {
		t.Errorf("writes %v, it is %q; want %v", got.writes, got.record.State, want)
	}
}

func TestHarmlessEditsLeaveItSyncedForHalfAnHour(t *testing.T) {
	t.Parallel()
	s := rivalled(t)
	contested := false
	for end := s.clock.Add(30 * time.Minute); s.clock.Before(end); s.clock = s.clock.Add(10 * time.Second) {
		got := s.reconcile()
		if got.record.State != ledger.Synced || got.err != nil {
			t.Fatalf("after %s it is %q: %s", s.clock.Sub(noon), got.record.State, got.record.Message)
		}
		contested = contested || got.record.Contested
		if len(got.writes) > 0 {
			s.change(v1alpha1.AllowDNSName, otherOrder)
		}
	}
	if !contested {
		t.Error("it was never contested")
	}
}

func TestAPolicyThatIsBeingDeletedIsMadeAgain(t *testing.T) {
	t.Parallel()
	const deny = v1alpha1.DefaultDenyName
	s := newSite(t, enforcing().Obj())
	s.reconcile()
	s.change(deny, func(n *networkingv1.NetworkPolicy) { n.Finalizers = []string{"example.com/keep"} })
	s.delete(deny)
	got := s.reconcile()
	if want := []string{"update " + deny, "create " + deny}; !slices.Equal(got.writes, want) || got.record.State != ledger.Synced || got.err != nil {
		t.Errorf("writes %v, it is %q, error %v; want %v", got.writes, got.record.State, got.err, want)
	}
	if got = s.reconcile(); len(got.writes) > 0 || len(s.policies()) != 3 {
		t.Errorf("afterwards: writes %v, there are %v", got.writes, s.policies())
	}
}

func TestAPolicyThatAPluginSeesOutIsPending(t *testing.T) {
	t.Parallel()
	const deny, finalizer = v1alpha1.DefaultDenyName, "networking.k8s.aws/resources"
	s := newSite(t, enforcing().Obj())
	s.reconcile()
	s.change(deny, func(n *networkingv1.NetworkPolicy) { n.Finalizers = []string{"example.com/keep", finalizer} })
	s.delete(deny)
	got := s.reconcile()
	if got.record.State != ledger.Pending || got.record.Reason != v1alpha1.ReasonTerminatingPolicy || got.err != nil {
		t.Errorf("it is %q because of %s, error %v", got.record.State, got.record.Reason, got.err)
	}
	if !strings.Contains(got.record.Message, deny) || !strings.Contains(got.record.Message, finalizer) || strings.Contains(got.record.Message, "example.com") {
		t.Errorf("message %q, want the policy and the plugin's finalizer named", got.record.Message)
	}
	if want := []string{"update " + deny}; !slices.Equal(got.writes, want) {
		t.Errorf("writes %v, want %v: the tenant's finalizer goes, the plugin's stays", got.writes, want)
	}
	s.change(deny, func(n *networkingv1.NetworkPolicy) { n.Finalizers = nil }) // the plugin has finished
	if got = s.reconcile(); !slices.Equal(got.writes, []string{"create " + deny}) || got.record.State != ledger.Synced {
		t.Errorf("when it is gone: writes %v, it is %q", got.writes, got.record.State)
	}
}

func TestThatADeletedPolicyCannotBePutBackIsTold(t *testing.T) {
	t.Parallel()
	const deny = v1alpha1.DefaultDenyName
	s := newSite(t, enforcing().Obj())
	s.reconcile()
	s.delete(deny)
	s.delete(v1alpha1.EnvironmentIsolationName)
	s.refuse["create "+deny] = apierrors.NewForbidden(networkingv1.Resource("networkpolicies"), deny, errors.New("exceeded quota: full"))
	got := s.reconcile()
	exposed := slices.DeleteFunc(slices.Clone(got.events), func(text string) bool { return !strings.HasPrefix(text, "Warning Exposed ") })
	if len(exposed) != 1 || !strings.Contains(exposed[0], deny) || strings.Contains(exposed[0], v1alpha1.EnvironmentIsolationName) || !strings.Contains(exposed[0], "exceeded quota: full") {
		t.Errorf("events %v, want one that names the policy and the cause", got.events)
	}
	if got.record.State != ledger.Failed || !slices.Contains(s.policies(), v1alpha1.EnvironmentIsolationName) {
		t.Errorf("it is %q, there are %v; want the other one restored anyway", got.record.State, s.policies())
	}
	s.clock = s.clock.Add(time.Minute)
	if got = s.reconcile(); len(got.events) > 0 || got.again != quotaRetry {
		t.Errorf("a minute later: events %v, again in %s; want no event, and another attempt in %s", got.events, got.again, quotaRetry)
	}
}

func TestAnotherClientsWriteDuringOurWritingIsLookedAtAtOnce(t *testing.T) {
	t.Parallel()
	const dns = v1alpha1.AllowDNSName
	for name, test := range map[string]struct {
		foreign string // resource version that the watch reports while we write
		want    bool
	}{
		"what the watch reports is ours":    {},
		"what the watch reports is foreign": {foreign: "4711", want: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, enforcing().Obj())
			s.admit = func(n *networkingv1.NetworkPolicy) {
				if n.Name == v1alpha1.DefaultDenyName && test.foreign != "" {
					object := written(dns)
					object.ResourceVersion = test.foreign
					if !s.assumed.shown(object) {
						t.Error("it starts another reconcile while this one is still writing")
					}
				}
			}
			if got := s.reconcile(); (got.again == time.Nanosecond) != test.want {
				t.Errorf("again in %s, want immediately %t", got.again, test.want)
			}
		})
	}
}

// A policy that cannot be removed must not be queried again and again because another object under
// our names stays too.
func TestWhatIsLeftBesideAKeptPolicyIsNoReasonToLookAgainAtOnce(t *testing.T) {
	t.Parallel()
	kept, foreign := written(v1alpha1.AllowDNSName), written(v1alpha1.EnvironmentIsolationName)
	kept.Finalizers = []string{"example.com/keep"}
	foreign.Labels, foreign.Annotations = nil, nil
	for _, object := range []*networkingv1.NetworkPolicy{kept, foreign} { // the fake API server gives them versions of its own
		object.ResourceVersion, object.ManagedFields = "", nil
	}
	s := newSite(t, enforcing().Deleting().Obj(), kept, foreign)
	for range 5 {
		s.reconcile()
	}
	if got := s.reconcile(); got.again != 0 || len(got.writes) > 0 || got.record.Reason != v1alpha1.ReasonTerminatingPolicy {
		t.Errorf("%+v, want it to wait for the policy to go", got)
	}
}

// Another refusal in between must not end up in the message about the policy that admission alters.
func TestWhatAdmissionAltersIsToldInItsOwnWordsAfterAnotherRefusal(t *testing.T) {
	t.Parallel()
	const dns, deny = v1alpha1.AllowDNSName, v1alpha1.DefaultDenyName
	s := newSite(t, enforcing().Obj())
	s.admit = func(n *networkingv1.NetworkPolicy) {
		if n.Name == deny {
			letIn(n)
		}
	}
	s.reconcile()
	s.delete(dns)
	s.refuse["create "+dns] = apierrors.NewForbidden(networkingv1.Resource("networkpolicies"), dns, errors.New("not today"))
	s.reconcile()
	delete(s.refuse, "create "+dns)
	got := s.reconcile()
	if got.record.Reason != v1alpha1.ReasonAlteredByAdmission || !strings.Contains(got.record.Message, deny) || strings.Contains(got.record.Message, "not today") {
		t.Errorf("%s: %q, want what admission does to %s", got.record.Reason, got.record.Message, deny)
	}
}

// An edited baseline is written over its own policies, so there is nothing to read first: in a
// large cluster that is half of the requests.
func TestAChangeOfTheBaselineReadsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, enforcing().Obj())
	s.reconcile()
	reads := s.countReads()
	s.edit("default", otherPort)
	if got := s.reconcile(); !slices.Equal(got.writes, []string{"update " + v1alpha1.AllowDNSName}) || got.record.State != ledger.Synced {
		t.Errorf("writes %v, it is %q", got.writes, got.record.State)
	}
	if n := reads.policies.Load(); n > 0 {
		t.Errorf("%d policies were read", n)
	}
}

func otherPort(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.DNS.Static.Ports[0].Port = 5353 }

// Where another client disputes the policies, they are read before they are replaced, whatever the
// reason.
func TestAChangeOfTheBaselineReadsWhatIsDisputed(t *testing.T) {
	t.Parallel()
	s := newSite(t, enforcing().Obj())
	s.reconcile()
	s.change(v1alpha1.DefaultDenyName, letIn)
	s.reconcile()
	reads := s.countReads()
	s.edit("default", otherPort)
	s.reconcile()
	if reads.policies.Load() == 0 {
		t.Error("nothing was read")
	}
}

// A tenant who keeps the DNS policy from being written must not keep the namespace open by that,
// neither by opening the other policies nor by deleting them.
func TestARepairDoesNotWaitForDNS(t *testing.T) {
	t.Parallel()
	const deny, isolation, dns = v1alpha1.DefaultDenyName, v1alpha1.EnvironmentIsolationName, v1alpha1.AllowDNSName
	refusal := apierrors.NewForbidden(networkingv1.Resource("networkpolicies"), dns, errors.New("no"))
	ingressOpen := func(n *networkingv1.NetworkPolicy) {
		n.Spec.PolicyTypes, n.Spec.Egress = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}, nil
		n.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
	}
	for name, test := range map[string]struct {
		act  func(*site)
		want string
	}{
		"opened":  {func(s *site) { s.change(deny, ingressOpen); s.change(isolation, ingressOpen) }, "update " + deny},
		"deleted": {func(s *site) { s.delete(deny); s.delete(isolation) }, "create " + deny},
	} {
		s := newSite(t, enforcing().Obj())
		s.reconcile()
		s.refuse["create "+dns] = refusal
		s.delete(dns)
		for range 3 {
			test.act(s)
			if got := s.reconcile(); !slices.Contains(got.writes, test.want) || got.record.State != ledger.Failed {
				t.Errorf("%s: writes %v, it is %q; want it closed", name, got.writes, got.record.State)
			}
		}
	}
}

// Nor before a namespace has been governed: what exists under our names is closed.
func TestWhatATenantCreatedFirstIsClosedWithoutDNS(t *testing.T) {
	t.Parallel()
	foreign := func(name string) *networkingv1.NetworkPolicy {
		object := written(name)
		object.ManagedFields, object.Labels, object.Annotations = nil, nil, nil
		object.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		object.Spec.Ingress, object.Spec.Egress = []networkingv1.NetworkPolicyIngressRule{{}}, nil
		return object
	}
	s := newSite(t, enforcing().Obj(), foreign(v1alpha1.DefaultDenyName), foreign(v1alpha1.EnvironmentIsolationName))
	s.refuse["create "+v1alpha1.AllowDNSName] = apierrors.NewForbidden(networkingv1.Resource("networkpolicies"), v1alpha1.AllowDNSName, errors.New("no"))
	got := s.reconcile()
	for _, name := range []string{v1alpha1.DefaultDenyName, v1alpha1.EnvironmentIsolationName} {
		if !slices.Contains(got.writes, "update "+name) {
			t.Errorf("writes %v, want %s closed", got.writes, name)
		}
	}
}

// A policy of ours that a finalizer keeps, and that does not name its baseline, is waited for and
// not polled.
func TestAnOrphanThatAFinalizerKeepsIsNotPolled(t *testing.T) {
	t.Parallel()
	deleted := metav1.NewTime(noon)
	s := newSite(t, withPolicies(func(n *networkingv1.NetworkPolicy) {
		delete(n.Labels, v1alpha1.BaselineLabel)
		n.Finalizers, n.DeletionTimestamp = []string{"example.com/keep"}, &deleted
	}, enforcing().Deleting().Obj())...)
	for range 3 {
		if got := s.reconcile(); got.again != 0 || got.record.Reason != v1alpha1.ReasonTerminatingPolicy {
			t.Errorf("again in %s, %s because of %s", got.again, got.record.State, got.record.Reason)
		}
	}
}

// What is rendered may change without a new generation of the baseline, as when it follows the
// cluster. That is no drift: no other client has changed anything.
func TestAChangeOfWhatIsRenderedIsNoDrift(t *testing.T) {
	t.Parallel()
	s := newSite(t, enforcing().Obj())
	s.reconcile()
	s.edit("default", func(b *v1alpha1.ClusterNetworkBaseline) {
		otherPort(b)
		b.Generation--
	})
	got := s.reconcile()
	if !slices.Equal(got.writes, []string{"update " + v1alpha1.AllowDNSName}) || got.record.State != ledger.Synced {
		t.Errorf("writes %v, it is %q", got.writes, got.record.State)
	}
	if repairs := s.metric("netbaseline_drift_repairs_total"); len(got.events) > 0 || repairs != 0 || s.contention.disputed("shop") {
		t.Errorf("events %v, %v repairs, disputed %t; want none", got.events, repairs, s.contention.disputed("shop"))
	}
}

// An edit that changes nothing in the namespace does not hide what another client does there.
func TestDriftIsRepairedAsSuchAcrossAnEdit(t *testing.T) {
	t.Parallel()
	s := newSite(t, enforcing().Obj())
	s.reconcile()
	s.edit("default", func(b *v1alpha1.ClusterNetworkBaseline) {
		b.Spec.ExcludedNamespaces = []v1alpha1.NamespacePattern{"ci-*"}
	})
	s.change(v1alpha1.DefaultDenyName, letIn)
	if got := s.reconcile(); len(got.writes) != 1 || len(got.events) != 1 || s.metric("netbaseline_drift_repairs_total") != 1 {
		t.Errorf("writes %v, events %v; want it repaired and reported", got.writes, got.events)
	}
}
