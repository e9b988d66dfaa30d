package apply_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/apply"
	"github.com/netbaseline/netbaseline/internal/plan"
)

var kind = schema.GroupKind{Group: "networking.k8s.io", Kind: "NetworkPolicy"}

// status is an error that the API server answered, as a client makes it of the answer alone.
func status(code int32, reason metav1.StatusReason, message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message}}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	network := &url.Error{Op: "Post", URL: "https://10.0.0.1:443/", Err: &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}}

	tests := map[string]struct {
		err       error
		reason    string
		permanent bool
	}{
		"403 for want of rights": {err: forbidden(deny), reason: v1alpha1.ReasonForbidden, permanent: true},
		"403 of a quota": {
			err:    apierrors.NewForbidden(policies, deny, errors.New("exceeded quota: objects, requested: count/networkpolicies.networking.k8s.io=1, used: 5, limited: 5")),
			reason: v1alpha1.ReasonQuotaExceeded, permanent: true,
		},
		"403 of a webhook": {
			err: status(403, metav1.StatusReasonForbidden, `admission webhook "w" denied the request: no`), reason: v1alpha1.ReasonForbidden, permanent: true,
		},
		"401":                            {err: apierrors.NewUnauthorized("who are you"), reason: v1alpha1.ReasonForbidden, permanent: true},
		"422":                            {err: apierrors.NewInvalid(kind, deny, field.ErrorList{field.Required(field.NewPath("spec"), "")}), reason: v1alpha1.ReasonInvalid, permanent: true},
		"422 of an admission policy":     {err: status(422, metav1.StatusReasonInvalid, "ValidatingAdmissionPolicy 'p' denied request: no"), reason: v1alpha1.ReasonInvalid, permanent: true},
		"400":                            {err: apierrors.NewBadRequest("what is this"), reason: v1alpha1.ReasonInvalid, permanent: true},
		"400 of a webhook without words": {err: status(400, "", `admission webhook "w" denied the request without explanation`), reason: v1alpha1.ReasonInvalid, permanent: true},
		"409 because it was changed":     {err: apierrors.NewConflict(policies, deny, errors.New("modified")), reason: v1alpha1.ReasonConflict},
		"409 because it is there":        {err: apierrors.NewAlreadyExists(policies, deny), reason: v1alpha1.ReasonConflict},
		"404 of the policy":              {err: notFound(deny), reason: v1alpha1.ReasonConflict},
		"429":                            {err: apierrors.NewTooManyRequests("later", 1), reason: v1alpha1.ReasonUnavailable},
		"429 without a reason":           {err: status(http.StatusTooManyRequests, "", "later"), reason: v1alpha1.ReasonUnavailable},
		"500":                            {err: apierrors.NewInternalError(errors.New("etcd")), reason: v1alpha1.ReasonUnavailable},
		"500 of a webhook that is down":  {err: apierrors.NewInternalError(errors.New(`failed calling webhook "w": connection refused`)), reason: v1alpha1.ReasonUnavailable},
		"503":                            {err: apierrors.NewServiceUnavailable("starting"), reason: v1alpha1.ReasonUnavailable},
		"504 of the server":              {err: apierrors.NewServerTimeout(policies, "create", 1), reason: v1alpha1.ReasonUnavailable},
		"504 of a request":               {err: apierrors.NewTimeoutError("request did not complete", 1), reason: v1alpha1.ReasonUnavailable},
		"an unknown status code":         {err: status(418, "", "teapot"), reason: v1alpha1.ReasonUnavailable},
		"the deadline of a reconcile":    {err: context.DeadlineExceeded, reason: v1alpha1.ReasonUnavailable},
		"the end of the manager":         {err: context.Canceled, reason: v1alpha1.ReasonUnavailable},
		"a network that is down":         {err: network, reason: v1alpha1.ReasonUnavailable},
		"a policy kept by a finalizer":   {err: &apply.KeptError{Name: deny, Finalizer: "example.com/keep"}, reason: v1alpha1.ReasonTerminatingPolicy},
		"an alteration":                  {err: &apply.AlteredError{Name: deny}, reason: v1alpha1.ReasonAlteredByAdmission, permanent: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wrapped := fmt.Errorf("create %s: %w", deny, test.err)
			want := apply.Refusal{Reason: test.reason, Permanent: test.permanent, Message: wrapped.Error()}
			// However it comes, alone or joined as Execute joins it, it is the same.
			for _, err := range []error{wrapped, errors.Join(wrapped, nil), errors.Join(errors.Join(wrapped), nil)} {
				if diff := cmp.Diff(want, apply.Explain(err)); diff != "" {
					t.Errorf("%#v (-want +got):\n%s", err, diff)
				}
			}
			if apply.NamespaceGone(wrapped) {
				t.Error("the namespace is taken for gone, and the failure would be forgotten")
			}
		})
	}
}

func TestOfSeveralErrorsTheFirstIsExplained(t *testing.T) {
	t.Parallel()
	first, second := fmt.Errorf("create a: %w", context.DeadlineExceeded), fmt.Errorf("create b: %w", forbidden("b"))
	want := apply.Refusal{Reason: v1alpha1.ReasonUnavailable, Message: first.Error()}
	if diff := cmp.Diff(want, apply.Explain(errors.Join(first, second))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNamespaceGone(t *testing.T) {
	t.Parallel()
	terminatingPolicy := apierrors.NewForbidden(policies, deny, errors.New("it is being deleted"))
	namespace := apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "shop")

	tests := map[string]struct {
		err  error
		want bool
	}{
		"the namespace is being deleted":                {err: namespaceTerminating(deny), want: true},
		"the namespace does not exist":                  {err: namespace, want: true},
		"said with words around it":                     {err: fmt.Errorf("create %s: %w", deny, namespaceTerminating(deny)), want: true},
		"said among others":                             {err: errors.Join(fmt.Errorf("create %s: %w", deny, namespace), nil), want: true},
		"the policy does not exist":                     {err: notFound(deny)},
		"a policy called namespaces does not exist":     {err: notFound("namespaces")},
		"not found, without saying what":                {err: status(404, metav1.StatusReasonNotFound, "not found")},
		"forbidden for another reason":                  {err: terminatingPolicy},
		"forbidden, with words about namespaces only":   {err: apierrors.NewForbidden(policies, deny, errors.New("namespaces shop is being terminated"))},
		"a conflict about the namespace is not its end": {err: apierrors.NewConflict(schema.GroupResource{Resource: "namespaces"}, "shop", errors.New("modified"))},
		"a network that is down":                        {err: &net.OpError{Op: "dial", Err: errors.New("connection refused")}},
		"an alteration":                                 {err: &apply.AlteredError{Name: deny}},
		"no error":                                      {},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := apply.NamespaceGone(test.err); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

func TestANamespaceThatGoesWhileItsPoliciesAreWritten(t *testing.T) {
	t.Parallel()
	gone := apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "shop")
	tests := map[string]struct {
		step    plan.Step
		answers map[string]error
	}{
		"a create is refused":                              {step: create(deny), answers: map[string]error{"create " + deny: namespaceTerminating(deny)}},
		"a create finds no namespace":                      {step: create(deny), answers: map[string]error{"create " + deny: gone}},
		"an update finds no policy, and then no namespace": {step: update(deny), answers: map[string]error{"create " + deny: gone}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t).on("create "+dns, refuse(gone))
			for call, err := range test.answers {
				s.on(call, refuse(err))
			}
			written, err := s.execute(plan.Plan{{test.step}, {create(dns)}})
			if !apply.NamespaceGone(err) || len(written) > 0 {
				t.Errorf("got %v and %v, want no write and an error", inShort(written), err)
			}
		})
	}
}

func TestAlterationsOfOtherErrorsAreNone(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"no error": nil, "a refusal": forbidden(deny), "several": errors.Join(forbidden(deny), notFound(dns))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := apply.Alterations(err); len(got) != 0 {
				t.Errorf("got %v, want none", got)
			}
		})
	}
}
