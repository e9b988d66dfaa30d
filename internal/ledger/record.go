package ledger

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// State is the state of a namespace.
type State string

const (
	// Unmanaged means that no baseline governs the namespace and no policy of ours exists there.
	Unmanaged State = ""
	// Synced means that the namespace has exactly the desired policies.
	Synced State = "synced"
	// Pending means that the namespace is being worked on, or retried after a failure that resolves
	// on its own.
	Pending State = "pending"
	// Failed means that policies of the namespace cannot be written for a reason that does not
	// resolve on its own.
	Failed State = "failed"
	// Held means that policies of ours are left untouched.
	Held State = "held"
	// Releasing means that no baseline governs the namespace any more, and that the removal of its
	// policies is refused.
	Releasing State = "releasing"
)

// Record is what is known about one namespace.
type Record struct {
	// Baseline governs the namespace, or, when Held or Releasing, is the one that its policies were
	// made for.
	Baseline string
	// AlsoHeld names further baselines that policies in a Held namespace were made for.
	AlsoHeld []string
	// Generation and UID are those of the governing baseline.
	Generation int64
	UID        types.UID
	// NamespaceUID is that of the namespace itself: a namespace that is created again under its
	// name has another.
	NamespaceUID types.UID
	// Target identifies the desired policies of a governed namespace.
	Target uint64
	// Environment is the namespace's environment; "" for none.
	Environment string
	State       State
	// Reason and Message explain why the namespace is Pending, Failed, Held or Contested.
	Reason, Message string
	// Contested means that another client keeps changing the policies, although they are restored
	// each time.
	Contested bool
	// Reached means that the namespace has been Synced since it got its current target. The ledger
	// maintains it.
	Reached bool
	// Since is when the namespace became Pending; it is kept while it stays so.
	Since time.Time
	// LeavingSince is when the baseline was first seen to no longer select the namespace, as long
	// as its policies have not been released.
	LeavingSince time.Time
	// Selecting names the baselines that select the namespace, whether they govern it or not.
	Selecting []string
	// Previewed lists what baselines in Audit would do here if they enforced, without those that
	// would do nothing.
	Previewed []Previewed
}

// Previewed is what a baseline in Audit would do in a namespace.
type Previewed struct {
	Baseline string
	Effect   Effect
}

// Effect is what a baseline in Audit would do to the policies of a namespace.
type Effect string

const (
	// Create means that no policy of ours exists there, and that some would be created.
	Create Effect = "create"
	// Change means that policies would be added to others, altered, taken over from another
	// baseline, or some of them removed.
	Change Effect = "change"
	// Leave means that the policies are in the desired state.
	Leave Effect = "leave"
	// Remove means that all policies made for the baseline would go, because it does not select the
	// namespace any more.
	Remove Effect = "remove"
)

// SameTarget reports whether two records have the same desired policies.
func (r Record) SameTarget(other Record) bool {
	return r.SameGovernor(other) && r.Target == other.Target
}

// SameGovernor reports whether two records are of one namespace under one baseline, whatever its
// spec.
func (r Record) SameGovernor(other Record) bool {
	return r.Baseline == other.Baseline && r.UID == other.UID && r.NamespaceUID == other.NamespaceUID
}

// needsAttention reports whether a record belongs in the status for a human to read.
func (r Record) needsAttention() bool {
	return r.State == Failed || r.State == Pending || r.State == Releasing || r.Contested
}

// follow takes over from the record before, nil for none, what is still so.
func (r *Record) follow(old *Record) {
	r.Reached = r.State == Synced || old != nil && old.Reached && old.SameTarget(*r)
	if old != nil && r.State == Pending && old.State == Pending && !old.Since.IsZero() {
		r.Since = old.Since
	}
}

// concerned returns the baselines that a record affects, possibly with "" and duplicates.
func (r Record) concerned() []string {
	names := append(slices.Clone(r.Selecting), r.Baseline)
	names = append(names, r.AlsoHeld...)
	for _, previewed := range r.Previewed {
		names = append(names, previewed.Baseline)
	}
	return names
}

// Owners returns the baselines that the policies of the namespace were made for.
func (r *Record) Owners() []string {
	if r.Baseline == "" {
		return nil
	}
	return append([]string{r.Baseline}, r.AlsoHeld...)
}

// Governed reports whether a baseline governs the namespace.
func (r *Record) Governed() bool {
	return r.State == Synced || r.State == Pending || r.State == Failed
}

func equal(a, b Record) bool {
	return a.SameTarget(b) && a.Generation == b.Generation && a.Environment == b.Environment && sameState(a, b) &&
		slices.Equal(a.AlsoHeld, b.AlsoHeld) && slices.Equal(a.Selecting, b.Selecting) && slices.Equal(a.Previewed, b.Previewed)
}

func sameState(a, b Record) bool {
	return a.State == b.State && a.Reason == b.Reason && a.Message == b.Message && a.Contested == b.Contested &&
		a.Since.Equal(b.Since) && a.LeavingSince.Equal(b.LeavingSince)
}
