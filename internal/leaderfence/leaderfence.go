// Package leaderfence blocks policy and baseline writes unless this replica surely holds the leader
// lease. Leader election does not guarantee this (see the package comment of
// k8s.io/client-go/tools/leaderelection): a paused process may resume and write before it notices
// that it lost the lease.
package leaderfence

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// ErrNotLeading means that a write was not sent, because the lease has not been renewed recently.
var ErrNotLeading = errors.New("not sent: this replica may no longer be the leader")

// Fence lets the writes of a client pass while a lease is held. It observes the lease in the
// client's own renewal requests.
type Fence struct {
	leases, lease string // the suffix of the path of all leases in the namespace; the name of this one
	hold          time.Duration
	now           func() time.Time

	mu      sync.Mutex
	renewed time.Time
}

// New returns the fence for a lease that counts as held for some time after the request that
// renewed it: no longer than other replicas wait before they acquire it.
func New(namespace, lease string, hold time.Duration) *Fence {
	return &Fence{leases: "/namespaces/" + namespace + "/leases", lease: lease, hold: hold, now: time.Now}
}

// Wrap adds the fence to a transport; pass it to rest.Config.Wrap.
func (f *Fence) Wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		switch {
		case f.renews(request):
			asked := f.now()
			response, err := next.RoundTrip(request)
			if err == nil && response.StatusCode < http.StatusMultipleChoices {
				f.note(asked)
			}
			return response, err
		case isWrite(request) && !f.held():
			if request.Body != nil {
				_ = request.Body.Close() // the contract of a RoundTripper
			}
			return nil, ErrNotLeading
		}
		return next.RoundTrip(request)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// renews reports whether a request acquires or renews the lease. The request that releases it
// counts too: by then, all work has ended.
func (f *Fence) renews(request *http.Request) bool {
	path := request.URL.Path
	return request.Method == http.MethodPut && strings.HasSuffix(path, f.leases+"/"+f.lease) ||
		request.Method == http.MethodPost && strings.HasSuffix(path, f.leases)
}

func (f *Fence) note(renewed time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewed = renewed
}

// held reports whether the lease is surely held, by both clocks: the monotonic clock may stop while
// a machine is suspended.
func (f *Fence) held() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	return !f.renewed.IsZero() && now.Sub(f.renewed) < f.hold && now.Round(0).Sub(f.renewed.Round(0)) < f.hold
}

// isWrite reports whether a request changes a policy or a baseline. Leases, events and access
// reviews do not require leadership.
func isWrite(request *http.Request) bool {
	guarded := strings.Contains(request.URL.Path, "/apis/"+networkingv1.GroupName+"/") ||
		strings.Contains(request.URL.Path, "/apis/"+v1alpha1.GroupVersion.Group+"/")
	return guarded && request.Method != http.MethodGet
}
