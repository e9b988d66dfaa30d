// Package observer watches a cluster and notes when each namespace was seen, when it was
// protected, and when a broken policy was repaired. All times are taken from its clock. It never
// writes.
package observer

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/performance/reactor"
)

// Observer is a judge with a stopwatch. Its methods may be called from several goroutines.
type Observer struct {
	mu         sync.Mutex
	baselines  []*v1alpha1.ClusterNetworkBaseline // all that were expected so far, the latest last
	namespaces map[string]*namespace
	repairs    []Repair
	broken     map[key]time.Time
}

type key struct{ namespace, policy string }

// namespace is the state of one namespace.
type namespace struct {
	phase  string
	labels map[string]string
	// seen is when it appeared, protected when all its policies were right for the first time,
	// current since when they follow the latest baseline; zero if they do not.
	seen, protected, current time.Time
	policies                 map[string]policy.Hash
	expected                 []map[string]policy.Hash // by baseline, then by name
}

// Repair is a policy that was broken and repaired.
type Repair struct {
	Namespace, Policy string
	Broken, Whole     time.Time
}

// New makes an observer that expects the policies of a baseline.
func New(baseline *v1alpha1.ClusterNetworkBaseline) *Observer {
	return &Observer{
		baselines:  []*v1alpha1.ClusterNetworkBaseline{baseline},
		namespaces: map[string]*namespace{},
		broken:     map[key]time.Time{},
	}
}

// Expect has the observer expect the policies of this baseline from now on. A namespace that
// follows an earlier one is protected, but not current.
func (o *Observer) Expect(baseline *v1alpha1.ClusterNetworkBaseline) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.baselines = append(o.baselines, baseline)
	for name, n := range o.namespaces {
		n.expected, n.current = o.render(name, n.labels), time.Time{}
	}
}

// observe takes an event in.
func (o *Observer) observe(event watch.Event, at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch object := event.Object.(type) {
	case *corev1.Namespace:
		o.observeNamespace(object, event.Type == watch.Deleted, at)
	case *networkingv1.NetworkPolicy:
		o.observePolicy(object, event.Type == watch.Deleted, at)
	}
}

func (o *Observer) observeNamespace(object *corev1.Namespace, deleted bool, at time.Time) {
	if deleted {
		delete(o.namespaces, object.Name)
		return
	}
	n := o.of(object.Name)
	if !n.seen.IsZero() {
		return
	}
	n.seen, n.phase, n.labels = at, object.Labels[reactor.PhaseLabel], object.Labels
	n.expected = o.render(object.Name, object.Labels)
	n.judge(at)
}

func (o *Observer) observePolicy(object *networkingv1.NetworkPolicy, deleted bool, at time.Time) {
	if !v1alpha1.IsPolicyName(object.Name) {
		return
	}
	n, k := o.of(object.Namespace), key{object.Namespace, object.Name}
	before := n.rightFor(object.Name)
	if deleted {
		delete(n.policies, object.Name)
	} else {
		n.policies[object.Name] = policy.HashSpec(&object.Spec)
	}
	switch after := n.rightFor(object.Name); {
	case before >= 0 && after < 0:
		o.broken[k] = at
	case before < 0 && after >= 0:
		if broken, ok := o.broken[k]; ok {
			o.repairs = append(o.repairs, Repair{Namespace: object.Namespace, Policy: object.Name, Broken: broken, Whole: at})
			delete(o.broken, k)
		}
	}
	n.judge(at)
}

func (o *Observer) of(name string) *namespace {
	n, ok := o.namespaces[name]
	if !ok {
		n = &namespace{policies: map[string]policy.Hash{}} // a policy may be seen before its namespace
		o.namespaces[name] = n
	}
	return n
}

// render returns the policies of each baseline for a namespace.
func (o *Observer) render(name string, labels map[string]string) []map[string]policy.Hash {
	expected := make([]map[string]policy.Hash, 0, len(o.baselines))
	for _, baseline := range o.baselines {
		hashes := map[string]policy.Hash{}
		for _, desired := range policy.Render(baseline, policy.Namespace{Name: name, Labels: labels}) {
			hashes[desired.Policy.Name] = desired.Hash
		}
		expected = append(expected, hashes)
	}
	return expected
}

// rightFor returns the latest baseline that a policy matches, -1 for none.
func (n *namespace) rightFor(name string) int {
	hash, exists := n.policies[name]
	for i := len(n.expected) - 1; i >= 0 && exists; i-- {
		if n.expected[i][name] == hash {
			return i
		}
	}
	return -1
}

func (n *namespace) judge(at time.Time) {
	if len(n.expected) == 0 {
		return
	}
	oldest := len(n.expected) - 1
	for name := range n.expected[oldest] {
		oldest = min(oldest, n.rightFor(name))
	}
	if oldest >= 0 && n.protected.IsZero() {
		n.protected = at
	}
	switch isCurrent := oldest == len(n.expected)-1; {
	case !isCurrent:
		n.current = time.Time{}
	case n.current.IsZero():
		n.current = at
	}
}
