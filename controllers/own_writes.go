package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/internal/apply"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
)

// ownWritesTrust is how long a write of ours is believed in before the cache shows it. The watch usually needs a few milliseconds.
// It is short, because a watch that broke at just that moment would never report that somebody has deleted the policy since.
const ownWritesTrust = 2 * time.Second

// ownWrites remembers what was just written and the cache does not show yet, so that nothing is written twice. It must never hide
// what somebody else did since: a write that the watch has reported, or whose object it has reported gone, is not remembered.
type ownWrites struct {
	mu     sync.Mutex
	recent map[types.NamespacedName]*ownWrite
	// reported holds, for each namespace that is being written in, the resource versions and UIDs that the watch reports meanwhile.
	reported map[string]sets.Set[string]
}

type ownWrite struct {
	before   string // resource version that the cache showed when this was planned; "" for none
	observed plan.Observed
	at       time.Time
}

func newOwnWrites() *ownWrites {
	return &ownWrites{recent: map[types.NamespacedName]*ownWrite{}, reported: map[string]sets.Set[string]{}}
}

// begin says that writes in a namespace are about to be made; note ends that.
func (o *ownWrites) begin(namespace string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reported[namespace] = sets.New[string]()
}

// note remembers the writes made since begin, of those that the watch has not reported yet. Versions are the resource versions that
// the cache showed when they were planned.
func (o *ownWrites) note(namespace string, written []apply.Written, versions map[string]string, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	reported := o.reported[namespace]
	delete(o.reported, namespace)
	for i := range written {
		object := written[i].Object
		if written[i].Operation == plan.Delete || reported.Has(object.ResourceVersion) || reported.Has(string(object.UID)) {
			continue
		}
		o.recent[keyOf(namespace, object.Name)] = &ownWrite{before: versions[object.Name], observed: plan.Observe(object), at: now}
	}
}

// distrust forgets what was written in a namespace, so that only the cache counts.
func (o *ownWrites) distrust(namespace string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, name := range policy.Names {
		o.drop(keyOf(namespace, name))
	}
}

// in returns what is remembered of a namespace. Ask before reading the cache: asked afterwards, a write that the cache came to
// show in between would be in neither.
func (o *ownWrites) in(namespace string) map[string]*ownWrite {
	o.mu.Lock()
	defer o.mu.Unlock()
	var writes map[string]*ownWrite
	for _, name := range policy.Names {
		if own, ok := o.recent[keyOf(namespace, name)]; ok {
			if writes == nil {
				writes = map[string]*ownWrite{}
			}
			writes[name] = own
		}
	}
	return writes
}

// overlay puts remembered writes into an inventory from the cache that does not show them yet, and returns when to look again if
// that was needed. It says whether the cache is so far behind that neither can be trusted: then only the API server knows.
func (o *ownWrites) overlay(namespace string, writes map[string]*ownWrite, inventory plan.Inventory, now time.Time) (again time.Duration, behind bool) {
	for name, own := range writes {
		left := own.at.Add(ownWritesTrust).Sub(now)
		switch {
		case inventory[name].ResourceVersion != own.before:
			o.forget(keyOf(namespace, name), own) // the cache has caught up, or moved on
		case left <= 0:
			o.forget(keyOf(namespace, name), own)
			behind = true
		default:
			inventory[name] = own.observed
			again = max(again, left)
		}
	}
	return again, behind
}

// renew remembers what the API server itself has just said about policies that the cache shows in other versions.
func (o *ownWrites) renew(namespace string, live plan.Inventory, versions map[string]string, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for name, observed := range live {
		if observed.Owner != "" && observed.ResourceVersion != versions[name] {
			o.recent[keyOf(namespace, name)] = &ownWrite{before: versions[name], observed: observed, at: now}
		}
	}
}

func (o *ownWrites) forget(key types.NamespacedName, own *ownWrite) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.recent[key] == own {
		o.drop(key)
	}
}

// shown says that the watch reports an object in some state. If that is what we wrote, the cache shows it now.
func (o *ownWrites) shown(object client.Object) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if reported, writing := o.reported[object.GetNamespace()]; writing {
		reported.Insert(object.GetResourceVersion())
	}
	key := client.ObjectKeyFromObject(object)
	if own, ok := o.recent[key]; ok && own.observed.ResourceVersion == object.GetResourceVersion() {
		o.drop(key)
	}
}

// deleted says that the watch reports an object as gone, or as no longer carrying our label.
func (o *ownWrites) deleted(object client.Object) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if reported, writing := o.reported[object.GetNamespace()]; writing {
		reported.Insert(string(object.GetUID()))
	}
	key := client.ObjectKeyFromObject(object)
	if own, ok := o.recent[key]; ok && own.observed.UID == object.GetUID() {
		o.drop(key)
	}
}

// drop forgets a write. A map never gives memory back, so an empty one is replaced.
func (o *ownWrites) drop(key types.NamespacedName) {
	if _, ok := o.recent[key]; !ok {
		return
	}
	delete(o.recent, key)
	if len(o.recent) == 0 {
		o.recent = map[types.NamespacedName]*ownWrite{}
	}
}

func keyOf(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}
