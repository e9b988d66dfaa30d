//go:build faults

package faults_test

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/faults"
	"github.com/netbaseline/netbaseline/test/faults/witness"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// lateWrite is a write about a namespace that arrives when that namespace has gone, and another one
// has its name.
type lateWrite struct {
	name string
	// verb is that of the write, and skip how many such writes arrive in time.
	verb string
	skip int
	// act makes a manager write in a namespace that has its policies; nil for the writes by which
	// it gets them.
	act step
}

var lateWrites = []lateWrite{
	{name: "the first create", verb: "create"},
	{name: "the second create", verb: "create", skip: 1},
	{name: "the third create", verb: "create", skip: 2},
	{name: "a repair", verb: "update", act: func(t *testing.T, s *site) {
		vandalize(t, s.brief().Name, v1alpha1.DefaultDenyName, func(p *networkingv1.NetworkPolicy) {
			p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
		})
	}},
	{name: "a removal", verb: "delete", act: func(t *testing.T, s *site) {
		namespace := s.brief()
		namespace.Labels = builder.Labels("environment", "production")
		must(t, env.Admin.Update(t.Context(), namespace))
	}},
}

// A namespace is deleted, and created again under the same name, while a write about the old one is
// on its way. Whatever that write does when it arrives, the new namespace has its policies, and
// keeps those that another manager has made meanwhile.
func TestANamespaceIsRecreatedInTheMiddleOfAWrite(t *testing.T) {
	sites := newSites(t, len(lateWrites))
	late := start(t, newTransport())
	for i, s := range sites {
		t.Cleanup(func() { s.removeBrief(t) })
		enforce(t, s)
		s.settle(t)
		if lateWrites[i].act != nil {
			must(t, env.Admin.Create(t.Context(), s.brief()))
			protected(t, s.brief().Name)
		}
	}
	open := make(chan struct{})
	for i, s := range sites {
		lateWrites[i].begin(t, s, late, open)
	}
	other := start(t, newTransport())
	for _, s := range sites {
		must(t, env.Admin.Delete(t.Context(), s.brief()))
	}
	for _, s := range sites {
		s.removeBrief(t)
		must(t, env.Admin.Create(t.Context(), s.brief()))
		protected(t, s.brief().Name)
	}
	since := caughtUp(t)
	close(open)
	late.silent(t, statusPause)
	other.silent(t, statusPause)
	for i, s := range sites {
		protected(t, s.brief().Name)
		s.settle(t)
		expectUntouched(t, lateWrites[i].name, s.brief().Name, since)
	}
	late.giveUp()
	other.giveUp()
	expectSilence(t)
	freeAll(t, sites)
}

// begin has a manager make a write that does not arrive before a channel is closed.
func (w *lateWrite) begin(t *testing.T, s *site, late *operator, open <-chan struct{}) {
	t.Helper()
	rule := &faults.Rule{
		Match: func(call faults.Call) bool {
			return call.Writes() && call.Namespace == s.brief().Name && call.Verb == w.verb
		},
		Skip: w.skip, Times: 1, Fault: faults.Until(open),
	}
	late.Add(rule)
	if w.act != nil {
		w.act(t, s)
	} else {
		must(t, env.Admin.Create(t.Context(), s.brief()))
	}
	eventually(t, func() string {
		if late.Suffered(rule) == 0 {
			return w.name + " has not been made"
		}
		return ""
	})
}

// protected waits until a namespace has exactly the policies that it must have.
func protected(t *testing.T, name string) {
	t.Helper()
	eventually(t, func() (missing string) {
		caughtUp(t)
		judge.Look(func(j *witness.Judge) {
			if len(j.State.Policies[name]) != 3 {
				missing = "a policy is missing"
			}
			for _, difference := range j.State.Differences(name) {
				missing = name + ": " + difference
			}
		})
		return missing
	})
}

// expectUntouched fails a test for every write in a namespace since a revision.
func expectUntouched(t *testing.T, what, name string, since int64) {
	t.Helper()
	counts, err := judge.Counts(t.Context(), since)
	must(t, err)
	for object, count := range counts {
		if object.Kind == witness.Policies && object.Namespace == name && count != (witness.Count{}) {
			t.Errorf("%s, late: %s/%s was written: %+v", what, name, object.Name, count)
		}
	}
}

// removeBrief deletes the namespace of a site that does not last, and waits until it is gone.
func (s *site) removeBrief(t *testing.T) {
	t.Helper()
	ctx, namespace := context.WithoutCancel(t.Context()), s.brief()
	must(t, client.IgnoreNotFound(env.Admin.Delete(ctx, namespace)))
	eventually(t, func() string {
		if err := env.Admin.Get(ctx, client.ObjectKeyFromObject(namespace), &corev1.Namespace{}); !apierrors.IsNotFound(err) {
			return "the namespace is still there"
		}
		return ""
	})
}
