//go:build faults

package faults_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/features"
	featurestesting "k8s.io/client-go/features/testing"
	"k8s.io/client-go/metadata"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/faults"
	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

// history is what happens to a site of which one of two API servers sees only the first part.
type history struct {
	name string
	// seen are steps that both servers see, with a manager that follows. No manager sees last
	// before it is undone.
	seen []step
	last step
	// undone and then are steps that one server sees alone: the first without a manager, the others
	// with one that follows.
	undone step
	then   []step
	// policies is how many policies there are in the end.
	policies int
}

func unselect(t *testing.T, s *site) { s.relabel(t, 0, "environment", "production") }

func selectAgain(t *testing.T, s *site) {
	s.relabel(t, 0, siteLabel, s.id, "environment", "production")
}

func remove(t *testing.T, s *site) { s.delete(t, "a") }

// recreate creates the baseline as soon as the one of the same name is gone.
func recreate(t *testing.T, s *site) {
	eventually(t, func() string {
		if err := env.Admin.Create(t.Context(), s.baseline("a").Obj()); err != nil {
			return err.Error()
		}
		return ""
	})
}

// forceOff has a baseline that is being deleted go without its policies.
func forceOff(t *testing.T, s *site) {
	baseline := &v1alpha1.ClusterNetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: s.id + "-a"}}
	must(t, env.Admin.Patch(t.Context(), baseline, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))))
}

func deny(directions ...v1alpha1.PolicyType) step {
	return func(t *testing.T, s *site) {
		s.edit(t, "a", denying(directions...))
	}
}

func scope(scope v1alpha1.IsolationScope) step {
	return func(t *testing.T, s *site) {
		s.edit(t, "a", func(spec *v1alpha1.ClusterNetworkBaselineSpec) { spec.EnvironmentIsolation.Scope = scope })
	}
}

var histories = []history{
	{
		name: "the baseline is deleted, and created again before it was gone", policies: 9,
		seen: []step{enforce}, last: remove,
		undone: func(t *testing.T, s *site) { forceOff(t, s); recreate(t, s) },
	},
	{
		name: "the baseline is deleted, and created again after its policies are gone", policies: 9,
		seen: []step{enforce}, last: remove, then: []step{recreate},
	},
	{
		name: "a namespace is relabelled away, and back before anybody noticed", policies: 9,
		seen: []step{enforce}, last: unselect, undone: selectAgain,
	},
	{
		name: "a namespace is relabelled away and back", policies: 9,
		seen: []step{enforce}, then: []step{unselect, selectAgain},
	},
	{name: "a namespace is unselected", seen: []step{enforce}, then: []step{unselect}, policies: 6},
	{
		name: "Audit and back", policies: 9,
		seen: []step{enforce, mode(v1alpha1.ModeAudit)}, then: []step{mode(v1alpha1.ModeEnforce)},
	},
	{
		name: "there and back again to Enforce", policies: 9,
		seen: []step{enforce}, then: []step{mode(v1alpha1.ModeAudit), mode(v1alpha1.ModeEnforce)},
	},
	{
		name: "egress is not denied for a moment", policies: 9,
		seen: []step{enforce}, last: deny("Ingress"), undone: deny("Ingress", "Egress"),
	},
	{
		name: "environments are not isolated for a moment", policies: 9,
		seen: []step{enforce}, last: scope(v1alpha1.IsolationScopeNone), undone: scope(v1alpha1.IsolationScopeSameEnvironment),
	},
	{
		name: "another baseline, which denies less, takes over for a moment", policies: 9, seen: []step{enforce},
		last: func(t *testing.T, s *site) {
			s.create(t, s.baseline("b").Priority(7).Denying("Ingress").DeletionPolicy(v1alpha1.DeletionPolicyRetain))
		},
		undone: func(t *testing.T, s *site) { s.delete(t, "b") },
	},
}

// newcomer is a manager that comes to a server that is behind.
type newcomer struct {
	name string
	// detour chooses the calls that the server answers.
	detour func(faults.Call) bool
	// streams reports whether its caches ask for a watch that begins with all there is, and not for
	// a list.
	streams bool
}

var newcomers = []newcomer{
	{"all calls, lists", func(faults.Call) bool { return true }, false},
	{"all calls, streams", func(faults.Call) bool { return true }, true},
	{"calls for its caches alone, lists", faults.Call.ForCache, false},
	{"calls for its caches alone, streams", faults.Call.ForCache, true},
}

// An API server that is cut off from etcd answers from the past. Managers that have seen more
// before, on another one, come to it: by a restart, or because their watches do. They remove
// nothing and open nothing, and when the server catches up, so do they.
func TestAStaleAPIServer(t *testing.T) {
	link, err := faults.NewLink(strings.TrimPrefix(env.Cluster.EtcdEndpoint(), "http://"))
	must(t, err)
	t.Cleanup(func() { _ = link.Close() })
	stale, err := env.Cluster.StartAPIServer(t.Context(), "http://"+link.Address())
	must(t, err)
	t.Cleanup(func() { must(t, stale.Kill()) })
	t.Run("many together", func(t *testing.T) { goBackInTime(t, stale, link, newcomers) })
	if !*long {
		return
	}
	for _, n := range newcomers {
		t.Run(n.name, func(t *testing.T) { goBackInTime(t, stale, link, []newcomer{n}) })
	}
}

func goBackInTime(t *testing.T, stale *localcluster.APIServer, link *faults.Link, who []newcomer) {
	sites := takeSides(t, stale, link)
	moving := make(chan struct{})
	moved := start(t, newTransport(&faults.Rule{Match: watches, Times: len(watched), Fault: faults.CutWhen(moving)}))
	rounds(t, sites, chosen(func(h *history) []step { return h.then }))
	moved.Add(&faults.Rule{Match: faults.Call.ForCache, Fault: moved.Elsewhere(stale.Host)})
	since := caughtUp(t)
	close(moving)
	operators := []*operator{moved}
	for _, n := range who {
		operators = append(operators, n.start(t, stale))
	}
	<-time.After(2 * time.Second) // in which they do what they think is right
	if seenBy(t, stale.Host, "0") == seenBy(t, "", "") {
		t.Error("the server is not behind: nothing is shown")
	}
	expectNoDelete(t, sites, since)
	link.Release()
	finishHistories(t, sites)
	for _, o := range operators {
		o.silent(t, statusPause)
	}
	// One whose watch of policies caught up before that of namespaces has made a policy again, and
	// removes it when the label has been gone for ten seconds.
	finishHistories(t, sites)
	for _, o := range operators {
		o.giveUp()
	}
	expectNoDelete(t, sites, since)
	expectDoubt(t, operators)
	expectSilence(t)
	finishHistories(t, sites)
	freeAll(t, sites)
}

// takeSides takes a site through the part of each history that both servers see, cuts one off, and
// then through what is undone.
func takeSides(t *testing.T, stale *localcluster.APIServer, link *faults.Link) []*site {
	t.Helper()
	sites := make([]*site, len(histories))
	for i := range sites {
		sites[i] = newSite(t)
	}
	lockstep(t, sites, chosen(func(h *history) []step { return h.seen }))
	for i, s := range sites {
		take(t, s, histories[i].last)
	}
	eventually(t, func() string {
		if seenBy(t, stale.Host, "0") != seenBy(t, "", "") {
			return "the other server has not seen the first part"
		}
		return ""
	})
	link.Stall()
	t.Cleanup(link.Release)
	for i, s := range sites {
		take(t, s, histories[i].undone)
	}
	return sites
}

// chosen returns a part of each history.
func chosen(part func(*history) []step) [][]step {
	var all [][]step
	for i := range histories {
		all = append(all, part(&histories[i]))
	}
	return all
}

func take(t *testing.T, s *site, step step) {
	t.Helper()
	if step != nil {
		step(t, s)
	}
}

func finishHistories(t *testing.T, sites []*site) {
	t.Helper()
	for i, s := range sites {
		(&workload{policies: histories[i].policies}).finish(t, s)
	}
}

func watches(call faults.Call) bool { return call.Verb == "watch" }

// start starts a manager whose calls lead to the server that is behind, and waits until it has
// asked for all that its caches hold.
func (n *newcomer) start(t *testing.T, stale *localcluster.APIServer) *operator {
	t.Helper()
	featurestesting.SetFeatureDuringTest(t, features.WatchListClient, n.streams)
	transport := newTransport()
	transport.Add(&faults.Rule{Match: n.detour, Fault: transport.Elsewhere(stale.Host)})
	o := startBlind(t, transport)
	o.asks(t)
	return o
}

// asks waits until a manager has asked for everything that its caches hold.
func (o *operator) asks(t *testing.T) {
	t.Helper()
	eventually(t, func() string {
		for _, resource := range watched {
			if len(o.Calls(func(call faults.Call) bool { return call.Resource == resource && call.ForCache() })) == 0 {
				return "the manager has not asked for " + resource
			}
		}
		return ""
	})
}

// seenBy returns what one API server, or the first one, says is there, with the versions. From
// version "0" on, it answers from its cache.
func seenBy(t *testing.T, host, version string) string {
	t.Helper()
	config := env.Cluster.Config()
	if host != "" {
		config.Host = "https://" + host
	}
	reader, err := metadata.NewForConfig(config)
	must(t, err)
	var seen []string
	for _, resource := range []schema.GroupVersionResource{
		corev1.SchemeGroupVersion.WithResource("namespaces"), networkingv1.SchemeGroupVersion.WithResource("networkpolicies"),
		v1alpha1.GroupVersion.WithResource("clusternetworkbaselines"),
	} {
		list, err := reader.Resource(resource).List(t.Context(), metav1.ListOptions{ResourceVersion: version})
		must(t, err)
		for i := range list.Items {
			seen = append(seen, string(list.Items[i].UID)+" "+list.Items[i].ResourceVersion)
		}
	}
	slices.Sort(seen)
	return strings.Join(seen, "\n")
}

// expectNoDelete fails a test for every policy in these sites that was deleted since a revision.
func expectNoDelete(t *testing.T, sites []*site, since int64) {
	t.Helper()
	for _, s := range sites {
		s.since = since
		for policy, count := range s.counts(t) {
			if count.Deletes > 0 {
				t.Errorf("%s: %s: %d deletes", s.id, policy, count.Deletes)
			}
		}
	}
}

// expectDoubt fails a test if no manager has ever asked past its cache whether a namespace is
// really free.
func expectDoubt(t *testing.T, operators []*operator) {
	t.Helper()
	for _, o := range operators {
		if len(o.Calls(func(call faults.Call) bool { return call.Verb == "get" && call.Resource == "namespaces" })) > 0 {
			return
		}
	}
	t.Error("no manager has had a doubt: nothing is shown")
}
