// Command dashboard prints the Grafana dashboard of netbaseline: `make dashboards` puts it into
// config/grafana/netbaseline.json.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	built, err := build()
	if err == nil {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(built)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// build returns the dashboard in the older of Grafana's two formats, which every version and every
// sidecar imports.
func build() (dashboard.Dashboard, error) { //nolint:staticcheck // see above
	//nolint:staticcheck // see above
	page := dashboard.NewDashboardBuilder("netbaseline").
		Uid("netbaseline").
		Description("Which namespaces have their network baseline, how fast new ones get it, and what the operator is doing. Alerts and their runbooks: docs/runbooks.").
		Tags([]string{"netbaseline", "networkpolicy"}).
		Readonly().
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Refresh("1m").
		Time("now-6h", "now").
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus")).
		// The library's metrics are exported by every operator of the cluster, so those of this one
		// are picked by its job.
		WithVariable(dashboard.NewQueryVariableBuilder("job").
			Label("Job").
			Query(dashboard.StringOrMap{String: cog.ToPtr("label_values(netbaseline_drift_repairs_total, job)")}).
			Datasource(source()).
			Refresh(dashboard.VariableRefreshOnDashboardLoad).
			Sort(dashboard.VariableSortAlphabeticalAsc))
	for _, panel := range panels() {
		page.WithPanel(panel)
	}
	return page.Build()
}
