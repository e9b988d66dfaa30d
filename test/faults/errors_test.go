//go:build faults

package faults_test

import (
	"math/rand/v2"
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

// Every call of every workload fails in every way, once and five times in a row; the workload ends as if nothing had happened. The
// cases of a workload run side by side, each in a site of its own, and each fault meets only its own site.
func TestEveryCallFails(t *testing.T) {
	random := rand.New(rand.NewPCG(seed, 3))
	for _, w := range workloads {
		t.Run(w.name, func(t *testing.T) {
			began := time.Now()
			calls := w.learnCalls(t)
			cases := w.errorCases(len(calls))
			if !*long {
				random.Shuffle(len(cases), func(i, j int) { cases[i], cases[j] = cases[j], cases[i] })
				cases = cases[:min(len(cases), inCI)]
			}
			for len(cases) > 0 {
				batch := min(len(cases), poolSize/3)
				w.fail(t, cases[:batch])
				cases = cases[batch:]
			}
			expectNoViolation(t, restartBound)
			t.Logf("%d calls, %s", len(calls), time.Since(began).Round(time.Second))
		})
	}
}

type errorCase struct {
	call, error, times int
}

func (w *workload) errorCases(calls int) []errorCase {
	var cases []errorCase
	for call := range calls {
		for failure := range apiErrors {
			cases = append(cases, errorCase{call, failure, 1}, errorCase{call, failure, 5})
		}
	}
	return cases
}

// learnCalls returns the calls that a workload makes in its own site, reads past the cache among them.
func (w *workload) learnCalls(t *testing.T) []faults.Call {
	t.Helper()
	s := w.prepare(t, 1)[0]
	o := start(t, newTransport())
	w.act(t, s)
	w.finish(t, s)
	o.silent(t, 1500*time.Millisecond)
	o.giveUp()
	s.free(t)
	calls := o.Calls(s.calls)
	if len(calls) == 0 {
		t.Fatal("the workload makes no calls: nothing would be shown")
	}
	return calls
}

// calls chooses what a manager asks about this site; events come when they like.
func (s *site) calls(call faults.Call) bool {
	return s.owns(call) && call.Verb != "watch" && call.Resource != "events"
}

func (w *workload) fail(t *testing.T, cases []errorCase) {
	t.Helper()
	all := w.prepare(t, len(cases))
	o := start(t, newTransport())
	rules := make([]*faults.Rule, len(cases))
	for i, c := range cases {
		rules[i] = &faults.Rule{Match: all[i].calls, Skip: c.call, Times: c.times, Fault: apiErrors[c.error].fault}
		o.Add(rules[i])
	}
	for _, s := range all {
		w.act(t, s)
	}
	for i, s := range all {
		eventually(t, func() string {
			if said := s.unsettled(t); said != "" {
				return apiErrors[cases[i].error].name + ": " + said
			}
			return ""
		})
	}
	o.silent(t, 1500*time.Millisecond)
	unmet := 0
	for i, s := range all {
		w.finish(t, s)
		if o.Suffered(rules[i]) == 0 {
			unmet++
		}
	}
	if unmet > len(all)/4 { // statuses of many sites at once may take one write less
		t.Errorf("%d of %d faults met no call", unmet, len(all))
	}
	o.giveUp()
	expectSilence(t)
	for _, s := range all {
		s.free(t)
	}
}
