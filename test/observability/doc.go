// Package observability holds the alerts, the dashboard and the documentation to what a running manager exports. It has no code but tests:
// promtool runs those of the alerts, in alerts/; the dashboard is made in dashboard/.
package observability
