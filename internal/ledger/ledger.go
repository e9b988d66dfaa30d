// Package ledger owns what is known about every namespace after its last reconcile, and the sums of it for every baseline. It is
// what status and metrics read. It knows nothing of the cluster: what it holds was told to it, and is lost and rebuilt at each start.
package ledger

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// State is where a namespace stands.
type State string

const (
	// Unmanaged says that no baseline governs the namespace and no policy of ours is there.
	Unmanaged State = ""
	// Synced says that the namespace has exactly the policies it must have.
	Synced State = "synced"
	// Pending says that the namespace is being worked on, or retried after a failure that passes by itself.
	Pending State = "pending"
	// Failed says that the namespace refuses its policies for a reason that does not pass by itself.
	Failed State = "failed"
	// Held says that policies of ours are left untouched.
	Held State = "held"
	// Releasing means that no baseline governs the namespace any more, and that the removal of its policies is refused.
	Releasing State = "releasing"
)

// Record is what is known about one namespace.
type Record struct {
	// Baseline governs the namespace, or, when Held or Releasing, is the one that its policies were made for.
	Baseline string
	// AlsoHeld names further baselines that policies in a Held namespace were made for.
	AlsoHeld []string
	// Generation and UID are those of the governing baseline.
	Generation int64
	UID        types.UID
	// NamespaceUID is that of the namespace itself: one that was created again under its name is another.
	NamespaceUID types.UID
	// Environment is the namespace's environment; "" for none.
	Environment string
	State       State
	// Reached says that the namespace has been Synced since this was first asked for. The ledger itself keeps it.
	Reached bool
	// Reason and Message say why the namespace is Pending, Failed, Held or Contested.
	Reason, Message string
	// Contested says that somebody keeps changing the policies, although they are put back each time.
	Contested bool
	// Since is when the namespace became Pending; it is kept while it stays so.
	Since time.Time
	// LeavingSince is when the baseline was first seen not to select the namespace any more, while that is not yet acted on.
	LeavingSince time.Time
	// Selecting names the baselines that select the namespace, whoever governs it.
	Selecting []string
	// Rehearsed says what baselines in Audit would do here if they enforced; those that would do nothing are left out.
	Rehearsed []Rehearsed
}

// Rehearsed is what a baseline in Audit would do in a namespace.
type Rehearsed struct {
	Baseline string
	Effect   Effect
}

// Effect is what becomes of the policies of a namespace.
type Effect string

const (
	// Create says that no policy of ours is there, and that there would be.
	Create Effect = "create"
	// Change says that policies would be added to others, altered, taken over from another baseline, or some of them removed.
	Change Effect = "change"
	// Leave says that everything is as the baseline asks for.
	Leave Effect = "leave"
	// Remove says that all policies made for the baseline would go, because it does not select the namespace any more.
	Remove Effect = "remove"
)

// SameTarget says whether two records ask for the same policies in the namespace.
func (r Record) SameTarget(other Record) bool {
	return r.SameGovernor(other) && r.Generation == other.Generation && r.Environment == other.Environment
}

// SameGovernor reports whether two records are of one namespace under one baseline, whatever that asks for.
func (r Record) SameGovernor(other Record) bool {
	return r.Baseline == other.Baseline && r.UID == other.UID && r.NamespaceUID == other.NamespaceUID
}

// needsAttention says whether a record has something for a human to read.
func (r Record) needsAttention() bool {
	return r.State == Failed || r.State == Pending || r.State == Releasing || r.Contested
}

// Ledger holds a record for every namespace. It is safe for concurrent use. The zero value is not usable: see New.
type Ledger struct {
	changed func(baseline string)

	mu       sync.Mutex
	records  map[string]*Record
	failed   map[string]int       // namespaces by reason
	unowned  map[string]struct{}  // namespaces held for no baseline: nobody knows whose the policies are
	arrivals map[string]time.Time // when namespaces were first seen that are not protected yet
	sums     map[string]*sum
	round    uint64
	awaited  map[string]struct{} // namespaces not yet seen in this round; nil before the first round
	began    time.Time
	observed map[string]Version
	enforced map[string]*Tally
	released map[string]*Tally
}

// Version identifies what of a baseline decides about namespaces.
type Version struct {
	UID        types.UID
	Generation int64
	// Finalized says that it has its finalizer. Gaining it changes no generation, and yet makes the baseline govern.
	Finalized bool
}

// New returns an empty ledger. It calls changed, with the name of a baseline, whenever what it says about that baseline may have
// changed; changed must be quick and must not call back.
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

// Observation says in which version a baseline exists, or that it is gone.
type Observation struct {
	Name string
	// Version is nil if the baseline is gone.
	Version *Version
}

// Begin opens a round: something changed that can concern every namespace, such as the baselines observed. Until each of the given
// namespaces has been recorded by a reconcile that began afterwards, what the ledger says is incomplete. A new version and its round
// become visible together: in between, the counts of the old version would pass for those of the new one.
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

// Observe tells the ledger of baselines before the first round, which is about all of them.
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

// Round returns the current round. A reconcile reads it before anything else and gives it to Record at its end.
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

// Expect records a namespace as Pending before the first attempt to protect it, which may take long. No round ends by that.
func (l *Ledger) Expect(namespace string, record Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	record.State = Pending
	l.put(namespace, record, false)
}

// Record replaces the record of a namespace with the outcome of a reconcile that began in the given round.
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

// follow takes over from the record before what is still so.
func (r *Record) follow(old *Record) {
	r.Reached = r.Reached || old.Reached && old.SameTarget(*r)
	if r.State == Pending && old.State == Pending && !old.Since.IsZero() {
		r.Since = old.Since
	}
}

// Forget drops a namespace that a reconcile begun in the given round has found gone.
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

// arrive ticks a namespace off the list of those awaited in this round, and says whether it was on it.
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

// replace takes the old record out of the sums and puts the new one in; nil stands for none.
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

// prune drops the sums that a record has left empty, so that names which are no longer used, forged ones too, do not pile up.
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
	for _, rehearsed := range record.Rehearsed {
		l.sum(rehearsed.Baseline).addEffect(rehearsed.Effect, sign)
	}
}

// concerned returns the baselines that a record says something about, "" and duplicates among them.
func (r Record) concerned() []string {
	names := append(slices.Clone(r.Selecting), r.Baseline)
	names = append(names, r.AlsoHeld...)
	for _, rehearsed := range r.Rehearsed {
		names = append(names, rehearsed.Baseline)
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

// notifyAwaiting tells the governing baseline of a record that a round has come one namespace further.
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
	return a.SameTarget(b) && a.State == b.State && a.Reason == b.Reason && a.Message == b.Message && a.Contested == b.Contested &&
		a.Since.Equal(b.Since) && a.LeavingSince.Equal(b.LeavingSince) && slices.Equal(a.AlsoHeld, b.AlsoHeld) && slices.Equal(a.Selecting, b.Selecting) && slices.Equal(a.Rehearsed, b.Rehearsed)
}
