package apply_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/apply"
	"github.com/netbaseline/netbaseline/internal/plan"
)

func TestStagesFollowEachOther(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	written, err := s.execute(oneByOne(create(dns), create(isolation), create(deny)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]done{{plan.Create, dns, false}, {plan.Create, isolation, false}, {plan.Create, deny, false}}, inShort(written)); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"create " + dns, "create " + isolation, "create " + deny}, s.asked()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestAnEmptyPlanAsksNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	written, err := s.execute(nil)
	if err != nil || len(written) > 0 || len(s.asked()) > 0 {
		t.Errorf("got %v, %v and the calls %v; want nothing", inShort(written), err, s.asked())
	}
}

// Each of the three waits for the other two: one after the other, none would ever be answered.
func TestTheStepsOfAStageGoSideBySide(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var arrived atomic.Int64
	all := make(chan struct{})
	together := func(_ context.Context, pass func() error) error {
		if arrived.Add(1) == 3 {
			close(all)
		}
		select {
		case <-all:
			return pass()
		case <-time.After(10 * time.Second):
			return errors.New("the others do not come")
		}
	}
	for _, name := range []string{dns, isolation, deny} {
		s.on("create "+name, together)
	}
	written, err := s.execute(plan.Plan{{create(dns), create(isolation), create(deny)}})
	if err != nil {
		t.Fatal(err)
	}
	want := []done{{plan.Create, dns, false}, {plan.Create, isolation, false}, {plan.Create, deny, false}}
	if diff := cmp.Diff(want, inShort(written)); diff != "" {
		t.Errorf("written, in the order of the stage (-want +got):\n%s", diff)
	}
}

func TestARefusalKeepsBackOnlyWhatNeedsItAndRemovals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		plan      plan.Plan
		refused   []string // creates that are refused
		want      []done
		wantCalls []string
	}{
		"what needs nothing is written": {
			plan: oneByOne(create(dns), create(isolation), create(deny)), refused: []string{dns},
			want:      []done{{plan.Create, isolation, false}, {plan.Create, deny, false}},
			wantCalls: []string{"create " + dns, "create " + isolation, "create " + deny},
		},
		"what needs it is not": {
			plan: oneByOne(create(dns), needing(create(isolation), dns), needing(create(deny), dns)), refused: []string{dns},
			wantCalls: []string{"create " + dns},
		},
		"what needs another one is written": {
			plan: oneByOne(create(dns), create(isolation), needing(create(deny), dns)), refused: []string{isolation},
			want:      []done{{plan.Create, dns, false}, {plan.Create, deny, false}},
			wantCalls: []string{"create " + dns, "create " + isolation, "create " + deny},
		},
		"within a stage: the others of the stage are written": {
			plan: plan.Plan{{create(dns), create(isolation), create(deny)}}, refused: []string{isolation},
			want:      []done{{plan.Create, dns, false}, {plan.Create, deny, false}},
			wantCalls: []string{"create " + dns, "create " + deny, "create " + isolation},
		},
		"nothing is removed after a refusal": {
			plan: plan.Plan{{create(dns)}, {remove(isolation), remove(deny)}}, refused: []string{dns}, wantCalls: []string{"create " + dns},
		},
		"nor when others have been written in between": {
			plan: plan.Plan{{create(dns)}, {create(deny)}, {remove(isolation)}}, refused: []string{dns},
			want: []done{{plan.Create, deny, false}}, wantCalls: []string{"create " + dns, "create " + deny},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			for _, name := range test.refused {
				s.on("create "+name, refuse(forbidden(name)))
			}
			written, err := s.execute(test.plan)
			if diff := cmp.Diff(test.want, inShort(written)); diff != "" {
				t.Errorf("written (-want +got):\n%s", diff)
			}
			if got := apply.Explain(err); got.Reason != v1alpha1.ReasonForbidden || !got.Permanent {
				t.Errorf("got %+v, want Forbidden for good", got)
			}
			calls := s.asked()
			if len(test.plan[0]) > 1 {
				slices.Sort(calls)
			}
			if diff := cmp.Diff(test.wantCalls, calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatAnAdmissionPluginAlters(t *testing.T) {
	t.Parallel()
	owned := func(n *networkingv1.NetworkPolicy) {
		n.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "bait", UID: "1"}}
	}
	labelled := func(n *networkingv1.NetworkPolicy) { n.Labels["policy.example.com/seen"] = "true" }

	tests := map[string]struct {
		plan        plan.Plan
		there       *networkingv1.NetworkPolicy
		alter       map[string]admission
		refuse      string // a create that is refused
		want        []done
		wantAltered []string
		wantReason  string
	}{
		"a created one": {
			plan: oneByOne(create(deny)), alter: map[string]admission{deny: opened},
			want: []done{{plan.Create, deny, false}}, wantAltered: []string{deny}, wantReason: v1alpha1.ReasonAlteredByAdmission,
		},
		"an updated one": {
			plan: oneByOne(update(deny)), there: live(deny, opened), alter: map[string]admission{deny: opened},
			want: []done{{plan.Update, deny, false}}, wantAltered: []string{deny}, wantReason: v1alpha1.ReasonAlteredByAdmission,
		},
		"one that is taken over": {
			plan: oneByOne(create(deny)), there: foreign(deny), alter: map[string]admission{deny: opened},
			want: []done{{plan.Update, deny, true}}, wantAltered: []string{deny}, wantReason: v1alpha1.ReasonAlteredByAdmission,
		},
		"the metadata counts too": {
			plan: oneByOne(create(deny)), alter: map[string]admission{deny: owned},
			want: []done{{plan.Create, deny, false}}, wantAltered: []string{deny}, wantReason: v1alpha1.ReasonAlteredByAdmission,
		},
		"our label counts too": {
			plan: oneByOne(create(deny)), alter: map[string]admission{deny: func(n *networkingv1.NetworkPolicy) { n.Labels[v1alpha1.BaselineLabel] = "mine" }},
			want: []done{{plan.Create, deny, false}}, wantAltered: []string{deny}, wantReason: v1alpha1.ReasonAlteredByAdmission,
		},
		"a foreign label is no alteration": {
			plan: oneByOne(create(deny)), alter: map[string]admission{deny: labelled}, want: []done{{plan.Create, deny, false}},
		},
		"the plan goes on: leaving out the others would open the namespace further": {
			plan: oneByOne(create(dns), create(isolation), create(deny)), alter: map[string]admission{dns: opened, isolation: opened},
			want:        []done{{plan.Create, dns, false}, {plan.Create, isolation, false}, {plan.Create, deny, false}},
			wantAltered: []string{dns, isolation}, wantReason: v1alpha1.ReasonAlteredByAdmission,
		},
		"what needs it is written: it is in place, only otherwise than it was sent": {
			plan: oneByOne(create(dns), needing(create(deny), dns)), alter: map[string]admission{dns: opened},
			want: []done{{plan.Create, dns, false}, {plan.Create, deny, false}}, wantAltered: []string{dns}, wantReason: v1alpha1.ReasonAlteredByAdmission,
		},
		"a policy that is not desired is removed anyway": {
			plan: oneByOne(create(dns), remove(deny)), there: live(deny, nil), alter: map[string]admission{dns: opened},
			want: []done{{plan.Create, dns, false}, {plan.Delete, deny, false}}, wantAltered: []string{dns}, wantReason: v1alpha1.ReasonAlteredByAdmission,
		},
		"a refusal after it is what to show": {
			plan: oneByOne(create(dns), create(isolation), create(deny)), alter: map[string]admission{dns: opened}, refuse: isolation,
			want: []done{{plan.Create, dns, false}, {plan.Create, deny, false}}, wantAltered: []string{dns}, wantReason: v1alpha1.ReasonForbidden,
		},
		"a refusal next to it is shown": {
			plan: plan.Plan{{create(dns), create(isolation)}, {create(deny)}}, alter: map[string]admission{dns: opened}, refuse: isolation,
			want: []done{{plan.Create, dns, false}, {plan.Create, deny, false}}, wantAltered: []string{dns}, wantReason: v1alpha1.ReasonForbidden,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			if test.there != nil {
				s = newServer(t, test.there.DeepCopy())
			}
			for name, change := range test.alter {
				s.altering(name, change)
			}
			if test.refuse != "" {
				s.on("create "+test.refuse, refuse(forbidden(test.refuse)))
			}
			written, err := s.execute(test.plan)
			if diff := cmp.Diff(test.want, inShort(written)); diff != "" {
				t.Errorf("written (-want +got):\n%s", diff)
			}
			altered := apply.Alterations(err)
			if len(altered) != len(test.wantAltered) {
				t.Errorf("altered are %v, want %v", altered, test.wantAltered)
			}
			for _, name := range test.wantAltered {
				want := plan.Observe(s.stored(name))
				if diff := cmp.Diff(want, altered[name]); diff != "" {
					t.Errorf("%s is not what the API server made of it (-want +got):\n%s", name, diff)
				}
			}
			if test.wantReason == "" {
				if err != nil {
					t.Errorf("got %v, want no error", err)
				}
				return
			}
			if got := apply.Explain(err); got.Reason != test.wantReason || !got.Permanent || got.Message == "" {
				t.Errorf("got %+v, want %s for good and in words", got, test.wantReason)
			}
		})
	}
}

func TestAnErrorSaysWhatWasTriedOnWhat(t *testing.T) {
	t.Parallel()
	for _, step := range []plan.Step{create(deny), update(deny), remove(deny)} {
		t.Run(string(step.Operation), func(t *testing.T) {
			t.Parallel()
			s := newServer(t, live(deny, opened))
			cause := errors.New("the cause")
			s.on(string(step.Operation)+" "+deny, refuse(cause))
			_, err := s.execute(oneByOne(step))
			if want := string(step.Operation) + " " + deny + ": the cause"; err == nil || err.Error() != want || !errors.Is(err, cause) {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}
