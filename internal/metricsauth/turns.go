package metricsauth

import "golang.org/x/time/rate"

const (
	// atOnce is how many reviews may run concurrently. At the API server they compete with the
	// operator's own writes.
	atOnce = 4
	// strangersAtOnce, strangersEachSecond and strangersInBurst bound the reviews of tokens that
	// have not been allowed recently. One turn is reserved for tokens that have been: a scraper
	// needs a review every minute, even while unknown clients keep coming.
	strangersAtOnce     = atOnce - 1
	strangersEachSecond = 10
	strangersInBurst    = 20
)

// turns bounds how many reviews run concurrently, and how many of them unknown clients can cause.
type turns struct {
	all, strangers chan struct{}
	pace           *rate.Limiter
}

func newTurns() *turns {
	return &turns{
		all:       make(chan struct{}, atOnce),
		strangers: make(chan struct{}, strangersAtOnce),
		pace:      rate.NewLimiter(strangersEachSecond, strangersInBurst),
	}
}

// take takes a turn, which the caller ends. It does not wait: if there is none, it is better to
// tell the client to retry than to keep it on one of few connections.
func (t *turns) take(returning bool) (end func(), ok bool) {
	if returning {
		return occupy(t.all)
	}
	leaveStrangers, ok := occupy(t.strangers)
	if !ok {
		return nil, false
	}
	leaveAll, ok := occupy(t.all)
	if ok && t.pace.Allow() {
		return func() { leaveAll(); leaveStrangers() }, true
	}
	if ok {
		leaveAll()
	}
	leaveStrangers()
	return nil, false
}

func occupy(room chan struct{}) (leave func(), ok bool) {
	select {
	case room <- struct{}{}:
		return func() { <-room }, true
	default:
		return nil, false
	}
}
