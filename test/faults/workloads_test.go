//go:build faults

package faults_test

import (
	"fmt"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/builder"
	"github.com/netbaseline/netbaseline/test/witness"
)

// workload is something that people do and netbaseline answers with writes.
type workload struct {
	name string
	// before are steps after each of which the site settles; act is what counts.
	before []func(*testing.T, *site)
	act    func(*testing.T, *site)
	// policies is how many policies there are in the end.
	policies int
}

func enforce(t *testing.T, s *site) { s.create(t, s.baseline("a")) }

func mode(mode v1alpha1.Mode) func(*testing.T, *site) {
	return func(t *testing.T, s *site) {
		s.edit(t, "a", func(spec *v1alpha1.ClusterNetworkBaselineSpec) { spec.Mode = mode })
	}
}

var otherDNS = []v1alpha1.DNSPeer{builder.DNSRange("10.0.0.10/32")}

var workloads = []workload{
	{name: "create", act: enforce, policies: 9},
	{
		name: "edit", before: []func(*testing.T, *site){enforce}, policies: 6,
		act: func(t *testing.T, s *site) {
			s.edit(t, "a", func(spec *v1alpha1.ClusterNetworkBaselineSpec) {
				spec.DNS.Static.Peers, spec.EnvironmentIsolation.Scope = otherDNS, v1alpha1.IsolationScopeNone
			})
		},
	},
	{
		name: "hand-over", before: []func(*testing.T, *site){enforce}, policies: 9,
		act: func(t *testing.T, s *site) { s.create(t, s.baseline("b").Priority(7).DNSPeers(otherDNS...)) },
	},
	{
		name: "relabel", before: []func(*testing.T, *site){enforce}, policies: 9,
		act: func(t *testing.T, s *site) { s.relabel(t, 0, siteLabel, s.id, "environment", "staging") },
	},
	{
		name: "unselect", before: []func(*testing.T, *site){enforce}, policies: 6,
		act: func(t *testing.T, s *site) { s.relabel(t, 0, "environment", "production") },
	},
	{
		name: "delete", before: []func(*testing.T, *site){enforce},
		act: func(t *testing.T, s *site) { s.delete(t, "a") },
	},
	{
		name: "delete with Retain", before: []func(*testing.T, *site){enforce}, policies: 9,
		act: func(t *testing.T, s *site) {
			s.edit(t, "a", func(spec *v1alpha1.ClusterNetworkBaselineSpec) { spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain })
			s.delete(t, "a")
		},
	},
	{name: "to Audit", before: []func(*testing.T, *site){enforce}, act: mode(v1alpha1.ModeAudit), policies: 9},
	{
		name: "back from Audit", before: []func(*testing.T, *site){enforce, mode(v1alpha1.ModeAudit)}, policies: 9,
		act: func(t *testing.T, s *site) {
			s.edit(t, "a", func(spec *v1alpha1.ClusterNetworkBaselineSpec) {
				spec.Mode, spec.DNS.Static.Peers = v1alpha1.ModeEnforce, otherDNS
			})
		},
	},
	{name: "repair", before: []func(*testing.T, *site){enforce}, act: damage, policies: 9},
}

// damage is what a tenant does: one policy deleted, one opened, one stripped of its labels.
func damage(t *testing.T, s *site) {
	must(t, env.Admin.Delete(t.Context(), policyOf(t, s, 0, v1alpha1.AllowDNSName)))
	opened := policyOf(t, s, 1, v1alpha1.DefaultDenyName)
	opened.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
	must(t, env.Admin.Update(t.Context(), opened))
	stripped := policyOf(t, s, 2, v1alpha1.EnvironmentIsolationName)
	stripped.Labels = nil
	must(t, env.Admin.Update(t.Context(), stripped))
}

func policyOf(t *testing.T, s *site, i int, name string) *networkingv1.NetworkPolicy {
	t.Helper()
	policy := &networkingv1.NetworkPolicy{}
	must(t, env.Admin.Get(t.Context(), client.ObjectKey{Namespace: s.namespaces[i], Name: name}, policy))
	return policy
}

// prepare has many sites ready for the act of a workload, with one manager that is gone again in the end.
func (w *workload) prepare(t *testing.T, count int) []*site {
	t.Helper()
	prepared := make([]*site, count)
	for i := range prepared {
		prepared[i] = newSite(t)
	}
	if len(w.before) == 0 {
		return prepared
	}
	o := start(t, newTransport())
	defer o.giveUp()
	for _, step := range w.before {
		for _, s := range prepared {
			step(t, s)
		}
		for _, s := range prepared {
			s.settle(t)
		}
	}
	return prepared
}

// finish holds a site against the end state.
func (w *workload) finish(t *testing.T, s *site) {
	t.Helper()
	s.settle(t)
	found := 0
	judge.Look(func(j *witness.Judge) {
		for _, name := range s.namespaces {
			found += len(j.State.Policies[name])
		}
	})
	if found != w.policies {
		t.Errorf("%s: %d policies in the end, want %d", s.id, found, w.policies)
	}
}

func (w *workload) String() string { return fmt.Sprintf("workload %s", w.name) }
