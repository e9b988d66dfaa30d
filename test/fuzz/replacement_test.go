package fuzz

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/apply"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/choices"
	"github.com/netbaseline/netbaseline/test/utils/specs"
)

const (
	// keptMetadata is up to how many bytes of labels, annotations and finalizers of a policy are
	// kept, and keptSpec of a replaced spec.
	keptMetadata, keptSpec = 64 << 10, 16 << 10
	// ample is how large a policy of ours may be: well below what the API server stores.
	ample = maxStored / 2
)

// Whatever object under one of our names the API server admits: the operator can restore it with
// one write, it then has the rendered spec, and foreign metadata is kept within bounds.
func FuzzReplacement(f *testing.F) {
	for _, example := range choices.Examples(128) {
		f.Add(example)
	}
	_, policies := mustServe(f)
	f.Fuzz(func(t *testing.T, input []byte) {
		g := tamperer{specs.Generator{Source: choices.From(input)}}
		step := g.step()
		live := g.tampered(policies, step)
		if live == nil {
			return
		}
		s := &server{policies: policies, live: live}
		executor := apply.Executor{Writer: s, Live: s, Confirmed: true}
		written, err := executor.Execute(t.Context(), plan.Plan{{step}})
		if err != nil {
			t.Fatalf("the policy cannot be restored: %v", err)
		}
		checkReplaced(t, step.Desired, live, s)
		checkMetadata(t, step.Desired, live, s.live)
		if untouched := len(written) == 0; untouched != (s.writes == 0) || s.writes > 1 {
			t.Errorf("%d writes, of which %d are told of", s.writes, len(written))
		}
		before := s.writes
		if again, err := executor.Execute(t.Context(), plan.Plan{{step}}); err != nil || len(again) > 0 || s.writes != before {
			t.Errorf("a restored policy is written again: %d writes, error %v", s.writes-before, err)
		}
	})
}

// tamperer generates what a hostile tenant does to a policy.
type tamperer struct{ specs.Generator }

// step is the write of one of the policies of a baseline.
func (g tamperer) step() plan.Step {
	b := builder.Baseline("default").Denying(choices.Pick(g.Source,
		[]v1alpha1.PolicyType{v1alpha1.PolicyTypeIngress, v1alpha1.PolicyTypeEgress}, []v1alpha1.PolicyType{v1alpha1.PolicyTypeEgress},
	)...)
	desired := choices.Pick(g.Source, policy.Render(b.Obj(), policy.Namespace{Name: "shop", Labels: builder.Labels("environment", "production")})...)
	return plan.Step{
		Operation: choices.Pick(g.Source, plan.Update, plan.Create), Namespace: "shop", Name: desired.Policy.Name, Desired: desired,
	}
}

// tampered is an object that a hostile tenant has made under the name, or of the policy, that a
// step writes; nil if the API server would not have let them.
func (g tamperer) tampered(policies *policyServer, step plan.Step) *networkingv1.NetworkPolicy {
	begun, err := policies.create(step.Desired.Policy)
	if err != nil {
		panic(err) // not reached: FuzzRender says so
	}
	begun.stored.ResourceVersion = "6"
	hostile := begun.stored.DeepCopy()
	if g.OneIn(3) { // it never was ours
		hostile.Labels, hostile.Annotations, hostile.Spec = nil, nil, g.foreignSpec()
	}
	for ok := true; ok; ok = g.OneIn(2) {
		g.tamper(hostile)
	}
	made, err := policies.update(hostile, begun.stored)
	if err != nil {
		return nil
	}
	if len(made.stored.Finalizers) > 0 && g.OneIn(3) {
		made.stored.DeletionTimestamp = new(metav1.Unix(1, 0))
	}
	made.stored.ResourceVersion = "7"
	return made.stored
}

func (g tamperer) tamper(object *networkingv1.NetworkPolicy) {
	switch g.IntN(8) {
	case 0:
		object.Spec = g.foreignSpec()
	case 1:
		object.Labels = g.metadata(object.Labels, g.LabelValue)
	case 2:
		object.Annotations = g.metadata(object.Annotations, g.long)
	case 3:
		g.times(func(i int, odd bool) {
			key := "example.com/keep"
			if odd {
				key = g.LabelKey()
			}
			object.Finalizers = append(object.Finalizers, fmt.Sprintf("%s%d", key, i))
		})
	case 4:
		object.OwnerReferences = append(object.OwnerReferences, metav1.OwnerReference{
			APIVersion: g.AlmostAlways(g.oneText("v1", "apps/v1", "a/b/c")), Kind: g.AlmostAlways(g.oneText("ConfigMap", "Node")), Name: g.long(), UID: types.UID(g.long()),
			Controller: choices.Pick(g.Source, nil, new(true)),
		})
	case 5:
		object.GenerateName = g.long()
	case 6:
		object.ManagedFields = g.managers()
	case 7:
		object.Labels, object.Annotations = nil, nil
	}
}

func (g tamperer) oneText(values ...string) func() string {
	return func() string { return choices.Pick(g.Source, values...) }
}

// times does something a few times, with the oddest values, or very often. Then the values must not
// be odd: the API server would list each mistake, in a time that grows with the square of their
// number.
func (g tamperer) times(do func(i int, odd bool)) {
	n, odd := 1+g.IntN(4), true
	if g.OneIn(8) {
		n, odd = choices.Pick(g.Source, 300, 1_500, 5_000), false
	}
	for i := range n {
		do(i, odd)
	}
}

// long is a text, sometimes very long.
func (g tamperer) long() string {
	if !g.OneIn(5) {
		return g.Text(40)
	}
	unit := "x" + choices.Pick(g.Source, "", "", "é", g.Text(40))
	return strings.Repeat(unit, choices.Pick(g.Source, keptMetadata-300, keptMetadata, keptSpec, maxStored/2, maxStored-600)/len(unit))
}

// metadata adds labels or annotations, ours among them.
func (g tamperer) metadata(there map[string]string, value func() string) map[string]string {
	all := map[string]string{}
	maps.Copy(all, there)
	g.times(func(i int, odd bool) {
		if !odd {
			all[fmt.Sprintf("example.com/k%d", i)] = "v"
			return
		}
		all[choices.Pick(g.Source,
			v1alpha1.BaselineLabel, v1alpha1.ManagedByLabel, v1alpha1.DescriptionAnnotation, v1alpha1.ReplacedSpecAnnotation, g.LabelKey(),
		)] = value()
	})
	return all
}

// managers are entries of managedFields, which a client that may write an object may write as well.
func (g tamperer) managers() []metav1.ManagedFieldsEntry {
	subresource := choices.Pick(g.Source, "", "status", strings.Repeat("s", 256))
	var entries []metav1.ManagedFieldsEntry
	g.times(func(i int, odd bool) {
		name := strings.Repeat("m", 120)
		if odd {
			name = g.Text(100)
		}
		entries = append(entries, metav1.ManagedFieldsEntry{
			Manager: fmt.Sprintf("%s%d", name, i), Subresource: subresource,
			Operation:  choices.Pick(g.Source, metav1.ManagedFieldsOperationApply, metav1.ManagedFieldsOperationUpdate),
			APIVersion: "networking.k8s.io/v1", FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{}}`),
		})
	})
	return entries
}

// foreignSpec is the spec of another client, sometimes more than an annotation can hold.
func (g tamperer) foreignSpec() networkingv1.NetworkPolicySpec {
	spec := networkingv1.NetworkPolicySpec{
		PolicyTypes: choices.Pick(g.Source, nil, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}),
		Ingress:     []networkingv1.NetworkPolicyIngressRule{{}},
	}
	if g.OneIn(2) {
		spec.PodSelector.MatchLabels = map[string]string{g.LabelKey(): g.LabelValue()}
	}
	for range choices.Pick(g.Source, 1, 1, 10, 400) {
		rule := networkingv1.NetworkPolicyEgressRule{To: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0"}}}}
		spec.Egress = append(spec.Egress, rule)
	}
	return spec
}

// server is an API server with one policy.
type server struct {
	client.Writer
	client.Reader
	policies *policyServer
	live     *networkingv1.NetworkPolicy
	size     int
	writes   int
}

// Get reads the policy.
func (s *server) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	s.live.DeepCopyInto(object.(*networkingv1.NetworkPolicy))
	return nil
}

// Create finds that the policy is there already.
func (s *server) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	return apierrors.NewAlreadyExists(networkingv1.Resource("networkpolicies"), object.GetName())
}

// Update replaces the policy.
func (s *server) Update(_ context.Context, object client.Object, _ ...client.UpdateOption) error {
	sent := object.(*networkingv1.NetworkPolicy)
	a, err := s.policies.update(sent, s.live)
	if err != nil {
		return err
	}
	s.live, s.size = a.stored, a.size
	s.writes++
	s.live.DeepCopyInto(sent)
	return nil
}

// checkReplaced checks that the policy is what was rendered, that nothing deletes it, and that a
// tenant cannot fill it up.
func checkReplaced(t *testing.T, desired policy.Desired, before *networkingv1.NetworkPolicy, s *server) {
	t.Helper()
	observed := plan.Observe(s.live)
	if observed.SpecHash != desired.Hash || observed.Owner != "default" || !observed.MetadataIntact {
		t.Errorf("stored is %+v, want it as rendered and marked as ours", observed)
	}
	if !equality.Semantic.DeepEqual(desired.Policy.Spec, s.live.Spec) {
		t.Errorf("the spec is %.1000s", s.live.Spec.String())
	}
	if len(s.live.OwnerReferences) > 0 {
		t.Errorf("garbage collection may delete it for %v", s.live.OwnerReferences)
	}
	if s.live.UID != before.UID || s.live.Name != before.Name {
		t.Errorf("another object was written: %s %s", s.live.Name, s.live.UID)
	}
	managers := 0 // which an API server forgets before it lets an object grow too large
	for i := range s.live.ManagedFields {
		managers += s.live.ManagedFields[i].Size()
	}
	if s.size-managers > ample {
		t.Errorf("it has %d bytes without managedFields: a tenant can fill it until it cannot be written any more", s.size-managers)
	}
}

// checkMetadata checks that foreign metadata is kept as it was, all of it within the bound and none
// of it beyond.
func checkMetadata(t *testing.T, desired policy.Desired, before, after *networkingv1.NetworkPolicy) {
	t.Helper()
	labels, annotations, finalizers := maps.Clone(before.Labels), maps.Clone(before.Annotations), slices.Clone(before.Finalizers)
	size := len(strings.Join(finalizers, ""))
	for _, metadata := range []map[string]string{labels, annotations} {
		for key, value := range metadata {
			size += len(key) + len(value)
		}
	}
	if size > keptMetadata && plan.Observe(before) != plan.Observe(after) {
		labels, annotations, finalizers = nil, nil, nil
	}
	labels, annotations = with(labels, desired.Policy.Labels), with(annotations, desired.Policy.Annotations)
	if old, err := json.Marshal(before.Spec); !policy.WasOurs(before) && err == nil && len(old) <= keptSpec {
		annotations[v1alpha1.ReplacedSpecAnnotation] = string(old)
	}
	if !maps.Equal(labels, after.Labels) {
		t.Errorf("labels, of %d bytes: %s", size, difference(labels, after.Labels))
	}
	if !maps.Equal(annotations, after.Annotations) {
		t.Errorf("annotations, of %d bytes: %s", size, difference(annotations, after.Annotations))
	}
	if !slices.Equal(finalizers, after.Finalizers) {
		t.Errorf("%d finalizers of %d are kept, of %d bytes", len(after.Finalizers), len(before.Finalizers), size)
	}
}

// difference says in a few words where two maps, which may be very large, differ.
func difference(want, got map[string]string) string {
	for key, value := range with(want, got) {
		if wanted, ok := want[key]; !ok || wanted != value {
			return fmt.Sprintf("%.300s is %.300q, want %.300q (%t)", key, value, wanted, ok)
		}
		if _, ok := got[key]; !ok {
			return fmt.Sprintf("%.300s is lost", key)
		}
	}
	return ""
}

func with(foreign, ours map[string]string) map[string]string {
	all := map[string]string{}
	maps.Copy(all, foreign)
	maps.Copy(all, ours)
	return all
}
