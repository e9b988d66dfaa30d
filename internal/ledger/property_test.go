package ledger_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/ledger"
)

// model is a ledger that keeps no sums: it counts anew, from all records, whenever it is asked.
type model struct {
	records  map[string]ledger.Record
	observed map[string]ledger.Version
	round    uint64
	awaited  map[string]bool
	began    time.Time
}

func (m *model) record(namespace string, round uint64, record ledger.Record) {
	if record.State == ledger.Pending && m.records[namespace].State == ledger.Pending {
		record.Since = m.records[namespace].Since
	}
	m.records[namespace] = record
	if round == m.round {
		delete(m.awaited, namespace)
	}
}

func (m *model) forget(namespace string, round uint64) {
	delete(m.records, namespace)
	if round == m.round {
		delete(m.awaited, namespace)
	}
}

func (m *model) expect(namespace string, record ledger.Record) {
	record.State = ledger.Pending
	m.record(namespace, m.round-1, record)
}

func (m *model) unowned() (count int, first string) {
	for _, namespace := range slices.Sorted(maps.Keys(m.records)) {
		if record := m.records[namespace]; record.State == ledger.Held && record.Baseline == "" {
			count++
			first = cmp.Or(first, namespace)
		}
	}
	return count, first
}

func (m *model) begin(namespaces []string, now time.Time) {
	if len(m.awaited) == 0 {
		m.began = now
	}
	m.round++
	m.awaited = map[string]bool{}
	for _, namespace := range namespaces {
		m.awaited[namespace] = true
	}
}

func (m *model) summarize(baseline string) ledger.Summary {
	summary := ledger.Summary{
		Observed: m.observed[baseline], Round: m.round, Awaited: len(m.awaited), Known: len(m.records), Began: m.began,
	}
	environments := map[string]int32{}
	var failed, pending, releasing, contested []string // what needs attention, by urgency
	for _, namespace := range slices.Sorted(maps.Keys(m.records)) {
		record := m.records[namespace]
		governed := record.State == ledger.Synced || record.State == ledger.Pending || record.State == ledger.Failed
		if slices.Contains(record.Selecting, baseline) {
			summary.Counts.Matched++
			if governed && record.Baseline != baseline {
				summary.Counts.Overridden++
			}
		}
		for _, previewed := range record.Previewed {
			if previewed.Baseline == baseline {
				m.audit(&summary.Audit, previewed.Effect)
			}
		}
		if record.State == ledger.Held && (record.Baseline == baseline || slices.Contains(record.AlsoHeld, baseline)) {
			if summary.Counts.Held++; summary.Counts.Held == 1 {
				summary.FirstHeld, summary.HeldMessage = namespace, record.Message
			}
		}
		if record.Baseline != baseline {
			continue
		}
		if governed {
			summary.Counts.Governed++
			if record.Environment == "" {
				summary.Counts.Unlabeled++
			} else {
				environments[record.Environment]++
			}
		}
		if record.Contested {
			summary.Contested++
			summary.FirstContested = cmp.Or(summary.FirstContested, namespace)
		}
		switch record.State {
		case ledger.Synced:
			summary.Counts.Synced++
		case ledger.Failed:
			summary.Counts.Failed++
			failed = append(failed, namespace)
		case ledger.Pending:
			summary.Counts.Pending++
			pending = append(pending, namespace)
			if summary.OldestPending.IsZero() || record.Since.Before(summary.OldestPending) {
				summary.OldestPending = record.Since
			}
		case ledger.Releasing:
			summary.Counts.Releasing++
			releasing = append(releasing, namespace)
		case ledger.Held, ledger.Unmanaged:
		}
		if record.Contested && record.State != ledger.Failed && record.State != ledger.Pending && record.State != ledger.Releasing {
			contested = append(contested, namespace)
		}
	}
	for _, group := range [][]string{failed, pending, releasing, contested} {
		slices.SortStableFunc(group, func(a, b string) int { return m.records[a].Since.Compare(m.records[b].Since) })
		for _, namespace := range group {
			if record := m.records[namespace]; record.Reason != "" && len(summary.Failures) < 10 {
				summary.Failures = append(summary.Failures, v1alpha1.NamespaceFailure{Namespace: namespace, Reason: record.Reason, Message: record.Message})
			}
		}
	}
	for name, count := range environments {
		summary.EnvironmentCount++
		summary.Environments = append(summary.Environments, v1alpha1.EnvironmentCount{Name: name, Namespaces: count})
	}
	slices.SortFunc(summary.Environments, func(a, b v1alpha1.EnvironmentCount) int {
		return cmp.Or(-cmp.Compare(a.Namespaces, b.Namespaces), cmp.Compare(a.Name, b.Name))
	})
	summary.Environments = summary.Environments[:min(20, len(summary.Environments))]
	return summary
}

func (m *model) audit(counts *v1alpha1.AuditCounts, effect ledger.Effect) {
	*map[ledger.Effect]*int32{
		ledger.Create: &counts.Create, ledger.Change: &counts.Change, ledger.Leave: &counts.Leave, ledger.Remove: &counts.Remove,
	}[effect]++
}

func (m *model) totals() ([]ledger.Total, int) {
	counts := map[ledger.Total]int32{}
	contested := 0
	for _, record := range m.records {
		_, exists := m.observed[record.Baseline]
		for _, owner := range record.AlsoHeld {
			if record.State != ledger.Held {
				break
			}
			if _, exists := m.observed[owner]; !exists {
				owner = ""
			}
			counts[ledger.Total{Baseline: owner, State: ledger.Held}]++
		}
		switch {
		case record.State == ledger.Unmanaged:
			continue
		case exists:
			counts[ledger.Total{Baseline: record.Baseline, State: record.State}]++
		case record.State == ledger.Held:
			counts[ledger.Total{State: ledger.Held}]++
		}
		if record.Contested {
			contested++
		}
	}
	var all []ledger.Total
	for total, namespaces := range counts {
		total.Namespaces = namespaces
		all = append(all, total)
	}
	slices.SortFunc(all, func(a, b ledger.Total) int {
		return cmp.Or(cmp.Compare(a.Baseline, b.Baseline), cmp.Compare(a.State, b.State))
	})
	return all, contested
}

var (
	someBaselines    = []string{"a", "b", "c", "d"}
	someEnvironments = []string{"", "production", "staging", "development"}
	someEffects      = []ledger.Effect{ledger.Create, ledger.Change, ledger.Leave, ledger.Remove}
	someReasons      = []string{"", "Forbidden", "Unavailable"}
)

func oneOf[T any](random *rand.Rand, items []T) T { return items[random.IntN(len(items))] }

func someOf(random *rand.Rand, items []string) []string {
	var chosen []string
	for _, item := range items {
		if random.IntN(2) == 0 {
			chosen = append(chosen, item)
		}
	}
	return chosen
}

// randomRecord is a record such as a reconcile can come to.
func randomRecord(random *rand.Rand, now time.Time) ledger.Record {
	record := ledger.Record{Selecting: someOf(random, someBaselines)}
	for _, baseline := range someOf(random, someBaselines) {
		record.Previewed = append(record.Previewed, ledger.Previewed{Baseline: baseline, Effect: oneOf(random, someEffects)})
	}
	state := oneOf(random, []ledger.State{ledger.Unmanaged, ledger.Synced, ledger.Synced, ledger.Pending, ledger.Failed, ledger.Held, ledger.Held, ledger.Releasing})
	if state == ledger.Unmanaged {
		return record
	}
	record.Baseline, record.State, record.Generation = oneOf(random, someBaselines), state, random.Int64N(2)
	record.Reason, record.Message = oneOf(random, someReasons), oneOf(random, someReasons)
	switch {
	case state == ledger.Held && random.IntN(4) == 0:
		record.Baseline = ""
	case state == ledger.Held:
		record.AlsoHeld = slices.DeleteFunc(someOf(random, someBaselines), func(name string) bool { return name == record.Baseline })
	}
	if state == ledger.Releasing {
		record.Since = now
	}
	if state != ledger.Held && state != ledger.Releasing {
		record.Environment = oneOf(random, someEnvironments)
		record.Contested = random.IntN(4) == 0
	}
	if state == ledger.Pending {
		record.Since = now
	}
	return record
}

// clean returns a summary in which empty and absent lists are the same, so that reflect can compare
// it: go-cmp takes a hundred times as long, and is only asked to explain a difference.
func clean(s ledger.Summary) ledger.Summary {
	if len(s.Environments) == 0 {
		s.Environments = nil
	}
	if len(s.Failures) == 0 {
		s.Failures = nil
	}
	return s
}

// substance returns a summary without what is the same for all baselines and changes with every
// step.
func substance(s ledger.Summary) ledger.Summary {
	s.Known, s.Awaited, s.Round, s.Began, s.Observed = 0, 0, 0, time.Time{}, ledger.Version{}
	return s
}

func TestTheSumsAreAlwaysThoseOfTheRecords(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{1, 2, 3, 5, 8, 13, 21, 34} {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			walk(t, rand.New(rand.NewPCG(seed, 0)), 1_500)
		})
	}
}

// walk does random things to a ledger and to its model, and compares the two after each.
func walk(t *testing.T, random *rand.Rand, steps int) {
	t.Helper()
	n := newNotebook()
	m := &model{records: map[string]ledger.Record{}, observed: map[string]ledger.Version{}}
	var namespaces []string
	for i := range 25 {
		namespaces = append(namespaces, fmt.Sprintf("n%02d", i))
	}
	before := map[string]ledger.Summary{}
	completed := 0
	for i := range steps {
		now := noon.Add(time.Duration(i) * time.Second)
		told := step(random, n, m, namespaces, now)
		notified := n.take()
		for _, baseline := range someBaselines {
			want, got, earlier := clean(m.summarize(baseline)), clean(n.Summarize(baseline)), before[baseline]
			if !reflect.DeepEqual(want, got) {
				t.Fatalf("step %d, baseline %s: -want +got:\n%s", i, baseline, gocmp.Diff(want, got))
			}
			if told && !slices.Contains(notified, baseline) && !reflect.DeepEqual(substance(earlier), substance(got)) {
				t.Fatalf("step %d: baseline %s was not notified of (-old +new):\n%s", i, baseline, gocmp.Diff(substance(earlier), substance(got)))
			}
			_, exists := m.observed[baseline]
			if exists && earlier.Complete() != got.Complete() && !slices.Contains(notified, baseline) {
				t.Fatalf("step %d: baseline %s was not notified that complete is now %t", i, baseline, got.Complete())
			}
			if got.Complete() && !earlier.Complete() {
				completed++
			}
			before[baseline] = got
		}
		compareTotals(t, i, n, m)
	}
	if completed == 0 {
		t.Error("no round was ever completed: nothing was shown about that")
	}
}

// step does one random thing, and reports whether the affected baselines must be notified.
func step(random *rand.Rand, n *notebook, m *model, namespaces []string, now time.Time) (told bool) {
	switch namespace := oneOf(random, namespaces); random.IntN(22) {
	case 0:
		awaited := someOf(random, namespaces[:2+random.IntN(5)])
		baseline, version := oneOf(random, someBaselines), ledger.Version{Generation: random.Int64N(9)}
		n.Begin(awaited, now, ledger.Observation{Name: baseline, Version: &version})
		m.begin(awaited, now)
		m.observed[baseline] = version
	case 1, 2, 3:
		round := n.Round()
		if round > 0 {
			round -= random.Uint64N(2)
		}
		n.Forget(namespace, round)
		m.forget(namespace, round)
	case 4:
		baseline, version := oneOf(random, someBaselines), ledger.Version{Generation: random.Int64N(9)}
		n.Observe(ledger.Observation{Name: baseline, Version: new(version)})
		m.observed[baseline] = version
		return false
	case 5:
		baseline := oneOf(random, someBaselines)
		n.Observe(ledger.Observation{Name: baseline})
		delete(m.observed, baseline)
		return false
	case 6, 7:
		record := randomRecord(random, now) // also a Held one: to close existing policies may take long too
		record.Since = now
		n.Expect(namespace, record)
		m.expect(namespace, record)
	default:
		round := n.Round()
		if round > 0 {
			round -= random.Uint64N(2)
		}
		record := randomRecord(random, now)
		if old, known := n.Get(namespace); known && random.IntN(4) == 0 {
			record = old
		}
		n.Record(namespace, round, record)
		m.record(namespace, round, record)
	}
	return true
}

func compareTotals(t *testing.T, i int, n *notebook, m *model) {
	t.Helper()
	wantCount, wantFirst := m.unowned()
	if count, first, _ := n.Unowned(); count != wantCount || first != wantFirst {
		t.Fatalf("step %d: %d namespaces are held for no baseline, first %q; want %d and %q", i, count, first, wantCount, wantFirst)
	}
	want, wantContested := m.totals()
	got, gotContested := totals(n.Ledger)
	if !slices.Equal(want, got) {
		t.Fatalf("step %d, totals: -want +got:\n%s", i, gocmp.Diff(want, got))
	}
	if gotContested != wantContested {
		t.Fatalf("step %d: %d contested, want %d", i, gotContested, wantContested)
	}
}
