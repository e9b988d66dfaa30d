package governance_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/builder"
)

// What no decision may ever get wrong, in whatever state the baselines are.
func TestDecisionsAreSafeInEveryState(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	seen := map[governance.Action]int{}
	for range 5_000 {
		objects, subject, evidence := randomState(random)
		decision := governance.Decide(viewOf(objects), subject, evidence)
		seen[decision.Action]++

		if problem := unsafe(objects, subject, evidence, decision); problem != "" {
			t.Fatalf("seed %d: %s\nsubject %+v\nevidence %+v\ndecision %+v", seed, problem, subject, evidence, answerOf(decision))
		}
		random.Shuffle(len(objects), func(i, j int) { objects[i], objects[j] = objects[j], objects[i] })
		if diff := cmp.Diff(answerOf(decision), answerOf(governance.Decide(viewOf(objects), subject, evidence))); diff != "" {
			t.Fatalf("seed %d: the order in which baselines are listed changes the decision (-one +other):\n%s", seed, diff)
		}
	}
	for _, action := range []governance.Action{governance.Ignore, governance.Enforce, governance.Hold, governance.Confirm, governance.Release} {
		if seen[action] < 20 {
			t.Errorf("seed %d: %s came up %d times: too rarely to show anything", seed, action, seen[action])
		}
	}
}

// unsafe says what is wrong with a decision, judged by the design alone and not by the code.
func unsafe(objects []*v1alpha1.ClusterNetworkBaseline, subject governance.Subject, evidence governance.Evidence, d governance.Decision) string {
	switch d.Action {
	case governance.Enforce:
		return wrongGovernor(objects, subject, d)
	case governance.Release:
		return wrongRelease(objects, subject, evidence, d)
	case governance.Hold, governance.Ignore, governance.Confirm:
		if best := rightful(objects, subject); best != nil && !subject.Terminating {
			return fmt.Sprintf("%s governs and is not enforced", best.Name)
		}
	}
	return ""
}

func wrongGovernor(objects []*v1alpha1.ClusterNetworkBaseline, subject governance.Subject, d governance.Decision) string {
	best := rightful(objects, subject)
	if best == nil || best.Name != d.Governor.Baseline.Name {
		return fmt.Sprintf("%s is enforced, rightful is %v", d.Governor.Baseline.Name, best)
	}
	return ""
}

func wrongRelease(objects []*v1alpha1.ClusterNetworkBaseline, subject governance.Subject, evidence governance.Evidence, d governance.Decision) string {
	if !evidence.Live || evidence.CRDTerminating {
		return "removal without evidence"
	}
	for _, object := range objects {
		wants := object.DeletionTimestamp == nil && object.Spec.Mode != v1alpha1.ModeAudit
		if wants && selects(object, subject) && !protected(objects, subject.Name) {
			return fmt.Sprintf("removal although %s wants to govern the namespace", object.Name)
		}
	}
	for _, owner := range d.Owners {
		i := slices.IndexFunc(objects, func(o *v1alpha1.ClusterNetworkBaseline) bool { return o.Name == owner })
		switch {
		case !slices.Contains(subject.Owners, owner):
			return fmt.Sprintf("removal for %s, which owns nothing there", owner)
		case i < 0:
			return fmt.Sprintf("removal for %s, which does not exist", owner)
		case objects[i].DeletionTimestamp != nil && objects[i].Spec.DeletionPolicy == v1alpha1.DeletionPolicyDelete:
		case objects[i].DeletionTimestamp != nil || !accepted(objects[i]) || objects[i].Spec.Mode != v1alpha1.ModeEnforce:
			return fmt.Sprintf("removal for %s, which does not ask for it", owner)
		}
	}
	return ""
}

// rightful is the baseline that governs the namespace: the highest that enforces, is accepted, has its finalizer and selects it.
func rightful(objects []*v1alpha1.ClusterNetworkBaseline, subject governance.Subject) *v1alpha1.ClusterNetworkBaseline {
	var best *v1alpha1.ClusterNetworkBaseline
	for _, object := range objects {
		finalized := object.Spec.DeletionPolicy == v1alpha1.DeletionPolicyRetain || slices.Contains(object.Finalizers, v1alpha1.CleanupFinalizer)
		if object.DeletionTimestamp != nil || object.Spec.Mode != v1alpha1.ModeEnforce || !accepted(object) || !finalized ||
			!selects(object, subject) || protected(objects, subject.Name) || spared(objects, subject) {
			continue
		}
		higher := best == nil || *object.Spec.Priority > *best.Spec.Priority
		if higher || *object.Spec.Priority == *best.Spec.Priority && object.Name < best.Name {
			best = object
		}
	}
	return best
}

func accepted(object *v1alpha1.ClusterNetworkBaseline) bool { return len(policy.Validate(object)) == 0 }

func protected(objects []*v1alpha1.ClusterNetworkBaseline, namespace string) bool {
	return namespace == "kube-system" || slices.ContainsFunc(objects, func(object *v1alpha1.ClusterNetworkBaseline) bool {
		return accepted(object) && object.Spec.Mode == v1alpha1.ModeEnforce && object.Spec.DNS.Static.Peers[0].Namespace == namespace
	})
}

// spared is a namespace that no baseline in force names for DNS, but one that may have policies standing does, and that nobody governs.
func spared(objects []*v1alpha1.ClusterNetworkBaseline, subject governance.Subject) bool {
	return len(subject.Owners) == 0 && slices.ContainsFunc(objects, func(object *v1alpha1.ClusterNetworkBaseline) bool {
		return object.Spec.DNS.Static.Peers[0].Namespace == subject.Name
	})
}

func selects(object *v1alpha1.ClusterNetworkBaseline, subject governance.Subject) bool {
	if slices.Contains(object.Spec.ExcludedNamespaces, v1alpha1.NamespacePattern(subject.Name)) {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(object.Spec.NamespaceSelector.AsLabelSelector())
	return err != nil || selector.Matches(labels.Set(subject.Labels))
}

func viewOf(objects []*v1alpha1.ClusterNetworkBaseline) *governance.View {
	var candidates []*governance.Candidate
	for _, object := range objects {
		candidates = append(candidates, governance.NewCandidate(object))
	}
	return governance.NewView(candidates, operatorNamespace)
}

// randomState draws from few values, so that everything meets everything often.
func randomState(random *rand.Rand) ([]*v1alpha1.ClusterNetworkBaseline, governance.Subject, governance.Evidence) {
	names := []string{"a", "b", "c"}
	var objects []*v1alpha1.ClusterNetworkBaseline
	for _, name := range names {
		if random.IntN(4) > 0 {
			objects = append(objects, randomBaseline(random, name))
		}
	}
	subject := governance.Subject{
		Namespace: policy.Namespace{
			Name:   pick(random, "shop", "shop", "shop", "dns", "kube-system"),
			Labels: pick(random, nil, builder.Labels("environment", "production")),
		},
		Terminating: random.IntN(6) == 0,
	}
	for _, name := range names {
		if random.IntN(2) == 0 {
			subject.Owners = append(subject.Owners, name)
		}
	}
	return objects, subject, governance.Evidence{Live: random.IntN(3) > 0, CRDTerminating: random.IntN(8) == 0}
}

func randomBaseline(random *rand.Rand, name string) *v1alpha1.ClusterNetworkBaseline {
	b := builder.Baseline(name).
		Priority(pick(random, int32(0), 0, 7)).
		Mode(pick(random, v1alpha1.ModeEnforce, v1alpha1.ModeEnforce, v1alpha1.ModeEnforce, v1alpha1.ModeAudit, "Warn")).
		DeletionPolicy(pick(random, v1alpha1.DeletionPolicyDelete, v1alpha1.DeletionPolicyDelete, v1alpha1.DeletionPolicyRetain, "Orphan")).
		DNSPeers(builder.DNSPods(pick(random, "kube-system", "kube-system", "dns")))
	switch random.IntN(6) {
	case 0, 1:
		b.Selecting("environment", pick(random, "production", "staging"))
	case 2, 3:
		b.Excluding("shop")
	case 4:
		b.SelectingWhere("environment", pick(random, "Exists", "DoesNotExist", "Resembles"))
	}
	if random.IntN(4) > 0 {
		b.Finalized()
	}
	if random.IntN(4) == 0 {
		b.Deleting()
	}
	if random.IntN(8) == 0 {
		b.Scope("SameTeam")
	}
	return b.Obj()
}

func pick[T any](random *rand.Rand, choices ...T) T { return choices[random.IntN(len(choices))] }
