package ledger

// Total is the number of namespaces of one baseline in one state.
type Total struct {
	// Baseline is "" for baselines that do not exist, so that a forged label cannot add a value of
	// its own.
	Baseline   string
	State      State
	Namespaces int32
}

// Totals returns the number of namespaces by baseline and state, and how many are contested.
func (l *Ledger) Totals() (totals []Total, contested int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	absent := int32(len(l.unowned)) //nolint:gosec // bounded by the number of namespaces
	for name, s := range l.sums {
		contested += s.contested
		if _, exists := l.observed[name]; !exists {
			absent += s.counts.Held
			continue
		}
		totals = append(totals,
			Total{name, Synced, s.counts.Synced}, Total{name, Pending, s.counts.Pending}, Total{name, Failed, s.counts.Failed},
			Total{name, Held, s.counts.Held}, Total{name, Releasing, s.counts.Releasing})
	}
	return append(totals, Total{"", Held, absent}), contested
}
