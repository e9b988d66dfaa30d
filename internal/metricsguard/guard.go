// Package metricsguard lets those read the metrics whom Kubernetes lets: it asks the API server who a bearer token belongs to, and
// whether he may get the path. It owns no right of its own and knows nothing of what it guards.
//
// controller-runtime's own filter does the same with k8s.io/apiserver, and links a third of an API server into the manager: see
// docs/decisions/2026-11-25-metrics-guard.md.
package metricsguard

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	// allowedFor and deniedFor are how long a decision is remembered, so that a scrape every few seconds is no request to the API server
	// each. A right that is withdrawn works for a minute more, as a token does in Kubernetes' own components.
	allowedFor = time.Minute
	deniedFor  = 10 * time.Second
	// remembered bounds how many decisions are: many more than there are scrapers.
	remembered = 256
	// askFor bounds how long the API server may take to answer, well below the usual timeout of a scrape.
	askFor = 5 * time.Second
)

// Guard answers whether a token may get a path.
type Guard struct {
	reviews   authenticationclient.TokenReviewInterface
	access    authorizationclient.SubjectAccessReviewInterface
	decisions *cache.LRUExpireCache
}

// decision is the status code that a request is answered with, and whose it was.
type decision struct {
	code int
	user string
}

// New returns a guard that asks through these clients.
func New(reviews authenticationclient.TokenReviewInterface, access authorizationclient.SubjectAccessReviewInterface) *Guard {
	return &Guard{reviews: reviews, access: access, decisions: cache.NewLRUExpireCache(remembered)}
}

// Provide is a metricsserver.Options.FilterProvider. The account of the client must be allowed to create TokenReviews and
// SubjectAccessReviews.
func Provide(config *rest.Config, client *http.Client) (metricsserver.Filter, error) {
	authentication, err := authenticationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("guard the metrics: %w", err)
	}
	authorization, err := authorizationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("guard the metrics: %w", err)
	}
	return New(authentication.TokenReviews(), authorization.SubjectAccessReviews()).Filter, nil
}

// Filter puts the guard before a handler.
func (g *Guard) Filter(log logr.Logger, next http.Handler) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		made, err := g.decide(request)
		switch {
		case err != nil:
			log.Error(err, "Could not ask the API server who may read metrics")
			http.Error(w, "The API server did not say whether you may read this", http.StatusInternalServerError)
		case made.code == http.StatusUnauthorized:
			http.Error(w, "Send a bearer token that the API server accepts", made.code)
		case made.code == http.StatusForbidden:
			http.Error(w, fmt.Sprintf("%q may not %s %s", made.user, verb(request), request.URL.Path), made.code)
		default:
			next.ServeHTTP(w, request)
		}
	}), nil
}

func (g *Guard) decide(request *http.Request) (decision, error) {
	token, ok := bearer(request)
	if !ok {
		return decision{code: http.StatusUnauthorized}, nil
	}
	key := [sha256.Size]byte(sha256.Sum256([]byte(verb(request) + " " + request.URL.Path + " " + token)))
	if known, ok := g.decisions.Get(key); ok {
		return known.(decision), nil //nolint:forcetypeassert // only decisions are put in
	}
	ctx, cancel := context.WithTimeout(request.Context(), askFor)
	defer cancel()
	made, err := g.ask(ctx, token, verb(request), request.URL.Path)
	if err != nil {
		return decision{}, err
	}
	keep := deniedFor
	if made.code == http.StatusOK {
		keep = allowedFor
	}
	g.decisions.Add(key, made, keep)
	return made, nil
}

// ask has the API server say who a token belongs to, and whether he may.
func (g *Guard) ask(ctx context.Context, token, verb, path string) (decision, error) {
	review, err := g.reviews.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return decision{}, fmt.Errorf("review a token: %w", err)
	}
	if !review.Status.Authenticated {
		return decision{code: http.StatusUnauthorized}, nil
	}
	user := review.Status.User
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for name, values := range user.Extra {
		extra[name] = slices.Clone(authorizationv1.ExtraValue(values))
	}
	access, err := g.access.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: path, Verb: verb},
	}}, metav1.CreateOptions{})
	if err != nil {
		return decision{}, fmt.Errorf("review the access of %q: %w", user.Username, err)
	}
	if !access.Status.Allowed || access.Status.Denied {
		return decision{code: http.StatusForbidden, user: user.Username}, nil
	}
	return decision{code: http.StatusOK, user: user.Username}, nil
}

func bearer(request *http.Request) (token string, ok bool) {
	scheme, token, _ := strings.Cut(strings.TrimSpace(request.Header.Get("Authorization")), " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

func verb(request *http.Request) string { return strings.ToLower(request.Method) }
