// Package metricsserver serves the metrics, and bounds what its port costs the operator: far more of a cluster can reach the port than
// may read the metrics, and the operator has its writes to do from the same memory.
//
// controller-runtime's own server takes as many connections as come, and gives each 32 s and 1 MiB for its headers. It has no hook for
// either: see docs/decisions/2026-12-01-metrics-server.md.
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

	"github.com/netbaseline/netbaseline/internal/metricsguard"
)

const (
	// connections is how many there may be at once: many more than there are scrapers.
	connections = 64
	// headerTimeout bounds the TLS handshake, and then the headers. requestTimeout is for the whole request, and longer than the guard
	// may ask the API server for, since the request's context ends with it.
	headerTimeout  = 5 * time.Second
	requestTimeout = 10 * time.Second
	answerTimeout  = 30 * time.Second
	// idleTimeout is longer than a scrape interval, so that a scraper keeps its connection, and its place.
	idleTimeout = 90 * time.Second
	// headerBytes is enough for tokens with many groups and audiences.
	headerBytes = 16 << 10
	// shutdownTimeout is short, since the next leader is waiting.
	shutdownTimeout = time.Second
)

// Options are where and how metrics are served.
type Options struct {
	// Address is such as :8443; with 0 none are served.
	Address string
	// Secure serves over TLS, and only to those whom Kubernetes lets read.
	Secure bool
	// CertDir is the directory of tls.crt and tls.key. Where they are not, a self-signed certificate is made.
	CertDir string
}

// AddTo has a manager serve the metrics for as long as it runs, leading or not.
func AddTo(ctx context.Context, mgr manager.Manager, options Options) error {
	if options.Address == "0" {
		return nil
	}
	log := mgr.GetLogger().WithName("metrics")
	handler := promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{})
	var secret *tls.Config
	if options.Secure {
		guard, err := metricsguard.ForConfig(mgr.GetConfig(), mgr.GetHTTPClient())
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

// Bounded returns a server that gives no client more time or memory than reading metrics takes.
func Bounded(log logr.Logger, handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
		// Each handshake that fails would be a line otherwise, and anyone can make one fail.
		ErrorLog: slog.NewLogLogger(logr.ToSlogHandler(log), slog.LevelDebug),
	}
}
