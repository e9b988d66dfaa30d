package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Each of these tests runs in a bubble, in which time passes only when every goroutine waits for
// it.

// entered takes places that must be free.
func entered(t *testing.T, l *lanes, count int, name string, contested bool) []*pass {
	t.Helper()
	var passes []*pass
	for i := range count {
		_, p, wait := l.enter(t.Context(), fmt.Sprintf("%s-%d", name, i), contested, true)
		if p == nil {
			t.Fatalf("%s-%d has to stay away for %s", name, i, wait)
		}
		passes = append(passes, p)
	}
	return passes
}

// leave gives up the places of passes.
func leave(passes ...*pass) {
	for _, p := range passes {
		p.leave()
	}
}

// lanesOf returns how many of the passes are in each lane.
func lanesOf(l *lanes) map[laneKind]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	in := map[laneKind]int{}
	for p := range l.passes {
		in[p.lane]++
	}
	for kind := range l.in {
		if l.in[kind] != in[laneKind(kind)] {
			panic(fmt.Sprintf("lane %d counts %d and holds %d", kind, l.in[kind], in[laneKind(kind)]))
		}
	}
	return in
}

// slowed returns lanes with this many namespaces, of this name, whose writes hung last time.
func slowed(t *testing.T, count int, name string) *lanes {
	t.Helper()
	l := newLanes()
	for i := range count {
		p := entered(t, l, 1, name+fmt.Sprintf("-%d", i), false)
		time.Sleep(hangsAfter)
		synctest.Wait()
		leave(p...)
	}
	return l
}

func TestEachLaneServesInTurnAndNoneWaitsForTheOther(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		urgent bool
		lane   laneKind
		places int
	}{{true, urgentLaneKind, urgentLane}, {false, patientLaneKind, patientLane}} {
		synctest.Test(t, func(t *testing.T) {
			l := newLanes()
			enter := func(name string, urgent bool) *pass {
				_, p, _ := l.enter(t.Context(), name, false, urgent)
				return p
			}
			var holders []*pass
			for i := range test.places {
				holders = append(holders, enter(fmt.Sprintf("busy-%d", i), test.urgent))
			}
			var mu sync.Mutex
			var order []string
			for _, name := range []string{"first", "second", "third"} {
				go func() {
					p := enter(name, test.urgent)
					mu.Lock()
					order = append(order, name)
					mu.Unlock()
					defer p.leave()
					<-t.Context().Done()
				}()
				synctest.Wait() // so that they come in this order
			}
			if in := lanesOf(l); in[test.lane] != test.places || len(order) > 0 {
				t.Errorf("%d are worked on and %v besides, want %d", in[test.lane], order, test.places)
			}
			leave(enter("of the other lane", !test.urgent))
			for i, want := range []string{"first", "second", "third"} {
				leave(holders[i])
				synctest.Wait()
				mu.Lock()
				if len(order) != i+1 || order[i] != want {
					t.Errorf("in turn are %v, want %s at the end", order, want)
				}
				mu.Unlock()
				if in := lanesOf(l); in[test.lane] != test.places {
					t.Errorf("%d are worked on, want %d", in[test.lane], test.places)
				}
			}
			leave(holders[3:]...)
		})
	}
}

func TestWhatHangsMakesRoomForTheHealthy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLanes()
		hanging := entered(t, l, urgentLane, "hanging", false)
		var told atomic.Int32
		hanging[0].whenHanging(func() { told.Add(1) })
		hanging[1].whenHanging(func() { t.Error("a hang that is over was reported") })
		hanging[1].whenHanging(nil)

		time.Sleep(hangsAfter - 1)
		synctest.Wait()
		if in := lanesOf(l); in[urgentLaneKind] != urgentLane || told.Load() > 0 {
			t.Errorf("before %s: %v, reported %d times", hangsAfter, in, told.Load())
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if in := lanesOf(l); in[hangingLaneKind] != urgentLane || in[urgentLaneKind] != 0 || told.Load() != 1 {
			t.Errorf("after %s: %v, reported %d times; want all moved away, and reported once", hangsAfter, in, told.Load())
		}
		leave(entered(t, l, urgentLane, "healthy", false)...)
		leave(hanging...)
		if in := lanesOf(l); len(in) > 0 {
			t.Errorf("in the end: %v", in)
		}
		if len(l.slow) != urgentLane {
			t.Errorf("%d are known to hang, want %d", len(l.slow), urgentLane)
		}
	})
}

func TestTheLongestGivesWayWhereTooManyHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLanes()
		var hanging []*pass
		var contexts []context.Context
		hang := func(name string) {
			ctx, p, _ := l.enter(t.Context(), name, false, true)
			hanging, contexts = append(hanging, p), append(contexts, ctx)
		}
		for batch := range hangingLane / urgentLane {
			for i := range urgentLane {
				time.Sleep(time.Millisecond) // so that there is a longest
				hang(fmt.Sprintf("%d-%d", batch, i))
			}
			time.Sleep(hangsAfter)
			synctest.Wait()
		}
		if in := lanesOf(l); in[hangingLaneKind] != hangingLane {
			t.Fatalf("%v, want the lane of the hanging full", in)
		}
		for range urgentLane {
			hang("more")
		}
		ended := func() (count int) {
			for _, ctx := range contexts {
				if ctx.Err() != nil {
					count++
				}
			}
			return count
		}
		// Three batches took less than a second: until then none gives way, and after it one does
		// for each that hangs.
		before := hanging[0].began.Add(givesWayAfter).Sub(l.now())
		time.Sleep(before - 1)
		synctest.Wait()
		if got := ended(); got > 0 {
			t.Errorf("%d gave way in less than %s", got, givesWayAfter)
		}
		time.Sleep(2 * hangsAfter)
		synctest.Wait()
		count := ended()
		if count == 0 || count > urgentLane {
			t.Fatalf("%d gave way, want one for each that hangs at most", count)
		}
		for i, ctx := range contexts {
			if gave := ctx.Err() != nil; gave != (i < count) {
				t.Errorf("hanging %d of %d gave way: %t; want the longest", i, len(contexts), gave)
			}
			if ctx.Err() != nil && !errors.Is(context.Cause(ctx), errGaveWay) {
				t.Errorf("because of %v", context.Cause(ctx))
			}
		}
		leave(hanging...)
	})
}

func TestSlowNamespacesAreTriedFewAtATime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		known    int
		wantWait time.Duration
	}{
		"one more than fits":             {slowLane + 1, slowLane*hangsAfter + hangsAfter},
		"a few":                          {20, 20 * hangsAfter},
		"very many stay away for longer": {500, lastRetry / 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := slowed(t, test.known, "slow")
				var passes []*pass
				for i := range slowLane {
					_, p, _ := l.enter(t.Context(), fmt.Sprintf("slow-%d-0", i), false, true)
					passes = append(passes, p)
				}
				if slices.Contains(passes, nil) || lanesOf(l)[slowLaneKind] != slowLane {
					t.Fatalf("%v are in the lanes, want %d slow ones", lanesOf(l), slowLane)
				}
				_, p, wait := l.enter(t.Context(), fmt.Sprintf("slow-%d-0", slowLane), false, true)
				if p != nil || wait != test.wantWait {
					t.Errorf("another one is let in: %t, or stays away for %s; want %s", p != nil, wait, test.wantWait)
				}
				leave(entered(t, l, urgentLane, "healthy", false)...)
				time.Sleep(hangsAfter)
				synctest.Wait()
				if in := lanesOf(l); in[slowLaneKind] != slowLane {
					t.Errorf("those that hang again have moved: %v", in)
				}
				leave(passes...)
			})
		})
	}
}

func TestASlowNamespaceIsHealthyAgainOnceItIsQuick(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := slowed(t, 2, "slow")
		_, p, _ := l.enter(t.Context(), "slow-0-0", false, true)
		time.Sleep(hangsAfter - 1)
		p.leave()
		if _, slow := l.slow["slow-0-0"]; slow || len(l.slow) != 1 {
			t.Errorf("slow are %v, want only the other one", l.slow)
		}
		l.forget("slow-1-0") // it is gone
		if len(l.slow) != 0 {
			t.Errorf("slow are %v, want none", l.slow)
		}
		_, p, _ = l.enter(t.Context(), "slow-0-0", false, true)
		if p.lane != urgentLaneKind {
			t.Errorf("it is in lane %d", p.lane)
		}
		p.leave()
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(l.slow) != 0 {
			t.Errorf("what is over hangs: %v", l.slow)
		}
	})
}

func TestContestedNamespacesShareAFewPlaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLanes()
		passes := entered(t, l, contestedLane, "contested", true)
		if _, p, wait := l.enter(t.Context(), "one-more", true, true); p != nil || wait != firstRetry {
			t.Errorf("another one is let in: %t, or stays away for %s; want %s", p != nil, wait, firstRetry)
		}
		leave(entered(t, l, urgentLane, "healthy", false)...)
		leave(passes[0])
		leave(entered(t, l, 1, "one-more", true)...)

		time.Sleep(hangsAfter)
		synctest.Wait()
		if in := lanesOf(l); in[contestedLaneKind] != 0 || in[hangingLaneKind] != contestedLane-1 {
			t.Errorf("%v, want those that hang to make room", in)
		}
		leave(passes[1:]...)
	})
}

func TestLivenessFailsOnlyWhereAReconcileDoesNotEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLanes()
		if err := l.check(); err != nil {
			t.Errorf("idle: %v", err)
		}
		stuck := entered(t, l, 1, "stuck", false)
		time.Sleep(stuckAfter)
		passing := entered(t, l, urgentLane, "busy", false)
		if err := l.check(); err != nil {
			t.Errorf("after %s: %v", stuckAfter, err)
		}
		time.Sleep(time.Nanosecond)
		if err := l.check(); err == nil || !strings.Contains(err.Error(), "stuck-0") {
			t.Errorf("after more than %s: %v, want the namespace named", stuckAfter, err)
		}
		leave(stuck...)
		if err := l.check(); err != nil {
			t.Errorf("it has ended: %v", err)
		}
		leave(passing...)
	})
	if stuckAfter <= reconcileTimeout {
		t.Errorf("a restart after %s comes before a reconcile is ended, after %s", stuckAfter, reconcileTimeout)
	}
}

func TestThereAreWorkersForEveryLane(t *testing.T) {
	t.Parallel()
	if namespaceWorkers < urgentLane+patientLane+hangingLane+slowLane+contestedLane {
		t.Errorf("%d workers: one lane would take those of another", namespaceWorkers)
	}
}

func TestALeftPlaceIsHandedOnOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLanes()
		var workers sync.WaitGroup
		worked, most := 0, [2]int{}
		var mu sync.Mutex
		for worker := range 4 * urgentLane {
			workers.Go(func() {
				for range 10 {
					_, p, _ := l.enter(t.Context(), fmt.Sprintf("n%d", worker), false, worker%3 > 0)
					mu.Lock()
					worked++
					l.mu.Lock()
					for lane := range most {
						most[lane] = max(most[lane], l.in[lane])
					}
					l.mu.Unlock()
					mu.Unlock()
					time.Sleep(time.Millisecond)
					p.leave()
				}
			})
		}
		workers.Wait()
		want := [2]int{urgentLaneKind: urgentLane, patientLaneKind: patientLane}
		if in := lanesOf(l); len(in) > 0 || worked != 40*urgentLane || most != want || len(l.waiting[0])+len(l.waiting[1]) > 0 {
			t.Errorf("worked on were %d, %d in parallel, and %v are left; want %d, %d and none", worked, most, in, 40*urgentLane, want)
		}
	})
}
