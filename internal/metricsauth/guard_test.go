package metricsauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"

	"github.com/netbaseline/netbaseline/internal/metricsauth"
)

// cluster answers reviews: it knows one token, and whether its owner may. client-go's fake would
// answer one at a time.
type cluster struct {
	allowed, denied   bool
	tokens, accesses  error
	askedAccess       authorizationv1.SubjectAccessReviewSpec
	reviews, requests atomic.Int32
	// pending, if there is one, holds each review of a token until it can be received from.
	pending chan struct{}
}

type tokenReviews struct {
	authenticationclient.TokenReviewInterface
	*cluster
}

type accessReviews struct {
	authorizationclient.SubjectAccessReviewInterface
	*cluster
}

func newCluster() *cluster { return &cluster{allowed: true} }

func (c tokenReviews) Create(ctx context.Context, review *authenticationv1.TokenReview, _ metav1.CreateOptions) (*authenticationv1.TokenReview, error) {
	c.reviews.Add(1)
	if c.pending != nil {
		select {
		case <-c.pending:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	review = review.DeepCopy()
	if review.Spec.Token == "good" {
		review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{
			Username: "prometheus", UID: "7", Groups: []string{"scrapers"}, Extra: map[string]authenticationv1.ExtraValue{"scope": {"all"}},
		}}
	}
	return review, c.tokens
}

func (c accessReviews) Create(
	_ context.Context, review *authorizationv1.SubjectAccessReview, _ metav1.CreateOptions,
) (*authorizationv1.SubjectAccessReview, error) {
	review = review.DeepCopy()
	c.askedAccess = review.Spec
	review.Status = authorizationv1.SubjectAccessReviewStatus{Allowed: c.allowed, Denied: c.denied}
	return review, c.accesses
}

func (c *cluster) guarded() http.Handler {
	guard := metricsauth.New(tokenReviews{cluster: c}, accessReviews{cluster: c})
	return guard.Protect(logr.Discard(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { c.requests.Add(1) }))
}

func get(handler http.Handler, authorization string) int {
	request := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder.Code
}

func TestWhoMayReadMetrics(t *testing.T) {
	t.Parallel()
	unavailable := errors.New("unavailable")
	tests := map[string]struct {
		authorization string
		change        func(*cluster)
		want          int
	}{
		"no token at all": {want: http.StatusUnauthorized},
		"a password":      {authorization: "Basic good", want: http.StatusUnauthorized},
		"an empty token":  {authorization: "Bearer ", want: http.StatusUnauthorized},
		"a token that the API server does not know": {authorization: "Bearer bad", want: http.StatusUnauthorized},
		"a good token whose owner may":              {authorization: "Bearer good", want: http.StatusOK},
		"the scheme in small letters":               {authorization: "bearer good", want: http.StatusOK},
		"a good token whose owner may not":          {authorization: "Bearer good", change: func(c *cluster) { c.allowed = false }, want: http.StatusForbidden},
		"allowed by one and denied by another":      {authorization: "Bearer good", change: func(c *cluster) { c.denied = true }, want: http.StatusForbidden},
		"the API server does not review the token":  {authorization: "Bearer good", change: func(c *cluster) { c.tokens = unavailable }, want: http.StatusInternalServerError},
		"the API server does not review the access": {authorization: "Bearer good", change: func(c *cluster) { c.accesses = unavailable }, want: http.StatusInternalServerError},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster()
			if test.change != nil {
				test.change(c)
			}
			if got := get(c.guarded(), test.authorization); got != test.want {
				t.Errorf("status %d, want %d", got, test.want)
			}
			if passed := c.requests.Load() == 1; passed != (test.want == http.StatusOK) {
				t.Errorf("%d requests got through", c.requests.Load())
			}
		})
	}
}

func TestTheAccessOfTheOwnerIsAskedFor(t *testing.T) {
	t.Parallel()
	c := newCluster()
	get(c.guarded(), "Bearer good")
	want := authorizationv1.SubjectAccessReviewSpec{
		User: "prometheus", UID: "7", Groups: []string{"scrapers"}, Extra: map[string]authorizationv1.ExtraValue{"scope": {"all"}},
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/metrics", Verb: "get"},
	}
	if diff := cmp.Diff(want, c.askedAccess); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestADecisionIsRememberedAndAnErrorIsNot(t *testing.T) {
	t.Parallel()
	c := newCluster()
	handler := c.guarded()
	c.tokens = errors.New("unavailable")
	get(handler, "Bearer good")
	c.tokens = nil
	for range 3 {
		if got := get(handler, "Bearer good"); got != http.StatusOK {
			t.Errorf("status %d", got)
		}
		if got := get(handler, "Bearer bad"); got != http.StatusUnauthorized {
			t.Errorf("status %d", got)
		}
	}
	if c.reviews.Load() != 3 {
		t.Errorf("%d reviews, want the failed one and one for each token", c.reviews.Load())
	}
}
