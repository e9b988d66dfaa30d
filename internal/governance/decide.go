// Package governance owns one question: may netbaseline write, or remove, policies in a namespace, and for which baseline? It is
// pure. It decides on what it is told and never asks the cluster; what a view from a cache cannot justify it sends back to be confirmed.
//
// Hold, touching nothing, is the answer to everything that is not certain. In particular, absence is not evidence: after
// "kubectl delete crd" an instance is not found either, and a restored cluster looks as if every baseline had been deleted.
package governance

import (
	"cmp"
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
	// Hold says to touch nothing and to report Decision.Reason.
	Hold Action = "Hold"
	// Confirm says that policies would be released if the API server itself confirms what the cache says.
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
	// Owners are the baselines named by the labels of our policies there, without duplicates.
	Owners []string
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
	// Governor is the baseline to enforce; only with Enforce.
	Governor *Candidate
	// Owners are the baselines whose policies this is about: to remove with Release, to leave alone with Hold.
	Owners []string
	// Reason says why a namespace is held, in one word; Message says it in words.
	Reason, Message string
	// Selecting names the accepted baselines that select the namespace, by precedence, whoever governs it.
	Selecting []string
}

// Decide answers for one namespace.
func Decide(view *View, subject Subject, evidence Evidence) Decision {
	governor, selecting, doubt := view.survey(subject.Namespace)
	switch {
	case governor != nil && view.spared.Has(subject.Name) && len(subject.Owners) == 0:
		return Decision{Action: Ignore}
	case governor != nil:
		return Decision{Action: Enforce, Governor: governor, Selecting: selecting}
	case len(subject.Owners) == 0:
		return Decision{Action: Ignore, Selecting: selecting}
	}
	decision := view.release(subject, evidence, doubt)
	if subject.Terminating && decision.Action == Hold {
		return Decision{Action: Ignore} // its policies go with the namespace: there is nothing to hold or to report
	}
	decision.Selecting = selecting
	return decision
}

// survey returns the baseline that governs a namespace, the names of all that select it, and a baseline that may come to govern
// it but cannot yet: while there is one, nothing is released.
func (v *View) survey(namespace policy.Namespace) (governor *Candidate, selecting []string, doubt *Candidate) {
	if v.Protected(namespace.Name) {
		return nil, nil, nil
	}
	for _, candidate := range v.candidates {
		if !candidate.selects(namespace) {
			continue
		}
		if candidate.Accepted() {
			selecting = append(selecting, candidate.Baseline.Name)
		}
		switch {
		case candidate.eligible() && governor == nil:
			governor = candidate
		case candidate.Enforces() && !candidate.eligible() && doubt == nil:
			doubt = candidate
		}
	}
	return governor, selecting, doubt
}

// release decides about policies in a namespace that nobody governs.
func (v *View) release(subject Subject, evidence Evidence, doubt *Candidate) Decision {
	if evidence.CRDTerminating {
		return hold(subject.Owners, v1alpha1.ReasonCRDTerminating, "the ClusterNetworkBaseline CRD is being deleted, so the policies stay")
	}
	if doubt != nil {
		return holdForDoubt(subject.Owners, doubt)
	}
	var owners []string
	var held Decision
	for _, owner := range subject.Owners {
		if reason, message := v.whyNotReleased(owner, subject.Terminating); reason != "" {
			held = hold(append(held.Owners, owner), cmp.Or(held.Reason, reason), cmp.Or(held.Message, message))
		} else {
			owners = append(owners, owner)
		}
	}
	switch {
	case len(owners) == 0:
		return held
	case !evidence.Live:
		return Decision{Action: Confirm, Owners: owners}
	}
	return Decision{Action: Release, Owners: slices.Clip(owners)}
}

// whyNotReleased returns why the policies of an owner must stay in a namespace that nobody governs, or "" if they may go.
func (v *View) whyNotReleased(owner string, terminating bool) (reason, message string) {
	candidate := v.byName[owner]
	switch {
	case candidate == nil:
		return v1alpha1.ReasonBaselineAbsent, fmt.Sprintf("baseline %q does not exist, so its policies stay; create it again, or delete them by hand", owner)
	case candidate.Deleting() && candidate.Baseline.Spec.DeletionPolicy == v1alpha1.DeletionPolicyDelete:
		return "", ""
	case candidate.Deleting():
		return v1alpha1.ReasonBaselineRetains, fmt.Sprintf("baseline %q is being deleted and retains its policies", owner)
	case !candidate.Accepted():
		return v1alpha1.ReasonBaselineNotAccepted, fmt.Sprintf("baseline %q is not accepted: %s", owner, candidate.Rejection)
	case candidate.Baseline.Spec.Mode != v1alpha1.ModeEnforce:
		return v1alpha1.ReasonBaselineInAudit, fmt.Sprintf("baseline %q is in Audit, so its policies stay as they are", owner)
	case terminating:
		return v1alpha1.ReasonUnconfirmed, "the namespace is being deleted and its pods may still run, so the policies stay"
	}
	return "", ""
}

func hold(owners []string, reason, message string) Decision {
	return Decision{Action: Hold, Owners: owners, Reason: reason, Message: message}
}

func holdForDoubt(owners []string, doubt *Candidate) Decision {
	if !doubt.Accepted() {
		return hold(owners, v1alpha1.ReasonBaselineNotAccepted,
			fmt.Sprintf("baseline %q may select the namespace too but is not accepted: %s", doubt.Baseline.Name, doubt.Rejection))
	}
	return hold(owners, v1alpha1.ReasonFinalizerMissing, fmt.Sprintf("baseline %q is about to govern the namespace", doubt.Baseline.Name))
}
