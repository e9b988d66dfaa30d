package controllers

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	toolscache "k8s.io/client-go/tools/cache"
)

// watchErrors counts the watches that could not be opened or broke off, by resource: until one of
// them works again, changes of the resource are not seen, and no other metric would show it.
type watchErrors struct{ total *prometheus.CounterVec }

// watched are the watched resources, by a part of the name that the reflector gives the type.
var watched = map[string]string{
	"ClusterNetworkBaseline": "clusternetworkbaselines",
	"NetworkPolicy":          "networkpolicies",
	"Namespace":              "namespaces",
}

// theWatchErrors is shared by all managers of a process: caches are made before managers and have
// no reference to one.
var theWatchErrors = newWatchErrors()

func newWatchErrors() *watchErrors {
	w := &watchErrors{total: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "netbaseline_watch_errors_total",
		Help: "Watches that could not be opened or broke off, by resource. What happens meanwhile is not seen.",
	}, []string{"resource"})}
	for _, resource := range watched {
		w.total.WithLabelValues(resource) // so that a rate over it begins at 0
	}
	return w
}

// handle is a toolscache.WatchErrorHandlerWithContext.
func (w *watchErrors) handle(ctx context.Context, reflector *toolscache.Reflector, err error) {
	toolscache.DefaultWatchErrorHandler(ctx, reflector, err)
	if errors.Is(err, io.EOF) {
		return // closed in order
	}
	for part, resource := range watched {
		if strings.Contains(reflector.TypeDescription(), part) {
			w.total.WithLabelValues(resource).Inc()
		}
	}
}
