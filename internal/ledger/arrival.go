package ledger

import "time"

// Arrived records when a new namespace was first seen. The time is kept until the namespace is no
// longer Pending or Failed.
func (l *Ledger) Arrived(namespace string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrivals[namespace] = at
}

// Arrival returns when a namespace that is not protected yet was first seen; false if it is
// protected, or existed at startup.
func (l *Ledger) Arrival(namespace string) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.arrivals[namespace]
	return at, ok
}

func (l *Ledger) dropArrival(namespace string) {
	delete(l.arrivals, namespace)
	if len(l.arrivals) == 0 {
		l.arrivals = map[string]time.Time{} // a map never releases memory
	}
}
