package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/ledger"
)

func failed(baseline, reason, message string) ledger.Record {
	return ledger.Record{Baseline: baseline, State: ledger.Failed, Reason: reason, Message: message, Selecting: []string{baseline}}
}

func held(baseline, reason, message string) ledger.Record {
	return ledger.Record{Baseline: baseline, State: ledger.Held, Reason: reason, Message: message}
}

func contested(baseline string) ledger.Record {
	record := synced(baseline)
	record.Contested, record.Reason, record.Message = true, v1alpha1.ReasonContested, "another client changes it"
	return record
}

// in moves a record to another environment.
func in(environment string, record ledger.Record) ledger.Record {
	record.Environment = environment
	return record
}

// digest is the part of a summary that this file is about.
type digest struct {
	Counts                 v1alpha1.NamespaceCounts
	Environments           []v1alpha1.EnvironmentCount
	Failures               []v1alpha1.NamespaceFailure
	OldestPending          time.Time
	Contested              int
	FirstContested         string
	FirstHeld, HeldMessage string
}

func digestOf(s ledger.Summary) digest {
	return digest{
		s.Counts, slices.Clip(s.Environments), s.Failures, s.OldestPending, s.Contested, s.FirstContested, s.FirstHeld, s.HeldMessage,
	}
}

func TestSummarize(t *testing.T) {
	t.Parallel()
	overridden := synced("high")
	overridden.Selecting = []string{"high", "default"}
	production := func(n int32) []v1alpha1.EnvironmentCount {
		return []v1alpha1.EnvironmentCount{{Name: "production", Namespaces: n}}
	}

	tests := map[string]struct {
		records map[string]ledger.Record
		want    digest
	}{
		"nothing known": {},
		"a synced namespace": {
			records: map[string]ledger.Record{"a": synced("default")},
			want:    digest{Counts: v1alpha1.NamespaceCounts{Matched: 1, Governed: 1, Synced: 1}, Environments: production(1)},
		},
		"a namespace of another baseline": {records: map[string]ledger.Record{"a": synced("other")}},
		"a namespace that a higher baseline governs": {
			records: map[string]ledger.Record{"a": overridden},
			want:    digest{Counts: v1alpha1.NamespaceCounts{Matched: 1, Overridden: 1}},
		},
		"a namespace that it selects and no baseline governs is not overridden": {
			records: map[string]ledger.Record{"a": {Selecting: []string{"default"}}},
			want:    digest{Counts: v1alpha1.NamespaceCounts{Matched: 1}},
		},
		"a namespace that it selects and that is held for another is not overridden": {
			records: map[string]ledger.Record{"a": {Baseline: "gone", State: ledger.Held, Selecting: []string{"default"}}},
			want:    digest{Counts: v1alpha1.NamespaceCounts{Matched: 1}},
		},
		"an environment of its own is counted, none is unlabelled": {
			records: map[string]ledger.Record{"a": in("", synced("default")), "b": synced("default")},
			want:    digest{Counts: v1alpha1.NamespaceCounts{Matched: 2, Governed: 2, Synced: 2, Unlabeled: 1}, Environments: production(1)},
		},
		"held namespaces are not governed, and the first by name gives the reason": {
			records: map[string]ledger.Record{"b": held("default", "Second", "two"), "a": held("default", "First", "one"), "c": held("default", "Third", "three")},
			want: digest{
				Counts: v1alpha1.NamespaceCounts{Held: 3}, FirstHeld: "a", HeldMessage: "one",
			},
		},
		"a failed namespace is more urgent than one that is pending": {
			records: map[string]ledger.Record{"a": pending("default", noon), "b": failed("default", "Forbidden", "no"), "c": failed("default", "Invalid", "bad")},
			want: digest{
				Counts: v1alpha1.NamespaceCounts{Matched: 3, Governed: 3, Pending: 1, Failed: 2, Unlabeled: 3},
				Failures: []v1alpha1.NamespaceFailure{
					{Namespace: "b", Reason: "Forbidden", Message: "no"},
					{Namespace: "c", Reason: "Invalid", Message: "bad"},
					{Namespace: "a", Reason: "Unavailable", Message: "timed out"},
				},
				OldestPending: noon,
			},
		},
		"of pending ones, the oldest is the most urgent": {
			records: map[string]ledger.Record{
				"a": pending("default", noon.Add(2)), "b": pending("default", noon.Add(1)), "c": pending("default", noon.Add(1)), "d": pending("default", noon.Add(3)),
			},
			want: digest{
				Counts: v1alpha1.NamespaceCounts{Matched: 4, Governed: 4, Pending: 4, Unlabeled: 4},
				Failures: []v1alpha1.NamespaceFailure{
					{Namespace: "b", Reason: "Unavailable", Message: "timed out"},
					{Namespace: "c", Reason: "Unavailable", Message: "timed out"},
					{Namespace: "a", Reason: "Unavailable", Message: "timed out"},
					{Namespace: "d", Reason: "Unavailable", Message: "timed out"},
				},
				OldestPending: noon.Add(1),
			},
		},
		"contested namespaces are synced, but need attention": {
			records: map[string]ledger.Record{"c": contested("default"), "b": contested("default"), "a": synced("default")},
			want: digest{
				Counts: v1alpha1.NamespaceCounts{Matched: 3, Governed: 3, Synced: 3}, Environments: production(3),
				Failures: []v1alpha1.NamespaceFailure{
					{Namespace: "b", Reason: "Contested", Message: "another client changes it"}, {Namespace: "c", Reason: "Contested", Message: "another client changes it"},
				},
				Contested: 2, FirstContested: "b",
			},
		},
		"a namespace that cannot be released is neither failed nor governed, and has its own place": {
			records: map[string]ledger.Record{
				"a": contested("default"), "b": {Baseline: "default", State: ledger.Releasing, Reason: "Forbidden", Message: "no", Since: noon}, "c": pending("default", noon),
			},
			want: digest{
				Counts: v1alpha1.NamespaceCounts{Matched: 2, Governed: 2, Synced: 1, Pending: 1, Releasing: 1, Unlabeled: 1}, Environments: production(1),
				Failures: []v1alpha1.NamespaceFailure{
					{Namespace: "c", Reason: "Unavailable", Message: "timed out"},
					{Namespace: "b", Reason: "Forbidden", Message: "no"},
					{Namespace: "a", Reason: "Contested", Message: "another client changes it"},
				},
				OldestPending: noon, Contested: 1, FirstContested: "a",
			},
		},
		"a namespace held for several baselines is counted for each": {
			records: map[string]ledger.Record{"a": {Baseline: "other", AlsoHeld: []string{"default"}, State: ledger.Held, Message: "one"}},
			want:    digest{Counts: v1alpha1.NamespaceCounts{Held: 1}, FirstHeld: "a", HeldMessage: "one"},
		},
		"one that is expected to be closed for several is not held meanwhile": {
			records: map[string]ledger.Record{"a": {Baseline: "other", AlsoHeld: []string{"default"}, State: ledger.Pending}},
		},
		"what has no reason is no failure": {
			records: map[string]ledger.Record{"a": {Baseline: "default", State: ledger.Pending, Since: noon}},
			want: digest{
				Counts: v1alpha1.NamespaceCounts{Governed: 1, Pending: 1, Unlabeled: 1}, OldestPending: noon,
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNotebook()
			for namespace, record := range test.records {
				n.put(namespace, record)
			}
			summary := n.Summarize("default")
			if diff := cmp.Diff(test.want, digestOf(summary)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if summary.Known != len(test.records) {
				t.Errorf("%d namespaces are known, want %d", summary.Known, len(test.records))
			}
		})
	}
}

func TestTheObservedVersionOfABaseline(t *testing.T) {
	t.Parallel()
	n := newNotebook()
	want := ledger.Version{UID: "u", Generation: 7, Finalized: true}
	n.Observe(ledger.Observation{Name: "default", Version: new(want)})
	n.Observe(ledger.Observation{Name: "other", Version: new(ledger.Version{UID: "v"})})
	if got := n.Summarize("default").Observed; got != want {
		t.Errorf("observed %+v, want %+v", got, want)
	}
	n.Observe(ledger.Observation{Name: "default"})
	if got := n.Summarize("default").Observed; got != (ledger.Version{}) {
		t.Errorf("observed %+v of a baseline that is gone, want nothing", got)
	}
}

func TestTheTwentyLargestEnvironmentsAndOfEqualOnesTheFirstByName(t *testing.T) {
	t.Parallel()
	n := newNotebook()
	// Environment e00 has 1 namespace, e01 has 2, e02 has 1, and so on: 13 of each size.
	for i := range 26 {
		for j := range 1 + i%2 {
			n.put(fmt.Sprintf("n%02d-%d", i, j), in(fmt.Sprintf("e%02d", i), synced("default")))
		}
	}
	var want []v1alpha1.EnvironmentCount
	for i := 1; i < 26; i += 2 {
		want = append(want, v1alpha1.EnvironmentCount{Name: fmt.Sprintf("e%02d", i), Namespaces: 2})
	}
	for i := 0; i < 14; i += 2 {
		want = append(want, v1alpha1.EnvironmentCount{Name: fmt.Sprintf("e%02d", i), Namespaces: 1})
	}
	summary := n.Summarize("default")
	if diff := cmp.Diff(want, summary.Environments); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(want) != 20 || summary.EnvironmentCount != 26 {
		t.Errorf("%d of %d environments, want 20 of 26", len(want), summary.EnvironmentCount)
	}
	for i := range 25 {
		for j := range 2 {
			n.Forget(fmt.Sprintf("n%02d-%d", i, j), n.Round())
		}
	}
	if diff := cmp.Diff([]v1alpha1.EnvironmentCount{{Name: "e25", Namespaces: 2}}, n.Summarize("default").Environments); diff != "" {
		t.Errorf("an environment without a namespace is still there (-want +got):\n%s", diff)
	}
}

func TestTheFirstTenFailuresByName(t *testing.T) {
	t.Parallel()
	n := newNotebook()
	for i := 14; i >= 0; i-- {
		n.put(fmt.Sprintf("n%02d", i), failed("default", "Forbidden", "no"))
	}
	var got []string
	for _, failure := range n.Summarize("default").Failures {
		got = append(got, failure.Namespace)
	}
	if want := "n00 n01 n02 n03 n04 n05 n06 n07 n08 n09"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	n.put("n03", synced("default"))
	n.Forget("n00", n.Round())
	got = nil
	for _, failure := range n.Summarize("default").Failures {
		got = append(got, failure.Namespace)
	}
	if want := "n01 n02 n04 n05 n06 n07 n08 n09 n10 n11"; strings.Join(got, " ") != want {
		t.Errorf("after one recovered and one is gone: got %v, want %s", got, want)
	}
}

// The beginning names the policy that was refused, and the message of an admission rule comes last.
func TestAFailureMessageLosesItsMiddleAtCharactersEdges(t *testing.T) {
	t.Parallel()
	const limit, head, tail = 256, 256 / 3, 256 - 256/3 - len("…")
	a := strings.Repeat
	tests := map[string]struct {
		message string
		want    string
	}{
		"one that fits stays whole":                        {message: a("a", limit), want: a("a", limit)},
		"an empty one stays empty":                         {},
		"one byte too many costs what the ellipsis takes":  {message: a("a", limit) + "z", want: a("a", head) + "…" + a("a", tail-1) + "z"},
		"of a long one the beginning and the end are kept": {message: "create x: " + a("a", 1000) + " so said the rule", want: "create x: " + a("a", head-10) + "…" + a("a", tail-17) + " so said the rule"},
		"two-byte characters that end at the limit":        {message: a("é", limit/2), want: a("é", limit/2)},
		"two-byte characters are not cut in half":          {message: a("é", limit), want: a("é", head/2) + "…" + a("é", (limit-head/2*2-3)/2)},
		"four-byte characters are not cut in quarters":     {message: a("🔒", limit), want: a("🔒", head/4) + "…" + a("🔒", (limit-head/4*4-3)/4)},
		"a character that spans the first cut is left out": {message: a("a", head-1) + "🔒" + a("b", limit), want: a("a", head-1) + "…" + a("b", tail+1)},
		"a character that ends at the first cut is kept":   {message: a("a", head-4) + "🔒" + a("b", limit), want: a("a", head-4) + "🔒…" + a("b", tail)},
		"a character that spans the last cut is left out":  {message: a("a", limit) + "🔒" + a("b", tail-2), want: a("a", head) + "…" + a("b", tail-2)},
		"a character that begins at the last cut is kept":  {message: a("a", limit) + "🔒" + a("b", tail-4), want: a("a", head) + "…🔒" + a("b", tail-4)},
		"bytes that are no characters at all do not hang":  {message: a("\x80", limit+1), want: "…"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNotebook()
			n.put("shop", failed("default", "Invalid", test.message))
			got := n.Summarize("default").Failures[0].Message
			if got != test.want {
				t.Errorf("got %d bytes %q, want %d bytes %q", len(got), got, len(test.want), test.want)
			}
			if len(got) > limit || !utf8.ValidString(got) {
				t.Errorf("%q has %d bytes, valid: %t; want at most %d, valid", got, len(got), utf8.ValidString(got), limit)
			}
			if record, _ := n.Get("shop"); record.Message != test.message {
				t.Error("the ledger itself keeps the message whole, but has changed it")
			}
		})
	}
}
