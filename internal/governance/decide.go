// Package governance owns one question: may netbaseline write, or remove, policies in a namespace, and for which baseline? It is
// pure. It decides on what it is told and never asks the cluster; what a view from a cache cannot justify it sends back to be confirmed.
//
// Hold, touching nothing, is the answer to everything that is not certain. In particular, absence is not evidence: after
// "kubectl delete crd" an instance is not found either, and a restored cluster looks as if every baseline had been deleted.
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
	// Ignore says that the namespace is none of our business: no baseline governs it and no policy of ours is there.
	Ignore Action = "Ignore"
	// Enforce says to bring the namespace to what Decision.Governor asks for.
	Enforce Action = "Enforce"
	// Hold says to take nothing away and to report Decision.Reason. Where another baseline governs otherwise, it is Decision.Governor:
	// what lies there and allows more than that baseline does is still closed.
	Hold Action = "Hold"
	// Confirm says that policies would be released, or handed over to a baseline that asks for less, if the API server itself
	// confirms what the cache says.
	Confirm Action = "Confirm"
	// Release says to remove the policies that were made for Decision.Owners.
	Release Action = "Release"
)

// Subject is the namespace that a decision is about.
type Subject struct {
	policy.Namespace
	// Terminating says that the namespace is being deleted. Its pods may still run, so what isolates them stays as it must be; but
	// nothing can be created there any more, and nobody is told of it.
	Terminating bool
	// Owners are the baselines that our policies there were made for, without duplicates.
	Owners []string
	// Orphaned says that a policy of ours there has lost the label that names its baseline.
	Orphaned bool
	// Unmarked says that an object lies under one of our names and carries no mark of ours: it is foreign, or a tenant has made it so.
	Unmarked bool
}

// Evidence is what was read from the API server itself, past every cache.
type Evidence struct {
	// Live says that the view and the subject were read live; without it, nothing is ever released.
	Live bool
	// CRDTerminating says that our CustomResourceDefinition is being deleted.
	CRDTerminating bool
}

// Decision is the answer for one namespace.
type Decision struct {
	Action Action
	// Governor is the baseline to enforce with Enforce; the one to take over with Confirm; and with Hold the one that sets what must
	// not be exceeded meanwhile. Nil with Release, and where there is none.
	Governor *Candidate
	// Owners are the baselines whose policies this is about: to remove with Release, to leave alone with Hold.
	Owners []string
	// Unselected are those of the owners that give the namespace up because they no longer select it.
	Unselected []string
	// Reason says why a namespace is held, in one word; Message says it in words.
	Reason, Message string
	// Selecting names the accepted baselines that select the namespace, by precedence, whoever governs it.
	Selecting []string
}

// Decide answers for one namespace.
func Decide(view *View, subject Subject, evidence Evidence) Decision {
	decision := view.decide(subject, evidence)
	decision.Selecting = view.selecting(subject.Namespace)
	if decision.Action == Hold && subject.Terminating {
		decision = Decision{Action: Ignore} // its policies go with the namespace: there is nothing to hold or to report
	}
	return decision
}

func (v *View) decide(subject Subject, evidence Evidence) Decision {
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
func (v *View) handOver(governor *Candidate, subject Subject, evidence Evidence) Decision {
	claims := v.claims(slices.DeleteFunc(slices.Clone(subject.Owners), func(name string) bool {
		owner := v.byName[name] // of lower precedence it need not be asked
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

// release decides about policies in a namespace that nobody governs.
func (v *View) release(subject Subject, evidence Evidence) Decision {
	if evidence.CRDTerminating {
		return holdForCRD(subject)
	}
	if doubt := v.doubt(subject); doubt != nil {
		return hold(subject.Owners, nil, *doubt)
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

// governor returns the baseline of highest precedence that may write policies in a namespace, nil if none may.
func (v *View) governor(subject Subject) *Candidate {
	for _, candidate := range v.candidates {
		if v.stand(candidate, subject).standing == governs {
			return candidate
		}
	}
	return nil
}

// selecting returns the names of the accepted baselines that select a namespace.
func (v *View) selecting(namespace policy.Namespace) []string {
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

// adopted returns the owners of the policies in a namespace that nobody governs. One that has lost its label counts as made for the
// baselines that select the namespace and are being deleted: nothing else would ever clean up behind them.
func (v *View) adopted(subject Subject) []string {
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

// removesFrom reports whether a baseline that selects the namespace is being deleted, and its policies with it.
func (v *View) removesFrom(namespace policy.Namespace) bool {
	return slices.ContainsFunc(v.candidates, func(candidate *Candidate) bool {
		return candidate.removesOnDeletion() && candidate.selects(namespace)
	})
}

// claims is what the owners of the policies in a namespace say to their going, or to their passing to another baseline.
type claims struct {
	// yielding give them up, unselected among them because they no longer select the namespace.
	yielding, unselected []string
	// kept cannot say, for the reason of the first.
	kept []string
	why  claim
}

// claim is a reason, as one word and in words.
type claim struct{ reason, message string }

// claims asks owners of the policies in a namespace.
func (v *View) claims(owners []string, subject Subject) claims {
	var c claims
	for _, name := range owners {
		answer := v.standOf(name, subject)
		switch answer.standing {
		case yields:
			c.yielding = append(c.yielding, name)
			if answer.unselected {
				c.unselected = append(c.unselected, name)
			}
		case unsure, governs: // what governs has the highest precedence, so only what is unsure comes here
			if len(c.kept) == 0 {
				c.why = answer.claim
			}
			c.kept = append(c.kept, name)
		}
	}
	return c
}

// doubt returns why a baseline that selects a namespace and wants to enforce cannot govern it, nil if there is none. While there is
// one, nothing is released.
func (v *View) doubt(subject Subject) *claim {
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
