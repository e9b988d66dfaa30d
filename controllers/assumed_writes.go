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

// assumedFor is how long a write of ours counts before the cache shows it. The watch usually
// needs a few milliseconds. It is short, because a watch that broke at just that moment would never
// report that another client has deleted the policy since.
const assumedFor = 2 * time.Second

// assumedWrites remembers recent writes that the cache does not show yet, so that nothing is
// written twice. It must never hide later changes by another client: a write that the watch has
// reported, or whose object it has reported gone, is not remembered.
type assumedWrites struct {
	mu     sync.Mutex
	recent map[types.NamespacedName]*assumedWrite
	// removed holds the UIDs of policies that were just deleted and that the watch has not reported
	// gone yet.
	removed map[types.UID]time.Time
	// reported holds, for each namespace that is being written to, the resource versions and UIDs
	// that the watch reports meanwhile.
	reported map[string]sets.Set[string]
}

type assumedWrite struct {
	before   string // resource version that the cache showed when this was planned; "" for none
	observed plan.Observed
	at       time.Time
}

func newAssumedWrites() *assumedWrites {
	return &assumedWrites{
		recent: map[types.NamespacedName]*assumedWrite{}, removed: map[types.UID]time.Time{}, reported: map[string]sets.Set[string]{},
	}
}

// begin starts to record what the watch reports while a namespace is written to; note ends that.
func (o *assumedWrites) begin(namespace string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reported[namespace] = sets.New[string]()
}

// note remembers the writes since begin that the watch has not reported yet, and reports whether
// the watch has also reported writes of other clients meanwhile. Versions are the resource versions
// that the cache showed when the writes were planned.
func (o *assumedWrites) note(namespace string, written []apply.Written, versions map[string]string, now time.Time) (others bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	reported := o.reported[namespace]
	delete(o.reported, namespace)
	for uid, at := range o.removed {
		if now.Sub(at) > assumedFor {
			delete(o.removed, uid)
		}
	}
	for i := range written {
		if written[i].Operation == plan.Delete {
			o.noteRemoved(written[i].Object.UID, reported, now)
			continue
		}
		object := written[i].Object
		switch {
		case reported.Has(object.ResourceVersion):
			reported.Delete(object.ResourceVersion)
		case !reported.Has(string(object.UID)):
			o.recent[keyOf(namespace, object.Name)] = &assumedWrite{before: versions[object.Name], observed: plan.Observe(object), at: now}
		}
	}
	return reported.Len() > 0
}

// noteRemoved remembers a deletion that the watch has not reported yet. If a finalizer keeps the
// object, its removal is still to come, and is not an echo.
func (o *assumedWrites) noteRemoved(uid types.UID, reported sets.Set[string], now time.Time) {
	switch {
	case reported.Has(string(uid)):
		reported.Delete(string(uid))
	case !reported.Has(keptMark + string(uid)):
		o.removed[uid] = now
	}
}

// distrust drops the remembered writes of a namespace, so that only the cache counts. Removals are
// kept: the watch reports them anyway.
func (o *assumedWrites) distrust(namespace string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, name := range policy.Names {
		o.drop(keyOf(namespace, name))
	}
}

// in returns the remembered writes of a namespace. Call it before reading the cache: in the other
// order, a write that the cache comes to show in between would be in neither.
func (o *assumedWrites) in(namespace string) map[string]*assumedWrite {
	o.mu.Lock()
	defer o.mu.Unlock()
	var writes map[string]*assumedWrite
	for _, name := range policy.Names {
		if own, ok := o.recent[keyOf(namespace, name)]; ok {
			if writes == nil {
				writes = map[string]*assumedWrite{}
			}
			writes[name] = own
		}
	}
	return writes
}

// overlay adds remembered writes to an inventory from the cache that does not show them yet, and
// returns when to look again if there were any. It also reports whether the cache is so far behind
// that neither is reliable: then the policies must be read from the API server.
func (o *assumedWrites) overlay(namespace string, writes map[string]*assumedWrite, inventory plan.Inventory, now time.Time) (again time.Duration, behind bool) {
	for name, own := range writes {
		left := own.at.Add(assumedFor).Sub(now)
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

// renew remembers live policies that the cache shows in other versions.
func (o *assumedWrites) renew(namespace string, live plan.Inventory, versions map[string]string, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for name, observed := range live {
		if observed.Owner != "" && observed.ResourceVersion != versions[name] {
			o.recent[keyOf(namespace, name)] = &assumedWrite{before: versions[name], observed: observed, at: now}
		}
	}
}

func (o *assumedWrites) forget(key types.NamespacedName, own *assumedWrite) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.recent[key] == own {
		o.drop(key)
	}
}

// shown records that the watch has reported an object, and reports whether that needs no reconcile:
// either it is our own write, or note will report it.
func (o *assumedWrites) shown(object client.Object) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := client.ObjectKeyFromObject(object)
	if own, ok := o.recent[key]; ok && own.observed.ResourceVersion == object.GetResourceVersion() {
		o.drop(key)
		return true
	}
	if !object.GetDeletionTimestamp().IsZero() {
		delete(o.removed, object.GetUID())
		o.report(object.GetNamespace(), keptMark+string(object.GetUID()))
	}
	return o.report(object.GetNamespace(), object.GetResourceVersion())
}

// deleted records that the watch has reported an object gone, and reports whether that needs no
// reconcile.
func (o *assumedWrites) deleted(object client.Object) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := client.ObjectKeyFromObject(object)
	if own, ok := o.recent[key]; ok && own.observed.UID == object.GetUID() {
		o.drop(key)
	}
	if _, own := o.removed[object.GetUID()]; own {
		delete(o.removed, object.GetUID())
		return true
	}
	return o.report(object.GetNamespace(), string(object.GetUID()))
}

// keptMark precedes the UID of a policy that is deleted but kept by a finalizer.
const keptMark = "kept "

// report keeps a watch report for note if the namespace is being written to, and reports whether it
// is.
func (o *assumedWrites) report(namespace, what string) bool {
	reported, writing := o.reported[namespace]
	if writing {
		reported.Insert(what)
	}
	return writing
}

// drop removes a write. A map never shrinks, so an empty one is replaced.
func (o *assumedWrites) drop(key types.NamespacedName) {
	if _, ok := o.recent[key]; !ok {
		return
	}
	delete(o.recent, key)
	if len(o.recent) == 0 {
		o.recent = map[types.NamespacedName]*assumedWrite{}
	}
}

func keyOf(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}
