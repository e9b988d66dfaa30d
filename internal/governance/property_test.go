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
	"github.com/netbaseline/netbaseline/test/utils/builder"
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

// unsafe reports what is wrong with a decision, judged by the design alone and not by the code.
func unsafe(objects []*v1alpha1.ClusterNetworkBaseline, subject governance.Subject, evidence governance.Evidence, d governance.Decision) string {
	best := rightful(objects, subject)
	switch d.Action {
	case governance.Enforce:
		if best == nil || best != d.Governor.Baseline {
			return fmt.Sprintf("%s is enforced, rightful is %v", d.Governor.Baseline.Name, best)
		}
		return wrongHandOver(objects, subject, evidence, best)
	case governance.Release:
		return wrongRelease(objects, subject, evidence, d)
	case governance.Confirm:
		// What is confirmed must be possible: the same, once it is read live, is a release or a
		// hand-over.
		evidence.Live = true
		if d.Governor == nil {
			return wrongRelease(objects, subject, evidence, d)
		}
		return wrongHandOver(objects, subject, evidence, best)
	case governance.Hold:
		return wrongHold(objects, subject, evidence, d)
	case governance.Ignore:
		if !subject.Terminating && (best != nil || len(subject.Owners) > 0 || subject.Orphaned) {
			return fmt.Sprintf("policies exist there, or %v is to govern, and nothing is reported", best)
		}
	}
	return ""
}

// wrongHandOver goes over the owners that the new governor does not precede: each must let go
// itself, as read live.
func wrongHandOver(objects []*v1alpha1.ClusterNetworkBaseline, subject governance.Subject, evidence governance.Evidence, best *v1alpha1.ClusterNetworkBaseline) string {
	for _, owner := range above(objects, subject, best) {
		switch {
		case !letsGo(objects, subject, owner):
			return fmt.Sprintf("handed over to %s although %s does not let go", best.Name, owner)
		case !evidence.Live:
			return fmt.Sprintf("handed over to %s on cached data about %s", best.Name, owner)
		case evidence.CRDTerminating:
			return fmt.Sprintf("handed over to %s while all baselines may be on their way out", best.Name)
		}
	}
	return ""
}

// wrongHold reports a namespace that is held although nothing is in doubt, or that is held to less
// than the rightful baseline requires.
func wrongHold(objects []*v1alpha1.ClusterNetworkBaseline, subject governance.Subject, evidence governance.Evidence, d governance.Decision) string {
	best := rightful(objects, subject)
	if d.Governor != nil && d.Governor.Baseline != best {
		return fmt.Sprintf("existing policies are held to %s, rightful is %v", d.Governor.Baseline.Name, best)
	}
	if best != nil {
		owners := above(objects, subject, best)
		if len(owners) == 0 {
			return fmt.Sprintf("%s governs and is not enforced", best.Name)
		}
		if !evidence.CRDTerminating && !slices.ContainsFunc(owners, func(owner string) bool { return !letsGo(objects, subject, owner) }) {
			return fmt.Sprintf("%v let go, and %s does not take over", owners, best.Name)
		}
		if d.Governor == nil && !evidence.CRDTerminating {
			return fmt.Sprintf("existing policies are not held to those of %s", best.Name)
		}
		return ""
	}
	settled := !evidence.CRDTerminating && !slices.ContainsFunc(objects, func(o *v1alpha1.ClusterNetworkBaseline) bool { return wants(objects, subject, o) })
	if settled && slices.ContainsFunc(subject.Owners, func(owner string) bool { return letsGo(objects, subject, owner) }) {
		return "an owner lets go, nothing is in doubt, and its policies stay"
	}
	return ""
}

func wrongRelease(objects []*v1alpha1.ClusterNetworkBaseline, subject governance.Subject, evidence governance.Evidence, d governance.Decision) string {
	if !evidence.Live || evidence.CRDTerminating {
		return "removal without evidence"
	}
	for _, object := range objects {
		if wants(objects, subject, object) {
			return fmt.Sprintf("removal although %s wants to govern the namespace", object.Name)
		}
	}
	if len(d.Owners) == 0 {
		return "removal for no baseline"
	}
	for _, owner := range d.Owners {
		orphans := subject.Orphaned && isDeletedWithPolicies(objects, owner) && selects(find(objects, owner), subject)
		if !slices.Contains(subject.Owners, owner) && !orphans {
			return fmt.Sprintf("removal for %s, which owns nothing there", owner)
		}
		if !letsGo(objects, subject, owner) {
			return fmt.Sprintf("removal for %s, which does not ask for it", owner)
		}
	}
	return ""
}

func find(objects []*v1alpha1.ClusterNetworkBaseline, name string) *v1alpha1.ClusterNetworkBaseline {
	if i := slices.IndexFunc(objects, func(o *v1alpha1.ClusterNetworkBaseline) bool { return o.Name == name }); i >= 0 {
		return objects[i]
	}
	return nil
}

func isDeletedWithPolicies(objects []*v1alpha1.ClusterNetworkBaseline, name string) bool {
	object := find(objects, name)
	return object != nil && object.DeletionTimestamp != nil && object.Spec.DeletionPolicy == v1alpha1.DeletionPolicyDelete
}

// inForce is what a baseline has to be for its selection to count: it exists, can be carried out
// and enforces.
func inForce(object *v1alpha1.ClusterNetworkBaseline) bool {
	return object != nil && object.DeletionTimestamp == nil && accepted(object) && object.Spec.Mode == v1alpha1.ModeEnforce
}

// letsGo reports whether a baseline itself gives the namespace up: it is being deleted with its
// policies, or is in force and does not select the namespace. Changes in a namespace that is being
// deleted do not count.
func letsGo(objects []*v1alpha1.ClusterNetworkBaseline, subject governance.Subject, name string) bool {
	object := find(objects, name)
	return isDeletedWithPolicies(objects, name) ||
		inForce(object) && !subject.Terminating && (protected(objects, subject.Name) || !selects(object, subject))
}

// wants reports whether a baseline may come to govern the namespace: while it may, nothing is
// removed there.
func wants(objects []*v1alpha1.ClusterNetworkBaseline, subject governance.Subject, object *v1alpha1.ClusterNetworkBaseline) bool {
	return object.DeletionTimestamp == nil && object.Spec.Mode != v1alpha1.ModeAudit && selects(object, subject) && !protected(objects, subject.Name)
}

// above are the owners that a baseline does not precede: those of higher precedence, and those that
// do not exist.
func above(objects []*v1alpha1.ClusterNetworkBaseline, subject governance.Subject, best *v1alpha1.ClusterNetworkBaseline) []string {
	return slices.DeleteFunc(slices.Clone(subject.Owners), func(owner string) bool {
		object := find(objects, owner)
		return object == best || object != nil && precedes(best, object)
	})
}

func precedes(a, b *v1alpha1.ClusterNetworkBaseline) bool {
	return *a.Spec.Priority > *b.Spec.Priority || *a.Spec.Priority == *b.Spec.Priority && a.Name < b.Name
}

// rightful is the baseline that is to govern the namespace: the highest that is in force, selects
// it, and has its finalizer or policies of its own there already.
func rightful(objects []*v1alpha1.ClusterNetworkBaseline, subject governance.Subject) *v1alpha1.ClusterNetworkBaseline {
	var best *v1alpha1.ClusterNetworkBaseline
	for _, object := range objects {
		finalized := object.Spec.DeletionPolicy == v1alpha1.DeletionPolicyRetain || slices.Contains(object.Finalizers, v1alpha1.CleanupFinalizer)
		if !inForce(object) || !finalized && !slices.Contains(subject.Owners, object.Name) ||
			!selects(object, subject) || protected(objects, subject.Name) {
			continue
		}
		if best == nil || precedes(object, best) {
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

func selects(object *v1alpha1.ClusterNetworkBaseline, subject governance.Subject) bool {
	if slices.Contains(object.Spec.ExcludedNamespaces, v1alpha1.NamespacePattern(subject.Name)) {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(object.Spec.NamespaceSelector.AsLabelSelector())
	return err != nil || selector.Matches(labels.Set(subject.Labels))
}

func viewOf(objects []*v1alpha1.ClusterNetworkBaseline) *governance.Snapshot {
	var candidates []*governance.Candidate
	for _, object := range objects {
		candidates = append(candidates, governance.NewCandidate(object))
	}
	return governance.NewSnapshot(candidates, operatorNamespace)
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
		Orphaned:    random.IntN(4) == 0,
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
