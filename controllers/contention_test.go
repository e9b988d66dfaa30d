package controllers

import (
	"fmt"
	"sync"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
)

// updating is a plan that updates these policies, for default, over an existing object.
func updating(found plan.Observed, names ...string) plan.Plan {
	var p plan.Plan
	for _, name := range names {
		p = append(p, plan.Stage{{
			Operation: plan.Update, Namespace: "shop", Name: name, Found: found,
			Desired: policy.Desired{Hash: policy.Hash{9}, Policy: &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Labels: policy.Labels("default")}}},
		}})
	}
	return p
}

// lain is the result of another client's, or an admission plugin's, change to a policy.
func lain() plan.Observed {
	return plan.Observed{UID: "1", ResourceVersion: "5", Owner: "default", SpecHash: policy.Hash{1}, MetadataIntact: true}
}

func TestANamespaceDisturbedMoreThanTenTimesInAMinuteIsContested(t *testing.T) {
	t.Parallel()
	every := func(interval time.Duration, times int) []time.Duration {
		var all []time.Duration
		for i := range times {
			all = append(all, time.Duration(i)*interval)
		}
		return all
	}
	tests := map[string]struct {
		disturbed []time.Duration // after noon
		at        time.Duration
		want      bool
		wantAgain time.Duration
	}{
		"never disturbed": {at: time.Second},
		"once, as by hand: not contested, and looked at until it is forgotten": {
			disturbed: every(0, 1), at: time.Second, wantAgain: 59*time.Second + time.Millisecond,
		},
		"ten times":                      {disturbed: every(time.Second, 10), at: 10 * time.Second, wantAgain: 50*time.Second + time.Millisecond},
		"eleven times":                   {disturbed: every(time.Second, 11), at: 10 * time.Second, want: true, wantAgain: 50*time.Second + time.Millisecond},
		"eleven times in 59.99 seconds":  {disturbed: every(5999*time.Millisecond, 11), at: 59990 * time.Millisecond, want: true, wantAgain: 11 * time.Millisecond},
		"eleven times in just a minute":  {disturbed: every(6*time.Second, 11), at: time.Minute, wantAgain: 6*time.Second + time.Millisecond},
		"once a minute, for an hour":     {disturbed: every(time.Minute, 60), at: 59 * time.Minute, wantAgain: time.Minute + time.Millisecond},
		"a hundred times, and then calm": {disturbed: every(100*time.Millisecond, 100), at: 68800 * time.Millisecond, want: true, wantAgain: 101 * time.Millisecond},
		"a minute after the last but ten, it is not contested any more": {
			disturbed: every(100*time.Millisecond, 100), at: 68900 * time.Millisecond, wantAgain: 101 * time.Millisecond,
		},
		"a minute after the last, it is forgotten": {disturbed: every(time.Second, 11), at: 70 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newContention()
			for _, after := range test.disturbed {
				c.disturbed("shop", noon.Add(after))
			}
			now := noon.Add(test.at)
			if got := c.contested("shop", now); got != test.want {
				t.Errorf("contested %t, want %t", got, test.want)
			}
			if again := c.prune("shop", now); again != test.wantAgain {
				t.Errorf("again in %s, want %s", again, test.wantAgain)
			}
			if c.contested("shop", now) != test.want || c.contested("other", now) {
				t.Error("another look, or another namespace, gets another answer")
			}
			if (test.wantAgain > 0) != c.disputed("shop") {
				t.Errorf("disputed %t, want it exactly while something is remembered", c.disputed("shop"))
			}
		})
	}
}

// Coming back at the returned times must end: in the end the namespace is neither contested nor
// remembered.
func TestLookingAgainWhenToldToEndsAContest(t *testing.T) {
	t.Parallel()
	c := newContention()
	for i := range 30 {
		c.disturbed("shop", noon.Add(time.Duration(i)*time.Second))
	}
	start := noon.Add(29 * time.Second)
	now := start
	for looks := 0; ; looks++ {
		again := c.prune("shop", now)
		if again == 0 {
			break
		}
		if looks > 20 {
			t.Fatal("it does not end")
		}
		now = now.Add(again)
	}
	if len(c.namespaces) != 0 || now.Sub(start) > time.Minute+time.Second {
		t.Errorf("%d namespaces are still remembered after %s, want none after a minute", len(c.namespaces), now.Sub(start))
	}
}

func TestTheMemoryOfALoopIsBounded(t *testing.T) {
	t.Parallel()
	c := newContention()
	for i := range 10_000 {
		now := noon.Add(time.Duration(i) * time.Millisecond)
		c.disturbed("shop", now)
		c.futile("shop", updating(lain(), v1alpha1.DefaultDenyName).Step(v1alpha1.DefaultDenyName), competitor, lain(), now)
	}
	if contest := c.namespaces["shop"]; len(contest.disturbances) > contestedAfter+1 || len(contest.futile) != 1 {
		t.Errorf("%d disturbances and %d futile writes are remembered, want no more than it takes to tell", len(contest.disturbances), len(contest.futile))
	}
}

func TestAFutileWriteIsRepeatedLessAndLessOften(t *testing.T) {
	t.Parallel()
	const deny = v1alpha1.DefaultDenyName
	grows := []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, futileMaxRetry, futileMaxRetry}
	tests := map[string]struct {
		cause cause
		want  []time.Duration // after each write
	}{
		"a competitor is reverted immediately until it is deliberate": {competitor, append([]time.Duration{0, 0}, grows...)},
		"what admission alters is not":                                {altering, grows},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, now, p := newContention(), noon, updating(lain(), deny)
			for i, want := range test.want {
				c.futile("shop", p.Step(deny), test.cause, lain(), now)
				sifted, left, again := c.sift("shop", p, now)
				if again != want || (sifted.Len() == 0) != (want > 0) || len(left) != 1-sifted.Len() {
					t.Errorf("after write %d: %d are made, %v are left, again in %s; want %s", i+1, sifted.Len(), left, again, want)
				}
				if want > 0 {
					if sifted, _, again = c.sift("shop", p, now.Add(want-time.Second)); sifted.Len() > 0 || again != time.Second {
						t.Errorf("a second before: %d are made, again in %s", sifted.Len(), again)
					}
				}
				c.prune("shop", now.Add(want))
				now = now.Add(want)
				if sifted, _, _ = c.sift("shop", p, now); sifted.Len() != 1 {
					t.Errorf("%s after write %d it is not tried", want, i+1)
				}
			}
		})
	}
}

func TestOnlyWhatIsKnownToBeFutileIsLeft(t *testing.T) {
	t.Parallel()
	const deny, dns = v1alpha1.DefaultDenyName, v1alpha1.AllowDNSName
	changed := func(change func(*plan.Observed)) plan.Plan {
		found := lain()
		change(&found)
		return updating(found, deny)
	}
	with := func(change func(*plan.Step)) plan.Plan {
		p := updating(lain(), deny)
		change(&p[0][0])
		return p
	}
	tests := map[string]struct {
		plan      plan.Plan
		after     time.Duration
		wantLeft  int
		wantWrite int
	}{
		"immediately":                   {plan: updating(lain(), deny), wantLeft: 1},
		"a minute later it is tried":    {plan: updating(lain(), deny), after: time.Minute, wantWrite: 1},
		"another policy is written":     {plan: updating(lain(), dns), wantWrite: 1},
		"another policy too":            {plan: updating(lain(), dns, deny), wantLeft: 1, wantWrite: 1},
		"touched without a change":      {plan: changed(func(o *plan.Observed) { o.ResourceVersion, o.UID = "6", "2" }), wantLeft: 1},
		"with a foreign label":          {plan: changed(func(o *plan.Observed) { o.Plain = true }), wantLeft: 1},
		"edited since":                  {plan: changed(func(o *plan.Observed) { o.SpecHash = policy.Hash{2} }), wantWrite: 1},
		"stripped of its label since":   {plan: changed(func(o *plan.Observed) { o.Owner = "" }), wantWrite: 1},
		"given to another baseline":     {plan: changed(func(o *plan.Observed) { o.Owner = "other" }), wantWrite: 1},
		"stripped of other marks since": {plan: changed(func(o *plan.Observed) { o.MetadataIntact = false }), wantWrite: 1},
		"deleted since":                 {plan: with(func(s *plan.Step) { s.Operation, s.Found = plan.Create, plan.Observed{} }), wantWrite: 1},
		"being deleted since": {plan: with(func(s *plan.Step) {
			s.Operation, s.Found.Terminating = plan.Recreate, true
		}), wantWrite: 1},
		"no longer wanted":    {plan: with(func(s *plan.Step) { s.Operation, s.Desired = plan.Delete, policy.Desired{} }), wantWrite: 1},
		"something is wanted": {plan: with(func(s *plan.Step) { s.Desired.Hash = policy.Hash{8} }), wantWrite: 1},
		"another baseline wants it": {plan: with(func(s *plan.Step) {
			s.Desired.Policy.Labels = policy.Labels("other")
		}), wantWrite: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, why := range []cause{altering, competitor} {
				c := newContention()
				for range rivalPatience {
					c.futile("shop", updating(lain(), deny).Step(deny), why, lain(), noon)
				}
				wait := c.namespaces["shop"].futile[deny].wait()
				now := noon.Add(test.after * (wait / time.Minute))
				writes := test.plan.Len()
				sifted, left, _ := c.sift("shop", test.plan, now)
				if sifted.Len() != test.wantWrite || len(left) != test.wantLeft {
					t.Errorf("%d are written and %v are left, want %d and %d", sifted.Len(), left, test.wantWrite, test.wantLeft)
				}
				if test.plan.Len() != writes {
					t.Error("the plan itself was changed")
				}
				if sifted, left, again := c.sift("other", test.plan, now); sifted.Len() != writes || left != nil || again != 0 {
					t.Errorf("in another namespace %v are left", left)
				}
				if c.contested("shop", now) {
					t.Error("a futile write is taken for a disturbance")
				}
				c.lasted("shop", deny)
				if sifted, _, _ = c.sift("shop", test.plan, now); sifted.Len() != writes {
					t.Error("once it lasted, it is left")
				}
			}
		})
	}
}

func TestOfSeveralFutileWritesTheFirstOneIsComeBackFor(t *testing.T) {
	t.Parallel()
	const deny, dns = v1alpha1.DefaultDenyName, v1alpha1.AllowDNSName
	c, p := newContention(), updating(lain(), dns, deny)
	c.futile("shop", p.Step(dns), altering, lain(), noon)
	c.futile("shop", p.Step(deny), altering, lain(), noon.Add(10*time.Second))
	sifted, left, again := c.sift("shop", p, noon.Add(20*time.Second))
	if sifted.Len() != 0 || len(left) != 2 || again != 40*time.Second {
		t.Errorf("%d are written, %v are left, again in %s; want none, both, and the 40 s that the first one has left", sifted.Len(), left, again)
	}
}

func TestWhatIsKeptIsNotComeBackFor(t *testing.T) {
	t.Parallel()
	const deny = v1alpha1.DefaultDenyName
	c, governed := newContention(), updating(lain(), deny)
	c.futile("shop", governed.Step(deny), kept, lain(), noon)
	p := updating(lain(), deny)
	p[0][0].OnlyToClose = true
	for _, after := range []time.Duration{0, time.Hour, 24 * time.Hour} {
		if again := c.prune("shop", noon.Add(after)); again != 0 {
			t.Errorf("after %s it is looked at again in %s", after, again)
		}
		if sifted, left, again := c.sift("shop", p, noon.Add(after)); sifted.Len() > 0 || left[deny] != kept || again != 0 {
			t.Errorf("after %s: %d are written, %v are left, again in %s", after, sifted.Len(), left, again)
		}
	}
	if sifted, _, _ := c.sift("shop", governed, noon); sifted.Len() != 1 {
		t.Error("it is left although the namespace is governed now")
	}
}

func TestAFutileWriteThatIsLongOverBeginsAnew(t *testing.T) {
	t.Parallel()
	const deny = v1alpha1.DefaultDenyName
	p := updating(lain(), deny)
	for name, pruned := range map[string]bool{"looked at in between": true, "not looked at": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newContention()
			for range 6 {
				c.futile("shop", p.Step(deny), altering, lain(), noon)
			}
			now := noon.Add(futileMaxRetry + contestedWindow)
			if pruned {
				if again := c.prune("shop", now); again != 0 || len(c.namespaces) != 0 {
					t.Errorf("again in %s, %d remembered; want it forgotten", again, len(c.namespaces))
				}
			}
			c.futile("shop", p.Step(deny), altering, lain(), now)
			if _, _, again := c.sift("shop", p, now); again != futileRetry {
				t.Errorf("tried again in %s, want %s as the first time", again, futileRetry)
			}
		})
	}
}

func TestWhatEndsAContest(t *testing.T) {
	t.Parallel()
	const deny = v1alpha1.DefaultDenyName
	p := updating(lain(), deny)
	tests := map[string]struct {
		act        func(*contention)
		wantFutile bool
		wantKnown  bool
	}{
		"the namespace is gone":        {act: func(c *contention) { c.forget("shop") }},
		"something else is wanted":     {act: func(c *contention) { c.retarget("shop") }, wantFutile: true, wantKnown: true},
		"another namespace is gone":    {act: func(c *contention) { c.forget("other") }, wantFutile: true, wantKnown: true},
		"an unknown namespace is gone": {act: func(c *contention) { c.retarget("unknown"); c.lasted("unknown", deny); c.forget("unknown") }, wantFutile: true, wantKnown: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newContention()
			for range contestedAfter + 1 {
				c.disturbed("shop", noon)
			}
			c.futile("shop", p.Step(deny), altering, lain(), noon)
			test.act(c)
			if _, left, _ := c.sift("shop", p, noon); (len(left) > 0) != test.wantFutile {
				t.Errorf("futile are %v, want any %t", left, test.wantFutile)
			}
			if c.disputed("shop") != test.wantKnown || len(c.namespaces) > 1 {
				t.Errorf("remembered are %d namespaces, shop %t; want %t", len(c.namespaces), c.disputed("shop"), test.wantKnown)
			}
		})
	}
}

func TestAContestEndsWithWhatItIsAbout(t *testing.T) {
	t.Parallel()
	c := newContention()
	for range contestedAfter + 1 {
		c.disturbed("shop", noon)
	}
	c.retarget("shop")
	if c.contested("shop", noon) {
		t.Error("contested, although other policies are desired now")
	}
}

func TestContentionIsSafeForManyWorkers(t *testing.T) {
	t.Parallel()
	const deny = v1alpha1.DefaultDenyName
	c := newContention()
	var workers sync.WaitGroup
	for worker := range 8 {
		workers.Go(func() {
			namespace := fmt.Sprintf("n%d", worker%4)
			p := updating(lain(), deny)
			for i := range 200 {
				now := noon.Add(time.Duration(i) * time.Millisecond)
				c.disturbed(namespace, now)
				c.futile(namespace, p.Step(deny), competitor, lain(), now)
				c.sift(namespace, p, now)
				c.contested(namespace, now)
				c.disputed(namespace)
				c.prune(namespace, now)
				c.lasted(namespace, deny)
				c.retarget(namespace)
			}
			c.forget(namespace)
		})
	}
	workers.Wait()
	for worker := range 4 {
		c.prune(fmt.Sprintf("n%d", worker), noon.Add(time.Hour))
	}
	if len(c.namespaces) != 0 {
		t.Errorf("%d namespaces are remembered", len(c.namespaces))
	}
}
