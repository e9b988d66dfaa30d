package controllers

import (
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/netbaseline/netbaseline/internal/plan"
)

const (
	// writesPerSecond and writeBurst bound what is written in one namespace that somebody keeps changing, so that a tenant who
	// loops cannot drown the API server through us. At ten a second, all three policies are put back within a third of a second.
	writesPerSecond = 10
	writeBurst      = 20
	// contestedAfter is how many disturbances within contestedWindow make a namespace contested: more than a person does by hand.
	contestedAfter  = 10
	contestedWindow = time.Minute
	// alteredRetry is how long to wait before writing again what an admission plugin has altered.
	alteredRetry = time.Minute
	// rivalPatience is how often the same harmless change is put back at once: more often than a person makes it by mistake. After that
	// somebody means it, such as another build of netbaseline that writes at the same time, and each time it is left for longer.
	rivalPatience = 3
	rivalRetry    = time.Minute
	rivalMaxRetry = 10 * time.Minute
)

// driftGuard remembers, for the few namespaces where others change our policies, how often that happens. Repairs of what somebody has
// opened are never put off except by the bound above: a pause would let whoever loops hold the namespace open.
type driftGuard struct {
	mu      sync.Mutex
	history map[string]*driftHistory
}

type driftHistory struct {
	limiter      *rate.Limiter
	disturbances []time.Time // within contestedWindow, at most contestedAfter+1 of them
	altered      map[string]alteration
	rivals       map[string]rivalry
}

// alteration is what the API server made of a policy that we wrote.
type alteration struct {
	stored plan.Observed
	at     time.Time
}

// rivalry is what somebody writes over a policy of ours again and again, although it opens nothing.
type rivalry struct {
	found   plan.Observed
	repairs int
	at      time.Time // of the last repair
}

func newDriftGuard() *driftGuard { return &driftGuard{history: map[string]*driftHistory{}} }

// wait returns how long the writes of a plan have to wait; 0 for not at all.
func (g *driftGuard) wait(namespace string, p plan.Plan, inventory plan.Inventory, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	history, ok := g.history[namespace]
	if !ok || p.Len() == 0 {
		return 0
	}
	if wait := history.futile(p, inventory, now); wait > 0 {
		return wait
	}
	reservation := history.limiter.ReserveN(now, p.Len())
	delay := reservation.DelayFrom(now)
	if delay > 0 {
		reservation.CancelAt(now)
	}
	return delay
}

// owe counts writes that cannot wait any more: later ones wait for them.
func (g *driftGuard) owe(namespace string, writes int, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if history, ok := g.history[namespace]; ok && writes > 0 {
		history.limiter.ReserveN(now, writes)
	}
}

// disturbed notes that somebody changed our policies in a namespace: we repaired that, or he was faster once more.
func (g *driftGuard) disturbed(namespace string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	history := g.of(namespace)
	history.disturbances = append(recent(history.disturbances, now), now)
	if surplus := len(history.disturbances) - contestedAfter - 1; surplus > 0 {
		history.disturbances = history.disturbances[surplus:]
	}
}

// bound puts a namespace under the bound on writes, although nobody has disturbed it yet.
func (g *driftGuard) bound(namespace string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.of(namespace)
}

// bounds says whether what is written in a namespace is bounded.
func (g *driftGuard) bounds(namespace string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.history[namespace]
	return ok
}

// contested says whether a namespace is contested, and when that has to be looked at again; 0 for not at all.
func (g *driftGuard) contested(namespace string, now time.Time) (contested bool, again time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	history, ok := g.history[namespace]
	if !ok {
		return false, 0
	}
	history.disturbances = recent(history.disturbances, now)
	maps.DeleteFunc(history.rivals, func(_ string, r rivalry) bool { return r.over(now) })
	if len(history.disturbances) == 0 {
		// Forgotten too early, the bound on writes would begin anew.
		spent := writeBurst - history.limiter.TokensAt(now)
		if spent <= 0 && len(history.altered) == 0 && len(history.rivals) == 0 {
			delete(g.history, namespace)
		}
		again = time.Duration(max(spent, 0) / writesPerSecond * float64(time.Second))
		for _, rival := range history.rivals {
			again = max(again, rival.at.Add(rival.forgotten()).Sub(now))
		}
		return false, again
	}
	oldest := history.disturbances[0]
	return len(history.disturbances) > contestedAfter, oldest.Add(contestedWindow).Sub(now) + time.Millisecond
}

// noteAltered notes what the API server made of a policy.
func (g *driftGuard) noteAltered(namespace, name string, stored plan.Observed, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	history := g.of(namespace)
	if history.altered == nil {
		history.altered = map[string]alteration{}
	}
	history.altered[name] = alteration{stored: stored, at: now}
}

// repaired notes what was found in place of a policy that was put back. What allowed anything more forgets every rivalry.
func (g *driftGuard) repaired(namespace, name string, found plan.Observed, openedNothing bool, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	history := g.of(namespace)
	if !openedNothing {
		delete(history.rivals, name)
		return
	}
	if history.rivals == nil {
		history.rivals = map[string]rivalry{}
	}
	repairs := 1
	if before, known := history.rivals[name]; known && alike(before.found, found) && !before.over(now) {
		repairs += before.repairs
	}
	history.rivals[name] = rivalry{found: found, repairs: repairs, at: now}
}

// wait returns how long a policy is left after its last repair.
func (r rivalry) wait() time.Duration {
	if r.repairs < rivalPatience {
		return 0
	}
	return min(rivalRetry<<min(r.repairs-rivalPatience, 10), rivalMaxRetry)
}

// forgotten returns how long after the last repair a rivalry is over, unless somebody takes it up again: longer than it was left alone.
func (r rivalry) forgotten() time.Duration { return r.wait() + contestedWindow }

func (r rivalry) over(now time.Time) bool { return now.Sub(r.at) >= r.forgotten() }

// clearAltered forgets alterations, after a namespace came out as it must be.
func (g *driftGuard) clearAltered(namespace string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if history, ok := g.history[namespace]; ok {
		history.altered = nil
	}
}

// retarget forgets what became of other policies: it says nothing about those that a namespace must have now. What was written still counts
// for the bound.
func (g *driftGuard) retarget(namespace string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if history, ok := g.history[namespace]; ok {
		history.altered, history.rivals, history.disturbances = nil, nil, nil
	}
}

// rival returns a policy of a plan that is left to a rival for now; "" if none is.
func (g *driftGuard) rival(namespace string, p plan.Plan, inventory plan.Inventory) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	history, ok := g.history[namespace]
	if !ok {
		return ""
	}
	for _, step := range slices.Concat(p...) {
		if rival, known := history.rivals[step.Name]; known && rival.wait() > 0 && alike(inventory[step.Name], rival.found) {
			return step.Name
		}
	}
	return ""
}

// futile returns how long it makes no sense to write in a namespace, because every policy that differs is exactly what an
// admission plugin made of our last write, or what a rival writes over it; 0 if writing makes sense.
func (h *driftHistory) futile(p plan.Plan, inventory plan.Inventory, now time.Time) time.Duration {
	wait := time.Duration(0)
	for _, step := range slices.Concat(p...) {
		left := h.leave(step.Name, inventory[step.Name], now)
		if step.Operation == plan.Delete || left <= 0 {
			return 0
		}
		wait = max(wait, left)
	}
	return wait
}

// leave returns for how long a policy that stands like this is left as it is.
func (h *driftHistory) leave(name string, observed plan.Observed, now time.Time) time.Duration {
	if altered, known := h.altered[name]; known && alike(observed, altered.stored) {
		return altered.at.Add(alteredRetry).Sub(now)
	}
	if rival, known := h.rivals[name]; known && alike(observed, rival.found) {
		return rival.at.Add(rival.wait()).Sub(now)
	}
	return 0
}

// alike says whether two observations differ in nothing that we would repair.
func alike(a, b plan.Observed) bool {
	return a.SpecHash == b.SpecHash && a.MetadataIntact == b.MetadataIntact && a.Owner == b.Owner
}

// forget drops a namespace that no longer exists.
func (g *driftGuard) forget(namespace string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.history, namespace)
}

func (g *driftGuard) of(namespace string) *driftHistory {
	history, ok := g.history[namespace]
	if !ok {
		history = &driftHistory{limiter: rate.NewLimiter(writesPerSecond, writeBurst)}
		g.history[namespace] = history
	}
	return history
}

func recent(times []time.Time, now time.Time) []time.Time {
	for len(times) > 0 && now.Sub(times[0]) >= contestedWindow {
		times = times[1:]
	}
	return times
}
