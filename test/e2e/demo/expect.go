package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/reachability"
)

// end is one end of a connection, and the environment that it belongs to.
type end struct{ name, environment string }

// everything is allowed without any policy.
func everything(_, _ end) bool { return true }

// onlyOwnEnvironment is what the sample baseline promises: DNS, the own namespace, the own
// environment.
func onlyOwnEnvironment(from, to end) bool {
	switch {
	case to.name == dns:
		return true
	case from.name == internet, to.name == internet:
		return false
	}
	return from.name == to.name || from.environment != "" && from.environment == to.environment
}

// asAnnounced compares what is allowed now with what was announced, in every cell of the table.
func asAnnounced(s *scene, announced func(from, to end) bool) error {
	for _, w := range ways(s.world) {
		from, to := end{w.from, s.world.Namespaces[w.from]["environment"]}, end{w.to, s.world.Namespaces[w.to]["environment"]}
		switch want := announced(from, to); {
		case want && !s.now[w]:
			return fmt.Errorf("%s cannot reach %s, and should", w.from, w.to)
		case !want && s.now[w]:
			return fmt.Errorf("%s can reach %s, and should not", w.from, w.to)
		}
	}
	return nil
}

// governs compares the status of the baseline with what was announced.
func governs(s *scene, want int32) error {
	if want == 0 {
		if len(s.baselines) > 0 {
			return fmt.Errorf("the baseline %s is there", s.baselines[0].Name)
		}
		return nil
	}
	if len(s.baselines) != 1 {
		return fmt.Errorf("there are %d baselines", len(s.baselines))
	}
	if !saysReady(&s.baselines[0]) {
		return errors.New("the baseline is not Ready")
	}
	return claims(&s.baselines[0], want)
}

// claims compares a baseline's counts with the namespaces.
func claims(baseline *v1alpha1.ClusterNetworkBaseline, want int32) error {
	if counts := baseline.Status.Namespaces; counts.Governed != want || counts.Synced != want {
		return fmt.Errorf("the baseline counts %d namespaces governed and %d synced, and not %d", counts.Governed, counts.Synced, want)
	}
	return nil
}

func saysReady(baseline *v1alpha1.ClusterNetworkBaseline) bool {
	return meta.IsStatusConditionTrue(baseline.Status.Conditions, v1alpha1.ConditionReady)
}

// onceReady expects that the baseline has never been Ready, since the step began, without governing
// what it has to.
func onceReady(s *scene, governed int32) error {
	frames, err := s.film.since(s.start)
	for _, frame := range frames {
		baseline, ok := frame.object.(*v1alpha1.ClusterNetworkBaseline)
		if !ok || !saysReady(baseline) {
			continue
		}
		if premature := claims(baseline, governed); premature != nil {
			return finalError{fmt.Errorf("it was Ready too early: %w", premature)}
		}
	}
	return err
}

// neverUnready expects that the baseline has been Ready all the time since the step began.
func neverUnready(s *scene) error {
	frames, err := s.film.since(s.start)
	for _, frame := range frames {
		if baseline, ok := frame.object.(*v1alpha1.ClusterNetworkBaseline); ok && !saysReady(baseline) {
			return finalError{errors.New("the baseline was not Ready for a moment")}
		}
	}
	return err
}

func noPolicies(sentence string) func(*scene) (outcome, error) {
	return func(s *scene) (outcome, error) {
		if left := len(s.world.Policies); left > 0 {
			return outcome{}, fmt.Errorf("there are %d policies", left)
		}
		return outcome{sentence: sentence}, nil
	}
}

// protectedAll expects that exactly these namespaces hold policies, the usual three.
func protectedAll(namespaces ...string) func(*scene) (outcome, error) {
	return func(s *scene) (outcome, error) {
		held := held(s.world)
		for _, namespace := range namespaces {
			if !slices.Equal(held[namespace], usual) {
				return outcome{}, fmt.Errorf("namespace %s holds the policies %q", namespace, held[namespace])
			}
		}
		if len(held) != len(namespaces) {
			return outcome{}, fmt.Errorf("policies are in %q", slices.Sorted(maps.Keys(held)))
		}
		if err := onceReady(s, int32(len(namespaces))); err != nil {
			return outcome{}, err
		}
		took, err := s.between(aBaseline(watch.Added), aPolicy("", watch.Added))
		return outcome{sentence: fmt.Sprintf("all %d namespaces are protected, %s after the baseline came; "+
			"kube-system is never touched, so DNS goes on", len(namespaces), seconds(took))}, err
	}
}

// protectedNew expects that a new namespace holds the usual three.
func protectedNew(namespace string) func(*scene) (outcome, error) {
	return func(s *scene) (outcome, error) {
		if held := held(s.world)[namespace]; !slices.Equal(held, usual) {
			return outcome{}, fmt.Errorf("namespace %s holds the policies %q", namespace, held)
		}
		took, err := s.between(theNamespace(namespace, watch.Added), aPolicy(namespace, watch.Added))
		return outcome{sentence: "protected " + seconds(took) + " after it was created"}, err
	}
}

// moved expects that a namespace's policies followed its label.
func moved(namespace string) func(*scene) (outcome, error) {
	return func(s *scene) (outcome, error) {
		took, err := s.between(theNamespace(namespace, watch.Modified), aPolicy(namespace, watch.Modified))
		return outcome{sentence: "moved " + seconds(took) + " after the label changed: closed to staging, open to production"}, err
	}
}

// removedAll expects that no policy is left.
func removedAll(sentence string) func(*scene) (outcome, error) {
	return func(s *scene) (outcome, error) {
		if left := len(s.world.Policies); left > 0 {
			return outcome{}, fmt.Errorf("%d policies are left", left)
		}
		took, err := s.between(aBaseline(watch.Modified), aPolicy("", watch.Deleted))
		return outcome{sentence: sentence + " " + seconds(took) + " after the deletion began"}, err
	}
}

// meanwhile is what the demo expects to see until a policy is restored.
type meanwhile struct {
	// changes are the connections, sorted, that are possible and should not be, or the other way
	// round.
	changes  []way
	sentence string
}

// putBack expects that a policy was tampered with, that this had the effect announced, and that the
// policy is what it was before.
func putBack(namespace, name string, announced meanwhile) func(*scene) (outcome, error) {
	key := client.ObjectKey{Namespace: namespace, Name: name}
	return func(s *scene) (outcome, error) {
		original := s.film.policies(s.start)[key]
		if original == nil {
			return outcome{}, fmt.Errorf("there was no policy %s to begin with", key)
		}
		frames, err := s.film.since(s.start)
		if err != nil {
			return outcome{}, err
		}
		broken := slices.IndexFunc(frames, func(f frame) bool { return thePolicy(key)(f) && !f.intact(original) })
		if broken < 0 {
			return outcome{}, fmt.Errorf("the policy %s was not touched", key)
		}
		repaired := slices.IndexFunc(frames[broken:], func(f frame) bool { return thePolicy(key)(f) && f.intact(original) })
		if repaired < 0 {
			return outcome{}, fmt.Errorf("the policy %s was not restored", key)
		}
		open := frames[broken+repaired].at.Sub(frames[broken].at)
		if live := policyIn(s.world, key); live == nil || !same(live, original) {
			return outcome{}, fmt.Errorf("the policy %s is not what it was before", key)
		}
		between := look(reachability.World{
			Namespaces: s.world.Namespaces, Policies: slices.Collect(maps.Values(s.film.policies(s.start + broken + 1))),
		})
		if err := neverUnready(s); err != nil {
			return outcome{}, err
		}
		if seen := difference(s.before, between); !slices.Equal(seen, announced.changes) {
			return outcome{}, fmt.Errorf("in between, these connections differed: %v, and not %v", seen, announced.changes)
		}
		return outcome{sentence: "restored after " + seconds(open) + "; " + announced.sentence, between: between}, nil
	}
}

// between measures the time from the first frame of one kind, since the step began, to the last of
// another.
func (s *scene) between(cause, effect shows) (time.Duration, error) {
	frames, err := s.film.since(s.start)
	if err != nil {
		return 0, err
	}
	first := slices.IndexFunc(frames, cause)
	if first < 0 {
		return 0, errors.New("what the step began with has not been seen")
	}
	for _, frame := range slices.Backward(frames) {
		if effect(frame) {
			return max(0, frame.at.Sub(frames[first].at)), nil
		}
	}
	return 0, errors.New("no policy has changed")
}

// held returns the names of the policies in each namespace, sorted.
func held(world reachability.World) map[string][]string {
	names := map[string][]string{}
	for _, policy := range world.Policies {
		names[policy.Namespace] = append(names[policy.Namespace], policy.Name)
	}
	for _, list := range names {
		slices.Sort(list)
	}
	return names
}

func policyIn(world reachability.World, key client.ObjectKey) *networkingv1.NetworkPolicy {
	for _, policy := range world.Policies {
		if client.ObjectKeyFromObject(policy) == key {
			return policy
		}
	}
	return nil
}
