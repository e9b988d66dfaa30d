package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/internal/apply"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
)

// ownWritesTrust is how long a write of ours is believed in before the cache shows it. The watch usually needs a few milliseconds.
// It is short, because a watch that broke at just that moment would never report that somebody has deleted the policy since.
const ownWritesTrust = 2 * time.Second

// ownWrites remembers what was just written and the cache does not show yet, so that nothing is written twice.
type ownWrites struct {
	mu     sync.Mutex
	recent map[types.NamespacedName]*ownWrite
}

type ownWrite struct {
	before   string // resource version that the cache showed when this was planned; "" for none
	observed plan.Observed
	at       time.Time
}

func newOwnWrites() *ownWrites { return &ownWrites{recent: map[types.NamespacedName]*ownWrite{}} }

// note remembers writes that were planned on an inventory from the cache.
func (o *ownWrites) note(written []apply.Written, cached plan.Inventory, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range written {
		object := written[i].Object
		if written[i].Operation != plan.Delete {
			o.recent[keyOf(object.Namespace, object.Name)] = &ownWrite{
				before: cached[object.Name].ResourceVersion, observed: plan.Observe(object), at: now,
			}
		}
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
// that was needed.
func (o *ownWrites) overlay(namespace string, writes map[string]*ownWrite, inventory plan.Inventory, now time.Time) (again time.Duration) {
	for name, own := range writes {
		left := own.at.Add(ownWritesTrust).Sub(now)
		if left <= 0 || inventory[name].ResourceVersion != own.before {
			o.forget(keyOf(namespace, name), own) // the cache has caught up, or moved on, or had its time
			continue
		}
		inventory[name] = own.observed
		again = max(again, left)
	}
	return again
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
	key := client.ObjectKeyFromObject(object)
	if own, ok := o.recent[key]; ok && own.observed.ResourceVersion == object.GetResourceVersion() {
		o.drop(key)
	}
}

// deleted says that the watch reports an object as gone, or as no longer carrying our label.
func (o *ownWrites) deleted(object client.Object) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := client.ObjectKeyFromObject(object)
	if own, ok := o.recent[key]; ok && own.observed.UID == object.GetUID() {
		o.drop(key)
	}
}

// drop forgets a write. A map never gives memory back, so an empty one is replaced.
func (o *ownWrites) drop(key types.NamespacedName) {
	delete(o.recent, key)
	if len(o.recent) == 0 {
		o.recent = map[types.NamespacedName]*ownWrite{}
	}
}

func keyOf(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}
