package metricsauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// What the bounds are, as far as these tests depend on them.
const (
	strangersAtOnce     = 3
	strangersInBurst    = 20
	strangersEachSecond = 10
	remembered          = 256
)

func madeUp(i int) string { return fmt.Sprintf("Bearer made-up-%d", i) }

func TestRequestsWithTheSameTokenShareAReview(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.pending = make(chan struct{})
		handler := c.guarded()
		given, giveUp := context.WithCancel(t.Context())
		var requests sync.WaitGroup
		requests.Go(func() { // whose client does not wait for the answer
			request := httptest.NewRequestWithContext(given, http.MethodGet, "/metrics", http.NoBody)
			request.Header.Set("Authorization", "Bearer good")
			handler.ServeHTTP(httptest.NewRecorder(), request)
		})
		synctest.Wait()
		for range 50 {
			requests.Go(func() {
				if got := get(handler, "Bearer good"); got != http.StatusOK {
					t.Errorf("status %d", got)
				}
			})
		}
		synctest.Wait()
		giveUp()
		close(c.pending)
		requests.Wait()
		if got := c.reviews.Load(); got != 1 {
			t.Errorf("%d reviews, want one for all", got)
		}
	})
}

func TestReviewsBeyondThoseUnderWayAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		handler := c.guarded()
		if got := get(handler, "Bearer good"); got != http.StatusOK {
			t.Fatalf("status %d", got)
		}
		c.pending = make(chan struct{})
		var requests sync.WaitGroup
		for i := range strangersAtOnce {
			requests.Go(func() { get(handler, madeUp(i)) })
		}
		synctest.Wait()

		recorder := httptest.NewRecorder()
		request := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
		request.Header.Set("Authorization", madeUp(strangersAtOnce))
		handler.ServeHTTP(recorder, request)
		if recorder.Code != http.StatusTooManyRequests || recorder.Header().Get("Retry-After") == "" {
			t.Errorf("status %d with %v, want to be told to retry", recorder.Code, recorder.Header())
		}
		if got := get(handler, "Bearer good"); got != http.StatusOK {
			t.Errorf("status %d for who is remembered", got)
		}
		if got := c.reviews.Load(); got != 1+strangersAtOnce {
			t.Errorf("%d reviews, want the first and those under way", got)
		}
		close(c.pending)
		requests.Wait()
	})
}

func TestWhoWasAllowedBeforeIsReviewedAgainBesideStrangers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		handler := c.guarded()
		get(handler, "Bearer good")
		time.Sleep(2 * time.Minute) //nolint:forbidigo // in a bubble, where it takes no time: what is remembered runs out
		c.pending = make(chan struct{})
		var requests sync.WaitGroup
		for i := range 2 * strangersAtOnce {
			requests.Go(func() { get(handler, madeUp(i)) })
		}
		synctest.Wait()
		requests.Go(func() {
			if got := get(handler, "Bearer good"); got != http.StatusOK {
				t.Errorf("status %d", got)
			}
		})
		synctest.Wait()
		close(c.pending)
		requests.Wait()
	})
}

func TestMadeUpTokensCostNoMoreThanTheirPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		handler := c.guarded()
		for i := range 500 { // one after the other: never more than one is under way
			want := http.StatusUnauthorized
			if i >= strangersInBurst {
				want = http.StatusTooManyRequests
			}
			if got := get(handler, madeUp(i)); got != want {
				t.Fatalf("token %d: status %d, want %d", i, got, want)
			}
		}
		time.Sleep(time.Second) //nolint:forbidigo // in a bubble, where it takes no time: the pace is one of time
		for i := range 500 {
			get(handler, madeUp(i+500))
		}
		if got := c.reviews.Load(); got != strangersInBurst+strangersEachSecond {
			t.Errorf("%d reviews, want %d and %d more a second later", got, strangersInBurst, strangersEachSecond)
		}
	})
}

func TestRefusedTokensDoNotPushAllowedOnesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		handler := c.guarded()
		get(handler, "Bearer good")
		const strangers = 2 * remembered
		for i := range strangers {
			time.Sleep(time.Second / strangersEachSecond) //nolint:forbidigo // in a bubble, where it takes no time: slow enough to be reviewed
			if got := get(handler, madeUp(i)); got != http.StatusUnauthorized {
				t.Fatalf("token %d: status %d", i, got)
			}
		}
		if got := get(handler, "Bearer good"); got != http.StatusOK {
			t.Errorf("status %d", got)
		}
		if got := c.reviews.Load(); got != 1+strangers {
			t.Errorf("%d reviews, want one for each token", got)
		}
	})
}

func TestWhoIsRefusedKeepsNoConnection(t *testing.T) {
	t.Parallel()
	c := newCluster()
	handler := c.guarded()
	for authorization, want := range map[string]string{"": "close", "Bearer bad": "close", "Bearer good": ""} {
		recorder := httptest.NewRecorder()
		request := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
		request.Header.Set("Authorization", authorization)
		handler.ServeHTTP(recorder, request)
		if got := recorder.Header().Get("Connection"); got != want {
			t.Errorf("%q: Connection is %q, want %q", authorization, got, want)
		}
	}
}
