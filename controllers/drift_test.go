package controllers

import (
	"fmt"
	"testing"
	"time"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
)

// writing is a plan of so many writes, as far as the guard looks at it.
func writing(writes int) plan.Plan {
	var p plan.Plan
	for i := range writes {
		p = append(p, plan.Stage{{Operation: plan.Update, Namespace: "shop", Name: policy.Names[i%len(policy.Names)]}})
	}
	return p
}

// guarded is a guard that remembers one disturbance of the namespace shop at noon.
func guarded() *driftGuard {
	g := newDriftGuard()
	g.disturbed("shop", noon)
	return g
}

func TestWhoWasNeverDisturbedNeverWaits(t *testing.T) {
	t.Parallel()
	g := guarded()
	for range 100 {
		if wait := g.wait("other", writing(3), nil, noon); wait != 0 {
			t.Fatalf("waits %s because of another namespace", wait)
		}
	}
	if len(g.history) != 1 {
		t.Errorf("remembers %d namespaces, want only the one that was disturbed", len(g.history))
	}
}

func TestAPlanWithoutWritesCostsNothing(t *testing.T) {
	t.Parallel()
	g := guarded()
	for range 100 {
		if wait := g.wait("shop", nil, nil, noon); wait != 0 {
			t.Fatalf("nothing to write, and waits %s", wait)
		}
	}
	if wait := g.wait("shop", writing(3), nil, noon); wait != 0 {
		t.Errorf("the first writes wait %s: looking was counted as writing", wait)
	}
}

func TestWritesAreBoundedToABurstAndThenTenASecond(t *testing.T) {
	t.Parallel()
	g := guarded()
	const tenth = 100 * time.Millisecond
	steps := []struct {
		name   string
		after  time.Duration // noon
		writes int
		want   time.Duration
	}{
		{"the burst: 18 of 20", 0, 18, 0},
		{"19 and 20", 0, 2, 0},
		{"the next one waits a tenth of a second", 0, 1, tenth},
		{"who waits is not charged: it is still a tenth", 0, 1, tenth},
		{"three wait three tenths", 0, 3, 3 * tenth},
		{"half-way", tenth / 2, 1, tenth / 2},
		{"then it may", tenth, 1, 0},
		{"and once again has to wait", tenth, 1, tenth},
		{"after a second, ten may", tenth + time.Second, 10, 0},
		{"and an eleventh may not", tenth + time.Second, 1, tenth},
		{"after a quiet hour, the burst is what it was", time.Hour, 20, 0},
		{"and no more than that", time.Hour, 1, tenth},
	}
	for _, step := range steps {
		if got := g.wait("shop", writing(step.writes), nil, noon.Add(step.after)); got != step.want {
			t.Errorf("%s: waits %s, want %s", step.name, got, step.want)
		}
	}
}

func TestANamespaceUnderTheBoundIsBoundedWithoutADisturbance(t *testing.T) {
	t.Parallel()
	g := newDriftGuard()
	g.bound("shop")
	if wait := g.wait("shop", writing(writeBurst), nil, noon); wait != 0 {
		t.Errorf("the burst waits %s", wait)
	}
	g.bound("shop") // again, as after every refusal: it must not begin anew
	if wait := g.wait("shop", writing(1), nil, noon); wait != 100*time.Millisecond {
		t.Errorf("the next one waits %s, want a tenth of a second", wait)
	}
	if contested, _ := g.contested("shop", noon); contested {
		t.Error("contested, and nobody has disturbed it")
	}
}

// However somebody loops, at least ten repairs a second close what he opens.
func TestALoopIsRepairedTenTimesASecond(t *testing.T) {
	t.Parallel()
	g, now, repairs := guarded(), noon, 0
	for now.Before(noon.Add(10 * time.Second)) {
		wait := g.wait("shop", writing(1), nil, now)
		if wait == 0 {
			repairs++
			g.disturbed("shop", now)
			wait = time.Millisecond // he needs that long
		}
		now = now.Add(wait)
	}
	if repairs < 115 || repairs > 121 {
		t.Errorf("%d repairs in 10 seconds, want the burst of 20 and then 10 a second", repairs)
	}
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
			g := newDriftGuard()
			for _, after := range test.disturbed {
				g.disturbed("shop", noon.Add(after))
			}
			got, again := g.contested("shop", noon.Add(test.at))
			if got != test.want || again != test.wantAgain {
				t.Errorf("contested %t, again in %s; want %t and %s", got, again, test.want, test.wantAgain)
			}
			if other, _ := g.contested("other", noon.Add(test.at)); other {
				t.Error("so is another namespace")
			}
		})
	}
}

// Coming back when the guard says so must bring an end: what was contested is at last neither contested nor remembered.
func TestLookingAgainWhenToldToEndsAContest(t *testing.T) {
	t.Parallel()
	g := newDriftGuard()
	for i := range 30 {
		g.disturbed("shop", noon.Add(time.Duration(i)*time.Second))
	}
	now, looks := noon.Add(29*time.Second), 0
	for {
		wasContested, again := g.contested("shop", now)
		if again == 0 {
			if wasContested {
				t.Error("contested, and never to be looked at again")
			}
			break
		}
		if looks++; looks > 20 {
			t.Fatal("it does not end")
		}
		now = now.Add(again)
	}
	if len(g.history) != 0 {
		t.Errorf("%d namespaces are still remembered", len(g.history))
	}
	if now.Sub(noon.Add(29*time.Second)) > time.Minute+time.Second {
		t.Errorf("it took %s, want a minute", now.Sub(noon.Add(29*time.Second)))
	}
}

func TestTheMemoryOfALoopIsBounded(t *testing.T) {
	t.Parallel()
	g := newDriftGuard()
	for i := range 10_000 {
		g.disturbed("shop", noon.Add(time.Duration(i)*time.Millisecond))
	}
	if got := len(g.history["shop"].disturbances); got > contestedAfter+1 {
		t.Errorf("%d disturbances are remembered, want no more than it takes to tell", got)
	}
}

func TestWhatIsForgottenWhenANamespaceIsGone(t *testing.T) {
	t.Parallel()
	g := guarded()
	g.noteAltered("shop", v1alpha1.DefaultDenyName, plan.Observed{}, noon)
	g.disturbed("other", noon)
	g.forget("shop")
	if _, known := g.history["shop"]; known || len(g.history) != 1 {
		t.Errorf("remembered are %v, want other and nothing else", g.history)
	}
}

func TestWritingWhatAnAdmissionPluginAltersIsFutile(t *testing.T) {
	t.Parallel()
	const deny, dns = v1alpha1.DefaultDenyName, v1alpha1.AllowDNSName
	altered := plan.Observed{UID: "1", ResourceVersion: "5", Owner: "default", SpecHash: policy.Hash{1}, MetadataIntact: true}
	edited, stripped, unmarked := altered, altered, altered
	edited.SpecHash, stripped.Owner, unmarked.MetadataIntact = policy.Hash{2}, "", false
	touched := altered
	touched.ResourceVersion, touched.UID = "6", "2"
	to := func(names ...string) plan.Plan {
		var p plan.Plan
		for _, name := range names {
			p = append(p, plan.Stage{{Operation: plan.Update, Namespace: "shop", Name: name}})
		}
		return p
	}

	tests := map[string]struct {
		plan      plan.Plan
		inventory plan.Inventory
		after     time.Duration // the alteration
		want      time.Duration
	}{
		"at once":                         {plan: to(deny), inventory: plan.Inventory{deny: altered}, want: time.Minute},
		"half a minute later":             {plan: to(deny), inventory: plan.Inventory{deny: altered}, after: 30 * time.Second, want: 30 * time.Second},
		"a minute later it is tried":      {plan: to(deny), inventory: plan.Inventory{deny: altered}, after: time.Minute},
		"touched without a change":        {plan: to(deny), inventory: plan.Inventory{deny: touched}, want: time.Minute},
		"a tenant has edited it since":    {plan: to(deny), inventory: plan.Inventory{deny: edited}},
		"a tenant has stripped our label": {plan: to(deny), inventory: plan.Inventory{deny: stripped}},
		"a tenant has changed its marks":  {plan: to(deny), inventory: plan.Inventory{deny: unmarked}},
		"a tenant has deleted it":         {plan: to(deny), inventory: plan.Inventory{}},
		"another policy is to be written": {plan: to(dns), inventory: plan.Inventory{deny: altered}},
		"another policy too":              {plan: to(deny, dns), inventory: plan.Inventory{deny: altered, dns: altered}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newDriftGuard()
			g.noteAltered("shop", deny, altered, noon)
			if got := g.wait("shop", test.plan, test.inventory, noon.Add(test.after)); got != test.want {
				t.Errorf("waits %s, want %s", got, test.want)
			}
			if got := g.wait("other", test.plan, test.inventory, noon.Add(test.after)); got != 0 {
				t.Errorf("another namespace waits %s", got)
			}
			if contested, _ := g.contested("shop", noon.Add(test.after)); contested {
				t.Error("an admission plugin is taken for somebody who contests")
			}
			g.clearAltered("shop")
			if got := g.wait("shop", test.plan, test.inventory, noon.Add(test.after)); got != 0 {
				t.Errorf("once it came out well, it waits %s", got)
			}
		})
	}
}

func TestOfSeveralAlterationsTheLastOneCounts(t *testing.T) {
	t.Parallel()
	const deny, dns = v1alpha1.DefaultDenyName, v1alpha1.AllowDNSName
	altered := plan.Observed{Owner: "default", SpecHash: policy.Hash{1}}
	g := newDriftGuard()
	g.noteAltered("shop", dns, altered, noon)
	g.noteAltered("shop", deny, altered, noon.Add(10*time.Second))
	inventory := plan.Inventory{dns: altered, deny: altered}
	for _, both := range []plan.Plan{{{{Name: dns}}, {{Name: deny}}}, {{{Name: deny}}, {{Name: dns}}}, {{{Name: dns}, {Name: deny}}}} {
		if got := g.wait("shop", both, inventory, noon.Add(20*time.Second)); got != 50*time.Second {
			t.Errorf("waits %s, want the 50 s that the later one has left", got)
		}
	}
}

func TestAnAlterationIsRememberedWithoutAnyDisturbance(t *testing.T) {
	t.Parallel()
	const deny = v1alpha1.DefaultDenyName
	altered := plan.Observed{Owner: "default", SpecHash: policy.Hash{1}}
	g := newDriftGuard()
	g.noteAltered("shop", deny, altered, noon)
	g.contested("shop", noon) // as every reconcile asks
	if got := g.wait("shop", plan.Plan{{{Name: deny}}}, plan.Inventory{deny: altered}, noon); got != time.Minute {
		t.Errorf("waits %s, want a minute: the alteration was forgotten", got)
	}
	g.clearAltered("shop")
	g.contested("shop", noon)
	if len(g.history) != 0 {
		t.Errorf("%d namespaces are remembered for nothing", len(g.history))
	}
}

func TestTheGuardIsSafeForManyWorkers(t *testing.T) {
	t.Parallel()
	g := newDriftGuard()
	done := make(chan struct{})
	for worker := range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			namespace := fmt.Sprintf("n%d", worker%4)
			for i := range 200 {
				now := noon.Add(time.Duration(i) * time.Millisecond)
				g.disturbed(namespace, now)
				g.noteAltered(namespace, v1alpha1.DefaultDenyName, plan.Observed{}, now)
				g.wait(namespace, writing(3), plan.Inventory{}, now)
				g.contested(namespace, now)
				g.clearAltered(namespace)
			}
			g.forget(namespace)
		}()
	}
	for range 8 {
		<-done
	}
	if contested, _ := g.contested("n0", noon.Add(time.Hour)); contested || len(g.history) > 4 {
		t.Errorf("contested %t with %d namespaces remembered", contested, len(g.history))
	}
}
