package leaderfence

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	lease    = "/apis/coordination.k8s.io/v1/namespaces/ours/leases"
	policies = "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies"
	baseline = "/apis/policy.netbaseline.dev/v1alpha1/clusternetworkbaselines/default"
)

// request is one that a client makes some time after the one before it.
type request struct {
	after        time.Duration
	method, path string
	answer       int
	takes        time.Duration
	stopped      bool // by the fence
}

func renewal(after time.Duration) request {
	return request{after: after, method: "PUT", path: lease + "/one", answer: 200}
}

func TestOnlyTheLeaderWrites(t *testing.T) {
	t.Parallel()
	create := request{method: "POST", path: policies, answer: 201}
	stopped := create
	stopped.stopped = true
	after := func(r request, after time.Duration) request { r.after = after; return r }
	tests := map[string][]request{
		"without a lease":                {stopped},
		"with a lease just taken":        {{method: "POST", path: lease, answer: 201}, create},
		"with a lease just renewed":      {renewal(0), create},
		"shortly before the lease ends":  {renewal(0), after(create, 9*time.Second)},
		"when the lease has ended":       {renewal(0), after(stopped, 10*time.Second)},
		"when it is renewed in time":     {renewal(0), renewal(9 * time.Second), after(create, 9*time.Second)},
		"when it could not be renewed":   {renewal(0), {after: 9 * time.Second, method: "PUT", path: lease + "/one", answer: 409}, after(stopped, time.Second)},
		"when it was renewed afterwards": {renewal(0), after(stopped, 10*time.Second), renewal(0), create},
		"an answer that came late": {
			{method: "PUT", path: lease + "/one", answer: 200, takes: 6 * time.Second}, after(stopped, 4*time.Second),
		},
		"with the lease of something else": {{method: "PUT", path: lease + "/other", answer: 200}, stopped},
		"every kind of write": {
			{method: "PUT", path: policies + "/netbaseline-allow-dns", stopped: true},
			{method: "DELETE", path: policies + "/netbaseline-allow-dns", stopped: true},
			{method: "PATCH", path: baseline, stopped: true},
			{method: "PUT", path: baseline + "/status", stopped: true},
			{method: "POST", path: "/k8s/clusters/one" + policies, stopped: true},
		},
		"requests that do not require leadership": {
			{method: "GET", path: policies, answer: 200},
			{method: "GET", path: baseline, answer: 200},
			{method: "POST", path: "/apis/events.k8s.io/v1/namespaces/shop/events", answer: 201},
			{method: "POST", path: "/apis/authentication.k8s.io/v1/tokenreviews", answer: 201},
		},
	}
	for name, requests := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
			fence := New("ours", "one", 10*time.Second)
			fence.now = func() time.Time { return clock }
			for i, r := range requests {
				clock = clock.Add(r.after)
				sent := false
				client := fence.Wrap(roundTripper(func(*http.Request) (*http.Response, error) {
					sent = true
					clock = clock.Add(r.takes)
					return &http.Response{StatusCode: r.answer, Body: http.NoBody}, nil
				}))
				err := try(t, client, r)
				if sent == r.stopped || errors.Is(err, ErrNotLeading) != r.stopped {
					t.Errorf("request %d, %s %s: sent %t, error %v, want it stopped: %t", i, r.method, r.path, sent, err, r.stopped)
				}
			}
		})
	}
}

func try(t *testing.T, client http.RoundTripper, r request) error {
	t.Helper()
	body := &closed{Reader: strings.NewReader("{}")}
	httpRequest, err := http.NewRequestWithContext(t.Context(), r.method, "https://api"+r.path, body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.RoundTrip(httpRequest)
	if err == nil {
		return response.Body.Close()
	}
	if !body.closed {
		t.Error("the body of a request that is not sent stays open")
	}
	return err
}

type closed struct {
	io.Reader
	closed bool
}

// Close implements io.Closer.
func (c *closed) Close() error {
	c.closed = true
	return nil
}
