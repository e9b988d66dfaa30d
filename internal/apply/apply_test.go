package apply_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/apply"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// done is a write in short form.
type done struct {
	Operation plan.Operation
	Name      string
	TakenOver bool
}

func inShort(written []apply.Written) []done {
	var all []done
	for _, w := range written {
		all = append(all, done{w.Operation, w.Object.Name, w.TakenOver})
	}
	return all
}

func TestAPolicyIsBroughtToItsDesiredState(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		step      plan.Step
		there     *networkingv1.NetworkPolicy // under the name, before
		answers   map[string][]answer
		want      []done
		wantCalls []string
	}{
		"created where nothing is": {
			step: create(deny), want: []done{{plan.Create, deny, false}}, wantCalls: []string{"create " + deny},
		},
		"put over a foreign object that the cache cannot show": {
			step: create(deny), there: foreign(deny),
			want: []done{{plan.Update, deny, true}}, wantCalls: []string{"create " + deny, "get " + deny, "update " + deny},
		},
		"put over one of ours that lost its label, without calling it a foreign one": {
			step: create(deny), there: live(deny, func(n *networkingv1.NetworkPolicy) { delete(n.Labels, v1alpha1.BaselineLabel) }),
			want: []done{{plan.Update, deny, false}}, wantCalls: []string{"create " + deny, "get " + deny, "update " + deny},
		},
		"found in the desired state, because the cache was behind: nothing is written": {
			step: create(deny), there: live(deny, nil), wantCalls: []string{"create " + deny, "get " + deny},
		},
		"updated as a whole": {
			step: update(deny), there: live(deny, opened), want: []done{{plan.Update, deny, false}}, wantCalls: []string{"get " + deny, "update " + deny},
		},
		"repaired by another client meanwhile: nothing is written": {
			step: update(deny), there: live(deny, nil), wantCalls: []string{"get " + deny},
		},
		"taken over from another baseline in place": {
			step: update(deny), there: live(deny, func(n *networkingv1.NetworkPolicy) { n.Labels[v1alpha1.BaselineLabel] = "other" }),
			want: []done{{plan.Update, deny, false}}, wantCalls: []string{"get " + deny, "update " + deny},
		},
		"read again after a conflict": {
			step: update(deny), there: live(deny, opened),
			answers: map[string][]answer{"update " + deny: {refuse(apierrors.NewConflict(policies, deny, errors.New("modified"))), asUsual}},
			want:    []done{{plan.Update, deny, false}},
			wantCalls: []string{
				"get " + deny, "update " + deny, "get " + deny, "update " + deny,
			},
		},
		"created when it is gone before the read": {
			step: update(deny), want: []done{{plan.Create, deny, false}}, wantCalls: []string{"get " + deny, "create " + deny},
		},
		"deleted": {
			step: remove(deny), there: live(deny, nil), want: []done{{plan.Delete, deny, false}}, wantCalls: []string{"delete " + deny},
		},
		"gone before it is deleted: no write to tell of": {step: remove(deny), wantCalls: []string{"delete " + deny}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			if test.there != nil {
				s = newServer(t, test.there.DeepCopy())
			}
			for call, answers := range test.answers {
				s.on(call, answers...)
			}
			written, err := s.execute(oneByOne(test.step))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, inShort(written)); diff != "" {
				t.Errorf("written (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wantCalls, s.asked()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNothingIsTakenAwayUnconfirmed(t *testing.T) {
	t.Parallel()
	lesser := policy.Render(builder.Baseline("default").Denying("Ingress").Obj(), policy.Namespace{Name: "shop"})
	i := slices.IndexFunc(lesser, func(d policy.Desired) bool { return d.Policy.Name == deny })
	toLess := func(step plan.Step) plan.Step {
		step.Desired = lesser[i]
		return step
	}
	oneDirection := func(n *networkingv1.NetworkPolicy) { n.Spec.PolicyTypes = []networkingv1.PolicyType{"Egress"} }
	tests := map[string]struct {
		step  plan.Step
		there *networkingv1.NetworkPolicy
		want  error
	}{
		"a direction would open":                              {step: toLess(update(deny)), there: live(deny, nil), want: apply.ErrUnconfirmed},
		"a direction would open that the cache does not show": {step: toLess(create(deny)), there: live(deny, nil), want: apply.ErrUnconfirmed},
		"a direction would open for another one that closes":  {step: toLess(update(deny)), there: live(deny, oneDirection), want: apply.ErrUnconfirmed},
		"a policy would go":                                   {step: remove(deny), there: live(deny, nil), want: apply.ErrUnconfirmed},
		"a direction is closed":                               {step: update(deny), there: live(deny, oneDirection)},
		"a rule is removed":                                   {step: update(deny), there: live(deny, opened)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, test.there.DeepCopy())
			executor := s.executor()
			before := s.stored(deny).ResourceVersion
			_, err := executor.Execute(t.Context(), oneByOne(test.step))
			if changed := s.stored(deny).ResourceVersion != before; !errors.Is(err, test.want) || changed != (test.want == nil) {
				t.Errorf("unconfirmed: error %v, changed %t; want the error %v", err, changed, test.want)
			}
			if test.want == nil {
				return
			}
			written, err := s.execute(oneByOne(test.step))
			if err != nil || len(written) != 1 {
				t.Errorf("confirmed: %d writes, error %v; want one", len(written), err)
			}
		})
	}
}

func TestWhatIsStoredAfterwards(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		step  plan.Step
		there *networkingv1.NetworkPolicy
		want  func(*networkingv1.NetworkPolicy) // how it differs from what is desired
	}{
		"created: exactly what is desired": {step: create(deny)},
		"updated: the whole spec, including what another client added": {
			step: update(deny), there: live(deny, func(n *networkingv1.NetworkPolicy) {
				n.Spec.PodSelector.MatchLabels = map[string]string{"app": "web"}
				n.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}}
				opened(n)
			}),
		},
		"foreign labels and annotations stay, ours are restored": {
			step: update(deny), there: live(deny, func(n *networkingv1.NetworkPolicy) {
				opened(n)
				n.Labels = map[string]string{"team": "web", v1alpha1.BaselineLabel: "forged", v1alpha1.ManagedByLabel: "helm"}
				n.Annotations = map[string]string{"projectcalico.org/metadata": "{}", v1alpha1.DescriptionAnnotation: "mine now"}
			}),
			want: func(n *networkingv1.NetworkPolicy) {
				n.Labels["team"], n.Annotations["projectcalico.org/metadata"] = "web", "{}"
			},
		},
		"owner references go, because garbage collection would delete the policy": {
			step: update(deny), there: live(deny, func(n *networkingv1.NetworkPolicy) {
				n.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "bait", UID: "1"}}
			}),
		},
		"the prefix of a generated name goes, because an update may make it as long as an object can be": {
			step: update(deny), there: live(deny, func(n *networkingv1.NetworkPolicy) {
				opened(n)
				n.GenerateName = strings.Repeat("x", 1<<20)
			}),
		},
		"foreign finalizers stay": {
			step: update(deny), there: live(deny, func(n *networkingv1.NetworkPolicy) {
				opened(n)
				n.Finalizers = []string{"example.com/keep"}
			}),
			want: func(n *networkingv1.NetworkPolicy) { n.Finalizers = []string{"example.com/keep"} },
		},
		"the spec that it replaced stays through a later repair": {
			step: update(deny), there: live(deny, func(n *networkingv1.NetworkPolicy) {
				opened(n)
				n.Annotations[v1alpha1.ReplacedSpecAnnotation] = `{"old":true}`
			}),
			want: func(n *networkingv1.NetworkPolicy) { n.Annotations[v1alpha1.ReplacedSpecAnnotation] = `{"old":true}` },
		},
		"the old spec of one of ours is not kept": {
			step: create(deny), there: live(deny, func(n *networkingv1.NetworkPolicy) {
				opened(n)
				n.Labels = nil
			}),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			if test.there != nil {
				s = newServer(t, test.there.DeepCopy())
			}
			if _, err := s.execute(oneByOne(test.step)); err != nil {
				t.Fatal(err)
			}
			want := desired()[deny].Policy.DeepCopy()
			if test.want != nil {
				test.want(want)
			}
			diff := cmp.Diff(want, s.stored(deny), cmpopts.IgnoreFields(metav1.ObjectMeta{}, "UID", "ResourceVersion"), cmpopts.IgnoreTypes(metav1.TypeMeta{}))
			if diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// A client that fills an object to the API server's limits must not keep us from closing it.
func TestForeignMetadataIsKeptWithinBounds(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10
	ours := 0
	for _, metadata := range []map[string]string{desired()[deny].Policy.Labels, desired()[deny].Policy.Annotations} {
		for key, value := range metadata {
			ours += len(key) + len(value)
		}
	}
	const key, finalizer = "example.com/padding", "example.com/keep"
	tests := map[string]struct {
		padding int
		kept    bool
	}{
		"a little":                  {padding: 1, kept: true},
		"just within the bound":     {padding: limit - ours - len(key) - len(finalizer), kept: true},
		"one byte beyond the bound": {padding: limit - ours - len(key) - len(finalizer) + 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, live(deny, func(n *networkingv1.NetworkPolicy) {
				opened(n)
				n.Finalizers = []string{finalizer}
				n.Annotations[key] = strings.Repeat("x", test.padding)
			}))
			if _, err := s.execute(oneByOne(update(deny))); err != nil {
				t.Fatal(err)
			}
			stored := s.stored(deny)
			if _, kept := stored.Annotations[key]; kept != test.kept || (len(stored.Finalizers) == 1) != test.kept {
				t.Errorf("annotation kept %t, finalizers %v; want kept %t", kept, stored.Finalizers, test.kept)
			}
			if observed := plan.Observe(stored); observed.SpecHash != desired()[deny].Hash || !observed.MetadataIntact || observed.Owner != "default" {
				t.Errorf("stored is %+v, want it closed and marked as ours", observed)
			}
		})
	}
}

func TestTheUpdateGoesUnderWhatWasReadAndLeavesManagedFieldsAlone(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		managers int // of 1 KiB each
		want     []metav1.ManagedFieldsEntry
	}{
		"of a few managers, none are sent: they stay as they are": {managers: 64},
		"of too many, an empty one is sent: they begin anew":      {managers: 65, want: []metav1.ManagedFieldsEntry{{}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			there, sent := live(deny, opened), &networkingv1.NetworkPolicy{}
			s := newServer(t, there.DeepCopy())
			s.altering(deny, func(n *networkingv1.NetworkPolicy) {
				*sent = *n.DeepCopy()
				n.ManagedFields = nil // the fake client knows nothing of them
			})
			executor := apply.Executor{Writer: s.WithWatch, Live: managed{s.WithWatch, test.managers}}
			if _, err := executor.Execute(t.Context(), oneByOne(update(deny))); err != nil {
				t.Fatal(err)
			}
			if sent.UID != there.UID || sent.ResourceVersion != there.ResourceVersion {
				t.Errorf("sent under UID %q and resource version %q, want those that were read: %q and %q", sent.UID, sent.ResourceVersion, there.UID, there.ResourceVersion)
			}
			if diff := cmp.Diff(test.want, sent.ManagedFields); diff != "" {
				t.Errorf("managedFields (-want +got):\n%s", diff)
			}
		})
	}
}

// managed reads objects with managedFields of so many managers, as an API server returns them.
type managed struct {
	client.Reader
	managers int
}

func (r managed) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	err := r.Reader.Get(ctx, key, object, opts...)
	entry := metav1.ManagedFieldsEntry{Manager: "kubectl-edit", Operation: metav1.ManagedFieldsOperationUpdate, FieldsV1: metav1.NewFieldsV1(strings.Repeat("x", 1<<10))}
	object.SetManagedFields(slices.Repeat([]metav1.ManagedFieldsEntry{entry}, r.managers))
	return err
}

func TestAConflictReadsAnewWhatSomebodyElseWrote(t *testing.T) {
	t.Parallel()
	s := newServer(t, live(deny, opened))
	var raced bool
	s.altering(deny, func(n *networkingv1.NetworkPolicy) {
		if raced {
			return
		}
		raced = true
		other := live(deny, func(o *networkingv1.NetworkPolicy) {
			opened(o)
			o.Labels["team"] = "web"
		})
		if err := s.Update(t.Context(), other); err != nil {
			t.Error(err)
		}
	})
	written, err := s.execute(oneByOne(update(deny)))
	if err != nil {
		t.Fatal(err)
	}
	stored := s.stored(deny)
	if got := stored.Labels["team"]; got != "web" {
		t.Errorf("the label that another client wrote meanwhile is %q, want it kept", got)
	}
	if policy.HashSpec(&stored.Spec) != desired()[deny].Hash {
		t.Errorf("stored is %+v, want what is desired", stored.Spec)
	}
	if diff := cmp.Diff([]done{{plan.Update, deny, false}}, inShort(written)); diff != "" {
		t.Errorf("a write that lost is reported, or the one that won is not (-want +got):\n%s", diff)
	}
}

func TestAPolicyThatIsDeletedBetweenReadAndWriteIsCreated(t *testing.T) {
	t.Parallel()
	s := newServer(t, live(deny, opened))
	var deleted bool
	s.altering(deny, func(*networkingv1.NetworkPolicy) {
		if !deleted {
			deleted = true
			if err := s.Delete(t.Context(), live(deny, nil)); err != nil {
				t.Error(err)
			}
		}
	})
	written, err := s.execute(oneByOne(update(deny)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]done{{plan.Create, deny, false}}, inShort(written)); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
	if stored := s.stored(deny); stored == nil || policy.HashSpec(&stored.Spec) != desired()[deny].Hash {
		t.Errorf("stored is %+v, want what is desired", stored)
	}
}

func TestAConflictThatDoesNotEndIsReported(t *testing.T) {
	t.Parallel()
	s := newServer(t, live(deny, opened))
	conflict := refuse(apierrors.NewConflict(policies, deny, errors.New("modified")))
	s.on("update "+deny, slices.Repeat([]answer{conflict}, 100)...)
	written, err := s.execute(oneByOne(update(deny)))
	if !apierrors.IsConflict(err) || len(written) > 0 {
		t.Errorf("got %v and %v, want no write and a conflict", inShort(written), err)
	}
	updates := len(slices.DeleteFunc(s.asked(), func(call string) bool { return call != "update "+deny }))
	if updates < 2 || updates > 10 {
		t.Errorf("tried %d times, want several times and not forever", updates)
	}
}

func TestWhatIsGoneBetweenCreateAndReadIsAConflict(t *testing.T) {
	t.Parallel()
	s := newServer(t).on("create "+deny, refuse(apierrors.NewAlreadyExists(policies, deny)))
	written, err := s.execute(oneByOne(create(deny)))
	if err == nil || apply.NamespaceGone(err) {
		t.Fatalf("got %v: want an error that is about the policy alone", err)
	}
	if got := apply.Explain(err); got.Reason != v1alpha1.ReasonConflict || got.Permanent || len(written) > 0 {
		t.Errorf("got %+v and %v, want a conflict that passes and no write", got, inShort(written))
	}
	if diff := cmp.Diff([]string{"create " + deny, "get " + deny}, s.asked()); diff != "" {
		t.Errorf("create and read must not chase each other (-want +got):\n%s", diff)
	}
}

func TestTheSpecOfAForeignPolicyIsKeptIfItFits(t *testing.T) {
	t.Parallel()
	const limit = 16 << 10
	// sized is a foreign policy whose spec takes exactly so many bytes of JSON.
	sized := func(bytes int) *networkingv1.NetworkPolicy {
		object := foreign(deny)
		object.Spec.PodSelector.MatchLabels = map[string]string{"x": ""}
		empty, err := json.Marshal(object.Spec)
		if err != nil {
			t.Fatal(err)
		}
		object.Spec.PodSelector.MatchLabels["x"] = strings.Repeat("a", bytes-len(empty))
		return object
	}
	tests := map[string]struct {
		there *networkingv1.NetworkPolicy
		kept  bool
	}{
		"a usual one":               {there: foreign(deny), kept: true},
		"one of exactly 16 KiB":     {there: sized(limit), kept: true},
		"one that is a byte larger": {there: sized(limit + 1)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, test.there.DeepCopy())
			written, err := s.execute(oneByOne(create(deny)))
			if err != nil {
				t.Fatal(err)
			}
			if len(written) != 1 || !written[0].TakenOver {
				t.Errorf("got %+v, want one write that took over", inShort(written))
			}
			kept, ok := s.stored(deny).Annotations[v1alpha1.ReplacedSpecAnnotation]
			if ok != test.kept {
				t.Fatalf("kept: %t, want %t", ok, test.kept)
			}
			if !ok {
				return
			}
			var spec networkingv1.NetworkPolicySpec
			if err := json.Unmarshal([]byte(kept), &spec); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.there.Spec, spec); diff != "" {
				t.Errorf("the kept spec is not the replaced one (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeletingNamesTheObjectAndItsState(t *testing.T) {
	t.Parallel()
	s := newServer(t, live(deny, nil))
	written, err := s.execute(oneByOne(remove(deny)))
	if err != nil {
		t.Fatal(err)
	}
	options := client.DeleteOptions{}
	options.ApplyOptions(s.options["delete "+deny].([]client.DeleteOption))
	want := &metav1.Preconditions{UID: new(types.UID("uid of " + deny)), ResourceVersion: new("7")}
	if diff := cmp.Diff(want, options.Preconditions); diff != "" {
		t.Errorf("preconditions (-want +got):\n%s", diff)
	}
	if got := written[0].Object; got.Namespace != "shop" || got.Name != deny || got.UID != types.UID("uid of "+deny) {
		t.Errorf("reported is %+v, want the object that was deleted", got.ObjectMeta)
	}
	if s.stored(deny) != nil {
		t.Error("it is still there")
	}
}

func TestAnObjectThatChangedSinceItWasJudgedIsJudgedAgain(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change    func(*networkingv1.NetworkPolicy)
		wantGone  bool
		wantAsked []string
	}{
		"still ours: a client that keeps writing to it does not keep it": {
			change: func(*networkingv1.NetworkPolicy) {}, wantGone: true,
			wantAsked: []string{"delete " + deny, "get " + deny, "delete " + deny},
		},
		"another object under the name": {
			change: func(n *networkingv1.NetworkPolicy) { n.UID = "another" }, wantAsked: []string{"delete " + deny, "get " + deny},
		},
		"made for another baseline now": {
			change:    func(n *networkingv1.NetworkPolicy) { n.Labels[v1alpha1.BaselineLabel] = "other" },
			wantAsked: []string{"delete " + deny, "get " + deny},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, live(deny, func(n *networkingv1.NetworkPolicy) {
				n.ResourceVersion = "8"
				test.change(n)
			}))
			written, err := s.execute(oneByOne(remove(deny)))
			if test.wantGone != (err == nil) || test.wantGone != (len(written) == 1) || test.wantGone != (s.stored(deny) == nil) {
				t.Errorf("got %v and %v, want it gone: %t", inShort(written), err, test.wantGone)
			}
			if !test.wantGone && apply.Explain(err).Reason != v1alpha1.ReasonConflict {
				t.Errorf("got %v, want a conflict", err)
			}
			if diff := cmp.Diff(test.wantAsked, s.asked()); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}
