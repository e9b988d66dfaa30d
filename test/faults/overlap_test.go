//go:build faults

package faults_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/faults/witness"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// walk takes one site with overlapping baselines of different strictness through what people do to
// them.
type walk struct {
	*site
	suffixes []string
	// taken are the steps so far, to find out which one was wrong.
	taken []string
}

// strictness is what a baseline opens, by its suffix: nothing but DNS, its own namespace, the whole
// environment.
func strictness(b *builder.BaselineBuilder, suffix string) *builder.BaselineBuilder {
	switch suffix {
	case "a":
		return b.Priority(20).Scope(v1alpha1.IsolationScopeNone)
	case "b":
		return b.Priority(10).LabelKey("kubernetes.io/metadata.name")
	}
	return b.Priority(0).DNSPeers(otherDNS...)
}

// Baselines overlap, and are switched to Audit, rolled back, told to retain, replaced without
// finalizers, deleted, torn off and created again; they trade their priorities, and let namespaces
// go and take them back. No baseline loosens what another one has made and not given up, nothing is
// removed while in doubt, and when all enforce again the highest governs.
func TestOverlappingBaselines(t *testing.T) {
	walks, steps := 6, 12
	if *long {
		walks, steps = 30, 60
	}
	for _, count := range []int{2, 3} {
		t.Run(fmt.Sprintf("%d baselines", count), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, uint64(count)))
			o := start(t, newTransport())
			var walkers []*walk
			var all []*site
			for _, s := range newSites(t, walks) {
				w := &walk{site: s, suffixes: []string{"a", "b", "c"}[:count]}
				if count == 2 {
					w.suffixes = []string{"a", "c"}
				}
				for _, suffix := range w.suffixes {
					w.again(t, suffix)
				}
				walkers, all = append(walkers, w), append(all, s)
			}
			for range steps {
				for _, w := range walkers {
					w.step(t, random)
					if random.IntN(2) == 0 {
						w.rest(t)
					}
				}
			}
			for _, w := range walkers {
				w.enforceAll(t)
				w.settle(t)
			}
			if t.Failed() {
				return
			}
			expectNoViolation(t, witness.TenantBound)
			if t.Failed() {
				for _, w := range walkers {
					t.Logf("%s: %s", w.id, strings.Join(w.taken, ", "))
				}
			}
			o.silent(t, statusPause)
			o.giveUp()
			expectSilence(t)
			freeAll(t, all)
		})
	}
}

// again creates a baseline as it was in the beginning.
func (w *walk) again(t *testing.T, suffix string) {
	t.Helper()
	err := env.Admin.Create(t.Context(), strictness(w.baseline(suffix), suffix).Obj())
	must(t, client.IgnoreAlreadyExists(err))
}

// step is one thing that an administrator does to one baseline. What is there no more, or goes
// already, is left alone or comes back.
func (w *walk) step(t *testing.T, random *rand.Rand) {
	t.Helper()
	acts := []struct {
		name string
		do   func(*testing.T, string)
	}{
		{"to Audit", w.set(func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.Mode = v1alpha1.ModeAudit })},
		{"to Enforce", w.set(func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.Mode = v1alpha1.ModeEnforce })},
		{"to Retain", w.set(func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain })},
		{"to Delete", w.set(func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete })},
		{"without finalizers", w.set(func(b *v1alpha1.ClusterNetworkBaseline) { b.Finalizers = nil })},
		{"another priority", w.set(func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.Priority = new(int32(random.IntN(30))) })},
		{"selects staging alone", w.set(func(b *v1alpha1.ClusterNetworkBaseline) {
			b.Spec.NamespaceSelector.MatchLabels["environment"] = "staging"
		})},
		{"selects all", w.set(func(b *v1alpha1.ClusterNetworkBaseline) { delete(b.Spec.NamespaceSelector.MatchLabels, "environment") })},
		{"is rolled back", w.rollBack("SameTeam")},
		{"is known again", w.rollBack("")},
		{"is deleted", func(t *testing.T, suffix string) {
			t.Helper()
			must(t, client.IgnoreNotFound(env.Admin.Delete(t.Context(), w.named(suffix))))
		}},
		{"is torn off", w.tearOff},
		{"is created again", w.again},
		{"trades its priority", w.trade},
	}
	act, suffix := acts[random.IntN(len(acts))], w.suffixes[random.IntN(len(w.suffixes))]
	w.taken = append(w.taken, suffix+" "+act.name)
	act.do(t, suffix)
}

func (w *walk) named(suffix string) *v1alpha1.ClusterNetworkBaseline {
	return &v1alpha1.ClusterNetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: w.id + "-" + suffix}}
}

// set returns a function that edits a baseline, if it is there and its deletion has not begun. Of
// one that is rolled back the schema lets an administrator change the rest.
func (w *walk) set(edit func(*v1alpha1.ClusterNetworkBaseline)) func(*testing.T, string) {
	return func(t *testing.T, suffix string) {
		t.Helper()
		eventually(t, func() string {
			baseline := w.named(suffix)
			err := env.Admin.Get(t.Context(), client.ObjectKeyFromObject(baseline), baseline)
			if apierrors.IsNotFound(err) || err == nil && baseline.DeletionTimestamp != nil {
				return ""
			}
			must(t, err)
			edit(baseline)
			if err := client.IgnoreNotFound(env.Admin.Update(t.Context(), baseline)); err != nil {
				return err.Error()
			}
			return ""
		})
	}
}

// rollBack returns a function that stores a scope which the operator does not know, or, if it is
// empty, the baseline's own.
func (w *walk) rollBack(scope v1alpha1.IsolationScope) func(*testing.T, string) {
	return func(t *testing.T, suffix string) {
		t.Helper()
		baseline := w.named(suffix)
		err := env.Admin.Get(t.Context(), client.ObjectKeyFromObject(baseline), baseline)
		if apierrors.IsNotFound(err) || err == nil && baseline.DeletionTimestamp != nil {
			return
		}
		must(t, err)
		if scope == "" {
			scope := strictness(w.baseline(suffix), suffix).Obj().Spec.EnvironmentIsolation.Scope
			w.set(func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.EnvironmentIsolation.Scope = scope })(t, suffix)
			return
		}
		must(t, env.StoreSpec(t.Context(), baseline.Name, func(spec map[string]any) {
			spec["environmentIsolation"].(map[string]any)["scope"] = string(scope)
		}))
	}
}

// tearOff removes a baseline in a moment in which it has no finalizer, so that its deletion is not
// observed.
func (w *walk) tearOff(t *testing.T, suffix string) {
	t.Helper()
	eventually(t, func() string {
		bare := w.named(suffix)
		err := env.Admin.Patch(t.Context(), bare, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))
		if err == nil {
			err = env.Admin.Delete(t.Context(), bare, client.Preconditions{UID: &bare.UID, ResourceVersion: &bare.ResourceVersion})
		}
		if client.IgnoreNotFound(err) != nil {
			return err.Error()
		}
		return ""
	})
}

// trade gives a baseline the priority of the next one, and that its own.
func (w *walk) trade(t *testing.T, suffix string) {
	t.Helper()
	other := w.suffixes[(strings.Index(strings.Join(w.suffixes, ""), suffix)+1)%len(w.suffixes)]
	var mine, its *int32
	w.set(func(b *v1alpha1.ClusterNetworkBaseline) { mine = b.Spec.Priority })(t, suffix)
	if mine == nil {
		return
	}
	w.set(func(b *v1alpha1.ClusterNetworkBaseline) { its, b.Spec.Priority = b.Spec.Priority, mine })(t, other)
	if its != nil {
		w.set(func(b *v1alpha1.ClusterNetworkBaseline) { b.Spec.Priority = its })(t, suffix)
	}
}

// rest waits until the site is as the model has it. While policies that no baseline governs are
// kept because of a doubt, a deletion may wait too.
func (w *walk) rest(t *testing.T) {
	t.Helper()
	eventually(t, func() (missing string) {
		caughtUp(t)
		judge.Look(func(j *witness.Judge) {
			doubt := false
			var baselines []*v1alpha1.ClusterNetworkBaseline
			for _, suffix := range w.suffixes {
				if baseline := j.State.Baselines[w.id+"-"+suffix]; baseline != nil {
					baselines = append(baselines, baseline)
					doubt = doubt || !witness.Accepted(baseline)
				}
			}
			for _, name := range w.namespaces {
				doubt = doubt || j.State.Held(name)
			}
			for _, name := range w.namespaces {
				for _, difference := range j.State.Differences(name) {
					if !doubt {
						missing = fmt.Sprintf("%s: %s: %s, after %s", w.id, name, difference, strings.Join(w.taken, ", "))
					}
				}
			}
			for _, baseline := range baselines {
				if said := restless(baseline, doubt); said != "" {
					missing = fmt.Sprintf("%s: %s, after %s", baseline.Name, said, strings.Join(w.taken, ", "))
				}
			}
		})
		return missing
	})
}

func restless(baseline *v1alpha1.ClusterNetworkBaseline, doubt bool) string {
	switch {
	case baseline.DeletionTimestamp != nil && doubt:
		return ""
	case baseline.DeletionTimestamp == nil && !witness.Accepted(baseline):
		accepted := meta.FindStatusCondition(baseline.Status.Conditions, v1alpha1.ConditionAccepted)
		if accepted == nil || accepted.Status != metav1.ConditionFalse || accepted.ObservedGeneration != baseline.Generation {
			return fmt.Sprintf("not refused: %+v", accepted)
		}
		return ""
	}
	return unready(baseline)
}

// enforceAll ends every doubt: all baselines are there, known, and enforce on everything.
func (w *walk) enforceAll(t *testing.T) {
	t.Helper()
	for _, suffix := range w.suffixes {
		w.rollBack("")(t, suffix)
	}
	for _, suffix := range w.suffixes {
		eventually(t, func() string {
			w.again(t, suffix)
			var going bool
			judge.Look(func(j *witness.Judge) {
				baseline := j.State.Baselines[w.id+"-"+suffix]
				going = baseline == nil || baseline.DeletionTimestamp != nil
			})
			if going {
				return fmt.Sprintf("%s-%s is not gone yet, after %s", w.id, suffix, strings.Join(w.taken, ", "))
			}
			return ""
		})
		w.set(func(b *v1alpha1.ClusterNetworkBaseline) {
			b.Spec.Mode = v1alpha1.ModeEnforce
			delete(b.Spec.NamespaceSelector.MatchLabels, "environment")
		})(t, suffix)
	}
}
