package report

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netbaseline/netbaseline/test/performance/measure"
)

// run returns a small run in which netbaseline takes so many times as long as the parallel reactor.
func run(times float64) *Result {
	paced := func(p50 float64) map[string]Phase {
		return map[string]Phase{Paced: {
			Namespaces: 10, WindowSeconds: 3, Latency: &measure.Distribution{Count: 10, P50: p50},
			Requests: map[string]int{"create networkpolicies": 30, "update clusternetworkbaselines/status": 3, "update leases": 2, "watch namespaces": 1},
		}}
	}
	return &Result{Namespaces: 10, Run: 1, Tools: []Tool{
		{Name: Parallel, Phases: paced(0.1)},
		{Name: Netbaseline, Phases: paced(0.1 * times)},
	}}
}

func verdict(t *testing.T, result *Result, what string) Verdict {
	t.Helper()
	for _, v := range result.Verdicts() {
		if v.What == what {
			return v
		}
	}
	t.Fatalf("no verdict about %q", what)
	return Verdict{}
}

func TestVerdictsAgainstTheFloor(t *testing.T) {
	const what = "new namespace, paced, p50"
	for name, test := range map[string]struct {
		result *Result
		want   string
	}{
		"as fast as the aim is reached":    {run(1.2), "✓"},
		"slower than the aim is missed":    {run(1.4), "✗"},
		"without a floor there is no word": {&Result{Tools: run(1).Tools[1:]}, none},
	} {
		t.Run(name, func(t *testing.T) {
			v := verdict(t, test.result, what)
			if got := v.Mark(); got != test.want {
				t.Errorf("got %s (%s), want %s", got, v.Got, test.want)
			}
		})
	}
}

func TestWritesForANewNamespace(t *testing.T) {
	result := run(1)
	if v := verdict(t, result, "writes for a new namespace"); v.Mark() != "✓" {
		t.Errorf("three policies each and a status a second: got %+v", v)
	}
	result.Tools[1].Phases[Paced].Requests["create events.events.k8s.io"] = 1
	if v := verdict(t, result, "writes for a new namespace"); v.Mark() != "✗" {
		t.Errorf("with an event: got %+v", v)
	}
}

func TestWhatIsNoWriteOfItsOwn(t *testing.T) {
	phase := Phase{Requests: map[string]int{
		"create tokenreviews": 1, "create subjectaccessreviews": 1, "update leases": 4, "create events": 1, "get networkpolicies": 3, "watch namespaces": 1,
	}}
	if got := phase.assumedWrites(); got != 0 {
		t.Errorf("got %d own writes", got)
	}
}

func TestTheTableLeavesOutWhatNobodyMeasured(t *testing.T) {
	var names []string
	for _, row := range (Series{*run(1)}).Table() {
		names = append(names, row[0])
	}
	text := strings.Join(names, "\n")
	if !strings.Contains(text, "new namespaces, paced, p99") || strings.Contains(text, "restart") {
		t.Error(text)
	}
}

func TestResultsAreReadAsWritten(t *testing.T) {
	directory := t.TempDir()
	want := run(1)
	if _, err := want.Write(directory); err != nil {
		t.Fatal(err)
	}
	got, err := Read(directory)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Series{{*want}}, got); diff != "" {
		t.Error(diff)
	}
	if err := WriteDocs(directory, t.TempDir()); err != nil {
		t.Error(err)
	}
}

func TestRunsOfAKindBelongTogether(t *testing.T) {
	directory := t.TempDir()
	write := func(number, foreign int, times float64) {
		result := run(times)
		result.Run, result.Foreign = number, foreign
		if _, err := result.Write(directory); err != nil {
			t.Fatal(err)
		}
	}
	write(1, 0, 9)
	write(2, 0, 9)
	write(3, 0, 9)
	write(1, 0, 1) // which makes what was there an earlier series
	write(2, 0, 1.4)
	write(1, 50, 1)
	all, err := Read(directory)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || len(all[0]) != 2 || len(all[1]) != 1 {
		t.Fatalf("%d series, want one of 2 runs and one of 1: %+v", len(all), all)
	}
	for _, row := range all[0].VerdictRows() {
		if row[1] == "new namespace, paced, p50" && (row[0] != "✓✗" || strings.Count(row[3], "×") != 2) {
			t.Errorf("the verdict is %v, want one for each run", row)
		}
	}
	for _, row := range all[0].Table() {
		if row[0] == "new namespaces, paced, p50" && row[3] != "0.100 s (0.100 s – 0.140 s)" {
			t.Errorf("the figure is %v, want the median, the least and the most", row)
		}
	}
}

func TestGrouped(t *testing.T) {
	for number, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -999: "-999", -1000: "-1,000"} {
		if got := grouped(number); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
