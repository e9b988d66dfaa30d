package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// urgentLane is how many of the namespaces that are new, or were changed, are worked on at once. A reconcile waits for the API server
	// nearly all of its time; where that is busy, more writes side by side only make each of them slower. See
	// docs/decisions/2026-11-25-sixteen-workers.md.
	urgentLane = 16
	// patientLane is how many of those that follow an edit of a baseline are worked on at once: so few that a new namespace hardly
	// notices them. See docs/decisions/2026-12-01-lanes.md.
	patientLane = 8
	// hangingLane is how many more may wait for an API server that does not answer: they cost it nothing that others need. When it is
	// full, the one that has waited longest gives way.
	hangingLane = 48
	// slowLane is how many of the namespaces that hung the last time are tried at once: few, because every attempt occupies the API
	// server until its webhook answers.
	slowLane = 4
	// contestedLane is how many of the namespaces that other clients keep changing are worked on at once. A repair takes some
	// milliseconds, so that it is enough for hundreds a second.
	contestedLane = 4
	// namespaceWorkers is enough for all lanes, so that no lane takes the workers of another.
	namespaceWorkers = urgentLane + patientLane + hangingLane + slowLane + contestedLane

	// hangsAfter is how long a healthy reconcile takes at most: many times as long as one takes in a burst, and short enough that a
	// namespace behind three dozen hanging ones is still protected within a second.
	hangsAfter = 250 * time.Millisecond
	// givesWayAfter is how long the hanging ones wait at least before one gives way.
	givesWayAfter = time.Second
	// stuckAfter is how long no reconcile takes: far longer than reconcileTimeout.
	stuckAfter = 5 * reconcileTimeout
)

// errGaveWay is why a reconcile that hung was ended.
var errGaveWay = errors.New("the API server did not answer in time; does an admission webhook hang?")

// lanes keep the namespaces whose writes hang, and those that are contested, from taking the workers of all others.
type lanes struct {
	mu        sync.Mutex
	passes    map[*pass]struct{}
	in        [contestedLaneKind + 1]int
	waiting   [patientLaneKind + 1][]chan struct{}
	slow      map[string]struct{} // namespaces that hung the last time
	now       func() time.Time
	afterFunc func(time.Duration, func()) *time.Timer
}

type laneKind int

const (
	urgentLaneKind laneKind = iota
	patientLaneKind
	hangingLaneKind
	slowLaneKind
	contestedLaneKind
)

// pass is one namespace's place in a lane.
type pass struct {
	lanes     *lanes
	namespace string
	lane      laneKind
	began     time.Time
	told      bool // to give way
	onHang    func()
	cancel    context.CancelCauseFunc
	timer     *time.Timer
}

func newLanes() *lanes {
	return &lanes{
		passes: map[*pass]struct{}{}, slow: map[string]struct{}{}, now: time.Now, afterFunc: time.AfterFunc,
	}
}

// enter takes a place for a namespace. Where the lane of slow or contested namespaces is full, it returns how long to stay away instead;
// the other lanes are waited for. Leave must be called on the pass, and the context be used.
func (l *lanes) enter(ctx context.Context, namespace string, contested, urgent bool) (context.Context, *pass, time.Duration) {
	l.mu.Lock()
	_, slow := l.slow[namespace]
	switch {
	case slow && l.in[slowLaneKind] >= slowLane:
		// The more there are, the longer each stays away, so that their attempts are no load.
		wait := min(max(time.Duration(len(l.slow))*hangsAfter, time.Second), lastRetry/2)
		l.mu.Unlock()
		return ctx, nil, wait
	case slow:
		return l.admit(ctx, namespace, slowLaneKind)
	case contested && l.in[contestedLaneKind] >= contestedLane:
		l.mu.Unlock()
		return ctx, nil, firstRetry
	case contested:
		return l.admit(ctx, namespace, contestedLaneKind)
	case urgent:
		return l.await(ctx, namespace, urgentLaneKind, urgentLane)
	}
	return l.await(ctx, namespace, patientLaneKind, patientLane)
}

// await is called with the lock held, and gives it up.
func (l *lanes) await(ctx context.Context, namespace string, lane laneKind, places int) (context.Context, *pass, time.Duration) {
	if l.in[lane] >= places {
		turn := make(chan struct{})
		l.waiting[lane] = append(l.waiting[lane], turn)
		l.mu.Unlock()
		<-turn // soon: what holds a place there gives it up after hangsAfter
		l.mu.Lock()
		l.in[lane]-- // the place was handed on with the turn
	}
	return l.admit(ctx, namespace, lane)
}

// admit is called with the lock held, and gives it up.
func (l *lanes) admit(ctx context.Context, namespace string, lane laneKind) (context.Context, *pass, time.Duration) {
	defer l.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	p := &pass{lanes: l, namespace: namespace, lane: lane, began: l.now(), cancel: cancel}
	l.in[lane]++
	l.passes[p] = struct{}{}
	p.timer = l.afterFunc(hangsAfter, p.hangs)
	return ctx, p, 0
}

// hangs moves a pass out of the way of the others.
func (p *pass) hangs() {
	l := p.lanes
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, running := l.passes[p]; !running {
		return
	}
	l.slow[p.namespace] = struct{}{}
	if p.onHang != nil {
		p.onHang()
	}
	if p.lane == slowLaneKind || p.lane == hangingLaneKind {
		return
	}
	if l.in[hangingLaneKind] >= hangingLane && !l.giveWay() {
		p.timer = l.afterFunc(hangsAfter, p.hangs)
		return
	}
	l.vacate(p.lane)
	p.lane = hangingLaneKind
	l.in[hangingLaneKind]++
}

// whenHanging has a function called if the reconcile turns out to hang; nil for none. It must be quick.
func (p *pass) whenHanging(tell func()) {
	p.lanes.mu.Lock()
	defer p.lanes.mu.Unlock()
	p.onHang = tell
}

// giveWay ends the hanging reconcile that has waited longest, if that is long enough.
func (l *lanes) giveWay() bool {
	var longest *pass
	for p := range l.passes {
		if p.lane == hangingLaneKind && !p.told && (longest == nil || p.began.Before(longest.began)) {
			longest = p
		}
	}
	if longest == nil || l.now().Sub(longest.began) < givesWayAfter {
		return false
	}
	longest.told = true
	longest.cancel(errGaveWay)
	return true
}

// leave gives the place up.
func (p *pass) leave() {
	l := p.lanes
	l.mu.Lock()
	defer l.mu.Unlock()
	p.timer.Stop()
	p.cancel(nil)
	delete(l.passes, p)
	l.vacate(p.lane)
	if l.now().Sub(p.began) < hangsAfter {
		delete(l.slow, p.namespace)
	}
}

func (l *lanes) vacate(lane laneKind) {
	if int(lane) < len(l.waiting) && len(l.waiting[lane]) > 0 {
		close(l.waiting[lane][0])
		l.waiting[lane] = l.waiting[lane][1:]
		return // the place is handed on
	}
	l.in[lane]--
}

// forget drops what is known about a namespace that is gone.
func (l *lanes) forget(namespace string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.slow, namespace)
}

// check returns an error if a reconcile does not end although it was told to: then only a restart helps.
func (l *lanes) check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.passes {
		if took := l.now().Sub(p.began); took > stuckAfter {
			return fmt.Errorf("the reconcile of namespace %s has not ended for %s", p.namespace, took.Round(time.Second))
		}
	}
	return nil
}
