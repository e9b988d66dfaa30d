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
	record.follow(old)
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
