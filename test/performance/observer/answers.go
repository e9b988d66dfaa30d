package observer

import "time"

// Protection is how the namespaces of a phase came to be protected.
type Protection struct {
	Seen int
	// Latencies is, for each protected one, the time from when it was seen.
	Latencies []time.Duration
	// Last is when the last one was protected; zero if none is.
	Last time.Time
}

// Protection returns how the namespaces of a phase came to be protected.
func (o *Observer) Protection(phase string) Protection {
	o.mu.Lock()
	defer o.mu.Unlock()
	var p Protection
	for _, n := range o.namespaces {
		if n.phase != phase {
			continue
		}
		p.Seen++
		if n.protected.IsZero() {
			continue
		}
		p.Latencies = append(p.Latencies, max(0, n.protected.Sub(n.seen)))
		if n.protected.After(p.Last) {
			p.Last = n.protected
		}
	}
	return p
}

// Rollout is how many namespaces follow the latest baseline.
type Rollout struct {
	Namespaces, Current int
	// Last is when the last of the current ones became so.
	Last time.Time
}

// Rollout returns how many of all namespaces follow the latest baseline.
func (o *Observer) Rollout() Rollout {
	o.mu.Lock()
	defer o.mu.Unlock()
	var r Rollout
	for _, n := range o.namespaces {
		if n.phase == "" {
			continue
		}
		r.Namespaces++
		if n.current.IsZero() {
			continue
		}
		r.Current++
		if n.current.After(r.Last) {
			r.Last = n.current
		}
	}
	return r
}

// TakeRepairs returns all repairs since the last call, and how many policies are broken now.
func (o *Observer) TakeRepairs() (repairs []Repair, broken int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	repairs, o.repairs = o.repairs, nil
	return repairs, len(o.broken)
}

// Repaired returns how many repairs TakeRepairs would return.
func (o *Observer) Repaired() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.repairs)
}
