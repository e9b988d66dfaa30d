package main

import (
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/reachability"
)

// A demo that says ✓ whatever happens would be worse than none: these show that it notices.

func TestPutBack(t *testing.T) {
	original := denyAll()
	opened := denyAll()
	opened.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
	stripped := denyAll()
	stripped.Labels = nil
	announced := []way{{internet, "shop"}}
	all := []way{{internet, "shop"}, {"shop", dns}, {"shop", internet}, {"shop", "shop"}}
	tests := map[string]struct {
		frames  []frame
		live    *networkingv1.NetworkPolicy
		changes []way
		want    string // part of the error, "" for none
	}{
		"opened and closed again":      {[]frame{modified(opened), modified(original)}, original, announced, ""},
		"never touched":                {nil, original, announced, "was not touched"},
		"not restored":                 {[]frame{modified(opened)}, opened, announced, "was not restored"},
		"restored without its label":   {[]frame{modified(opened), modified(stripped)}, stripped, announced, "was not restored"},
		"opened again since":           {[]frame{modified(opened), modified(original), modified(opened)}, opened, announced, "not what it was before"},
		"less was open than announced": {[]frame{modified(stripped), modified(original)}, original, announced, "in between"},
		"more was open than announced": {[]frame{modified(opened), modified(original)}, original, nil, "in between"},
		"the baseline was not Ready":   {[]frame{modified(opened), modified(original), unready()}, original, announced, "not Ready"},
		"deleted and made again":       {[]frame{deleted(original), added(original)}, original, all, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			film := &film{frames: append([]frame{added(original)}, test.frames...)}
			world := reachability.World{
				Namespaces: map[string]map[string]string{"shop": nil, "kube-system": nil},
				Policies:   []*networkingv1.NetworkPolicy{test.live},
			}
			before := world
			before.Policies = []*networkingv1.NetworkPolicy{original}
			scene := &scene{film: film, start: 1, before: look(before), world: world, now: look(world)}
			_, err := putBack("shop", original.Name, meanwhile{changes: test.changes})(scene)
			checkError(t, err, test.want)
		})
	}
}

func TestAsAnnounced(t *testing.T) {
	world := reachability.World{Namespaces: map[string]map[string]string{"shop": nil, "kube-system": nil}}
	scene := &scene{world: world, now: look(world)}
	checkError(t, asAnnounced(scene, everything), "")
	checkError(t, asAnnounced(scene, onlyOwnEnvironment), "and should not")
	world.Policies = []*networkingv1.NetworkPolicy{denyAll()}
	scene.world, scene.now = world, look(world)
	checkError(t, asAnnounced(scene, everything), "and should")
}

func TestReadyTooEarly(t *testing.T) {
	early := builder.Baseline("default").With(func(b *v1alpha1.ClusterNetworkBaseline) {
		b.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}
	}).Obj()
	scene := &scene{film: &film{frames: []frame{{time.Now(), watch.Modified, early}}}}
	checkError(t, onceReady(scene, 0), "")
	checkError(t, onceReady(scene, 6), "Ready too early")
}

func denyAll() *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: denyPolicy, Labels: map[string]string{v1alpha1.BaselineLabel: "default"}},
		Spec:       networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Ingress", "Egress"}},
	}
}

func added(policy *networkingv1.NetworkPolicy) frame { return frame{time.Now(), watch.Added, policy} }

func modified(policy *networkingv1.NetworkPolicy) frame {
	return frame{time.Now(), watch.Modified, policy}
}

func deleted(policy *networkingv1.NetworkPolicy) frame {
	return frame{time.Now(), watch.Deleted, policy}
}

func unready() frame {
	return frame{time.Now(), watch.Modified, builder.Baseline("default").Obj()}
}

func checkError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("unexpected: %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("error %v, want one with %q", err, want)
	}
}
