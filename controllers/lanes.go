package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// urgentLane is how many new or changed namespaces are reconciled in parallel. A reconcile
	// waits for the API server nearly all of its time; if that is busy, more parallel writes only
	// make each of them slower. See docs/decisions/2026-11-25-sixteen-workers.md.
	urgentLane = 16
	// patientLane is how many namespaces are reconciled in parallel after an edit of a baseline: so
	// few that a new namespace is hardly delayed. See docs/decisions/2026-12-01-lanes.md.
	patientLane = 8
	// hangingLane is how many more reconciles may wait for an API server that does not respond:
	// waiting takes nothing that others need. When it is full, the longest waiting one gives way.
	hangingLane = 48
	// slowLane is how many namespaces that hung last time are retried in parallel: few, because
	// every attempt occupies the API server until its webhook answers.
	slowLane = 4
	// contestedLane is how many namespaces that other clients keep changing are reconciled in
	// parallel. A repair takes a few milliseconds, so this is enough for hundreds per second.
	contestedLane = 4
	// namespaceWorkers is enough for all lanes. Reconciles that wait for a place hold a worker too;
	// the next one is free as soon as any reconcile ends.
	namespaceWorkers = urgentLane + patientLane + hangingLane + slowLane + contestedLane

	// hangsAfter is the longest time that a healthy reconcile takes: many times as long as one
	// takes in a burst, and short enough that a namespace behind three dozen hanging ones is still
	// protected within a second.
	hangsAfter = 250 * time.Millisecond
	// givesWayAfter is how long a hanging reconcile waits at least before it gives way.
	givesWayAfter = time.Second
	// stuckAfter is longer than any reconcile takes: far longer than reconcileTimeout.
	stuckAfter = 5 * reconcileTimeout
)

// errGaveWay is the cause with which a hanging reconcile is canceled.
var errGaveWay = errors.New("the API server did not answer in time; does an admission webhook hang?")

// lanes keep namespaces whose writes hang, and contested ones, from taking the workers of all
// others.
type lanes struct {
	mu        sync.Mutex
	passes    map[*pass]struct{}
	in        [contestedLaneKind + 1]int
	waiting   [patientLaneKind + 1][]chan struct{}
	slow      map[string]struct{} // namespaces that hung last time
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

// enter takes a place for a namespace. If the lane of slow or contested namespaces is full, it
// returns how long to back off instead; for a place in the other lanes it waits. The caller must
// use the returned context and call leave on the pass.
func (l *lanes) enter(ctx context.Context, namespace string, contested, urgent bool) (context.Context, *pass, time.Duration) {
	l.mu.Lock()
	_, slow := l.slow[namespace]
	switch {
	case slow && l.in[slowLaneKind] >= slowLane:
		// The more there are, the longer each backs off, so that their attempts cause no load.
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

// await is called with the lock held, and releases it.
func (l *lanes) await(ctx context.Context, namespace string, lane laneKind, places int) (context.Context, *pass, time.Duration) {
	if l.in[lane] >= places {
		turn := make(chan struct{})
		l.waiting[lane] = append(l.waiting[lane], turn)
		l.mu.Unlock()
		<-turn // soon: every place there is given up after hangsAfter
		l.mu.Lock()
		l.in[lane]-- // the place was handed on with the turn
	}
	return l.admit(ctx, namespace, lane)
}

// admit is called with the lock held, and releases it.
func (l *lanes) admit(ctx context.Context, namespace string, lane laneKind) (context.Context, *pass, time.Duration) {
	defer l.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	p := &pass{lanes: l, namespace: namespace, lane: lane, began: l.now(), cancel: cancel}
	l.in[lane]++
	l.passes[p] = struct{}{}
	p.timer = l.afterFunc(hangsAfter, p.hangs)
	return ctx, p, 0
}

// hangs moves a hanging pass out of the way of the others.
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

// whenHanging sets a function that is called if the reconcile hangs; nil for none. It must be
// quick.
func (p *pass) whenHanging(tell func()) {
	p.lanes.mu.Lock()
	defer p.lanes.mu.Unlock()
	p.onHang = tell
}

// giveWay cancels the longest hanging reconcile if it has waited long enough, and reports whether
// it did.
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

// leave gives up the place.
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

// forget drops the state of a namespace that is gone.
func (l *lanes) forget(namespace string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.slow, namespace)
}

// check returns an error if a reconcile does not end although it was canceled: then only a restart
// helps.
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
