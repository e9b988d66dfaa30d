// Package metricsauth authenticates and authorizes metrics requests with TokenReview and
// SubjectAccessReview. It grants no access of its own and does not depend on the handler that it
// protects.
//
// Any client that reaches the port can cause reviews. They are sent from the operator's account, as
// are the operator's own writes, so their number is bounded: see turns.
//
// controller-runtime's own filter does the same with k8s.io/apiserver, and links a third of an API
// server into the manager: see docs/decisions/2026-11-25-metrics-guard.md.
package metricsauth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/singleflight"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
)

// askFor bounds how long the reviews of a request may take, well below the usual timeout of a
// scrape.
const askFor = 5 * time.Second

// Guard decides whether the owner of a token may access a path.
type Guard struct {
	tokens  authenticationclient.TokenReviewInterface
	access  authorizationclient.SubjectAccessReviewInterface
	memory  *memory
	turns   *turns
	reviews singleflight.Group
}

// decision is the status code of the response to a request, and the user who sent it.
type decision struct {
	code int
	user string
}

// question is the request that a decision is about.
type question struct{ token, verb, path string }

// New returns a guard that sends its reviews through these clients.
func New(tokens authenticationclient.TokenReviewInterface, access authorizationclient.SubjectAccessReviewInterface) *Guard {
	return &Guard{tokens: tokens, access: access, memory: newMemory(), turns: newTurns()}
}

// ForConfig returns a guard that sends its reviews with a client configuration, whose account must
// be allowed to create TokenReviews and SubjectAccessReviews.
func ForConfig(config *rest.Config, client *http.Client) (*Guard, error) {
	authentication, err := authenticationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("guard the metrics: %w", err)
	}
	authorization, err := authorizationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("guard the metrics: %w", err)
	}
	return New(authentication.TokenReviews(), authorization.SubjectAccessReviews()), nil
}

// Protect wraps a handler with the guard.
func (g *Guard) Protect(log logr.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		made, err := g.decide(request.Context(), request)
		if err == nil && made.code == http.StatusOK {
			next.ServeHTTP(w, request)
			return
		}
		// Connections are few, and are kept for clients that may read.
		w.Header().Set("Connection", "close")
		switch {
		case err != nil:
			log.Error(err, "Could not ask the API server who may read metrics")
			http.Error(w, "The API server did not answer whether you may read this", http.StatusInternalServerError)
		case made.code == http.StatusTooManyRequests:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "Too many tokens that are not known yet are being reviewed: try again", made.code)
		case made.code == http.StatusForbidden:
			http.Error(w, fmt.Sprintf("%q may not %s %s", made.user, verb(request), request.URL.Path), made.code)
		default:
			http.Error(w, "Send a bearer token that the API server accepts", made.code)
		}
	})
}

func (g *Guard) decide(ctx context.Context, request *http.Request) (decision, error) {
	token, ok := bearer(request)
	if !ok {
		return decision{code: http.StatusUnauthorized}, nil
	}
	asked := question{token: token, verb: verb(request), path: request.URL.Path}
	key := asked.key()
	if known, ok := g.memory.get(key); ok {
		return known, nil
	}
	// Requests with the same token share one review, so it goes on when the first of them is
	// canceled.
	ctx = context.WithoutCancel(ctx)
	made, err, _ := g.reviews.Do(key, func() (any, error) {
		if known, ok := g.memory.get(key); ok { // from a review that ended just now
			return known, nil
		}
		return g.review(ctx, key, asked)
	})
	if err != nil {
		return decision{}, err
	}
	return made.(decision), nil //nolint:forcetypeassert // the function above returns nothing else
}

// review sends the reviews if there is a turn for them, and caches the decision.
func (g *Guard) review(ctx context.Context, key string, asked question) (decision, error) {
	end, ok := g.turns.take(g.memory.returning(key))
	if !ok {
		return decision{code: http.StatusTooManyRequests}, nil
	}
	defer end()
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	made, err := g.ask(ctx, asked)
	if err != nil {
		return decision{}, err
	}
	g.memory.add(key, made)
	return made, nil
}

// ask reviews a token and the access of its owner.
func (g *Guard) ask(ctx context.Context, asked question) (decision, error) {
	review, err := g.tokens.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: asked.token}}, metav1.CreateOptions{})
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
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: asked.path, Verb: asked.verb},
	}}, metav1.CreateOptions{})
	if err != nil {
		return decision{}, fmt.Errorf("review the access of %q: %w", user.Username, err)
	}
	if !access.Status.Allowed || access.Status.Denied {
		return decision{code: http.StatusForbidden, user: user.Username}, nil
	}
	return decision{code: http.StatusOK, user: user.Username}, nil
}

// key identifies a question in memory, which must not hold tokens.
func (q question) key() string {
	sum := sha256.Sum256([]byte(q.verb + " " + q.path + " " + q.token))
	return string(sum[:])
}

func bearer(request *http.Request) (token string, ok bool) {
	scheme, token, _ := strings.Cut(strings.TrimSpace(request.Header.Get("Authorization")), " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

func verb(request *http.Request) string { return strings.ToLower(request.Method) }
