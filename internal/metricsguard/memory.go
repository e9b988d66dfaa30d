package metricsguard

import (
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/util/cache"
)

const (
	// allowedFor and refusedFor are how long a decision is remembered, so that a scrape every few seconds is no request to the API
	// server each. A right that is withdrawn works for a minute more, as a token does in Kubernetes' own components.
	allowedFor = time.Minute
	refusedFor = 10 * time.Second
	// returningFor is how long the owner of an allowed token is preferred to strangers when it is to be reviewed again.
	returningFor = time.Hour
	// remembered bounds how many decisions of each kind are: many more than there are scrapers.
	remembered = 256
)

// memory remembers decisions. Those that allow have room of their own: anyone can make up tokens to be refused, as many as it takes to
// fill a room that both shared.
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
			return known.(decision), true //nolint:forcetypeassert // only decisions are put in
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

// returning reports whether a question was answered with yes not long ago.
func (m *memory) returning(key string) bool {
	_, ok := m.returned.Get(key)
	return ok
}
