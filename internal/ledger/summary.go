package ledger

import (
	"cmp"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Summary is a snapshot of the ledger for one baseline.
type Summary struct {
	// Observed is the version of the baseline that the namespaces were brought to, or are being
	// brought to.
	Observed Version
	// Round is the current round; 0 before the first.
	Round uint64
	// Awaited is how many of Known namespaces have not been seen since the last change; until it is
	// 0 the counts are incomplete.
	Awaited, Known int
	// Began is when the current round, or an unfinished one before it, began.
	Began time.Time
	// Counts, Environments (the largest first) and EnvironmentCount are as in the status.
	Counts           v1alpha1.NamespaceCounts
	Environments     []v1alpha1.EnvironmentCount
	EnvironmentCount int32
	// Audit is what the baseline would do if it enforced; all zero unless it is in Audit.
	Audit v1alpha1.AuditCounts
	// Failures are namespaces to look at: the failed ones, then the pending, the oldest first, then
	// the contested; equal ones by name.
	Failures []v1alpha1.NamespaceFailure
	// OldestPending is when the namespace that has been Pending longest became so; zero if none is.
	OldestPending time.Time
	// Contested is how many namespaces are contested, and FirstContested the first of them by name.
	Contested      int
	FirstContested string
	// FirstHeld is the first held namespace by name, and HeldMessage is why it is held.
	FirstHeld, HeldMessage string
}

// Complete reports whether every namespace has been seen since the last change.
func (s *Summary) Complete() bool { return s.Round > 0 && s.Awaited == 0 }

// sum is kept for each baseline and updated with each record, so that reading it costs the same for
// any number of namespaces.
type sum struct {
	counts       v1alpha1.NamespaceCounts
	audit        v1alpha1.AuditCounts
	environments map[string]int32
	attention    map[string]*Record // of the namespaces that need attention
	held         map[string]struct{}
	contested    int
}

func newSum() *sum {
	return &sum{environments: map[string]int32{}, attention: map[string]*Record{}, held: map[string]struct{}{}}
}

func (s *sum) add(namespace string, record *Record, sign int32) {
	s.count(namespace, record.State, sign)
	if record.Governed() {
		s.counts.Governed += sign
		s.addEnvironment(record.Environment, sign)
	}
	switch {
	case !record.needsAttention():
	case sign > 0:
		s.attention[namespace] = record
	default:
		delete(s.attention, namespace)
	}
	if record.Contested {
		s.contested += int(sign)
	}
}

func (s *sum) count(namespace string, state State, sign int32) {
	switch state {
	case Synced:
		s.counts.Synced += sign
	case Pending:
		s.counts.Pending += sign
	case Failed:
		s.counts.Failed += sign
	case Held:
		s.addHeld(namespace, sign)
	case Releasing:
		s.counts.Releasing += sign
	case Unmanaged:
	}
}

func (s *sum) addHeld(namespace string, sign int32) {
	s.counts.Held += sign
	mark(s.held, namespace, sign)
}

func (s *sum) addEffect(effect Effect, sign int32) {
	switch effect {
	case Create:
		s.audit.Create += sign
	case Change:
		s.audit.Change += sign
	case Leave:
		s.audit.Leave += sign
	case Remove:
		s.audit.Remove += sign
	}
}

func (s *sum) addEnvironment(environment string, sign int32) {
	if environment == "" {
		s.counts.Unlabeled += sign
		return
	}
	s.environments[environment] += sign
	if s.environments[environment] == 0 {
		delete(s.environments, environment)
	}
}

func mark(set map[string]struct{}, namespace string, sign int32) {
	if sign > 0 {
		set[namespace] = struct{}{}
	} else {
		delete(set, namespace)
	}
}

// Summarize returns the summary of a baseline.
func (l *Ledger) Summarize(baseline string) Summary {
	l.mu.Lock()
	defer l.mu.Unlock()
	summary := Summary{
		Observed: l.observed[baseline], Round: l.round, Awaited: len(l.awaited), Known: len(l.records), Began: l.began,
	}
	s, ok := l.sums[baseline]
	if !ok {
		return summary
	}
	summary.Counts, summary.Audit = s.counts, s.audit
	summary.Environments, summary.EnvironmentCount = largest(s.environments)
	summary.Contested = s.contested
	s.addAttention(&summary)
	for namespace := range s.held {
		if summary.FirstHeld == "" || namespace < summary.FirstHeld {
			summary.FirstHeld = namespace
		}
	}
	if summary.FirstHeld != "" {
		summary.HeldMessage = l.records[summary.FirstHeld].Message
	}
	return summary
}

// Unowned returns how many namespaces are held for policies whose baseline is not known, the first
// of them by name, and why it is held.
func (l *Ledger) Unowned() (count int, first, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for namespace := range l.unowned {
		if first == "" || namespace < first {
			first = namespace
		}
	}
	if first != "" {
		why = l.records[first].Message
	}
	return len(l.unowned), first, why
}

// addAttention finds the most urgent records in one pass: it holds the lock, and every worker
// waits.
func (s *sum) addAttention(summary *Summary) {
	var top []entry
	for namespace, record := range s.attention {
		if record.Contested && (summary.FirstContested == "" || namespace < summary.FirstContested) {
			summary.FirstContested = namespace
		}
		if record.State == Pending && (summary.OldestPending.IsZero() || record.Since.Before(summary.OldestPending)) {
			summary.OldestPending = record.Since
		}
		if record.Reason != "" {
			top = keepFirst(top, entry{namespace, record}, v1alpha1.MaxStatusFailures, byUrgency)
		}
	}
	for _, e := range top {
		summary.Failures = append(summary.Failures, v1alpha1.NamespaceFailure{
			Namespace: e.namespace, Reason: e.record.Reason, Message: truncate(e.record.Message, v1alpha1.MaxFailureMessage),
		})
	}
}

// entry is a namespace and its record.
type entry struct {
	namespace string
	record    *Record
}

func byUrgency(a, b entry) int {
	return cmp.Or(
		cmp.Compare(a.record.urgency(), b.record.urgency()), a.record.Since.Compare(b.record.Since), cmp.Compare(a.namespace, b.namespace),
	)
}

// keepFirst inserts an item into a sorted list of at most limit items, and drops the last one
// beyond that.
func keepFirst[T any](list []T, item T, limit int, compare func(a, b T) int) []T {
	if len(list) == limit && compare(item, list[limit-1]) >= 0 {
		return list
	}
	if list == nil {
		list = make([]T, 0, limit+1) // with room for the dropped item, so that the list never grows
	}
	at, _ := slices.BinarySearchFunc(list, item, compare)
	list = slices.Insert(list, at, item)
	return list[:min(len(list), limit)]
}

// urgency orders records, the most urgent first.
func (r Record) urgency() int {
	switch {
	case r.State == Failed:
		return 0
	case r.State == Pending:
		return 1
	case r.State == Releasing:
		return 2
	}
	return 3
}

// largest returns the largest environments, and how many there are.
func largest(environments map[string]int32) ([]v1alpha1.EnvironmentCount, int32) {
	var counts []v1alpha1.EnvironmentCount
	for name, namespaces := range environments {
		counts = keepFirst(counts, v1alpha1.EnvironmentCount{Name: name, Namespaces: namespaces}, v1alpha1.MaxStatusEnvironments,
			func(a, b v1alpha1.EnvironmentCount) int {
				return cmp.Or(cmp.Compare(b.Namespaces, a.Namespaces), cmp.Compare(a.Name, b.Name))
			})
	}
	return counts, int32(len(environments)) //nolint:gosec // bounded by the number of namespaces
}

// truncate shortens a text to at most limit bytes, at character boundaries. It omits a part after
// the first third: the beginning names the policy that was refused, and the message of an admission
// rule comes last.
func truncate(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const ellipsis = "…"
	head := limit / 3
	for head > 0 && !utf8.RuneStart(text[head]) {
		head--
	}
	tail := len(text) - (limit - head - len(ellipsis))
	for tail < len(text) && !utf8.RuneStart(text[tail]) {
		tail++
	}
	return text[:head] + ellipsis + text[tail:]
}
