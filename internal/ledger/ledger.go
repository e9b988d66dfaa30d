// Package ledger holds the outcome of the last reconcile of every namespace, and the sums for every
// baseline. Status and metrics are read from it. It has no access to the cluster: its contents come
// from the reconcilers, and are rebuilt after each start.
package ledger

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// State is the state of a namespace.
type State string

const (
	// Unmanaged means that no baseline governs the namespace and no policy of ours exists there.
	Unmanaged State = ""
	// Synced means that the namespace has exactly the desired policies.
	Synced State = "synced"
	// Pending means that the namespace is being worked on, or retried after a failure that resolves
	// on its own.
	Pending State = "pending"
	// Failed means that policies of the namespace cannot be written for a reason that does not
	// resolve on its own.
	Failed State = "failed"
	// Held means that policies of ours are left untouched.
	Held State = "held"
	// Releasing means that no baseline governs the namespace any more, and that the removal of its
	// policies is refused.
	Releasing State = "releasing"
)

// Record is what is known about one namespace.
type Record struct {
	// Baseline governs the namespace, or, when Held or Releasing, is the one that its policies were
	// made for.
	Baseline string
	// AlsoHeld names further baselines that policies in a Held namespace were made for.
	AlsoHeld []string
	// Generation and UID are those of the governing baseline.
	Generation int64
	UID        types.UID
	// NamespaceUID is that of the namespace itself: a namespace that is created again under its
	// name has another.
	NamespaceUID types.UID
	// Target identifies the desired policies of a governed namespace.
	Target uint64
	// Environment is the namespace's environment; "" for none.
	Environment string
	State       State
	// Reason and Message explain why the namespace is Pending, Failed, Held or Contested.
	Reason, Message string
	// Contested means that another client keeps changing the policies, although they are restored
	// each time.
	Contested bool
	// Reached means that the namespace has been Synced since it got its current target. The ledger
	// maintains it.
	Reached bool
	// Since is when the namespace became Pending; it is kept while it stays so.
	Since time.Time
	// LeavingSince is when the baseline was first seen to no longer select the namespace, as long
	// as its policies have not been released.
	LeavingSince time.Time
	// Selecting names the baselines that select the namespace, whether they govern it or not.
	Selecting []string
	// Previewed lists what baselines in Audit would do here if they enforced, without those that
	// would do nothing.
	Previewed []Previewed
}

// Previewed is what a baseline in Audit would do in a namespace.
type Previewed struct {
	Baseline string
	Effect   Effect
}

// Effect is what a baseline in Audit would do to the policies of a namespace.
type Effect string

const (
	// Create means that no policy of ours exists there, and that some would be created.
	Create Effect = "create"
	// Change means that policies would be added to others, altered, taken over from another
	// baseline, or some of them removed.
	Change Effect = "change"
	// Leave means that the policies are in the desired state.
	Leave Effect = "leave"
	// Remove means that all policies made for the baseline would go, because it does not select the
	// namespace any more.
	Remove Effect = "remove"
)

// SameTarget reports whether two records have the same desired policies.
func (r Record) SameTarget(other Record) bool {
	return r.SameGovernor(other) && r.Target == other.Target
}

// SameGovernor reports whether two records are of one namespace under one baseline, whatever its
// spec.
func (r Record) SameGovernor(other Record) bool {
	return r.Baseline == other.Baseline && r.UID == other.UID && r.NamespaceUID == other.NamespaceUID
}

// needsAttention reports whether a record belongs in the status for a human to read.
func (r Record) needsAttention() bool {
	return r.State == Failed || r.State == Pending || r.State == Releasing || r.Contested
}

// Ledger holds a record for every namespace. It is safe for concurrent use. The zero value is not
// usable: see New.
type Ledger struct {
	changed func(baseline string)

	mu       sync.Mutex
	records  map[string]*Record
	failed   map[string]int       // namespaces by reason
	unowned  map[string]struct{}  // namespaces held for policies whose baseline is not known
	arrivals map[string]time.Time // when namespaces that are not protected yet were first seen
	sums     map[string]*sum
	round    uint64
	awaited  map[string]struct{} // namespaces not yet seen in this round; nil before the first round
	began    time.Time
	observed map[string]Version
	enforced map[string]*Tally
	released map[string]*Tally
}

// Version identifies the state of a baseline that decisions about namespaces depend on.
type Version struct {
	UID        types.UID
	Generation int64
	// Finalized means that it has its finalizer. Gaining it does not change the generation, but
	// makes the baseline govern.
	Finalized bool
}

// New returns an empty ledger. It calls changed, with the name of a baseline, whenever the summary
// of that baseline may have changed; changed must be quick and must not call back.
func New(changed func(baseline string)) *Ledger {
	return &Ledger{
		changed:  changed,
		records:  map[string]*Record{},
		arrivals: map[string]time.Time{},
		failed:   map[string]int{},
		unowned:  map[string]struct{}{},
		sums:     map[string]*sum{},
		observed: map[string]Version{},
		enforced: map[string]*Tally{},
		released: map[string]*Tally{},
	}
}

// Observation is the version of a baseline that exists, or the fact that it is gone.
type Observation struct {
	Name string
	// Version is nil if the baseline is gone.
	Version *Version
}

// Begin opens a round after a change that can affect every namespace, such as the observed
// baselines. Until each of the given namespaces has been recorded by a reconcile that began
// afterwards, the ledger is incomplete. A new version and its round become visible together:
// otherwise the counts of the old version would be taken for those of the new one.
func (l *Ledger) Begin(namespaces []string, now time.Time, observed ...Observation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.observe(observed)
	l.round++
	if len(l.awaited) == 0 {
		l.began = now
	}
	l.awaited = make(map[string]struct{}, len(namespaces))
	for _, namespace := range namespaces {
		l.awaited[namespace] = struct{}{}
	}
	l.notifyAll()
}

// Observe records baselines before the first round, which covers all of them.
func (l *Ledger) Observe(observed ...Observation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.observe(observed)
}

func (l *Ledger) observe(observed []Observation) {
	for _, o := range observed {
		if o.Version != nil {
			l.observed[o.Name] = *o.Version
			continue
		}
		delete(l.observed, o.Name)
		delete(l.enforced, o.Name)
		delete(l.released, o.Name)
	}
}

// Round returns the current round. A reconcile reads it first and passes it to Record at its end.
func (l *Ledger) Round() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.round
}

// Get returns the record of a namespace and whether there is one.
func (l *Ledger) Get(namespace string) (Record, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if record, ok := l.records[namespace]; ok {
		return *record, true
	}
	return Record{}, false
}

// Failed returns how many namespaces are Failed for a reason.
func (l *Ledger) Failed(reason string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed[reason]
}

// Awaited reports whether a namespace has yet to be seen in the current round.
func (l *Ledger) Awaited(namespace string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, awaited := l.awaited[namespace]
	return awaited
}

// Expect records a namespace as Pending before the first attempt to protect it, which may take
// long. It does not complete a round.
func (l *Ledger) Expect(namespace string, record Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	record.State = Pending
	l.put(namespace, record, false)
}

// Record replaces the record of a namespace with the outcome of a reconcile that began in the given
// round.
func (l *Ledger) Record(namespace string, round uint64, record Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, arriving := l.arrivals[namespace]; arriving && record.State != Pending && record.State != Failed {
		l.dropArrival(namespace)
	}
	l.put(namespace, record, l.arrive(namespace, round))
}

func (l *Ledger) put(namespace string, record Record, arrived bool) {
	old, known := l.records[namespace]
	if record.Reached = record.State == Synced; known {
		record.follow(old)
	}
	if known && equal(*old, record) {
		if arrived {
			l.notifyAwaiting(record)
		}
		return
	}
	l.replace(namespace, old, &record)
	l.records[namespace] = &record
	if known {
		l.notify(old, &record)
	} else {
		l.notify(&record)
	}
}

// follow keeps what still holds of the previous record.
func (r *Record) follow(old *Record) {
	r.Reached = r.Reached || old.Reached && old.SameTarget(*r)
	if r.State == Pending && old.State == Pending && !old.Since.IsZero() {
		r.Since = old.Since
	}
}

// Forget drops a namespace that a reconcile, begun in the given round, did not find.
func (l *Ledger) Forget(namespace string, round uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropArrival(namespace)
	old, known := l.records[namespace]
	if known {
		l.replace(namespace, old, nil)
		delete(l.records, namespace)
	}
	l.arrive(namespace, round)
	if known {
		l.notify(old)
	}
}

// arrive marks a namespace as seen in this round, and reports whether it was awaited.
func (l *Ledger) arrive(namespace string, round uint64) bool {
	if round < l.round {
		return false
	}
	_, awaited := l.awaited[namespace]
	if !awaited {
		return false
	}
	delete(l.awaited, namespace)
	if len(l.awaited) == 0 {
		l.notifyAll()
	}
	return true
}

// replace subtracts the old record from the sums and adds the new one; nil means none.
func (l *Ledger) replace(namespace string, old, record *Record) {
	if old != nil {
		l.add(namespace, old, -1)
	}
	if record != nil {
		l.add(namespace, record, +1)
	}
	if old != nil {
		l.prune(old)
	}
}

// prune drops the sums that a record has left empty, so that names which are no longer used,
// including forged ones, do not accumulate.
func (l *Ledger) prune(old *Record) {
	for _, name := range old.concerned() {
		if s, ok := l.sums[name]; ok && s.counts == (v1alpha1.NamespaceCounts{}) && s.audit == (v1alpha1.AuditCounts{}) {
			delete(l.sums, name)
		}
	}
}

func (l *Ledger) add(namespace string, record *Record, sign int32) {
	for _, name := range record.Selecting {
		s := l.sum(name)
		s.counts.Matched += sign
		if record.Baseline != name && record.Governed() {
			s.counts.Overridden += sign
		}
	}
	if record.Baseline != "" {
		l.sum(record.Baseline).add(namespace, record, sign)
	}
	if record.State == Held {
		for _, name := range record.AlsoHeld {
			l.sum(name).addHeld(namespace, sign)
		}
		if record.Baseline == "" {
			mark(l.unowned, namespace, sign)
		}
	}
	if record.State == Failed {
		l.failed[record.Reason] += int(sign)
	}
	for _, previewed := range record.Previewed {
		l.sum(previewed.Baseline).addEffect(previewed.Effect, sign)
	}
}

// concerned returns the baselines that a record affects, possibly with "" and duplicates.
func (r Record) concerned() []string {
	names := append(slices.Clone(r.Selecting), r.Baseline)
	names = append(names, r.AlsoHeld...)
	for _, previewed := range r.Previewed {
		names = append(names, previewed.Baseline)
	}
	return names
}

// Owners returns the baselines that the policies of the namespace were made for.
func (r *Record) Owners() []string {
	if r.Baseline == "" {
		return nil
	}
	return append([]string{r.Baseline}, r.AlsoHeld...)
}

// Governed reports whether a baseline governs the namespace.
func (r *Record) Governed() bool {
	return r.State == Synced || r.State == Pending || r.State == Failed
}

func (l *Ledger) sum(baseline string) *sum {
	s, ok := l.sums[baseline]
	if !ok {
		s = newSum()
		l.sums[baseline] = s
	}
	return s
}

func (l *Ledger) notify(records ...*Record) {
	var names []string
	for i := range records {
		names = append(names, records[i].concerned()...)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if name != "" {
			l.changed(name)
		}
	}
}

// notifyAwaiting notifies the governing baseline of a record that one more namespace has been seen
// in this round.
func (l *Ledger) notifyAwaiting(record Record) {
	if record.Baseline != "" {
		l.changed(record.Baseline)
	}
}

func (l *Ledger) notifyAll() {
	for name := range l.observed {
		l.changed(name)
	}
}

func equal(a, b Record) bool {
	return a.SameTarget(b) && a.Generation == b.Generation && a.Environment == b.Environment && sameState(a, b) &&
		slices.Equal(a.AlsoHeld, b.AlsoHeld) && slices.Equal(a.Selecting, b.Selecting) && slices.Equal(a.Previewed, b.Previewed)
}

func sameState(a, b Record) bool {
	return a.State == b.State && a.Reason == b.Reason && a.Message == b.Message && a.Contested == b.Contested &&
		a.Since.Equal(b.Since) && a.LeavingSince.Equal(b.LeavingSince)
}
