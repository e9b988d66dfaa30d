//go:build faults

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/faults"
	"github.com/netbaseline/netbaseline/test/faults/witness"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// siteLabel keeps sites apart: the baselines of a site select only its own namespaces.
const siteLabel = "site.netbaseline.dev/id"

// site is a corner of the cluster in which one workload runs once: three namespaces that are old
// enough for pods, and baselines.
type site struct {
	id         string
	namespaces [3]string
	// since is the revision from which on writes are counted.
	since int64
	freed bool
}

var sites int

func newSite(t *testing.T) *site {
	t.Helper()
	return newSites(t, 1)[0]
}

func newSites(t *testing.T, count int) []*site {
	t.Helper()
	made := make([]*site, count)
	for i := range made {
		made[i] = reserve(t)
	}
	sideBySide(t, made, (*site).label)
	return made
}

func reserve(t *testing.T) *site {
	t.Helper()
	sites++
	s := &site{id: fmt.Sprintf("site-%04d", sites)}
	for i := range s.namespaces {
		select {
		case s.namespaces[i] = <-pool:
		case <-time.After(patience):
			t.Fatal("no namespace is left for another site")
		}
	}
	t.Cleanup(func() { s.abandon(t) })
	return s
}

// label gives the namespaces of a new site their labels.
func (s *site) label(ctx context.Context) error {
	var errs []error
	for i, environment := range []string{"production", "production", "staging"} {
		errs = append(errs, s.setLabels(ctx, i, siteLabel, s.id, "environment", environment))
	}
	return errors.Join(errs...)
}

// relabel replaces the labels of a namespace.
func (s *site) relabel(t *testing.T, i int, labels ...string) {
	t.Helper()
	must(t, s.setLabels(t.Context(), i, labels...))
}

func (s *site) setLabels(ctx context.Context, i int, labels ...string) error {
	namespace := &corev1.Namespace{}
	if err := env.Admin.Get(ctx, client.ObjectKey{Name: s.namespaces[i]}, namespace); err != nil {
		return err
	}
	namespace.Labels = builder.Labels(labels...)
	return env.Admin.Update(ctx, namespace)
}

// free fails a test for every violation so far, and gives the namespaces back. Baselines are forced
// off, whatever holds them. No manager may run.
func (s *site) free(t *testing.T) {
	t.Helper()
	freeAll(t, []*site{s})
}

func freeAll(t *testing.T, all []*site) {
	t.Helper()
	expectNoViolation(t, restartBound) // what the managers have done; what follows is done to them
	sideBySide(t, all, (*site).giveBack)
	caughtUp(t)
	judge.Look((*witness.Judge).Settle)
}

func (s *site) giveBack(ctx context.Context) error {
	for _, suffix := range []string{"a", "b", "c"} {
		baseline := &v1alpha1.ClusterNetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: s.id + "-" + suffix}}
		err := env.Admin.Delete(ctx, baseline)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		if err := client.IgnoreNotFound(env.Admin.Patch(ctx, baseline,
			client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))); err != nil {
			return err
		}
	}
	for _, name := range s.namespaces {
		if err := env.Admin.DeleteAllOf(ctx, &networkingv1.NetworkPolicy{}, client.InNamespace(name)); err != nil {
			return err
		}
	}
	s.freed = true
	for _, name := range s.namespaces {
		pool <- name
	}
	return nil
}

// abandon gives back what a test that failed has left, so that the tests after it have their
// namespaces, and nothing to clean up.
func (s *site) abandon(t *testing.T) {
	if s.freed {
		return
	}
	giveUpAll()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.giveBack(ctx); err != nil {
		t.Errorf("%s: %v", s.id, err)
	}
}

// sideBySide does something with many sites, some at a time.
func sideBySide(t *testing.T, all []*site, do func(*site, context.Context) error) {
	t.Helper()
	var group sync.WaitGroup
	errs := make([]error, len(all))
	const lanes = 8
	for lane := range lanes {
		group.Go(func() {
			for i := lane; i < len(all); i += lanes {
				errs[i] = do(all[i], t.Context())
			}
		})
	}
	group.Wait()
	must(t, errors.Join(errs...))
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

// owns reports whether a call is about this site.
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

// counts says how often each policy was written, by its place in the site, so that sites can be
// compared.
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
