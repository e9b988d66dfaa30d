package controllers

import (
	"slices"
	"sync"
	"time"

	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
)

const (
	// contestedAfter is how many disturbances within contestedWindow make a namespace contested: more than a person does by hand.
	contestedAfter  = 10
	contestedWindow = time.Minute
	// rivalPatience is how often the same harmless change is put back at once: more often than a person makes it by mistake. After that
	// it is meant, as by another build of netbaseline that writes at the same time.
	rivalPatience = 3
	// futileRetry and futileMaxRetry bound how long a write that did not last is not repeated: at first long enough to be no load, and
	// never so long that whoever removes the cause waits for long.
	futileRetry    = time.Minute
	futileMaxRetry = 10 * time.Minute
)

// contention remembers, for the few namespaces in which other clients write our policies, how often that happens, and which writes of
// ours are futile there. What it remembers only ever puts off what closes nothing.
type contention struct {
	mu         sync.Mutex
	namespaces map[string]*contest
}

type contest struct {
	disturbances []time.Time // within contestedWindow, at most contestedAfter+1 of them
	futile       map[string]futility
}

// futility is what lies, or lay, under the name of a policy, although we wrote over it.
type futility struct {
	cause   cause
	found   plan.Observed
	desired policy.Hash // of the policy that was to be written, for baseline
	owner   string
	writes  int
	at      time.Time // of the last write
}

// cause is why a write is futile.
type cause int

const (
	// rival: another client keeps writing this, and it allows no more than the policy does.
	rival cause = iota
	// altering: admission makes this of the policy.
	altering
	// kept: it is to be left as long as it allows no more than another baseline does, until something else is asked of the namespace.
	kept
)

func newContention() *contention { return &contention{namespaces: map[string]*contest{}} }

// disturbed records another client's write to our policies, whether it was repaired or won the race.
func (c *contention) disturbed(namespace string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	contest := c.of(namespace)
	contest.disturbances = append(recent(contest.disturbances, now), now)
	if surplus := len(contest.disturbances) - contestedAfter - 1; surplus > 0 {
		contest.disturbances = contest.disturbances[surplus:]
	}
}

// futile notes that a write over what was found under a name did not last, or is not to be made.
func (c *contention) futile(namespace string, step plan.Step, why cause, found plan.Observed, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	contest := c.of(namespace)
	noted := futility{cause: why, found: found, desired: step.Desired.Hash, owner: step.Owner(), writes: 1, at: now}
	if before, known := contest.futile[step.Name]; known && before.cause == why && before.about(step) && alike(before.found, found) && !before.over(now) {
		noted.writes += before.writes
	}
	if contest.futile == nil {
		contest.futile = map[string]futility{}
	}
	contest.futile[step.Name] = noted
}

// lasted forgets what made writes of a policy futile.
func (c *contention) lasted(namespace, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if contest, ok := c.namespaces[namespace]; ok {
		delete(contest.futile, name)
	}
}

// retarget ends a contest about policies that are no longer asked for: it says nothing about those that are.
func (c *contention) retarget(namespace string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if contest, ok := c.namespaces[namespace]; ok {
		contest.disturbances = nil
	}
}

func (c *contention) forget(namespace string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.namespaces, namespace)
}

// sift takes out of a plan what is futile, and returns the policies that are left and when the first of them is written again; 0 for
// never.
func (c *contention) sift(namespace string, p plan.Plan, now time.Time) (sifted plan.Plan, left map[string]cause, again time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	contest, ok := c.namespaces[namespace]
	if !ok || len(contest.futile) == 0 {
		return p, nil, 0
	}
	left = map[string]cause{}
	sifted = p.Keep(func(step plan.Step) bool {
		why, wait, leave := contest.leave(step, now)
		if leave {
			left[step.Name], again = why, soonest(again, wait)
		}
		return !leave
	})
	return sifted, left, again
}

// leave reports whether a step is futile, why, and for how long; 0 for as long as nothing changes.
func (c *contest) leave(step plan.Step, now time.Time) (why cause, wait time.Duration, leave bool) {
	futility, known := c.futile[step.Name]
	if !known || step.Operation != plan.Update || !futility.about(step) || !alike(step.Found, futility.found) {
		return 0, 0, false
	}
	if futility.cause == kept {
		return kept, 0, step.OnlyToClose // else it is not held any more
	}
	wait = futility.at.Add(futility.wait()).Sub(now)
	return futility.cause, wait, wait > 0
}

// contested reports whether a namespace is contested.
func (c *contention) contested(namespace string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	contest, ok := c.namespaces[namespace]
	return ok && len(recent(contest.disturbances, now)) > contestedAfter
}

// disputed reports whether other clients have written our policies in a namespace of late.
func (c *contention) disputed(namespace string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.namespaces[namespace]
	return ok
}

// prune drops what is over, and returns when there will be more to drop; 0 for never.
func (c *contention) prune(namespace string, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	contest, ok := c.namespaces[namespace]
	if !ok {
		return 0
	}
	var again time.Duration
	contest.disturbances = recent(contest.disturbances, now)
	if len(contest.disturbances) > 0 {
		again = contest.disturbances[0].Add(contestedWindow).Sub(now) + time.Millisecond
	}
	for name, futility := range contest.futile {
		switch {
		case futility.cause == kept:
		case futility.over(now):
			delete(contest.futile, name)
		default:
			again = soonest(again, futility.at.Add(futility.remembered()).Sub(now))
		}
	}
	if len(contest.disturbances)+len(contest.futile) == 0 {
		delete(c.namespaces, namespace)
	}
	return again
}

// about reports whether the futile write was of the same policy for the same baseline.
func (f futility) about(step plan.Step) bool {
	return f.desired == step.Desired.Hash && f.owner == step.Owner()
}

// wait returns how long after the last write the next one is made.
func (f futility) wait() time.Duration {
	repeats := f.writes - 1
	if f.cause == rival {
		repeats = f.writes - rivalPatience
	}
	if repeats < 0 {
		return 0
	}
	return min(futileRetry<<min(repeats, 10), futileMaxRetry)
}

// remembered returns for how long after the last write a futility is remembered: longer than nothing is written.
func (f futility) remembered() time.Duration { return f.wait() + contestedWindow }

func (f futility) over(now time.Time) bool { return now.Sub(f.at) >= f.remembered() }

// alike reports whether two observations differ in nothing that would be repaired.
func alike(a, b plan.Observed) bool {
	return a.SpecHash == b.SpecHash && a.MetadataIntact == b.MetadataIntact && a.Owner == b.Owner && a.Terminating == b.Terminating
}

func (c *contention) of(namespace string) *contest {
	known, ok := c.namespaces[namespace]
	if !ok {
		known = &contest{}
		c.namespaces[namespace] = known
	}
	return known
}

// recent returns the times that lie within contestedWindow.
func recent(times []time.Time, now time.Time) []time.Time {
	i := slices.IndexFunc(times, func(at time.Time) bool { return now.Sub(at) < contestedWindow })
	if i < 0 {
		return nil
	}
	return times[i:]
}
