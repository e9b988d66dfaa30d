package faults

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/rest"
)

// errInjected is what a broken connection looks like.
var errInjected = errors.New("injected fault: connection reset by peer")

// Call is one request to the API server.
type Call struct {
	Verb, Resource, Subresource, Namespace, Name string
	// ResourceVersion is from which state on a list or watch is requested; "" for the latest.
	ResourceVersion string
}

// ForCache reports whether the call is one by which a cache is filled or kept up to date. Lists
// past the cache request the latest state.
func (c Call) ForCache() bool {
	return c.Verb == "watch" || c.Verb == "list" && c.ResourceVersion != ""
}

// Writes reports whether the call is meant to change a policy or a baseline. Events and leases do
// not count.
func (c Call) Writes() bool {
	return slices.Contains([]string{"create", "update", "patch", "delete"}, c.Verb) &&
		slices.Contains([]string{"networkpolicies", "clusternetworkbaselines"}, c.Resource)
}

// String is short, such as "update networkpolicies shop/netbaseline-allow-dns".
func (c Call) String() string {
	return strings.TrimSpace(c.Verb + " " + c.Resource + " " + strings.Trim(c.Namespace+"/"+c.Name, "/") + " " + c.Subresource)
}

// Fault decides the outcome of a call. The call is sent with send, or not at all.
type Fault func(request *http.Request, send func() (*http.Response, error)) (*http.Response, error)

// Rule has a fault happen to some calls.
type Rule struct {
	// Match chooses calls.
	Match func(Call) bool
	// Skip is how many of them are spared first, and Times how many suffer then; 0 for all.
	Skip, Times int
	Fault       Fault

	seen, suffered int
}

// Transport sits between a manager and the API server.
type Transport struct {
	next    http.RoundTripper
	resolve *request.RequestInfoFactory

	mu        sync.Mutex
	rules     []*Rule
	calls     []Call
	lastWrite time.Time
	watching  map[string]bool
	dead      bool
	died      chan struct{}
	abandoned chan struct{}
}

// NewTransport returns a transport that obeys rules. Of several that match, the first counts.
func NewTransport(rules ...*Rule) *Transport {
	return &Transport{
		resolve:  &request.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")},
		rules:    rules,
		watching: map[string]bool{},
		died:     make(chan struct{}), abandoned: make(chan struct{}),
	}
}

// Wrap puts the transport into a client configuration, and returns that.
func (t *Transport) Wrap(config *rest.Config) *rest.Config {
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		if t.next == nil { // one connection pool for all clients of a manager
			t.next = next
		}
		return t
	})
	return config
}

// Add adds a rule.
func (t *Transport) Add(rule *Rule) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rules = append(t.rules, rule)
}

// Clear removes all rules.
func (t *Transport) Clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rules = nil
}

// Suffered returns how many calls a rule has been applied to.
func (t *Transport) Suffered(rule *Rule) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return rule.suffered
}

// Calls returns the calls so far that are chosen.
func (t *Transport) Calls(chosen func(Call) bool) []Call {
	t.mu.Lock()
	defer t.mu.Unlock()
	var calls []Call
	for _, call := range t.calls {
		if chosen(call) {
			calls = append(calls, call)
		}
	}
	return calls
}

// Watching reports whether watches of these resources have been answered.
func (t *Transport) Watching(resources ...string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !slices.ContainsFunc(resources, func(resource string) bool { return !t.watching[resource] })
}

// Quiet reports whether there was no write for a while.
func (t *Transport) Quiet(duration time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Since(t.lastWrite) >= duration
}

// Died is closed when the client dies.
func (t *Transport) Died() <-chan struct{} { return t.died }

// Die is a crash, as the API server sees it: from now on, no call gets through. It does not return
// to the caller either, so that nothing that runs on an error runs.
func (t *Transport) Die() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.dead {
		t.dead = true
		close(t.died)
	}
}

// Abandon lets the calls of a dead client return, with an error, so that its manager can end.
func (t *Transport) Abandon() {
	t.Die()
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.abandoned:
	default:
		close(t.abandoned)
	}
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	call := t.parse(request)
	fault, dead := t.note(call)
	if dead {
		return t.hang(request)
	}
	send := func() (*http.Response, error) { return t.next.RoundTrip(request) }
	var response *http.Response
	var err error
	if fault != nil {
		response, err = fault(request, send)
	} else {
		response, err = send()
	}
	if err == nil && call.Verb == "watch" {
		t.mu.Lock()
		t.watching[call.Resource] = true
		t.mu.Unlock()
	}
	return response, err
}

// hang is what happens to a call of the dead.
func (t *Transport) hang(request *http.Request) (*http.Response, error) {
	if request.Body != nil {
		defer func() { _ = request.Body.Close() }() // the contract of a RoundTripper
	}
	<-t.abandoned
	return nil, errInjected
}

func (t *Transport) parse(request *http.Request) Call {
	info, err := t.resolve.NewRequestInfo(request)
	if err != nil {
		return Call{}
	}
	return Call{
		Verb: info.Verb, Resource: info.Resource, Subresource: info.Subresource, Namespace: info.Namespace, Name: info.Name,
		ResourceVersion: request.URL.Query().Get("resourceVersion"),
	}
}

// note records a call and returns its fault.
func (t *Transport) note(call Call) (fault Fault, dead bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead {
		return nil, true
	}
	t.calls = append(t.calls, call)
	if call.Writes() {
		t.lastWrite = time.Now()
	}
	for _, rule := range t.rules {
		if !rule.Match(call) {
			continue
		}
		rule.seen++
		if rule.seen > rule.Skip && (rule.Times == 0 || rule.suffered < rule.Times) {
			rule.suffered++
			return rule.Fault, false
		}
	}
	return nil, false
}
