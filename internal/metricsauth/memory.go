package metricsauth

import (
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/util/cache"
)

const (
	// allowedFor and refusedFor are how long a decision is cached, so that frequent scrapes do not
	// each cause requests to the API server. A revoked permission keeps working for up to a minute,
	// as a token does in Kubernetes' own components.
	allowedFor = time.Minute
	refusedFor = 10 * time.Second
	// returningFor is how long the owner of an allowed token takes precedence over unknown clients
	// when the token needs another review.
	returningFor = time.Hour
	// remembered bounds the number of cached decisions of each kind. There are far fewer scrapers.
	remembered = 256
)

// memory caches decisions. Those that allow have a cache of their own: any client can send enough
// made-up tokens to fill a shared one.
type memory struct {
	allowed, refused, returned *cache.LRUExpireCache
}

func newMemory() *memory {
	return &memory{
		allowed:  cache.NewLRUExpireCache(remembered),
		refused:  cache.NewLRUExpireCache(remembered),
		returned: cache.NewLRUExpireCache(remembered),
	}
}

func (m *memory) get(key string) (decision, bool) {
	for _, room := range []*cache.LRUExpireCache{m.allowed, m.refused} {
		if known, ok := room.Get(key); ok {
			return known.(decision), true //nolint:forcetypeassert // only decisions are added
		}
	}
	return decision{}, false
}

func (m *memory) add(key string, made decision) {
	if made.code != http.StatusOK {
		m.refused.Add(key, made, refusedFor)
		m.returned.Remove(key)
		return
	}
	m.allowed.Add(key, made, allowedFor)
	m.returned.Add(key, struct{}{}, returningFor)
}

// returning reports whether a request was allowed recently.
func (m *memory) returning(key string) bool {
	_, ok := m.returned.Get(key)
	return ok
}
