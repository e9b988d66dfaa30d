// Package metricsserver serves the metrics and bounds the resources that its port consumes: far
// more clients can reach the port than may read the metrics, and they share memory with the
// operator's writes.
//
// controller-runtime's own server accepts any number of connections, and allows each 32 s and 1 MiB
// for its headers. It has no hook to limit either: see docs/decisions/2026-12-01-metrics-server.md.
package metricsserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/netbaseline/netbaseline/internal/metricsauth"
)

const (
	// connections is how many connections may be open at the same time. There are far fewer
	// scrapers.
	connections = 64
	// headerTimeout bounds the TLS handshake, and then the headers. requestTimeout bounds the whole
	// request. It exceeds the time that the guard's reviews may take, since the request's context
	// ends with it.
	headerTimeout  = 5 * time.Second
	requestTimeout = 10 * time.Second
	answerTimeout  = 30 * time.Second
	// idleTimeout is longer than a scrape interval, so that a scraper keeps its connection, and its
	// place.
	idleTimeout = 90 * time.Second
	// headerBytes is enough for tokens with many groups and audiences.
	headerBytes = 16 << 10
	// shutdownTimeout is short, since the next leader is waiting.
	shutdownTimeout = time.Second
)

// Options configure how the metrics are served.
type Options struct {
	// Address is the listen address, such as :8443; 0 disables the server.
	Address string
	// Secure serves over TLS, and only to clients that Kubernetes authorizes.
	Secure bool
	// CertDir is the directory of tls.crt and tls.key. If one is missing, a self-signed certificate
	// is generated.
	CertDir string
}

// AddTo adds the metrics server to a manager. It runs as long as the manager, leading or not.
func AddTo(ctx context.Context, mgr manager.Manager, options Options) error {
	if options.Address == "0" {
		return nil
	}
	log := mgr.GetLogger().WithName("metrics")
	handler := promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{})
	var secret *tls.Config
	if options.Secure {
		guard, err := metricsauth.ForConfig(mgr.GetConfig(), mgr.GetHTTPClient())
		if err != nil {
			return err
		}
		handler = guard.Protect(log, handler)
		if secret, err = secretOf(mgr, options.CertDir); err != nil {
			return err
		}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", options.Address)
	if err != nil {
		return fmt.Errorf("serve metrics: %w", err)
	}
	listener = Limit(listener, connections)
	if secret != nil {
		listener = tls.NewListener(listener, secret)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", handler)
	return mgr.Add(&manager.Server{Name: "metrics", Server: Bounded(log, mux), Listener: listener, ShutdownTimeout: new(shutdownTimeout)})
}

// Bounded returns a server that limits the time and memory of each client to what reading metrics
// takes.
func Bounded(log logr.Logger, handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
		// Without this, any client could fill the log with handshakes that fail.
		ErrorLog: slog.NewLogLogger(logr.ToSlogHandler(log), slog.LevelDebug),
	}
}
