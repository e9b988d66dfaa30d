package faults

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"

	"k8s.io/client-go/rest"
)

// Proxy is an API server to a process of its own: its requests go through the transport, under its
// own identity.
func (t *Transport) Proxy(config *rest.Config) (http.Handler, error) {
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, fmt.Errorf("the address of the API server: %w", err)
	}
	roundTripper, err := rest.TransportFor(t.Wrap(rest.AnonymousClientConfig(config)))
	if err != nil {
		return nil, fmt.Errorf("make a transport: %w", err)
	}
	return &httputil.ReverseProxy{
		Rewrite:       func(request *httputil.ProxyRequest) { request.SetURL(target) },
		Transport:     roundTripper,
		FlushInterval: -1, // watches
		// What breaks behind the proxy breaks before it too, instead of becoming an answer.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0),
	}, nil
}
