package ledger

import (
	"cmp"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Summary is what the ledger says about one baseline at one moment.
type Summary struct {
	// Observed is the version of the baseline that the namespaces were brought to, or are being brought to.
	Observed Version
	// Round is the current round; 0 before the first.
	Round uint64
	// Awaited is how many of Known namespaces have not been seen since the last change; until it is 0 the counts are incomplete.
	Awaited, Known int
	// Began is when the current round, or an unfinished one before it, began.
	Began time.Time
	// Counts, Environments (the largest first) and EnvironmentCount are as in the status.
	Counts           v1alpha1.NamespaceCounts
	Environments     []v1alpha1.EnvironmentCount
	EnvironmentCount int32
	// Audit is what the baseline would do if it enforced; all zero unless it is in Audit.
	Audit v1alpha1.AuditCounts
	// Failures are namespaces to look at: the failed ones, then the pending, the oldest first, then the contested; equal ones by name.
	Failures []v1alpha1.NamespaceFailure
	// OldestPending is when the namespace that has been Pending longest became so; zero if none is.
	OldestPending time.Time
	// Contested is how many namespaces are contested, and FirstContested the first of them by name.
	Contested      int
	FirstContested string
	// FirstHeld is the first held namespace by name, and HeldMessage says why it is held.
	FirstHeld, HeldMessage string
}

// Complete says whether every namespace has been seen since the last change.
func (s *Summary) Complete() bool { return s.Round > 0 && s.Awaited == 0 }

// sum is kept for each baseline and changed with each record, so that reading it costs the same for any number of namespaces.
type sum struct {
	counts       v1alpha1.NamespaceCounts
	audit        v1alpha1.AuditCounts
	environments map[string]int32
	attention    map[string]struct{} // namespaces whose record says needsAttention
	held         map[string]struct{}
}

func newSum() *sum {
	return &sum{environments: map[string]int32{}, attention: map[string]struct{}{}, held: map[string]struct{}{}}
}

func (s *sum) add(namespace string, record *Record, sign int32) {
	switch record.State {
	case Synced:
		s.counts.Synced += sign
	case Pending:
		s.counts.Pending += sign
	case Failed:
		s.counts.Failed += sign
	case Held:
		s.counts.Held += sign
		mark(s.held, namespace, sign)
	case Unmanaged:
	}
	if record.governed() {
		s.counts.Governed += sign
		s.addEnvironment(record.Environment, sign)
	}
	if record.needsAttention() {
		mark(s.attention, namespace, sign)
	}
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

// Summarize returns what the ledger says about a baseline.
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
	l.addAttention(&summary, s)
	if len(s.held) > 0 {
		summary.FirstHeld = slices.Min(slices.Collect(maps.Keys(s.held)))
		summary.HeldMessage = l.records[summary.FirstHeld].Message
	}
	return summary
}

func (l *Ledger) addAttention(summary *Summary, s *sum) {
	namespaces := slices.SortedFunc(maps.Keys(s.attention), func(a, b string) int {
		first, second := l.records[a], l.records[b]
		return cmp.Or(cmp.Compare(first.urgency(), second.urgency()), first.Since.Compare(second.Since), cmp.Compare(a, b))
	})
	for _, namespace := range namespaces {
		record := l.records[namespace]
		if record.Contested {
			summary.Contested++
			if summary.Contested == 1 || namespace < summary.FirstContested {
				summary.FirstContested = namespace
			}
		}
		if record.State == Pending && (summary.OldestPending.IsZero() || record.Since.Before(summary.OldestPending)) {
			summary.OldestPending = record.Since
		}
		if record.Reason != "" && len(summary.Failures) < v1alpha1.MaxStatusFailures {
			summary.Failures = append(summary.Failures, v1alpha1.NamespaceFailure{
				Namespace: namespace, Reason: record.Reason, Message: truncate(record.Message, v1alpha1.MaxFailureMessage),
			})
		}
	}
}

// urgency orders records by how much they need a human, the most urgent first.
func (r Record) urgency() int {
	switch {
	case r.State == Failed:
		return 0
	case r.State == Pending:
		return 1
	}
	return 2
}

func largest(environments map[string]int32) ([]v1alpha1.EnvironmentCount, int32) {
	counts := make([]v1alpha1.EnvironmentCount, 0, len(environments))
	for name, namespaces := range environments {
		counts = append(counts, v1alpha1.EnvironmentCount{Name: name, Namespaces: namespaces})
	}
	slices.SortFunc(counts, func(a, b v1alpha1.EnvironmentCount) int {
		return cmp.Or(cmp.Compare(b.Namespaces, a.Namespaces), cmp.Compare(a.Name, b.Name))
	})
	return counts[:min(len(counts), v1alpha1.MaxStatusEnvironments)], int32(len(counts)) //nolint:gosec // bounded by the number of namespaces
}

// truncate shortens a text to at most limit bytes, at a character's edge.
func truncate(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const ellipsis = "…"
	cut := limit - len(ellipsis)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + ellipsis
}
