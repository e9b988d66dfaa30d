//go:build faults

package faults_test

import (
	"fmt"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/builder"
	"github.com/netbaseline/netbaseline/test/faults"
	"github.com/netbaseline/netbaseline/test/witness"
)

// siteLabel keeps sites apart: the baselines of a site select only its own namespaces.
const siteLabel = "site.netbaseline.dev/id"

// site is a corner of the cluster in which one workload runs once: three namespaces that are old enough for pods, and baselines.
type site struct {
	id         string
	namespaces [3]string
	// since is the revision from which on writes are counted.
	since int64
}

var sites int

func newSite(t *testing.T) *site {
	t.Helper()
	sites++
	s := &site{id: fmt.Sprintf("site-%04d", sites)}
	for i := range s.namespaces {
		s.namespaces[i] = <-pool
		s.relabel(t, i, siteLabel, s.id, "environment", []string{"production", "production", "staging"}[i])
	}
	return s
}

// relabel replaces the labels of a namespace.
func (s *site) relabel(t *testing.T, i int, labels ...string) {
	t.Helper()
	namespace := getNamespace(t, s.namespaces[i])
	namespace.Labels = builder.Labels(labels...)
	must(t, env.Admin.Update(t.Context(), namespace))
}

// free gives the namespaces back. Baselines are forced off, whatever holds them. No manager may run.
func (s *site) free(t *testing.T) {
	t.Helper()
	for _, suffix := range []string{"a", "b"} {
		baseline := &v1alpha1.ClusterNetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: s.id + "-" + suffix}}
		must(t, client.IgnoreNotFound(env.Admin.Delete(t.Context(), baseline)))
		must(t, client.IgnoreNotFound(env.Admin.Patch(t.Context(), baseline,
			client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))))
	}
	for _, name := range s.namespaces {
		must(t, env.Admin.DeleteAllOf(t.Context(), &networkingv1.NetworkPolicy{}, client.InNamespace(name)))
		pool <- name
	}
}

func (s *site) baseline(suffix string) *builder.BaselineBuilder {
	return builder.Baseline(s.id+"-"+suffix).Selecting(siteLabel, s.id)
}

func (s *site) create(t *testing.T, b *builder.BaselineBuilder) {
	t.Helper()
	must(t, env.Admin.Create(t.Context(), b.Obj()))
}

// edit changes a baseline, however often it takes.
func (s *site) edit(t *testing.T, suffix string, change func(*v1alpha1.ClusterNetworkBaselineSpec)) {
	t.Helper()
	for {
		baseline := &v1alpha1.ClusterNetworkBaseline{}
		must(t, env.Admin.Get(t.Context(), client.ObjectKey{Name: s.id + "-" + suffix}, baseline))
		change(&baseline.Spec)
		err := env.Admin.Update(t.Context(), baseline)
		if apierrors.IsConflict(err) {
			continue
		}
		must(t, err)
		return
	}
}

func (s *site) delete(t *testing.T, suffix string) {
	t.Helper()
	must(t, env.Admin.Delete(t.Context(), &v1alpha1.ClusterNetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: s.id + "-" + suffix}}))
}

// owns says whether a call is about this site.
func (s *site) owns(call faults.Call) bool {
	if call.Resource == "clusternetworkbaselines" {
		return strings.HasPrefix(call.Name, s.id+"-")
	}
	for _, name := range s.namespaces {
		if call.Namespace == name {
			return true
		}
	}
	return false
}

// unsettled says what is still missing from the end state; "" if nothing is.
func (s *site) unsettled(t *testing.T) (missing string) {
	t.Helper()
	caughtUp(t)
	judge.Look(func(j *witness.Judge) {
		for _, name := range s.namespaces {
			for _, difference := range j.State.Differences(name) {
				missing = fmt.Sprintf("%s: %s: %s", s.id, name, difference)
			}
		}
		for name, baseline := range j.State.Baselines {
			if strings.HasPrefix(name, s.id+"-") {
				if said := unready(baseline); said != "" {
					missing = name + ": " + said
				}
			}
		}
	})
	return missing
}

func unready(baseline *v1alpha1.ClusterNetworkBaseline) string {
	condition := meta.FindStatusCondition(baseline.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case baseline.DeletionTimestamp != nil:
		return "not gone yet"
	case condition == nil || condition.Status != metav1.ConditionTrue || condition.ObservedGeneration != baseline.Generation:
		return fmt.Sprintf("not ready: %+v", condition)
	case baseline.Spec.DeletionPolicy == v1alpha1.DeletionPolicyDelete && len(baseline.Finalizers) == 0 && baseline.Spec.Mode == v1alpha1.ModeEnforce:
		return "without a finalizer"
	case baseline.Spec.DeletionPolicy == v1alpha1.DeletionPolicyRetain && len(baseline.Finalizers) > 0:
		return "with a finalizer although nothing is to be cleaned up"
	}
	return ""
}

func (s *site) settle(t *testing.T) {
	t.Helper()
	eventually(t, func() string { return s.unsettled(t) })
}

// counts says how often each policy was written, by its place in the site, so that sites can be compared.
func (s *site) counts(t *testing.T) map[string]witness.Count {
	t.Helper()
	all, err := judge.Counts(t.Context(), s.since)
	must(t, err)
	counts := map[string]witness.Count{}
	for i, name := range s.namespaces {
		for object, count := range all {
			if object.Kind == witness.Policies && object.Namespace == name {
				counts[fmt.Sprintf("namespace %d: %s", i, object.Name)] = count
			}
		}
	}
	return counts
}
