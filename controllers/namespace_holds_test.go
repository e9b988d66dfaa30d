package controllers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/ledger"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// counted counts the reads of policies.
type counted struct {
	client.Reader
	policies atomic.Int32
}

func (c *counted) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	if _, ok := object.(*networkingv1.NetworkPolicy); ok {
		c.policies.Add(1)
	}
	return c.Reader.Get(ctx, key, object, opts...)
}

// countReads counts every live read of a policy.
func (s *site) countReads() *counted {
	c := &counted{Reader: s.api}
	s.executor.Live, s.live.api = c, c
	return c
}

// withPolicies returns objects and all policies of the namespace shop, as made for default and
// changed since.
func withPolicies(change func(*networkingv1.NetworkPolicy), objects ...client.Object) []client.Object {
	for _, name := range policy.Names {
		object := written(name)
		object.ManagedFields = nil
		if change != nil {
			change(object)
		}
		objects = append(objects, object)
	}
	return objects
}

// edit changes a baseline and has the watch report it.
func (s *site) edit(name string, change func(*v1alpha1.ClusterNetworkBaseline)) {
	s.t.Helper()
	baseline := &v1alpha1.ClusterNetworkBaseline{}
	s.directly(func() error { return s.api.Get(s.t.Context(), client.ObjectKey{Name: name}, baseline) })
	change(baseline)
	baseline.Generation++
	s.directly(func() error { return s.api.Update(s.t.Context(), baseline) })
	s.ledger.Observe(present(baseline))
	s.snapshots.invalidate()
}

// unlabel removes the environment label from the namespace shop.
func (s *site) unlabel() {
	s.t.Helper()
	namespace := &corev1.Namespace{}
	s.directly(func() error { return s.api.Get(s.t.Context(), client.ObjectKey{Name: "shop"}, namespace) })
	delete(namespace.Labels, "environment")
	s.directly(func() error { return s.api.Update(s.t.Context(), namespace) })
}

// Tools that replace an object remove its labels and restore them.
func TestALabelThatBlinksOpensNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, enforcing().Selecting("environment", "production").Obj())
	before := s.reconcile().record
	for range 20 {
		s.unlabel()
		got := s.reconcile()
		if len(got.writes) > 0 || got.err != nil || got.again != labelSettles || got.record.State != ledger.Synced {
			t.Fatalf("without the label: writes %v, error %v, again in %s, it is %q", got.writes, got.err, got.again, got.record.State)
		}
		s.clock = s.clock.Add(labelSettles - time.Millisecond)
		if got = s.reconcile(); len(got.writes) > 0 || got.again != time.Millisecond {
			t.Fatalf("a moment before it counts: writes %v, again in %s", got.writes, got.again)
		}
		s.relabel("production")
		if got = s.reconcile(); len(got.writes) > 0 || got.again != 0 || got.record.State != before.State || !got.record.LeavingSince.IsZero() {
			t.Fatalf("with the label again: writes %v, again in %s, %+v", got.writes, got.again, got.record)
		}
	}
	s.unlabel()
	s.reconcile()
	s.clock = s.clock.Add(labelSettles)
	if got := s.reconcile(); len(got.writes) != 3 || got.record.State != ledger.Unmanaged || len(s.policies()) > 0 {
		t.Errorf("when that lasts: writes %v, it is %q", got.writes, got.record.State)
	}
}

func TestAnEditOfTheBaselineIsFollowedAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, enforcing().Obj())
	s.reconcile()
	s.edit("default", func(b *v1alpha1.ClusterNetworkBaseline) {
		b.Spec.ExcludedNamespaces = []v1alpha1.NamespacePattern{"shop"}
	})
	if got := s.reconcile(); len(got.writes) != 3 || got.record.State != ledger.Unmanaged || len(s.policies()) > 0 {
		t.Errorf("writes %v, again in %s, it is %q; want it released", got.writes, got.again, got.record.State)
	}
}

func TestANamespaceThatMovesToAnotherEnvironmentIsFollowedAtOnce(t *testing.T) {
	t.Parallel()
	for name, baselines := range map[string][]client.Object{
		"of the same baseline": {enforcing().Obj()},
		"of another baseline": {
			enforcing().Priority(9).Selecting("environment", "production").Obj(),
			builder.Baseline("other").Finalized().Selecting("environment", "staging").Obj(),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, baselines...)
			s.reconcile()
			s.relabel("staging")
			got := s.reconcile()
			if !slices.Contains(got.writes, "update "+v1alpha1.EnvironmentIsolationName) || got.record.State != ledger.Synced || got.record.Environment != "staging" {
				t.Errorf("writes %v, again in %s, it is %q in %q", got.writes, got.again, got.record.State, got.record.Environment)
			}
		})
	}
}

// The baseline that the policies were made for does not exist: it cannot give the namespace up, and
// its protection must not be opened.
func TestWhatIsHeldIsClosedButNotOpened(t *testing.T) {
	t.Parallel()
	const deny, isolation = v1alpha1.DefaultDenyName, v1alpha1.EnvironmentIsolationName
	other := func() *builder.BaselineBuilder { return builder.Baseline("other").Finalized() }
	strict := func(n *networkingv1.NetworkPolicy) {
		if n.Name == isolation {
			n.Spec.Ingress, n.Spec.Egress = nil, nil
		}
	}
	tests := map[string]struct {
		governor   *builder.BaselineBuilder
		deniesLess bool // fewer directions, so that no policy of it replaces one that isolates
		there      func(*networkingv1.NetworkPolicy)
		want       []string
	}{
		"nothing is open":          {governor: other()},
		"what is stricter is left": {governor: other(), there: strict},
		"an opened policy is closed": {governor: other(), there: func(n *networkingv1.NetworkPolicy) {
			if n.Name == deny {
				letIn(n)
			}
		}, want: []string{"update " + deny}},
		"what isolates in more directions is left": {governor: other().Denying("Ingress"), deniesLess: true},
		"what is not desired is left":              {governor: other().Scope(v1alpha1.IsolationScopeNone).WithoutDNS()},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, withPolicies(test.there, test.governor.Obj())...)
			reads := s.countReads()
			got := s.reconcile()
			if !slices.Equal(got.writes, test.want) || got.err != nil {
				t.Errorf("writes %v, error %v; want %v", got.writes, got.err, test.want)
			}
			if got.record.State != ledger.Held || got.record.Reason != v1alpha1.ReasonBaselineAbsent || got.record.Baseline != "default" {
				t.Errorf("it is %q because of %s for %q", got.record.State, got.record.Reason, got.record.Baseline)
			}
			before := reads.policies.Load()
			for range 5 {
				if got = s.reconcile(); len(got.writes) > 0 || got.again != 0 && len(test.want) == 0 {
					t.Errorf("looked at again: writes %v, again in %s", got.writes, got.again)
				}
			}
			if after := reads.policies.Load(); after != before {
				t.Errorf("%d live reads for policies known to be left", after-before)
			}
			s.change(deny, letIn)
			if got = s.reconcile(); slices.Contains(got.writes, "update "+deny) == test.deniesLess {
				t.Errorf("opened afterwards: writes %v, want it closed %t", got.writes, !test.deniesLess)
			}
		})
	}
}

// Fields that a tenant can write, such as the baseline label, do not decide which baseline a
// namespace belongs to.
func TestWhoseANamespaceIsTheLedgerSays(t *testing.T) {
	t.Parallel()
	for _, heldFirst := range []bool{false, true} {
		s := newSite(t, enforcing().Obj(), builder.Baseline("leaving").Finalized().Deleting().Obj())
		s.reconcile()
		s.edit("default", func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.Mode = v1alpha1.ModeAudit })
		if heldFirst {
			s.reconcile()
		}
		for _, name := range policy.Names {
			s.change(name, func(n *networkingv1.NetworkPolicy) { n.Labels[v1alpha1.BaselineLabel] = "leaving" })
		}
		for range 2 {
			got := s.reconcile()
			if len(got.writes) > 0 || len(s.policies()) != 3 || got.record.State != ledger.Held || got.record.Baseline != "default" {
				t.Errorf("held first %t: writes %v, left are %v, it is %q for %q; want it held for default",
					heldFirst, got.writes, s.policies(), got.record.State, got.record.Baseline)
			}
		}
		for _, name := range policy.Names {
			s.delete(name)
		}
		s.reconcile()
		if got := s.reconcile(); got.record.State != ledger.Unmanaged {
			t.Errorf("held first %t: when no policy is left it is %q", heldFirst, got.record.State)
		}
	}
}

func TestWhatOneOwnerGivesUpTheOtherStillHolds(t *testing.T) {
	t.Parallel()
	s := newSite(t, withPolicies(func(n *networkingv1.NetworkPolicy) {
		if n.Name == v1alpha1.DefaultDenyName {
			n.Labels[v1alpha1.BaselineLabel] = "absent"
		}
	}, enforcing().Deleting().Obj())...)
	if got := s.reconcile(); len(got.writes) != 2 || got.again == 0 {
		t.Errorf("writes %v, again in %s; want what default gives up removed, and another look", got.writes, got.again)
	}
	got := s.reconcile()
	if len(got.writes) > 0 || got.again != 0 || got.record.State != ledger.Held || got.record.Baseline != "absent" {
		t.Errorf("then: writes %v, again in %s, it is %q for %q", got.writes, got.again, got.record.State, got.record.Baseline)
	}
}

func TestARefusedRemovalIsReleasing(t *testing.T) {
	t.Parallel()
	s := newSite(t, withPolicies(nil, enforcing().Deleting().Obj())...)
	call := "delete " + v1alpha1.DefaultDenyName
	s.refuse[call] = apierrors.NewForbidden(networkingv1.Resource("networkpolicies"), v1alpha1.DefaultDenyName, errors.New("keep it"))
	got := s.reconcile()
	if got.err == nil || got.record.State != ledger.Releasing || !strings.HasSuffix(got.record.Message, "keep it") {
		t.Errorf("error %v, it is %q: %s", got.err, got.record.State, got.record.Message)
	}
	s.clock = s.clock.Add(time.Minute)
	if got = s.reconcile(); got.err != nil || got.again == 0 || !got.record.Since.Equal(noon) {
		t.Errorf("a minute later: error %v, again in %s, since %s; want it retried without an error, since noon", got.err, got.again, got.record.Since)
	}
	counts := s.ledger.Summarize("default").Counts
	if counts.Releasing != 1 || counts.Failed+counts.Pending+counts.Governed > 0 {
		t.Errorf("counts %+v, want it releasing and nothing else", counts)
	}
	delete(s.refuse, call)
	if got = s.reconcile(); got.record.State != ledger.Unmanaged || len(s.policies()) > 0 {
		t.Errorf("in the end it is %q, with %v", got.record.State, s.policies())
	}
}
