package controllers

import (
	"slices"
	"sync"
	"time"

	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
)

const (
	// contestedAfter is how many disturbances within contestedWindow a namespace may see without
	// being contested: more than a person causes by hand.
	contestedAfter  = 10
	contestedWindow = time.Minute
	// rivalPatience is how often the same harmless change is reverted immediately: more often than
	// a person makes it by mistake. After that it is deliberate, such as by another build of
	// netbaseline that writes at the same time.
	rivalPatience = 3
	// futileRetry and futileMaxRetry bound the delay before a write that did not last is repeated:
	// at first long enough to cause no load, and never so long that a removed cause goes unnoticed
	// for long.
	futileRetry    = time.Minute
	futileMaxRetry = 10 * time.Minute
)

// contention tracks, for the few namespaces in which other clients write our policies, how often
// that happens, and which of our writes are futile there. It only ever delays writes that close
// nothing.
type contention struct {
	mu         sync.Mutex
	namespaces map[string]*contest
}

type contest struct {
	disturbances []time.Time // within contestedWindow, at most contestedAfter+1 of them
	futile       map[string]futility
}

// futility describes the object found under the name of a policy although we had written the
// policy.
type futility struct {
	cause   cause
	found   plan.Observed
	desired policy.Hash // of the policy to write
	owner   string
	writes  int
	at      time.Time // time of the last write
}

// cause is why a write is futile.
type cause int

const (
	// competitor: another client keeps writing this object, which allows no more than the policy
	// does.
	competitor cause = iota
	// altering: admission turns the policy into this object.
	altering
	// kept: the object stays while it allows no more than another baseline does, until the desired
	// policies of the namespace change.
	kept
)

func newContention() *contention { return &contention{namespaces: map[string]*contest{}} }

// disturbed records another client's write to our policies, whether it was repaired or won the
// race.
func (c *contention) disturbed(namespace string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	contest := c.of(namespace)
	contest.disturbances = append(recent(contest.disturbances, now), now)
	if surplus := len(contest.disturbances) - contestedAfter - 1; surplus > 0 {
		contest.disturbances = contest.disturbances[surplus:]
	}
}

// futile records that writing over the object found under a name did not last, or is not to be
// done.
func (c *contention) futile(namespace string, step plan.Step, why cause, found plan.Observed, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	contest := c.of(namespace)
	noted := futility{cause: why, found: found, desired: step.Desired.Hash, owner: step.Owner(), writes: 1, at: now}
	if before, known := contest.futile[step.Name]; known && before.cause == why && before.about(step) && sameState(before.found, found) && !before.over(now) {
		noted.writes += before.writes
	}
	if contest.futile == nil {
		contest.futile = map[string]futility{}
	}
	contest.futile[step.Name] = noted
}

// lasted drops the record of futile writes of a policy.
func (c *contention) lasted(namespace, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if contest, ok := c.namespaces[namespace]; ok {
		delete(contest.futile, name)
	}
}

// retarget ends a contest about policies that are no longer desired: it does not carry over to the
// new ones.
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

// sift removes the futile steps from a plan. It returns the policies that are left alone, by cause,
// and when the first of them is written again; 0 for never.
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

// leave reports whether a step is futile, why, and for how long; 0 until something changes.
func (c *contest) leave(step plan.Step, now time.Time) (why cause, wait time.Duration, leave bool) {
	futility, known := c.futile[step.Name]
	if !known || step.Operation != plan.Update || !futility.about(step) || !sameState(step.Found, futility.found) {
		return 0, 0, false
	}
	if futility.cause == kept {
		return kept, 0, step.OnlyToClose // otherwise it is no longer held
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

// disputed reports whether other clients have recently written our policies in a namespace.
func (c *contention) disputed(namespace string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.namespaces[namespace]
	return ok
}

// prune drops expired records, and returns when the next ones expire; 0 for never.
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

// wait returns the delay between the last write and the next one.
func (f futility) wait() time.Duration {
	repeats := f.writes - 1
	if f.cause == competitor {
		repeats = f.writes - rivalPatience
	}
	if repeats < 0 {
		return 0
	}
	return min(futileRetry<<min(repeats, 10), futileMaxRetry)
}

// remembered returns how long after the last write a futility is kept: longer than the wait for the
// next write.
func (f futility) remembered() time.Duration { return f.wait() + contestedWindow }

func (f futility) over(now time.Time) bool { return now.Sub(f.at) >= f.remembered() }

// sameState reports whether two observations agree in everything that a repair would change.
func sameState(a, b plan.Observed) bool {
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

// recent returns the times within contestedWindow.
func recent(times []time.Time, now time.Time) []time.Time {
	i := slices.IndexFunc(times, func(at time.Time) bool { return now.Sub(at) < contestedWindow })
	if i < 0 {
		return nil
	}
	return times[i:]
}
