package controllers

import "time"

// inquiry limits the requests to the API server about a baseline: at most one a second, and fewer
// and fewer while their prompt stays the same.
type inquiry struct {
	prompt any
	next   time.Time
	wait   time.Duration
	left   string // a policy that was left at the last request; "" for none
}

// due reports whether a request may be made now, and how long to wait before the next one.
func (i *inquiry) due(prompt any, now time.Time) (bool, time.Duration) {
	if i.prompt != prompt && i.wait > statusInterval {
		i.wait, i.next = 0, i.next.Add(-i.wait+statusInterval)
	}
	i.prompt = prompt
	if wait := i.next.Sub(now); wait > 0 {
		return false, wait
	}
	i.wait = min(max(2*i.wait, statusInterval), lastRetry)
	i.next = now.Add(i.wait)
	return true, i.wait
}
