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
	record.Contested, record.Reason, record.Message = true, v1alpha1.ReasonContested, "somebody changes it"
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
	none := []v1alpha1.EnvironmentCount{}

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
			want:    digest{Counts: v1alpha1.NamespaceCounts{Matched: 1, Overridden: 1}, Environments: none},
		},
		"a namespace that it selects and nobody governs is not overridden": {
			records: map[string]ledger.Record{"a": {Selecting: []string{"default"}}},
			want:    digest{Counts: v1alpha1.NamespaceCounts{Matched: 1}, Environments: none},
		},
		"a namespace that it selects and that is held for another is not overridden": {
			records: map[string]ledger.Record{"a": {Baseline: "gone", State: ledger.Held, Selecting: []string{"default"}}},
			want:    digest{Counts: v1alpha1.NamespaceCounts{Matched: 1}, Environments: none},
		},
		"an environment of its own is counted, none is unlabelled": {
			records: map[string]ledger.Record{"a": in("", synced("default")), "b": synced("default")},
			want:    digest{Counts: v1alpha1.NamespaceCounts{Matched: 2, Governed: 2, Synced: 2, Unlabeled: 1}, Environments: production(1)},
		},
		"held namespaces are not governed, and the first by name says why": {
			records: map[string]ledger.Record{"b": held("default", "Second", "two"), "a": held("default", "First", "one"), "c": held("default", "Third", "three")},
			want: digest{
				Counts: v1alpha1.NamespaceCounts{Held: 3}, Environments: none, FirstHeld: "a", HeldMessage: "one",
			},
		},
		"a failed namespace is more urgent than one that is pending": {
			records: map[string]ledger.Record{"a": pending("default", noon), "b": failed("default", "Forbidden", "no"), "c": failed("default", "Invalid", "bad")},
			want: digest{
				Counts: v1alpha1.NamespaceCounts{Matched: 3, Governed: 3, Pending: 1, Failed: 2, Unlabeled: 3}, Environments: none,
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
				Counts: v1alpha1.NamespaceCounts{Matched: 4, Governed: 4, Pending: 4, Unlabeled: 4}, Environments: none,
				Failures: []v1alpha1.NamespaceFailure{
					{Namespace: "b", Reason: "Unavailable", Message: "timed out"},
					{Namespace: "c", Reason: "Unavailable", Message: "timed out"},
					{Namespace: "a", Reason: "Unavailable", Message: "timed out"},
					{Namespace: "d", Reason: "Unavailable", Message: "timed out"},
				},
				OldestPending: noon.Add(1),
			},
		},
		"contested namespaces are synced, and need attention all the same": {
			records: map[string]ledger.Record{"c": contested("default"), "b": contested("default"), "a": synced("default")},
			want: digest{
				Counts: v1alpha1.NamespaceCounts{Matched: 3, Governed: 3, Synced: 3}, Environments: production(3),
				Failures: []v1alpha1.NamespaceFailure{
					{Namespace: "b", Reason: "Contested", Message: "somebody changes it"}, {Namespace: "c", Reason: "Contested", Message: "somebody changes it"},
				},
				Contested: 2, FirstContested: "b",
			},
		},
		"what has no reason is no failure": {
			records: map[string]ledger.Record{"a": {Baseline: "default", State: ledger.Pending, Since: noon}},
			want: digest{
				Counts: v1alpha1.NamespaceCounts{Governed: 1, Pending: 1, Unlabeled: 1}, Environments: none, OldestPending: noon,
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
			n.Forget(fmt.Sprintf("n%02d-%d", i, j))
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
	n.Forget("n00")
	got = nil
	for _, failure := range n.Summarize("default").Failures {
		got = append(got, failure.Namespace)
	}
	if want := "n01 n02 n04 n05 n06 n07 n08 n09 n10 n11"; strings.Join(got, " ") != want {
		t.Errorf("after one recovered and one is gone: got %v, want %s", got, want)
	}
}

func TestAFailureMessageIsCutAtACharactersEdge(t *testing.T) {
	t.Parallel()
	const limit = 256
	tests := map[string]struct {
		message string
		want    string
	}{
		"one that fits stays whole":                       {message: strings.Repeat("a", limit), want: strings.Repeat("a", limit)},
		"an empty one stays empty":                        {},
		"one byte too many costs three for the ellipsis":  {message: strings.Repeat("a", limit+1), want: strings.Repeat("a", limit-3) + "…"},
		"two-byte characters that end at the limit":       {message: strings.Repeat("é", limit/2), want: strings.Repeat("é", limit/2)},
		"two-byte characters are not cut in half":         {message: strings.Repeat("é", limit), want: strings.Repeat("é", (limit-3)/2) + "…"},
		"four-byte characters are not cut in quarters":    {message: strings.Repeat("🔒", limit), want: strings.Repeat("🔒", (limit-3)/4) + "…"},
		"a character that begins at the cut is left out":  {message: strings.Repeat("a", limit-3) + "🔒🔒", want: strings.Repeat("a", limit-3) + "…"},
		"a character that ends at the cut is kept":        {message: strings.Repeat("a", limit-7) + "🔒🔒🔒", want: strings.Repeat("a", limit-7) + "🔒…"},
		"a character that spans the cut is left out":      {message: strings.Repeat("a", limit-6) + "🔒🔒🔒", want: strings.Repeat("a", limit-6) + "…"},
		"bytes that are no characters at all do not hang": {message: strings.Repeat("\x80", limit+1), want: "…"},
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
