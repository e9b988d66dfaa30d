package ledger_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netbaseline/netbaseline/internal/ledger"
)

// noon is when tests begin.
var noon = time.Date(2026, time.March, 4, 12, 0, 0, 0, time.UTC)

// notebook is a ledger that writes down which baselines it notified.
type notebook struct {
	*ledger.Ledger
	notified []string
}

func newNotebook() *notebook {
	n := &notebook{}
	n.Ledger = ledger.New(func(baseline string) { n.notified = append(n.notified, baseline) })
	return n
}

// take returns the baselines notified since the last call, sorted, with duplicates.
func (n *notebook) take() []string {
	taken := n.notified
	n.notified = nil
	slices.Sort(taken)
	return taken
}

// put records a namespace in the current round.
func (n *notebook) put(namespace string, record ledger.Record) {
	n.Record(namespace, n.Round(), record)
}

// synced is a namespace that a baseline selects and governs, in the desired state.
func synced(baseline string) ledger.Record {
	return ledger.Record{Baseline: baseline, State: ledger.Synced, Environment: "production", Selecting: []string{baseline}}
}

// pending is a namespace of a baseline that waits for the API server since some moment.
func pending(baseline string, since time.Time) ledger.Record {
	return ledger.Record{
		Baseline: baseline, State: ledger.Pending, Reason: "Unavailable", Message: "timed out", Since: since, Selecting: []string{baseline},
	}
}

func TestARoundIsCompleteWhenEveryNamespaceWasSeen(t *testing.T) {
	t.Parallel()
	// Each step is an event; want is what is awaited afterwards, and whether that is complete.
	type want struct {
		awaited  int
		complete bool
	}
	begin := func(namespaces ...string) func(*notebook) {
		return func(n *notebook) { n.Begin(namespaces, noon) }
	}
	put := func(namespace string) func(*notebook) {
		return func(n *notebook) { n.put(namespace, synced("default")) }
	}
	late := func(namespace string) func(*notebook) {
		return func(n *notebook) { n.Record(namespace, n.Round()-1, synced("default")) }
	}
	forget := func(namespace string) func(*notebook) {
		return func(n *notebook) { n.Forget(namespace, n.Round()) }
	}
	lateForget := func(namespace string) func(*notebook) {
		return func(n *notebook) { n.Forget(namespace, n.Round()-1) }
	}
	expect := func(namespace string) func(*notebook) {
		return func(n *notebook) { n.Expect(namespace, synced("default")) }
	}

	tests := map[string]struct {
		steps []func(*notebook)
		want  want
	}{
		"before the first round nothing is complete":            {want: want{0, false}},
		"a record before the first round completes nothing":     {steps: []func(*notebook){put("a")}, want: want{0, false}},
		"a round without namespaces is complete immediately":    {steps: []func(*notebook){begin()}, want: want{0, true}},
		"a round that has begun awaits its namespaces":          {steps: []func(*notebook){begin("a", "b")}, want: want{2, false}},
		"a namespace that was recorded is ticked off":           {steps: []func(*notebook){begin("a", "b"), put("a")}, want: want{1, false}},
		"a namespace counts once, however often it is recorded": {steps: []func(*notebook){begin("a", "b"), put("a"), put("a")}, want: want{1, false}},
		"all namespaces": {steps: []func(*notebook){begin("a", "b"), put("a"), put("b")}, want: want{0, true}},
		"a namespace that is not awaited does not count":                    {steps: []func(*notebook){begin("a"), put("b")}, want: want{1, false}},
		"a reconcile that began before the round does not tick off":         {steps: []func(*notebook){begin("a"), begin("a"), late("a")}, want: want{1, false}},
		"a reconcile that began within the round ticks off afterwards":      {steps: []func(*notebook){begin("a"), begin("a"), late("a"), put("a")}, want: want{0, true}},
		"a namespace that is gone is ticked off":                            {steps: []func(*notebook){begin("a", "b"), put("a"), forget("b")}, want: want{0, true}},
		"a namespace that was found gone before the round is awaited":       {steps: []func(*notebook){begin("a", "b"), begin("a", "b"), put("a"), lateForget("b")}, want: want{1, false}},
		"a namespace that is only expected is not ticked off":               {steps: []func(*notebook){begin("a"), expect("a")}, want: want{1, false}},
		"a namespace that was recorded in an earlier round is awaited anew": {steps: []func(*notebook){begin("a"), put("a"), begin("a")}, want: want{1, false}},
		"a new round awaits no namespace that only an earlier one awaited":  {steps: []func(*notebook){begin("a", "b"), begin("b"), put("b")}, want: want{0, true}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNotebook()
			for _, step := range test.steps {
				step(n)
			}
			// Awaited belongs to the whole ledger: also a baseline without a single namespace must
			// wait for it.
			for _, baseline := range []string{"default", "without-namespaces"} {
				summary := n.Summarize(baseline)
				if got := (want{summary.Awaited, summary.Complete()}); got != test.want {
					t.Errorf("%s: got %+v, want %+v", baseline, got, test.want)
				}
			}
		})
	}
}

// Otherwise the counts of the old version would be taken for those of the new one, and the baseline
// for Ready.
func TestANewVersionAndItsRoundBecomeVisibleTogether(t *testing.T) {
	t.Parallel()
	first, second := ledger.Version{UID: "u", Generation: 1}, ledger.Version{UID: "u", Generation: 2}
	seen := map[ledger.Version]bool{} // whether it was complete when last looked at
	l := ledger.New(func(string) {})
	look := func() {
		summary := l.Summarize("default")
		seen[summary.Observed] = summary.Complete()
	}
	l.Begin([]string{"a"}, noon, ledger.Observation{Name: "default", Version: &first})
	look()
	l.Record("a", l.Round(), synced("default"))
	look()
	l.Begin([]string{"a"}, noon, ledger.Observation{Name: "default", Version: &second}, ledger.Observation{Name: "other", Version: &first})
	look()
	if want := map[ledger.Version]bool{first: true, second: false}; !maps.Equal(want, seen) {
		t.Errorf("complete was %v, want %v", seen, want)
	}
	l.Begin([]string{"a"}, noon, ledger.Observation{Name: "other"})
	if got := l.Summarize("other").Observed; got != (ledger.Version{}) {
		t.Errorf("of a baseline that is gone, %+v is left", got)
	}
	if got := l.Summarize("default").Observed; got != second {
		t.Errorf("a round about another baseline leaves %+v, want %+v", got, second)
	}
}

func TestALateRecordIsKeptAllTheSame(t *testing.T) {
	t.Parallel()
	n := newNotebook()
	n.Begin([]string{"a"}, noon)
	before := n.Round()
	n.Begin([]string{"a"}, noon)
	n.Record("a", before, synced("default"))

	if got, known := n.Get("a"); !known || got.State != ledger.Synced {
		t.Errorf("got %+v, known %t; want a synced record", got, known)
	}
	if got := n.Summarize("default").Counts.Synced; got != 1 {
		t.Errorf("%d namespaces are synced, want 1", got)
	}
}

func TestBeganIsWhenTheWorkBeganThatIsNotDoneYet(t *testing.T) {
	t.Parallel()
	n := newNotebook()
	n.Begin([]string{"a"}, noon)
	n.Begin([]string{"a"}, noon.Add(time.Second))
	if got := n.Summarize("default").Began; !got.Equal(noon) {
		t.Errorf("with an unfinished round before it, the work began at %s, want %s", got, noon)
	}
	n.put("a", synced("default"))
	n.Begin([]string{"a"}, noon.Add(time.Minute))
	if got, want := n.Summarize("default").Began, noon.Add(time.Minute); !got.Equal(want) {
		t.Errorf("after a finished round, the work began at %s, want %s", got, want)
	}
}

func TestSinceIsKeptWhilePending(t *testing.T) {
	t.Parallel()
	later := noon.Add(30 * time.Second)
	failed := ledger.Record{Baseline: "default", State: ledger.Failed, Reason: "Forbidden"}
	other := pending("other", later)

	tests := map[string]struct {
		records []ledger.Record
		want    time.Time
	}{
		"the first time, it is the time of the record": {records: []ledger.Record{pending("default", noon)}, want: noon},
		"it is kept while the namespace stays so":      {records: []ledger.Record{pending("default", noon), pending("default", later)}, want: noon},
		"it is kept when the reason changes":           {records: []ledger.Record{pending("default", noon), {Baseline: "default", State: ledger.Pending, Reason: "Conflict", Since: later}}, want: noon},
		"it is kept when the baseline changes":         {records: []ledger.Record{pending("default", noon), other}, want: noon},
		"after having been synced it begins anew":      {records: []ledger.Record{pending("default", noon), synced("default"), pending("default", later)}, want: later},
		"after having failed it begins anew":           {records: []ledger.Record{pending("default", noon), failed, pending("default", later)}, want: later},
		"what is not pending has none":                 {records: []ledger.Record{pending("default", noon), synced("default")}},
		"what has failed does not inherit it either":   {records: []ledger.Record{pending("default", noon), failed}},
		"another namespace's does not count for this":  {records: []ledger.Record{pending("default", later)}, want: later},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNotebook()
			n.put("another", pending("default", noon.Add(-time.Hour)))
			for _, record := range test.records {
				n.put("shop", record)
			}
			if got, _ := n.Get("shop"); !got.Since.Equal(test.want) {
				t.Errorf("pending since %s, want %s", got.Since, test.want)
			}
		})
	}
}

func TestWhoIsNotified(t *testing.T) {
	t.Parallel()
	overridden := ledger.Record{Baseline: "high", State: ledger.Synced, Selecting: []string{"high", "low"}}
	changed := func(change func(*ledger.Record)) ledger.Record {
		record := synced("default")
		change(&record)
		return record
	}
	previewed := func(effect ledger.Effect) ledger.Record {
		return changed(func(r *ledger.Record) { r.Previewed = []ledger.Previewed{{Baseline: "next", Effect: effect}} })
	}

	tests := map[string]struct {
		before []ledger.Record // of the namespace shop, outside of any round
		after  ledger.Record
		want   []string
	}{
		"the governing baseline of a new record, once":         {after: synced("default"), want: []string{"default"}},
		"every baseline that selects it too":                   {after: overridden, want: []string{"high", "low"}},
		"the one that a held namespace's policies are made of": {after: ledger.Record{Baseline: "gone", State: ledger.Held}, want: []string{"gone"}},
		"none for a namespace that is not managed":             {after: ledger.Record{}},
		"none when nothing has changed":                        {before: []ledger.Record{overridden}, after: overridden},
		"none when only the time of another failure passes":    {before: []ledger.Record{pending("default", noon)}, after: pending("default", noon.Add(time.Second))},
		"old and new, when the governor changes":               {before: []ledger.Record{synced("default")}, after: synced("other"), want: []string{"default", "other"}},
		"the old one, when it is no longer governed":           {before: []ledger.Record{synced("default")}, after: ledger.Record{}, want: []string{"default"}},
		"one that selected it, when it no longer does":         {before: []ledger.Record{overridden}, after: synced("high"), want: []string{"high", "low"}},
		"one in Audit, of what it would do":                    {before: []ledger.Record{synced("default")}, after: previewed(ledger.Change), want: []string{"default", "next"}},
		"one in Audit, when it would do something else":        {before: []ledger.Record{previewed(ledger.Change)}, after: previewed(ledger.Leave), want: []string{"default", "next"}},
		"after a change of state":                              {before: []ledger.Record{synced("default")}, after: changed(func(r *ledger.Record) { r.State = ledger.Failed }), want: []string{"default"}},
		"after a change of environment":                        {before: []ledger.Record{synced("default")}, after: changed(func(r *ledger.Record) { r.Environment = "staging" }), want: []string{"default"}},
		"after a change of generation":                         {before: []ledger.Record{synced("default")}, after: changed(func(r *ledger.Record) { r.Generation++ }), want: []string{"default"}},
		"after a change of the baseline's UID":                 {before: []ledger.Record{synced("default")}, after: changed(func(r *ledger.Record) { r.UID = "new" }), want: []string{"default"}},
		"after a change of the namespace's UID":                {before: []ledger.Record{synced("default")}, after: changed(func(r *ledger.Record) { r.NamespaceUID = "new" }), want: []string{"default"}},
		"after a change of reason":                             {before: []ledger.Record{synced("default")}, after: changed(func(r *ledger.Record) { r.Reason = "Contested" }), want: []string{"default"}},
		"after a change of message":                            {before: []ledger.Record{synced("default")}, after: changed(func(r *ledger.Record) { r.Message = "who" }), want: []string{"default"}},
		"when it begins to leave":                              {before: []ledger.Record{synced("default")}, after: changed(func(r *ledger.Record) { r.LeavingSince = noon }), want: []string{"default"}},
		"every owner of what a held namespace keeps":           {after: ledger.Record{Baseline: "a", AlsoHeld: []string{"c", "b"}, State: ledger.Held}, want: []string{"a", "b", "c"}},
		"one that no longer owns anything there":               {before: []ledger.Record{{Baseline: "a", AlsoHeld: []string{"b"}, State: ledger.Held}}, after: ledger.Record{Baseline: "a", State: ledger.Held}, want: []string{"a", "b"}},
		"none of what is held for an unknown baseline":         {after: ledger.Record{State: ledger.Held, Reason: "OwnerUnknown"}},
		"when it becomes contested":                            {before: []ledger.Record{synced("default")}, after: changed(func(r *ledger.Record) { r.Contested = true }), want: []string{"default"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNotebook()
			n.Observe(ledger.Observation{Name: "bystander", Version: new(ledger.Version{})})
			for _, record := range test.before {
				n.put("shop", record)
			}
			n.take()
			n.put("shop", test.after)
			if diff := cmp.Diff(test.want, n.take()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			n.Forget("shop", n.Round())
			if diff := cmp.Diff(ofRecord(test.after), n.take()); diff != "" {
				t.Errorf("when the namespace is forgotten (-want +got):\n%s", diff)
			}
		})
	}
}

// ofRecord returns the baselines that a record names, sorted and each once.
func ofRecord(record ledger.Record) []string {
	var names []string
	if record.Baseline != "" {
		names = append(names, record.Baseline)
	}
	names = append(names, record.Selecting...)
	names = append(names, record.AlsoHeld...)
	for _, previewed := range record.Previewed {
		names = append(names, previewed.Baseline)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestARoundNotifiesEveryBaselineAtItsBeginAndEnd(t *testing.T) {
	t.Parallel()
	n := newNotebook()
	n.Observe(ledger.Observation{Name: "a", Version: new(ledger.Version{Generation: 1})})
	n.Observe(ledger.Observation{Name: "b", Version: new(ledger.Version{Generation: 1})})
	if got := n.take(); len(got) > 0 {
		t.Errorf("before a round begins, %v were notified; want none", got)
	}
	n.Begin([]string{"one", "two", "three"}, noon)
	if diff := cmp.Diff([]string{"a", "b"}, n.take()); diff != "" {
		t.Errorf("when a round begins (-want +got):\n%s", diff)
	}
	n.put("one", synced("a"))
	if diff := cmp.Diff([]string{"a"}, n.take()); diff != "" {
		t.Errorf("half-way (-want +got):\n%s", diff)
	}
	n.put("two", ledger.Record{})
	if got := n.take(); len(got) > 0 {
		t.Errorf("for a namespace without a baseline, half-way, %v were notified; want none", got)
	}
	n.put("three", ledger.Record{})
	if diff := cmp.Diff([]string{"a", "b"}, n.take()); diff != "" {
		t.Errorf("when a round is complete (-want +got):\n%s", diff)
	}

	n.Observe(ledger.Observation{Name: "b"})
	n.Begin([]string{"one", "two"}, noon)
	if diff := cmp.Diff([]string{"a"}, n.take()); diff != "" {
		t.Errorf("without the baseline that is gone (-want +got):\n%s", diff)
	}
	n.put("one", synced("a"))
	if diff := cmp.Diff([]string{"a"}, n.take()); diff != "" {
		t.Errorf("an equal record that brings the round further (-want +got):\n%s", diff)
	}
	n.Forget("two", n.Round())
	if diff := cmp.Diff([]string{"a"}, n.take()); diff != "" {
		t.Errorf("when the last one is gone (-want +got):\n%s", diff)
	}
}

func TestWhatAskForTheSamePolicies(t *testing.T) {
	t.Parallel()
	record := ledger.Record{
		Baseline: "default", Generation: 2, UID: "b", NamespaceUID: "n", Environment: "production", State: ledger.Synced,
		Selecting: []string{"default"},
	}
	tests := map[string]struct {
		change func(*ledger.Record)
		want   bool
	}{
		"the same":                             {change: func(*ledger.Record) {}, want: true},
		"in another state, for another reason": {change: func(r *ledger.Record) { r.State, r.Reason, r.Message = ledger.Failed, "x", "y" }, want: true},
		"contested":                            {change: func(r *ledger.Record) { r.Contested, r.Since = true, noon }, want: true},
		"selected by others too":               {change: func(r *ledger.Record) { r.Selecting = nil }, want: true},
		"of another baseline":                  {change: func(r *ledger.Record) { r.Baseline = "other" }},
		"of a spec that desires others":        {change: func(r *ledger.Record) { r.Generation, r.Target = 3, 7 }},
		"of a spec that desires the same":      {change: func(r *ledger.Record) { r.Generation++ }, want: true},
		"of the same spec and other facts":     {change: func(r *ledger.Record) { r.Target++ }},
		"of a baseline created again":          {change: func(r *ledger.Record) { r.UID = "new" }},
		"in a namespace created again":         {change: func(r *ledger.Record) { r.NamespaceUID = "new" }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := record
			test.change(&other)
			if got := record.SameTarget(other); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}
