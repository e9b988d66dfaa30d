//go:build faults

package faults_test

import (
	"fmt"
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/faults"
	"github.com/netbaseline/netbaseline/test/faults/witness"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// step is something that people do in a site.
type step = func(*testing.T, *site)

// workload is something that people do and netbaseline answers with writes.
type workload struct {
	name string
	// before are steps after each of which the site settles; act is what counts.
	before []step
	act    step
	// policies is how many policies there are in the end.
	policies int
}

func enforce(t *testing.T, s *site) { s.create(t, s.baseline("a")) }

// enforceStrictly opens nothing but DNS; what enforceBelow would govern, it opens to its
// environment.
func enforceStrictly(t *testing.T, s *site) {
	s.create(t, s.baseline("a").Priority(7).Scope(v1alpha1.IsolationScopeNone))
}

func enforceBelow(t *testing.T, s *site) { s.create(t, s.baseline("b")) }

func mode(mode v1alpha1.Mode) step {
	return func(t *testing.T, s *site) {
		s.edit(t, "a", func(spec *v1alpha1.ClusterNetworkBaselineSpec) { spec.Mode = mode })
	}
}

func deletionPolicy(deletionPolicy v1alpha1.DeletionPolicy) step {
	return func(t *testing.T, s *site) {
		s.edit(t, "a", func(spec *v1alpha1.ClusterNetworkBaselineSpec) { spec.DeletionPolicy = deletionPolicy })
	}
}

var otherDNS = []v1alpha1.DNSPeer{builder.DNSRange("10.0.0.10/32")}

var workloads = []workload{
	{name: "create", act: enforce, policies: 9},
	{
		name: "edit", before: []step{enforce}, policies: 6,
		act: func(t *testing.T, s *site) {
			s.edit(t, "a", func(spec *v1alpha1.ClusterNetworkBaselineSpec) {
				spec.DNS.Static.Peers, spec.EnvironmentIsolation.Scope = otherDNS, v1alpha1.IsolationScopeNone
			})
		},
	},
	{
		name: "hand-over", before: []step{enforce}, policies: 9,
		act: func(t *testing.T, s *site) { s.create(t, s.baseline("b").Priority(7).DNSPeers(otherDNS...)) },
	},
	{
		name: "relabel", before: []step{enforce}, policies: 9,
		act: func(t *testing.T, s *site) { s.relabel(t, 0, siteLabel, s.id, "environment", "staging") },
	},
	{
		name: "unselect", before: []step{enforce}, policies: 6,
		act: func(t *testing.T, s *site) { s.relabel(t, 0, "environment", "production") },
	},
	{
		name: "delete", before: []step{enforce},
		act: func(t *testing.T, s *site) { s.delete(t, "a") },
	},
	{
		name: "delete with Retain", before: []step{enforce}, policies: 9,
		act: func(t *testing.T, s *site) {
			deletionPolicy(v1alpha1.DeletionPolicyRetain)(t, s)
			s.delete(t, "a")
		},
	},
	{name: "to Audit", before: []step{enforce}, act: mode(v1alpha1.ModeAudit), policies: 9},
	{
		name: "back from Audit", before: []step{enforce, mode(v1alpha1.ModeAudit)}, policies: 9,
		act: func(t *testing.T, s *site) {
			s.edit(t, "a", func(spec *v1alpha1.ClusterNetworkBaselineSpec) {
				spec.Mode, spec.DNS.Static.Peers = v1alpha1.ModeEnforce, otherDNS
			})
		},
	},
	{name: "repair", before: []step{enforce}, act: damage, policies: 9},
	{
		name: "hand-over to a lower one", before: []step{enforceStrictly, enforceBelow}, policies: 9,
		act: func(t *testing.T, s *site) { s.delete(t, "a") },
	},
	{name: "hold above a lower one", before: []step{enforceStrictly, enforceBelow}, act: mode(v1alpha1.ModeAudit), policies: 6},
	{
		name: "back from Retain above a lower one", policies: 6,
		before: []step{enforceStrictly, enforceBelow, deletionPolicy(v1alpha1.DeletionPolicyRetain)}, act: deletionPolicy(v1alpha1.DeletionPolicyDelete),
	},
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

// prepare has many sites ready for the act of a workload.
func (w *workload) prepare(t *testing.T, count int) []*site {
	t.Helper()
	return prepare(t, slices.Repeat([]*workload{w}, count))
}

// prepare has a site ready for the act of each workload, with one manager for all of them that is
// gone again in the end.
func prepare(t *testing.T, chosen []*workload) []*site {
	t.Helper()
	prepared, befores := newSites(t, len(chosen)), make([][]step, len(chosen))
	for i, w := range chosen {
		befores[i] = w.before
	}
	lockstep(t, prepared, befores)
	return prepared
}

// lockstep takes sites through steps of their own, with one manager that is gone again in the end.
func lockstep(t *testing.T, sites []*site, steps [][]step) {
	t.Helper()
	if !slices.ContainsFunc(steps, func(own []step) bool { return len(own) > 0 }) {
		return
	}
	o := start(t, newTransport())
	defer o.giveUp()
	rounds(t, sites, steps)
}

// rounds takes sites through steps of their own. After each round, those that took a step settle.
func rounds(t *testing.T, sites []*site, steps [][]step) {
	t.Helper()
	for round, more := 0, true; more; round++ {
		var acted []*site
		for i, s := range sites {
			if round < len(steps[i]) {
				steps[i][round](t, s)
				acted = append(acted, s)
			}
		}
		for _, s := range acted {
			s.settle(t)
		}
		more = len(acted) > 0
	}
}

// everyWorkload is one of each.
func everyWorkload() []*workload {
	all := make([]*workload, len(workloads))
	for i := range workloads {
		all[i] = &workloads[i]
	}
	return all
}

// grouped splits workloads into groups that need no more sites than there are, if each needs as
// many as the function says.
func grouped(all []*workload, need func(*workload) int) [][]*workload {
	var groups [][]*workload
	left := 0
	for _, w := range all {
		if need(w) > left {
			groups, left = append(groups, nil), maxSites
		}
		left -= need(w)
		groups[len(groups)-1] = append(groups[len(groups)-1], w)
	}
	return groups
}

// lesson is what a workload takes while nothing goes wrong.
type lesson struct {
	// calls are those that a manager makes about the site, reads past the cache among them, and
	// writes those of them that write.
	calls, writes []faults.Call
	counts        map[string]witness.Count
}

var lessons []*lesson

// learn runs each workload undisturbed, once for all tests, and returns its calls.
func learn(t *testing.T) map[*workload]*lesson {
	t.Helper()
	all := everyWorkload()
	if lessons == nil {
		lessons = learnAll(t, all)
	}
	learned := map[*workload]*lesson{}
	for i, w := range all {
		learned[w] = lessons[i]
	}
	return learned
}

func learnAll(t *testing.T, all []*workload) []*lesson {
	t.Helper()
	prepared, learned := prepare(t, all), make([]*lesson, len(all))
	o := start(t, newTransport())
	for i, w := range all {
		prepared[i].since = caughtUp(t)
		w.act(t, prepared[i])
		w.finish(t, prepared[i])
	}
	o.silent(t, statusPause)
	for i, w := range all {
		s := prepared[i]
		learned[i] = &lesson{calls: o.Calls(s.calls), counts: s.counts(t)}
		learned[i].writes = slices.DeleteFunc(slices.Clone(learned[i].calls), func(call faults.Call) bool { return !call.Writes() })
		if len(learned[i].writes) == 0 {
			t.Fatalf("%s: the workload makes no writes: nothing would be shown", w)
		}
	}
	o.giveUp()
	freeAll(t, prepared)
	return learned
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
