package apply

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/plan"
)

// ErrUnconfirmed means that a write would have removed protection because of a plan that may be
// outdated. Read from the API server itself, and plan again.
var ErrUnconfirmed = errors.New("the write would take protection away and is not confirmed with the API server")

// AlteredError means that the API server stored something other than what was sent: a mutating
// webhook or admission policy changes our policies. A retry would have the same result.
type AlteredError struct {
	// Name is the name of the policy.
	Name string
	// Stored is the policy as the API server stored it.
	Stored plan.Observed
}

// Error describes the problem and how to fix it.
func (e *AlteredError) Error() string {
	return fmt.Sprintf("a mutating webhook or admission policy of the cluster changes %s whenever it is written: exclude it there", e.Name)
}

// KeptError means that a policy is being deleted and is kept by a finalizer that netbaseline does
// not remove.
type KeptError struct{ Name, Finalizer string }

// Error names the policy and the finalizer.
func (e *KeptError) Error() string {
	return fmt.Sprintf("%s is being deleted and kept by finalizer %s; it is created again when it is gone", e.Name, e.Finalizer)
}

// LeftError means that a policy was left as it is, because it allows no more than the desired one,
// or no more than some baseline would.
type LeftError struct {
	Name  string
	Found plan.Observed
}

// Error names the policy.
func (e *LeftError) Error() string { return e.Name + " allows no more than it is to, and is left" }

// stepError is the error of one step.
type stepError struct {
	step *plan.Step
	err  error
}

// Error omits the policy's name where the API server's message repeats it.
func (e *stepError) Error() string {
	return fmt.Sprintf("%s %s: %s", e.step.Operation, e.step.Name, brief(e.err, e.step.Name))
}

// Unwrap returns the cause.
func (e *stepError) Unwrap() error { return e.err }

// brief returns the message of an error without the name of the policy, which the API server and
// its admission plugins repeat: the length of a status message is limited, and the message of an
// admission rule comes last.
func brief(err error, name string) string {
	message := err.Error()
	for _, repeated := range []string{
		fmt.Sprintf("networkpolicies.networking.k8s.io %q is forbidden: ", name),
		fmt.Sprintf("NetworkPolicy.networking.k8s.io %q is invalid: ", name),
	} {
		message = strings.ReplaceAll(message, repeated, "")
	}
	return message
}

// Alterations returns each policy that the API server altered, as stored, by name.
func Alterations(err error) map[string]plan.Observed {
	altered := map[string]plan.Observed{}
	each(err, func(leaf error) {
		if alteration, ok := errors.AsType[*AlteredError](leaf); ok {
			altered[alteration.Name] = alteration.Stored
		}
	})
	return altered
}

// Left returns the policies that were left as they are, by name, and the error without those.
func Left(err error) (map[string]plan.Observed, error) {
	left := map[string]plan.Observed{}
	var others []error
	each(err, func(leaf error) {
		if l, ok := errors.AsType[*LeftError](leaf); ok {
			left[l.Name] = l.Found
			return
		}
		others = append(others, leaf)
	})
	return left, errors.Join(others...)
}

// Refused returns the names of the policies that could not be written.
func Refused(err error) []string {
	var names []string
	each(err, func(leaf error) {
		if failed, ok := errors.AsType[*stepError](leaf); ok && !isAltered(leaf) {
			names = append(names, failed.step.Name)
		}
	})
	return names
}

func isAltered(err error) bool {
	_, altered := errors.AsType[*AlteredError](err)
	return altered
}

// joined joins errors, the refusals before the alterations, so that the first one is the one to
// show.
func joined(errs []error) error {
	slices.SortStableFunc(errs, func(a, b error) int {
		return cmp.Compare(rank(a), rank(b))
	})
	return errors.Join(errs...)
}

// rank orders errors by urgency: those that do not resolve on their own, then alterations, then all
// others.
func rank(err error) int {
	_, permanent := classify(err)
	switch {
	case isAltered(err):
		return 1
	case permanent:
		return 0
	}
	return 2
}

// each calls visit for every error that was joined into err.
func each(err error, visit func(error)) {
	if err == nil {
		return
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, leaf := range several.Unwrap() {
			each(leaf, visit)
		}
		return
	}
	visit(err)
}

// Refusal describes a write error for a status.
type Refusal struct {
	// Reason is one of the reasons of the API package.
	Reason string
	// Message describes what happened.
	Message string
	// Permanent means that it does not resolve on its own.
	Permanent bool
}

// NamespaceGone reports whether a write failed because its namespace is being deleted, or is gone.
// That is not a failure: there is nothing left to protect.
func NamespaceGone(err error) bool {
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return true
	}
	status, ok := errors.AsType[*apierrors.StatusError](err)
	return ok && apierrors.IsNotFound(status) && status.ErrStatus.Details != nil && status.ErrStatus.Details.Kind == "namespaces"
}

// Explain translates an error of Execute into a Refusal; if there are several errors, the first.
func Explain(err error) Refusal {
	var refusals []Refusal
	each(err, func(leaf error) {
		reason, permanent := classify(leaf)
		refusals = append(refusals, Refusal{Reason: reason, Permanent: permanent, Message: leaf.Error()})
	})
	return refusals[0]
}

func classify(err error) (reason string, permanent bool) {
	_, kept := errors.AsType[*KeptError](err)
	switch {
	case isAltered(err):
		return v1alpha1.ReasonAlteredByAdmission, true
	case kept:
		return v1alpha1.ReasonTerminatingPolicy, false
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota"):
		// The quota admission plugin has no reason or cause of its own.
		return v1alpha1.ReasonQuotaExceeded, true
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "status unknown for quota"):
		return v1alpha1.ReasonQuotaExceeded, false // until the quota controller has counted a new quota's namespace
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return v1alpha1.ReasonForbidden, true
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return v1alpha1.ReasonInvalid, true
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err):
		// Not found: another client deleted the policy between our read and our write.
		return v1alpha1.ReasonConflict, false
	}
	return v1alpha1.ReasonUnavailable, false
}
