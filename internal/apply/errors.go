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

// ErrUnconfirmed says that a write would have taken protection away, by a plan that may stand on an outdated view. Ask the API server
// itself, and plan again.
var ErrUnconfirmed = errors.New("the write would take protection away and is not confirmed with the API server")

// AlteredError says that the API server stored something else than was sent: a mutating webhook or admission policy changes our
// policies. Writing again would only repeat it.
type AlteredError struct {
	// Name is that of the policy.
	Name string
	// Stored is what the API server has made of it.
	Stored plan.Observed
}

// Error says what happened and what to do about it.
func (e *AlteredError) Error() string {
	return fmt.Sprintf("a mutating webhook or admission policy of the cluster changes %s whenever it is written: exclude it there", e.Name)
}

// Alterations returns what the API server made of each policy that it altered, by name.
func Alterations(err error) map[string]plan.Observed {
	altered := map[string]plan.Observed{}
	each(err, func(leaf error) {
		if alteration, ok := errors.AsType[*AlteredError](leaf); ok {
			altered[alteration.Name] = alteration.Stored
		}
	})
	return altered
}

func onlyAltered(err error) bool {
	only := true
	each(err, func(leaf error) {
		_, altered := errors.AsType[*AlteredError](leaf)
		only = only && altered
	})
	return only
}

// joined joins errors, the refusals before the alterations, so that the first one is the one to show.
func joined(errs []error) error {
	slices.SortStableFunc(errs, func(a, b error) int {
		return cmp.Compare(rank(a), rank(b))
	})
	return errors.Join(errs...)
}

func rank(err error) int {
	if _, altered := errors.AsType[*AlteredError](err); altered {
		return 1
	}
	return 0
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

// Refusal is an error of a write, put into words for a status.
type Refusal struct {
	// Reason is one of the reasons of the API package.
	Reason string
	// Message says what happened.
	Message string
	// Permanent says that it does not pass by itself.
	Permanent bool
}

// NamespaceGone says whether a write failed because its namespace is being deleted, or is gone. That is no failure: there is
// nothing left to protect.
func NamespaceGone(err error) bool {
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return true
	}
	status, ok := errors.AsType[*apierrors.StatusError](err)
	return ok && apierrors.IsNotFound(status) && status.ErrStatus.Details != nil && status.ErrStatus.Details.Kind == "namespaces"
}

// Explain puts an error of Execute into words; of several, the first.
func Explain(err error) Refusal {
	var refusals []Refusal
	each(err, func(leaf error) {
		reason, permanent := classify(leaf)
		refusals = append(refusals, Refusal{Reason: reason, Permanent: permanent, Message: leaf.Error()})
	})
	return refusals[0]
}

func classify(err error) (reason string, permanent bool) {
	_, altered := errors.AsType[*AlteredError](err)
	switch {
	case altered:
		return v1alpha1.ReasonAlteredByAdmission, true
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
		// Not found: somebody deleted the policy between our read and our write.
		return v1alpha1.ReasonConflict, false
	}
	return v1alpha1.ReasonUnavailable, false
}
