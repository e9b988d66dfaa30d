// Package fence owns the rule that a replica writes only while it surely leads. Leader election alone does not see to that, as
// k8s.io/client-go/tools/leaderelection says of itself: a process that was stopped, or starved, and goes on finds work in its queues
// before it finds out that another one has its lease.
package fence

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// ErrNotLeading says that a write was not sent, because the lease has not been renewed for too long.
var ErrNotLeading = errors.New("not sent: this replica may no longer be the leader")

// Fence lets the writes of a client pass while a lease is held. It learns about the lease from the client's own requests to renew it.
type Fence struct {
	leases, lease string // the path of all leases in the namespace ends like this, and the name of this one
	hold          time.Duration
	now           func() time.Time

	mu      sync.Mutex
	renewed time.Time
}

// New returns the fence for a lease that is believed to be held for some time after the request that renewed it: no longer than the others
// wait before they take it.
func New(namespace, lease string, hold time.Duration) *Fence {
	return &Fence{leases: "/namespaces/" + namespace + "/leases", lease: lease, hold: hold, now: time.Now}
}

// Wrap is for rest.Config.Wrap.
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

// renews says whether a request is one to take or renew the lease. The one that gives it up counts too: it comes when all work has ended.
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

// held says whether the lease is surely held, by either clock: the one that only runs forward may stand still while a machine is suspended.
func (f *Fence) held() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	return !f.renewed.IsZero() && now.Sub(f.renewed) < f.hold && now.Round(0).Sub(f.renewed.Round(0)) < f.hold
}

// isWrite says whether a request changes a policy or a baseline. Leases, events and questions about who may read metrics are no matter of
// leading.
func isWrite(request *http.Request) bool {
	guarded := strings.Contains(request.URL.Path, "/apis/"+networkingv1.GroupName+"/") ||
		strings.Contains(request.URL.Path, "/apis/"+v1alpha1.GroupVersion.Group+"/")
	return guarded && request.Method != http.MethodGet
}
