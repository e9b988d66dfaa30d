package controllers

import "time"

// inquiry spaces out what is asked of the API server about a baseline: at most once a second, and less and less often while what prompts
// the question stays the same.
type inquiry struct {
	prompt any
	next   time.Time
	wait   time.Duration
	left   string // what the last answer says is left; "" for nothing
}

// due reports whether the question may be asked, and if not, when.
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
