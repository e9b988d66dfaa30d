// Package governance decides whether netbaseline may write or remove policies in a namespace, and
// for which baseline. It is pure: it decides on its arguments only and never reads from the
// cluster. A decision that cached data cannot justify is returned as Confirm.
//
// Anything uncertain results in Hold, which removes nothing. In particular, absence is not
// evidence: after "kubectl delete crd" an instance is not found either, and in a restored cluster
// every baseline may seem to have been deleted.
package governance

import (
	"fmt"
	"slices"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/policy"
)

// Action is what may be done in a namespace.
type Action string

const (
	// Ignore means that no baseline governs the namespace and no policy of ours exists there.
	Ignore Action = "Ignore"
	// Enforce means that the namespace is brought to the desired policies of Decision.Governor.
	Enforce Action = "Enforce"
	// Hold means that nothing is removed and Decision.Reason is reported. If another baseline would
	// govern otherwise, it is Decision.Governor: existing policies that allow more than that
	// baseline does are still closed.
	Hold Action = "Hold"
	// Confirm means that policies would be released, or handed over to a baseline that protects
	// less, if the API server itself confirms what the cache contains.
	Confirm Action = "Confirm"
	// Release means that the policies made for Decision.Owners are removed.
	Release Action = "Release"
)

// Subject is the namespace that a decision is about.
type Subject struct {
	policy.Namespace
	// Terminating means that the namespace is being deleted. Its pods may still run, so the
	// policies that isolate them stay in the desired state; but nothing can be created there any
	// more, and nothing is reported.
	Terminating bool
	// Owners are the baselines that our policies there were made for, without duplicates.
	Owners []string
	// Orphaned means that a policy of ours there has lost the label that names its baseline.
	Orphaned bool
	// Unmarked means that an object exists under one of our names without any mark of ours: it is
	// foreign, or a tenant has removed the marks.
	Unmarked bool
}

// Evidence describes what was read from the API server itself, bypassing every cache.
type Evidence struct {
	// Live means that the snapshot and the subject were read live; without it, nothing is ever
	// released.
	Live bool
	// CRDTerminating means that our CustomResourceDefinition is being deleted.
	CRDTerminating bool
}

// Decision is the result for one namespace.
type Decision struct {
	Action Action
	// Governor is the baseline to enforce with Enforce; the one to take over with Confirm; and with
	// Hold the one whose policies are the limit in the meantime. Nil with Release, and where there
	// is none.
	Governor *Candidate
	// Owners are the baselines whose policies are concerned: to remove with Release, to leave alone
	// with Hold.
	Owners []string
	// Unselected are those of the owners that give the namespace up because they no longer select
	// it.
	Unselected []string
	// Reason is why a namespace is held, in one word; Message explains it.
	Reason, Message string
	// Selecting names the accepted baselines that select the namespace, by precedence, whether they
	// govern it or not.
	Selecting []string
}

// Decide decides about one namespace.
func Decide(snapshot *Snapshot, subject Subject, evidence Evidence) Decision {
	decision := snapshot.decide(subject, evidence)
	decision.Selecting = snapshot.selecting(subject.Namespace)
	if decision.Action == Hold && subject.Terminating {
		decision = Decision{Action: Ignore} // its policies go with the namespace: there is nothing to hold or to report
	}
	return decision
}

func (v *Snapshot) decide(subject Subject, evidence Evidence) Decision {
	if governor := v.governor(subject); governor != nil {
		return v.handOver(governor, subject, evidence)
	}
	subject.Owners = v.adopted(subject)
	switch {
	case len(subject.Owners) > 0:
		return v.release(subject, evidence)
	case subject.Orphaned, subject.Unmarked && v.removesFrom(subject.Namespace):
		return hold(nil, nil, claim{
			v1alpha1.ReasonOwnerUnknown, "does not say which baseline it was made for, and no baseline governs the namespace; " +
				"delete it by hand, or label the namespace so that a baseline governs it",
		})
	}
	return Decision{Action: Ignore}
}

// handOver decides about a namespace that a baseline would govern.
func (v *Snapshot) handOver(governor *Candidate, subject Subject, evidence Evidence) Decision {
	claims := v.claims(slices.DeleteFunc(slices.Clone(subject.Owners), func(name string) bool {
		owner := v.byName[name] // one of lower precedence need not yield
		return owner == governor || owner != nil && byPrecedence(governor, owner) < 0
	}), subject)
	switch {
	case evidence.CRDTerminating && len(claims.yielding) > 0:
		return holdForCRD(subject)
	case len(claims.kept) > 0:
		return hold(claims.kept, governor, claims.why)
	case len(claims.yielding) > 0 && !evidence.Live:
		return Decision{Action: Confirm, Governor: governor, Owners: claims.yielding, Unselected: claims.unselected}
	}
	return Decision{Action: Enforce, Governor: governor}
}

// release decides about policies in a namespace that no baseline governs.
func (v *Snapshot) release(subject Subject, evidence Evidence) Decision {
	if evidence.CRDTerminating {
		return holdForCRD(subject)
	}
	if undecided := v.undecided(subject); undecided != nil {
		return hold(subject.Owners, nil, *undecided)
	}
	claims := v.claims(subject.Owners, subject)
	switch {
	case len(claims.yielding) == 0:
		return hold(claims.kept, nil, claims.why)
	case !evidence.Live:
		return Decision{Action: Confirm, Owners: claims.yielding, Unselected: claims.unselected}
	}
	return Decision{Action: Release, Owners: slices.Clip(claims.yielding)}
}

func holdForCRD(subject Subject) Decision {
	return hold(subject.Owners, nil, claim{v1alpha1.ReasonCRDTerminating, "the ClusterNetworkBaseline CRD is being deleted, so the policies stay"})
}

// governor returns the baseline of highest precedence that may write policies in a namespace, nil
// if none may.
func (v *Snapshot) governor(subject Subject) *Candidate {
	for _, candidate := range v.candidates {
		if v.stand(candidate, subject).standing == governs {
			return candidate
		}
	}
	return nil
}

// selecting returns the names of the accepted baselines that select a namespace.
func (v *Snapshot) selecting(namespace policy.Namespace) []string {
	if v.Protected(namespace.Name) {
		return nil
	}
	var names []string
	for _, candidate := range v.candidates {
		if candidate.Accepted() && candidate.selects(namespace) {
			names = append(names, candidate.Baseline.Name)
		}
	}
	return names
}

// adopted returns the owners of the policies in a namespace that no baseline governs. A policy that
// has lost its label counts as made for the baselines that select the namespace and are being
// deleted: otherwise it would never be cleaned up.
func (v *Snapshot) adopted(subject Subject) []string {
	if !subject.Orphaned {
		return subject.Owners
	}
	owners := slices.Clone(subject.Owners)
	for _, candidate := range v.candidates {
		if candidate.removesOnDeletion() && candidate.selects(subject.Namespace) && !slices.Contains(owners, candidate.Baseline.Name) {
			owners = append(owners, candidate.Baseline.Name)
		}
	}
	return owners
}

// removesFrom reports whether a baseline that selects the namespace is being deleted, and its
// policies with it.
func (v *Snapshot) removesFrom(namespace policy.Namespace) bool {
	return slices.ContainsFunc(v.candidates, func(candidate *Candidate) bool {
		return candidate.removesOnDeletion() && candidate.selects(namespace)
	})
}

// claims groups the owners of the policies in a namespace by whether they give them up.
type claims struct {
	// yielding give them up; unselected are those of them that no longer select the namespace.
	yielding, unselected []string
	// kept are unsure, for the reason of the first.
	kept []string
	why  claim
}

// claim is a reason, as one word and as a message.
type claim struct{ reason, message string }

// claims determines the standing of owners of the policies in a namespace.
func (v *Snapshot) claims(owners []string, subject Subject) claims {
	var c claims
	for _, name := range owners {
		answer := v.standOf(name, subject)
		switch answer.standing {
		case yields:
			c.yielding = append(c.yielding, name)
			if answer.unselected {
				c.unselected = append(c.unselected, name)
			}
		case unsure, governs: // the governor has the highest precedence, so only unsure owners get here
			if len(c.kept) == 0 {
				c.why = answer.claim
			}
			c.kept = append(c.kept, name)
		}
	}
	return c
}

// undecided returns why a baseline that selects a namespace and is meant to enforce cannot govern
// it, nil if there is no such baseline. While there is one, nothing is released.
func (v *Snapshot) undecided(subject Subject) *claim {
	if v.Protected(subject.Name) {
		return nil
	}
	for _, candidate := range v.candidates {
		if !candidate.Enforces() || !candidate.selects(subject.Namespace) {
			continue
		}
		if !candidate.Accepted() {
			return &claim{
				v1alpha1.ReasonBaselineNotAccepted,
				fmt.Sprintf("baseline %q may select the namespace too but is not accepted: %s", candidate.Baseline.Name, candidate.Rejection),
			}
		}
		return &claim{v1alpha1.ReasonFinalizerMissing, fmt.Sprintf("baseline %q is about to govern the namespace", candidate.Baseline.Name)}
	}
	return nil
}

func hold(owners []string, governor *Candidate, why claim) Decision {
	return Decision{Action: Hold, Owners: owners, Governor: governor, Reason: why.reason, Message: why.message}
}
