//go:build faults

package faults_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/faults"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// interlude is a change that is undone before a manager sees it.
type interlude struct {
	workload
	resource string
	// from and until are the two events of a site's object between which it is not seen.
	from, until func(*site, faults.Event) bool
	// writes is how many writes of policies by the manager the whole of it takes, if the first
	// event never arrives.
	writes int
}

// brief is a namespace of a site that does not last.
func (s *site) brief() *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: s.id + "-brief", Labels: builder.Labels(siteLabel, s.id, "environment", "production"),
	}}
}

func enforceAndRetain(t *testing.T, s *site) {
	s.create(t, s.baseline("a").DeletionPolicy(v1alpha1.DeletionPolicyRetain))
}

// happens chooses events of one type about one object.
func happens(kind watch.EventType, name func(*site) string) func(*site, faults.Event) bool {
	return func(s *site, event faults.Event) bool { return event.Type == kind && event.Object.Name == name(s) }
}

func labelled(environment string) func(*site, faults.Event) bool {
	return func(s *site, event faults.Event) bool {
		return event.Type == watch.Modified && event.Object.Name == s.namespaces[0] && event.Object.Labels["environment"] == environment
	}
}

// policyIs chooses events about one policy of a site's first namespace. Its generation counts the
// changes of its spec.
func policyIs(kind watch.EventType, generation int64) func(*site, faults.Event) bool {
	return func(s *site, event faults.Event) bool {
		return event.Type == kind && event.Object.Generation == generation &&
			event.Object.Namespace == s.namespaces[0] && event.Object.Name == v1alpha1.DefaultDenyName
	}
}

func baselineA(s *site) string { return s.id + "-a" }

var interludes = []interlude{
	{
		resource: "namespaces",
		from:     happens(watch.Added, func(s *site) string { return s.brief().Name }),
		until:    happens(watch.Deleted, func(s *site) string { return s.brief().Name }),
		workload: workload{
			name: "a namespace is created and deleted", before: []step{enforce}, policies: 9,
			act: func(t *testing.T, s *site) {
				must(t, env.Admin.Create(t.Context(), s.brief()))
				must(t, env.Admin.Delete(t.Context(), s.brief()))
			},
		},
	},
	{
		resource: "namespaces", from: labelled("staging"), until: labelled("production"),
		workload: workload{
			name: "a label is set and unset", before: []step{enforce}, policies: 9,
			act: func(t *testing.T, s *site) {
				s.relabel(t, 0, siteLabel, s.id, "environment", "staging")
				selectAgain(t, s)
			},
		},
	},
	{
		resource: "clusternetworkbaselines", from: happens(watch.Deleted, baselineA), until: happens(watch.Added, baselineA),
		workload: workload{
			name: "a baseline that retains is deleted and created again", before: []step{enforceAndRetain}, policies: 9,
			act: func(t *testing.T, s *site) { remove(t, s); enforceAndRetain(t, s) },
		},
	},
	{
		resource: "clusternetworkbaselines", from: happens(watch.Deleted, baselineA), until: happens(watch.Added, baselineA),
		workload: workload{
			name: "a baseline is deleted, cleaned up after, and created again", before: []step{enforce}, policies: 9,
			act: func(t *testing.T, s *site) { remove(t, s); recreate(t, s) },
		},
		writes: 18, // nine policies go, and nine come
	},
	{
		resource: "networkpolicies", from: policyIs(watch.Modified, 2), until: policyIs(watch.Modified, 3),
		workload: workload{
			name: "a policy is opened and restored", before: []step{enforce}, policies: 9,
			act: func(t *testing.T, s *site) {
				policy := policyOf(t, s, 0, v1alpha1.DefaultDenyName)
				policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
				must(t, env.Admin.Update(t.Context(), policy))
				policy.Spec.Ingress = nil
				must(t, env.Admin.Update(t.Context(), policy))
			},
		},
	},
	{
		resource: "networkpolicies", from: policyIs(watch.Deleted, 1), until: policyIs(watch.Added, 1),
		workload: workload{
			name: "a policy is deleted and created again as it was", before: []step{enforce}, policies: 9,
			act: func(t *testing.T, s *site) {
				policy := policyOf(t, s, 0, v1alpha1.DefaultDenyName)
				must(t, env.Admin.Delete(t.Context(), policy))
				policy.UID, policy.ResourceVersion, policy.Generation = "", "", 0
				must(t, env.Admin.Create(t.Context(), policy))
			},
		},
	},
}

// A change that is undone between two reads has no effect, whether the manager never sees it, as
// when its caches are refilled meanwhile, or sees both events together.
func TestWhatIsOverBeforeItIsSeen(t *testing.T) {
	for name, skipped := range map[string]bool{"both events come together": false, "the first event never comes": true} {
		t.Run(name, func(t *testing.T) {
			var chosen []*workload
			for i := range interludes {
				chosen = append(chosen, &interludes[i].workload)
			}
			sites := prepare(t, chosen)
			transport := newTransport()
			states := withhold(transport, sites, skipped)
			o := start(t, transport)
			for i, w := range chosen {
				sites[i].since = caughtUp(t)
				w.act(t, sites[i])
				eventually(t, func() string {
					if !states[i].Over() {
						return w.name + ": the watch has not reported the end of it"
					}
					return ""
				})
			}
			comeToRest(t, o, chosen, sites)
			for i := range interludes {
				made := len(o.Calls(func(call faults.Call) bool {
					return call.Resource == "networkpolicies" && call.Writes() && sites[i].owns(call)
				}))
				if skipped && made != interludes[i].writes {
					t.Errorf("%s: %d writes, want %d", interludes[i].name, made, interludes[i].writes)
				}
			}
			o.giveUp()
			freeAll(t, sites)
		})
	}
}

// withhold has watches withhold the interlude of each site.
func withhold(transport *faults.Transport, sites []*site, skipped bool) []*faults.Unseen {
	states := make([]*faults.Unseen, len(interludes))
	delivers := map[string][]faults.Deliver{}
	for i := range interludes {
		inter, s := &interludes[i], sites[i]
		states[i] = &faults.Unseen{
			From:    func(event faults.Event) bool { return inter.from(s, event) },
			Until:   func(event faults.Event) bool { return inter.until(s, event) },
			Skipped: skipped,
		}
		delivers[inter.resource] = append(delivers[inter.resource], states[i].Deliver)
	}
	for resource, links := range delivers {
		transport.Add(&faults.Rule{Match: watchOf(resource), Fault: transport.Tamper(faults.Chain(links...))})
	}
	return states
}

// Every event of every watch arrives twice.
func TestEventsArriveTwice(t *testing.T) {
	sites := prepare(t, everyWorkload())
	transport := newTransport()
	twice := &faults.Rule{Match: watches, Fault: transport.Tamper(faults.Twice)}
	transport.Add(twice)
	o := start(t, transport)
	for i, w := range everyWorkload() {
		w.act(t, sites[i])
	}
	comeToRest(t, o, everyWorkload(), sites)
	if o.Suffered(twice) < len(watched) {
		t.Error("not every watch suffered: nothing is shown")
	}
	o.giveUp()
	expectSilence(t)
	freeAll(t, sites)
}

// comeToRest waits until all sites are as they must be and the manager has not written for a while.
func comeToRest(t *testing.T, o *operator, of []*workload, sites []*site) {
	t.Helper()
	for i, w := range of {
		w.finish(t, sites[i])
	}
	o.silent(t, statusPause)
	for i, w := range of {
		w.finish(t, sites[i])
	}
}
