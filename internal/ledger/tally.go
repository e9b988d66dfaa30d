package ledger

import (
	"fmt"
	"slices"
	"strings"
)

// Tally counts the namespaces in which something happened, for one event.
type Tally struct {
	count int
	names []string // the first few
}

// namedInEvent is how many namespaces an event names: enough to recognize what happened, few enough
// to read.
const namedInEvent = 3

func (t *Tally) add(namespace string) {
	t.count++
	if len(t.names) < namedInEvent {
		t.names = append(t.names, namespace)
	}
}

// String formats the tally as "3 namespaces: a, b, c".
func (t *Tally) String() string {
	if t == nil || t.count == 0 {
		return ""
	}
	noun := "namespaces"
	if t.count == 1 {
		noun = "namespace"
	}
	text := fmt.Sprintf("%d %s: %s", t.count, noun, strings.Join(slices.Sorted(slices.Values(t.names)), ", "))
	if more := t.count - len(t.names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// First returns the first, by name, of the namespaces that the tally names.
func (t *Tally) First() string { return slices.Min(t.names) }

// NoteEnforced records that a namespace has received the policies of a baseline.
func (l *Ledger) NoteEnforced(baseline, namespace string) { l.note(l.enforced, baseline, namespace) }

// NoteReleased records that the policies of a baseline were removed from a namespace.
func (l *Ledger) NoteReleased(baseline, namespace string) { l.note(l.released, baseline, namespace) }

func (l *Ledger) note(tallies map[string]*Tally, baseline, namespace string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, exists := l.observed[baseline]; !exists {
		return // there is no object for the event, and names of deleted baselines must not accumulate
	}
	l.changed(baseline)
	if tallies[baseline] == nil {
		tallies[baseline] = &Tally{}
	}
	tallies[baseline].add(namespace)
}

// TakeTallies returns and resets the tallies of a baseline since the last call, nil for none.
func (l *Ledger) TakeTallies(baseline string) (enforced, released *Tally) {
	l.mu.Lock()
	defer l.mu.Unlock()
	enforced, released = l.enforced[baseline], l.released[baseline]
	delete(l.enforced, baseline)
	delete(l.released, baseline)
	return enforced, released
}
