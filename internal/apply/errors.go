package apply

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/plan"
)

// AlteredError says that the API server stored something else than was sent: a mutating webhook or admission policy changes our
// policies. Writing again would only repeat it.
type AlteredError struct {
	Name   string
	Stored plan.Observed
}

// Error says what happened and what to do about it.
func (e *AlteredError) Error() string {
	return fmt.Sprintf("a mutating webhook or admission policy of the cluster changes %s whenever it is written: exclude it there", e.Name)
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

// Explain puts an error of Execute into words.
func Explain(err error) Refusal {
	refusal := Refusal{Message: err.Error()}
	refusal.Reason, refusal.Permanent = classify(err)
	return refusal
}

func classify(err error) (reason string, permanent bool) {
	_, altered := errors.AsType[*AlteredError](err)
	switch {
	case altered:
		return v1alpha1.ReasonAlteredByAdmission, true
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota"):
		// The quota admission plugin has no reason or cause of its own.
		return v1alpha1.ReasonQuotaExceeded, true
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
