// Package observability checks the alerts, the dashboard and the documentation against the metrics
// of a running manager. It contains only tests: promtool runs those of the alerts, in alerts/; the
// dashboard is generated in dashboard/.
package observability
