package metricsguard_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/netbaseline/netbaseline/internal/metricsguard"
)

// cluster answers reviews: it knows one token, and whether its owner may.
type cluster struct {
	*fake.Clientset
	allowed, denied   bool
	tokens, accesses  error
	askedAccess       authorizationv1.SubjectAccessReviewSpec
	reviews, requests int
}

func newCluster() *cluster {
	c := &cluster{Clientset: fake.NewClientset(), allowed: true}
	c.PrependReactor("create", "tokenreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
		c.reviews++
		review := action.(clienttesting.CreateAction).GetObject().(*authenticationv1.TokenReview).DeepCopy()
		if review.Spec.Token == "good" {
			review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{
				Username: "prometheus", UID: "7", Groups: []string{"scrapers"}, Extra: map[string]authenticationv1.ExtraValue{"scope": {"all"}},
			}}
		}
		return true, review, c.tokens
	})
	c.PrependReactor("create", "subjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
		review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview).DeepCopy()
		c.askedAccess = review.Spec
		review.Status = authorizationv1.SubjectAccessReviewStatus{Allowed: c.allowed, Denied: c.denied}
		return true, review, c.accesses
	})
	return c
}

func (c *cluster) guarded(t *testing.T) http.Handler {
	t.Helper()
	guard := metricsguard.New(c.AuthenticationV1().TokenReviews(), c.AuthorizationV1().SubjectAccessReviews())
	handler, err := guard.Filter(logr.Discard(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { c.requests++ }))
	if err != nil {
		t.Fatal(err)
	}
	return handler
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
		"nobody in particular": {want: http.StatusUnauthorized},
		"a password":           {authorization: "Basic good", want: http.StatusUnauthorized},
		"an empty token":       {authorization: "Bearer ", want: http.StatusUnauthorized},
		"a token that the API server does not know":  {authorization: "Bearer bad", want: http.StatusUnauthorized},
		"a good token whose owner may":               {authorization: "Bearer good", want: http.StatusOK},
		"the scheme in small letters":                {authorization: "bearer good", want: http.StatusOK},
		"a good token whose owner may not":           {authorization: "Bearer good", change: func(c *cluster) { c.allowed = false }, want: http.StatusForbidden},
		"allowed by one and denied by another":       {authorization: "Bearer good", change: func(c *cluster) { c.denied = true }, want: http.StatusForbidden},
		"the API server does not say who it is":      {authorization: "Bearer good", change: func(c *cluster) { c.tokens = unavailable }, want: http.StatusInternalServerError},
		"the API server does not say whether he may": {authorization: "Bearer good", change: func(c *cluster) { c.accesses = unavailable }, want: http.StatusInternalServerError},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster()
			if test.change != nil {
				test.change(c)
			}
			if got := get(c.guarded(t), test.authorization); got != test.want {
				t.Errorf("status %d, want %d", got, test.want)
			}
			if passed := c.requests == 1; passed != (test.want == http.StatusOK) {
				t.Errorf("%d requests got through", c.requests)
			}
		})
	}
}

func TestTheAccessOfTheOwnerIsAskedFor(t *testing.T) {
	t.Parallel()
	c := newCluster()
	get(c.guarded(t), "Bearer good")
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
	handler := c.guarded(t)
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
	if c.reviews != 3 {
		t.Errorf("%d reviews, want the failed one and one for each token", c.reviews)
	}
}
