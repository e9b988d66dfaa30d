//go:build faults

package faults_test

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/test/faults"
)

var apiErrors = []struct {
	name  string
	fault faults.Fault
}{
	{"409", faults.Status(409, metav1.StatusReasonConflict, 0)},
	{"429", faults.Status(429, metav1.StatusReasonTooManyRequests, 0)},
	{"429 with Retry-After", faults.Status(429, metav1.StatusReasonTooManyRequests, 1)},
	{"500", faults.Status(500, metav1.StatusReasonInternalError, 0)},
	{"503", faults.Status(503, metav1.StatusReasonServiceUnavailable, 0)},
	{"timeout", faults.Timeout(200 * time.Millisecond)},
	{"reset before", faults.ResetBefore()},
	{"reset after", faults.ResetAfter()},
}

// inCI is how many cases of each workload fit into CI.
const inCI = 24

// Every call of every workload fails in every way, once and five times in a row; the workload ends
// as if nothing had happened. The cases run in parallel, each in a site of its own, and each fault
// meets only its own site.
func TestEveryCallFails(t *testing.T) {
	cases := map[*workload][]errorCase{}
	random := rand.New(rand.NewPCG(seed, 3))
	for w, learned := range learn(t) {
		cases[w] = w.errorCases(len(learned.calls))
	}
	for _, w := range everyWorkload() {
		if all := cases[w]; !*long {
			random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			cases[w] = all[:min(len(all), inCI)]
		}
	}
	for name, batch := range errorBatches(cases) {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			fail(t, batch)
			t.Logf("%d cases, %s", len(batch), time.Since(began).Round(time.Second))
		})
	}
}

type errorCase struct {
	*workload
	call, error, times int
}

func (c errorCase) String() string {
	return fmt.Sprintf("%s: %s at call %d, %d times", c.workload, apiErrors[c.error].name, c.call, c.times)
}

func (w *workload) errorCases(calls int) []errorCase {
	var cases []errorCase
	for call := range calls {
		for failure := range apiErrors {
			cases = append(cases, errorCase{w, call, failure, 1}, errorCase{w, call, failure, 5})
		}
	}
	return cases
}

// errorBatches puts cases together that there are sites for, and names them.
func errorBatches(cases map[*workload][]errorCase) iter.Seq2[string, []errorCase] {
	return func(yield func(string, []errorCase) bool) {
		for _, group := range grouped(everyWorkload(), func(w *workload) int { return len(cases[w]) }) {
			var names []string
			var together []errorCase
			for _, w := range group {
				names, together = append(names, w.name), append(together, cases[w]...)
			}
			for batch := range slices.Chunk(together, maxSites) {
				if !yield(strings.Join(names, ", "), batch) {
					return
				}
			}
		}
	}
}

// calls chooses what a manager asks about this site; events come when they like.
func (s *site) calls(call faults.Call) bool {
	return s.owns(call) && call.Verb != "watch" && call.Resource != "events"
}

func fail(t *testing.T, cases []errorCase) {
	t.Helper()
	chosen := make([]*workload, len(cases))
	for i, c := range cases {
		chosen[i] = c.workload
	}
	all := prepare(t, chosen)
	o := start(t, newTransport())
	rules := make([]*faults.Rule, len(cases))
	for i, c := range cases {
		rules[i] = &faults.Rule{Match: all[i].calls, Skip: c.call, Times: c.times, Fault: apiErrors[c.error].fault}
		o.Add(rules[i])
	}
	for i, s := range all {
		chosen[i].act(t, s)
	}
	for i, s := range all {
		eventually(t, func() string {
			if said := s.unsettled(t); said != "" {
				return cases[i].String() + ": " + said
			}
			return ""
		})
	}
	o.silent(t, statusPause)
	unmet := 0
	for i, s := range all {
		chosen[i].finish(t, s)
		if o.Suffered(rules[i]) == 0 {
			unmet++
		}
	}
	if unmet > len(all)/4 { // statuses of many sites together may take one write less
		t.Errorf("%d of %d faults met no call", unmet, len(all))
	}
	o.giveUp()
	expectSilence(t)
	freeAll(t, all)
}
