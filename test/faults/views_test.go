//go:build faults

package faults_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/faults"
	"github.com/netbaseline/netbaseline/test/faults/witness"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

func watchOf(resource string) func(faults.Call) bool {
	return func(call faults.Call) bool { return call.Verb == "watch" && call.Resource == resource }
}

var watched = []string{"namespaces", "networkpolicies", "clusternetworkbaselines"}

// What a manager sees of one kind is late, or its watches break every 300 ms, or are told that they
// are too old: all workloads end as they must, and on the way nothing is opened or removed on an
// outdated view.
func TestViewsThatLag(t *testing.T) {
	for _, resource := range watched {
		for name, rule := range map[string]*faults.Rule{
			"late":    {Match: watchOf(resource), Fault: faults.Lag(700 * time.Millisecond)},
			"cut":     {Match: watchOf(resource), Times: 10, Fault: faults.CutAfter(300 * time.Millisecond)},
			"expired": {Match: watchOf(resource), Skip: 1, Times: 3, Fault: faults.Expired()},
		} {
			t.Run(resource+" "+name, func(t *testing.T) {
				all := prepare(t, everyWorkload())
				rules := []*faults.Rule{rule}
				if name == "expired" { // a watch must break before another one can be told that it is too old
					rules = append(rules, &faults.Rule{Match: watchOf(resource), Times: 1, Fault: faults.CutAfter(200 * time.Millisecond)})
				}
				o := start(t, newTransport(rules...))
				for i := range workloads {
					workloads[i].act(t, all[i])
				}
				for i := range workloads {
					workloads[i].finish(t, all[i])
				}
				o.silent(t, 2500*time.Millisecond)
				for i := range workloads {
					workloads[i].finish(t, all[i])
				}
				if o.Suffered(rule) == 0 {
					t.Error("no watch suffered: nothing is shown")
				}
				o.giveUp()
				expectSilence(t)
				freeAll(t, all)
			})
		}
	}
}

// Whichever way of valid specs leads to a spec, what stands in the end is what a fresh install of
// it makes.
func TestThePathDoesNotMatter(t *testing.T) {
	walks, steps := 6, 10
	if *long {
		walks, steps = 30, 50
	}
	random := rand.New(rand.NewPCG(seed, 5))
	o := start(t, newTransport())
	var walkers, fresh []*site
	for range walks {
		walker := newSite(t)
		enforce(t, walker)
		walkers = append(walkers, walker)
	}
	var last v1alpha1.ClusterNetworkBaselineSpec
	for step := range steps {
		for _, walker := range walkers {
			walker.edit(t, "a", func(spec *v1alpha1.ClusterNetworkBaselineSpec) {
				selector := spec.NamespaceSelector
				*spec = randomSpec(random)
				spec.NamespaceSelector = selector
				if step == steps-1 {
					spec.Mode = v1alpha1.ModeEnforce // in Audit, what stands depends on the way, and must
				}
			})
			if random.IntN(2) == 0 {
				walker.settle(t)
			}
		}
	}
	for _, walker := range walkers {
		walker.settle(t)
		walker.edit(t, "a", func(spec *v1alpha1.ClusterNetworkBaselineSpec) { last = *spec.DeepCopy() })
		other := newSite(t)
		other.create(t, other.baseline("a").With(func(b *v1alpha1.ClusterNetworkBaseline) {
			selector := b.Spec.NamespaceSelector
			b.Spec = *last.DeepCopy()
			b.Spec.NamespaceSelector = selector
		}))
		fresh = append(fresh, other)
	}
	for i, other := range fresh {
		other.settle(t)
		if diff := cmp.Diff(standing(other), standing(walkers[i])); diff != "" {
			t.Errorf("walk %d of seed %d (-fresh +walked):\n%s", i, seed, diff)
		}
	}
	o.giveUp()
	expectSilence(t)
	expectNoViolation(t, witness.TenantBound)
	for i := range walkers {
		walkers[i].free(t)
		fresh[i].free(t)
	}
}

// standing returns the specs in a site as JSON, by place and name, with the names of the site's own
// things left out.
func standing(s *site) map[string]string {
	specs := map[string]string{}
	judge.Look(func(j *witness.Judge) {
		for i, name := range s.namespaces {
			for policyName, policy := range j.State.Policies[name] {
				spec, err := json.Marshal(policy.Spec)
				specs[fmt.Sprintf("%d %s", i, policyName)] = strings.NewReplacer(name, "NAMESPACE", s.id, "SITE").Replace(string(spec)) + fmt.Sprint(err)
			}
		}
	})
	return specs
}

func pick[T any](random *rand.Rand, choices ...T) T { return choices[random.IntN(len(choices))] }

// randomSpec is any valid spec, apart from what it selects.
func randomSpec(random *rand.Rand) v1alpha1.ClusterNetworkBaselineSpec {
	b := builder.Baseline("any").
		Priority(int32(random.IntN(1001))).
		Mode(pick(random, v1alpha1.ModeEnforce, v1alpha1.ModeEnforce, v1alpha1.ModeEnforce, v1alpha1.ModeAudit)).
		Scope(pick(random, v1alpha1.IsolationScopeSameEnvironment, v1alpha1.IsolationScopeNone)).
		LabelKey(pick[v1alpha1.LabelKey](random, "environment", "kubernetes.io/metadata.name", siteLabel, "team")).
		Unlabeled(pick(random, v1alpha1.UnlabeledSameNamespace, v1alpha1.UnlabeledDeny)).
		DeletionPolicy(pick(random, v1alpha1.DeletionPolicyDelete, v1alpha1.DeletionPolicyRetain)).
		Denying(pick(random, []v1alpha1.PolicyType{"Ingress", "Egress"}, []v1alpha1.PolicyType{"Ingress"}, []v1alpha1.PolicyType{"Egress"})...).
		DNSPeers(pick(random, otherDNS, []v1alpha1.DNSPeer{builder.DNSPods("kube-system", "k8s-app", "kube-dns")})...).
		DNSPorts(pick(random, []v1alpha1.DNSPort{{Protocol: "UDP", Port: 53}}, []v1alpha1.DNSPort{{Protocol: "TCP", Port: 5353}, {Protocol: "UDP", Port: 53}})...)
	if random.IntN(4) == 0 {
		b.WithoutDNS()
	}
	return b.Obj().Spec
}
