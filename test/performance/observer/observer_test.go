package observer

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

var (
	start    = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)
	first    = builder.Baseline("default").Obj()
	second   = builder.Baseline("default").DNSPorts(v1alpha1.DNSPort{Protocol: "UDP", Port: 5353}).Obj()
	labels   = builder.Labels("bench", "paced", "environment", "production")
	policies = policy.Render(first, policy.Namespace{Name: "team", Labels: labels})
	later    = policy.Render(second, policy.Namespace{Name: "team", Labels: labels})
)

func after(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func appear(o *Observer, second int) {
	o.observe(watch.Event{Type: watch.Added, Object: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team", Labels: labels}}}, after(second))
}

func write(o *Observer, second int, objects ...policy.Desired) {
	for i := range objects {
		o.observe(watch.Event{Type: watch.Added, Object: objects[i].Policy}, after(second))
	}
}

func TestANamespaceIsProtectedWithItsLastPolicy(t *testing.T) {
	for name, test := range map[string]struct {
		happen func(*Observer)
		want   Protection
	}{
		"while one is missing, it is not": {
			func(o *Observer) { appear(o, 0); write(o, 1, policies[0], policies[1]) }, Protection{Seen: 1},
		},
		"the last one counts": {
			func(o *Observer) { appear(o, 0); write(o, 1, policies[0], policies[1]); write(o, 3, policies[2]) },
			Protection{Seen: 1, Latencies: []time.Duration{3 * time.Second}, Last: after(3)},
		},
		"policies may be seen before the namespace": {
			func(o *Observer) { write(o, 0, policies...); appear(o, 2) },
			Protection{Seen: 1, Latencies: []time.Duration{0}, Last: after(2)},
		},
		"a wrong one does not count": {
			func(o *Observer) { appear(o, 0); write(o, 1, policies[1], policies[2], later[0]) }, Protection{Seen: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := New(first)
			test.happen(o)
			if diff := cmp.Diff(test.want, o.Protection("paced")); diff != "" {
				t.Error(diff)
			}
			if other := o.Protection("burst"); other.Seen != 0 {
				t.Error("another phase is another matter")
			}
		})
	}
}

func TestARolloutIsCompleteWhenAllAreCurrent(t *testing.T) {
	o := New(first)
	appear(o, 0)
	write(o, 1, policies...)
	o.Expect(second)
	if got := o.Rollout(); got.Current != 0 || got.Namespaces != 1 {
		t.Errorf("before: got %+v", got)
	}
	write(o, 5, later[0])
	if got := o.Rollout(); got.Current != 1 || !got.Last.Equal(after(5)) {
		t.Errorf("after: got %+v", got)
	}
	if got := o.Protection("paced"); got.Latencies[0] != time.Second {
		t.Errorf("protected stays protected: got %+v", got)
	}
}

func TestARepairLastsFromTheDamageToTheEnd(t *testing.T) {
	opened := policies[2].Policy.DeepCopy()
	opened.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
	for name, damage := range map[string]watch.Event{
		"deleted": {Type: watch.Deleted, Object: policies[2].Policy},
		"opened":  {Type: watch.Modified, Object: opened},
	} {
		t.Run(name, func(t *testing.T) {
			o := New(first)
			appear(o, 0)
			write(o, 1, policies...)
			o.observe(damage, after(2))
			if repairs, broken := o.TakeRepairs(); len(repairs) != 0 || broken != 1 {
				t.Errorf("damaged: got %v, %d", repairs, broken)
			}
			write(o, 4, policies[2])
			want := []Repair{{"team", policies[2].Policy.Name, after(2), after(4)}}
			repairs, broken := o.TakeRepairs()
			if diff := cmp.Diff(want, repairs); diff != "" || broken != 0 {
				t.Error(broken, diff)
			}
		})
	}
}
