package apply_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/apply"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// networkPlugin is the finalizer of a network plugin that we know.
const networkPlugin = "networking.k8s.aws/resources"

func isDesired(object *networkingv1.NetworkPolicy, name string) bool {
	return object != nil && plan.Matches(desired()[name], plan.Observe(object))
}

// A repair that is known to replace nothing of other clients takes one request.
func TestABlindUpdateReadsNothing(t *testing.T) {
	t.Parallel()
	there := live(deny, opened)
	s := newServer(t, there.DeepCopy())
	sent := &networkingv1.NetworkPolicy{}
	s.altering(deny, func(n *networkingv1.NetworkPolicy) { n.DeepCopyInto(sent) })
	written, err := s.execute(oneByOne(blind(there)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"update " + deny}, s.asked()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if sent.UID != there.UID || sent.ResourceVersion != there.ResourceVersion {
		t.Errorf("sent under UID %q and resource version %q, want those that the plan saw: what was written since must not be lost", sent.UID, sent.ResourceVersion)
	}
	if len(written) != 1 || written[0].Operation != plan.Update || written[0].Found != plan.Observe(there) {
		t.Errorf("reported is %+v, want one update of what the plan saw", written)
	}
	if !isDesired(s.stored(deny), deny) {
		t.Error("what is stored is not what is desired")
	}
}

func TestABlindUpdateThatFailsReadsFirst(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		there     *networkingv1.NetworkPolicy // nil: nothing
		want      []done
		wantCalls []string
		wantLabel string // of another client, afterwards
	}{
		"another client has written since": {
			there: live(deny, func(n *networkingv1.NetworkPolicy) {
				opened(n)
				n.ResourceVersion, n.Labels["team"] = "8", "web"
			}),
			want:      []done{{plan.Update, deny, false}},
			wantCalls: []string{"update " + deny, "get " + deny, "update " + deny}, wantLabel: "web",
		},
		"it is as desired already": {
			there:     live(deny, func(n *networkingv1.NetworkPolicy) { n.ResourceVersion = "8" }),
			wantCalls: []string{"update " + deny, "get " + deny},
		},
		"it is gone": {
			want:      []done{{plan.Create, deny, false}},
			wantCalls: []string{"update " + deny, "get " + deny, "create " + deny},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			if test.there != nil {
				s = newServer(t, test.there.DeepCopy())
			}
			written, err := s.execute(oneByOne(blind(live(deny, opened))))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, inShort(written)); diff != "" {
				t.Errorf("written (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wantCalls, s.asked()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if stored := s.stored(deny); !isDesired(stored, deny) || stored.Labels["team"] != test.wantLabel {
				t.Errorf("stored is %+v, want what is desired and the label %q", stored, test.wantLabel)
			}
		})
	}
}

// Only a conflict and a missing policy mean that the plan has seen another object than the existing
// one. To retry any other error would wait for a hanging webhook twice.
func TestABlindUpdateThatIsRefusedIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t, live(deny, opened))
	s.on("update "+deny, refuse(forbidden(deny)))
	_, err := s.execute(oneByOne(blind(live(deny, opened))))
	if got := apply.Explain(err).Reason; got != v1alpha1.ReasonForbidden {
		t.Errorf("the reason is %q, want %q", got, v1alpha1.ReasonForbidden)
	}
	if diff := cmp.Diff([]string{"update " + deny}, s.asked()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// All namespaces of an environment share one rendering, so a write must not change it.
func TestAWriteLeavesTheRenderingAsItIs(t *testing.T) {
	t.Parallel()
	for _, step := range []plan.Step{create(deny), update(deny), blind(live(deny, opened)), recreate(deny)} {
		s := newServer(t, live(deny, opened))
		if step.Operation == plan.Create {
			s = newServer(t)
		}
		before := step.Desired.Policy.DeepCopy()
		s.altering(deny, func(n *networkingv1.NetworkPolicy) {
			opened(n)
			n.Labels["added"], n.Annotations["added"] = "by a webhook", "by a webhook"
		})
		if _, err := s.execute(oneByOne(step)); len(apply.Alterations(err)) != 1 {
			t.Errorf("%s: got %v, want the alteration", step.Operation, err)
		}
		if diff := cmp.Diff(before, step.Desired.Policy); diff != "" {
			t.Errorf("%s has changed the rendering (-want +got):\n%s", step.Operation, diff)
		}
	}
}

// Some network plugins stop enforcing a policy when its deletion begins, so one that a tenant's
// finalizer keeps protects no pod.
func TestAPolicyThatIsBeingDeletedIsMadeAgain(t *testing.T) {
	t.Parallel()
	get, put, post := "get "+deny, "update "+deny, "create "+deny
	tests := map[string]struct {
		there     *networkingv1.NetworkPolicy
		on        map[string]answer
		want      []done
		wantCalls []string
		wantKept  string // the finalizer that the error names
		wantLive  bool   // a living policy is there afterwards
	}{
		"a tenant's finalizer is taken off": {
			there: live(deny, terminating("example.com/keep")),
			want:  []done{{plan.Create, deny, false}}, wantCalls: []string{get, put, post}, wantLive: true,
		},
		"however many there are": {
			there: live(deny, terminating("example.com/keep", "foregroundDeletion", "example.com/more")),
			want:  []done{{plan.Create, deny, false}}, wantCalls: []string{get, put, post}, wantLive: true,
		},
		"a network plugin's stays, and is named": {
			there: live(deny, terminating(networkPlugin)), wantCalls: []string{get}, wantKept: networkPlugin,
		},
		"of both, the tenant's is taken off and the network plugin's stays": {
			there: live(deny, terminating("example.com/keep", networkPlugin)), wantCalls: []string{get, put}, wantKept: networkPlugin,
		},
		"until it is gone it is closed: some plugins still enforce it": {
			there: live(deny, func(n *networkingv1.NetworkPolicy) {
				opened(n)
				terminating(networkPlugin)(n)
			}),
			wantCalls: []string{get, put}, wantKept: networkPlugin,
		},
		"one that is gone meanwhile": {want: []done{{plan.Create, deny, false}}, wantCalls: []string{get, post}, wantLive: true},
		"one that goes before its finalizers are taken off": {
			there: live(deny, terminating("example.com/keep")), on: map[string]answer{put: refuse(notFound(deny))},
			wantCalls: []string{get, put, post},
		},
		"one that was made again meanwhile, and opened": {
			there: live(deny, opened), want: []done{{plan.Update, deny, false}}, wantCalls: []string{get, get, put}, wantLive: true,
		},
		"one that was made again meanwhile, as it is to be": {there: live(deny, nil), wantCalls: []string{get, get}, wantLive: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			if test.there != nil {
				s = newServer(t, test.there.DeepCopy())
			}
			for call, answer := range test.on {
				s.on(call, answer)
			}
			written, err := s.execute(oneByOne(recreate(deny)))
			if diff := cmp.Diff(test.want, inShort(written)); diff != "" {
				t.Errorf("written (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wantCalls, s.asked()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			stored := s.stored(deny)
			if test.wantLive && (err != nil || !isDesired(stored, deny) || stored.DeletionTimestamp != nil) {
				t.Errorf("error %v, stored %+v; want a living policy as desired", err, stored)
			}
			if test.wantKept == "" {
				return
			}
			kept, ok := errors.AsType[*apply.KeptError](err)
			if !ok || kept.Name != deny || kept.Finalizer != test.wantKept || !strings.Contains(err.Error(), test.wantKept) {
				t.Fatalf("got %v, want an error that names %s and %s", err, deny, test.wantKept)
			}
			if got := apply.Explain(err); got.Reason != v1alpha1.ReasonTerminatingPolicy || got.Permanent {
				t.Errorf("got %+v, want a reason that passes with the policy", got)
			}
			if !slices.Equal(stored.Finalizers, []string{test.wantKept}) || !isDesired(stored, deny) {
				t.Errorf("stored is %+v, want it closed and kept by %s alone", stored, test.wantKept)
			}
		})
	}
}

func TestWhatIsOnlyToBeClosed(t *testing.T) {
	t.Parallel()
	ofOther := func(n *networkingv1.NetworkPolicy) { n.Labels[v1alpha1.BaselineLabel] = "other" }
	lesser := onlyToClose(deny)
	lesser.Desired = policy.Render(builder.Baseline("default").Denying("Ingress").WithoutDNS().Scope(v1alpha1.IsolationScopeNone).Obj(), policy.Namespace{Name: "shop"})[0]
	openedOfOther := func(n *networkingv1.NetworkPolicy) {
		ofOther(n)
		opened(n)
	}
	tests := map[string]struct {
		step      plan.Step
		there     *networkingv1.NetworkPolicy
		want      []done
		wantLeft  bool
		wantError error
	}{
		"one that allows too much is closed": {
			step: onlyToClose(deny), there: live(deny, openedOfOther), want: []done{{plan.Update, deny, false}},
		},
		"one that allows no more is left to its owner": {step: onlyToClose(deny), there: live(deny, ofOther), wantLeft: true},
		"one that is gone is not made":                 {step: onlyToClose(deny), wantError: notFound(deny)},
		"one that isolates a direction more is not replaced, confirmed or not": {
			step: lesser, there: live(deny, openedOfOther), wantError: apply.ErrUnconfirmed,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			if test.there != nil {
				s = newServer(t, test.there.DeepCopy())
			}
			written, err := s.execute(oneByOne(test.step))
			if diff := cmp.Diff(test.want, inShort(written)); diff != "" {
				t.Errorf("written (-want +got):\n%s", diff)
			}
			left, rest := apply.Left(err)
			if found, ok := left[deny]; ok != test.wantLeft || ok && found != plan.Observe(s.stored(deny)) {
				t.Errorf("left are %v, want it left: %t", left, test.wantLeft)
			}
			if (rest != nil) != (test.wantError != nil) || errors.Is(test.wantError, apply.ErrUnconfirmed) && !errors.Is(rest, apply.ErrUnconfirmed) {
				t.Errorf("got the error %v, want %v", rest, test.wantError)
			}
			if test.wantError != nil && apierrors.IsNotFound(test.wantError) != apierrors.IsNotFound(rest) {
				t.Errorf("got the error %v, want %v", rest, test.wantError)
			}
		})
	}
}

func TestWhetherWhatWasReplacedWasHarmless(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*networkingv1.NetworkPolicy)
		want   bool
	}{
		"annotated otherwise":  {change: func(n *networkingv1.NetworkPolicy) { n.Annotations[v1alpha1.DescriptionAnnotation] = "mine" }, want: true},
		"opened":               {change: opened},
		"stripped of label":    {change: func(n *networkingv1.NetworkPolicy) { delete(n.Labels, v1alpha1.BaselineLabel) }},
		"labelled for another": {change: func(n *networkingv1.NetworkPolicy) { n.Labels[v1alpha1.BaselineLabel] = "other" }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			there := live(deny, test.change)
			for _, step := range []plan.Step{update(deny), blind(there)} {
				s := newServer(t, there.DeepCopy())
				written, err := s.execute(oneByOne(step))
				if err != nil || len(written) != 1 {
					t.Fatalf("got %v and %v, want one write", inShort(written), err)
				}
				if written[0].Harmless != test.want {
					t.Errorf("blind %t: harmless %t, want %t", step.Blind, written[0].Harmless, test.want)
				}
			}
		})
	}
}

// The length of a status message is limited, and the message of an admission rule comes last.
func TestAMessageDoesNotRepeatTheNameOfThePolicy(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		cause error
		want  string
	}{
		"forbidden": {apierrors.NewForbidden(policies, deny, errors.New("exceeded quota: objects")), "create " + deny + ": exceeded quota: objects"},
		"invalid":   {apierrors.NewInvalid(kind, deny, field.ErrorList{field.Required(field.NewPath("spec"), "")}), "create " + deny + ": spec: Required value"},
		"others stay as they are": {
			errors.New("networkpolicies.networking.k8s.io \"other\" is forbidden: no"),
			"create " + deny + ": networkpolicies.networking.k8s.io \"other\" is forbidden: no",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t).on("create "+deny, refuse(test.cause))
			_, err := s.execute(oneByOne(create(deny)))
			if got := apply.Explain(err).Message; !strings.HasPrefix(got, test.want) || strings.Count(got, deny) != 1 {
				t.Errorf("got %q, want %q, and the name once", got, test.want)
			}
			if !errors.Is(err, test.cause) {
				t.Error("the cause is lost")
			}
		})
	}
}

func TestWhichPoliciesWereRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t).altering(isolation, opened)
	s.on("create "+dns, refuse(forbidden(dns)))
	_, err := s.execute(oneByOne(create(dns), create(isolation), create(deny)))
	if diff := cmp.Diff([]string{dns}, apply.Refused(err)); diff != "" {
		t.Errorf("what was altered is in place (-want +got):\n%s", diff)
	}
	if got := apply.Refused(nil); got != nil {
		t.Errorf("of no error: %v", got)
	}
}

func TestOfSeveralRefusalsTheOneThatDoesNotPassIsShown(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.on("create "+dns, refuse(apierrors.NewServiceUnavailable("starting")))
	s.on("create "+deny, refuse(forbidden(deny)))
	_, err := s.execute(oneByOne(create(dns), create(isolation), create(deny)))
	if got := apply.Explain(err); got.Reason != v1alpha1.ReasonForbidden || !got.Permanent {
		t.Errorf("got %+v, want the one that needs a human", got)
	}
}
