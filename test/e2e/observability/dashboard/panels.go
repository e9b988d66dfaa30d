package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// panels begin with the state of the namespaces and continue with what helps to find causes.
func panels() []cog.Builder[dashboard.Panel] {
	return []cog.Builder[dashboard.Panel]{
		number("Protected namespaces", "Namespaces that have exactly the policies of their baseline.",
			`sum(max by (baseline, state) (netbaseline_namespaces{state="synced"}))`, always("green")),
		number("Unprotected namespaces", "Namespaces that wait for policies or refuse them. `kubectl describe cnb` names them. For five minutes: alert NetbaselineNamespacesUnprotected.",
			`sum(max by (baseline, state) (netbaseline_namespaces{state=~"pending|failed"}))`, from("green", 1, "red")),
		number("Contested namespaces", "Namespaces where another client changes the policies more than ten times a minute. They are restored each time.",
			`max(netbaseline_contested_namespaces)`, from("green", 1, "orange")),
		number("Leaders", "Replicas that hold the lease: one. None for two minutes: alert NetbaselineNoLeader.",
			`sum(leader_election_master_status{name="netbaseline.policy.netbaseline.dev"})`, from("red", 1, "green")),

		graph("Namespaces by state", "Held ones keep their policies untouched, usually because their baseline is in Audit; without a baseline are those whose baseline does not exist.", "short",
			query(`max by (baseline, state) (netbaseline_namespaces) > 0`, "{{baseline}} {{state}}")),
		conditions(),

		graph("From seeing a namespace to its protection", "Of the namespaces that are new. More than 5 s for a quarter of an hour: alert NetbaselineProtectionSlow.", "s",
			query(`histogram_quantile(0.99, sum by (le) (rate(netbaseline_namespace_protection_seconds_bucket[$__rate_interval])))`, "99 %"),
			query(`histogram_quantile(0.5, sum by (le) (rate(netbaseline_namespace_protection_seconds_bucket[$__rate_interval])))`, "50 %")),
		graph("Policies written", "Three for each new namespace, and all of them when a baseline changes. In a quiet cluster none.", "ops",
			query(`sum by (operation) (rate(netbaseline_policy_writes_total[$__rate_interval]))`, "{{operation}}")),

		graph("Drift repairs per minute", "How often policies were restored that another client had changed. More than one a minute for a quarter of an hour: alert NetbaselineDriftRepairsSustained.", "short",
			query(`sum(rate(netbaseline_drift_repairs_total[$__rate_interval])) * 60`, "repairs")),
		graph("Work queue", "Namespaces and baselines to look at, and how long they wait for it. New namespaces overtake those that are looked at because a baseline has changed.", "short",
			query(`sum by (name) (workqueue_depth{job="$job"})`, "{{name}}: waiting"),
			query(`histogram_quantile(0.99, sum by (name, le) (rate(workqueue_queue_duration_seconds_bucket{job="$job"}[$__rate_interval])))`, "{{name}}: seconds, 99 %")),

		graph("Reconciles that went wrong", "Errors are tried again. Timeouts are reconciles that waited a minute for the API server. Panics are bugs: report them.", "ops",
			query(`sum by (controller) (rate(controller_runtime_reconcile_errors_total{job="$job"}[$__rate_interval]))`, "{{controller}}: errors"),
			query(`sum by (controller) (rate(controller_runtime_reconcile_timeouts_total{job="$job"}[$__rate_interval]))`, "{{controller}}: timeouts"),
			query(`sum by (controller) (rate(controller_runtime_reconcile_panics_total{job="$job"}[$__rate_interval]))`, "{{controller}}: panics")),
		graph("Requests to the API server", "By method and answer. 429 means that the API server throttles, 403 that RBAC or admission refuses, <error> that it was not reached.", "reqps",
			query(`sum by (method, code) (rate(rest_client_requests_total{job="$job"}[$__rate_interval]))`, "{{method}} {{code}}")),
	}
}

// number is a panel with one big number, four of which fill a row.
func number(title, description, expression string, colors cog.Builder[dashboard.ThresholdsConfig]) *stat.PanelBuilder {
	return stat.NewPanelBuilder().
		Title(title).
		Description(description).
		Datasource(source()).
		Height(4).
		Span(6).
		Thresholds(colors).
		ColorMode(common.BigValueColorModeBackground).
		GraphMode(common.BigValueGraphModeNone).
		Orientation(common.VizOrientationAuto).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
		WithTarget(query(expression, ""))
}

// graph is a panel with lines over time, two of which fill a row.
func graph(title, description, unit string, queries ...*prometheus.DataqueryBuilder) *timeseries.PanelBuilder {
	panel := timeseries.NewPanelBuilder().
		Title(title).
		Description(description).
		Datasource(source()).
		Height(8).
		Span(12).
		Unit(unit).
		Min(0).
		FillOpacity(10).
		ShowPoints(common.VisibilityModeNever).
		Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	for i, each := range queries {
		panel.WithTarget(each.RefId(string(rune('A' + i))))
	}
	return panel
}

// conditions is a panel with a bar for each condition of each baseline.
func conditions() *statetimeline.PanelBuilder {
	states := dashboard.ValueMap{Type: "value", Options: map[string]dashboard.ValueMappingResult{
		"0": {Text: cog.ToPtr("not true"), Color: cog.ToPtr("red")},
		"1": {Text: cog.ToPtr("true"), Color: cog.ToPtr("green")},
	}}
	return statetimeline.NewPanelBuilder().
		Title("Conditions of the baselines").
		Description("From kube-state-metrics, set up with config/kube-state-metrics. Not Accepted for five minutes: alert NetbaselineBaselineNotAccepted.").
		Datasource(source()).
		Height(8).
		Span(12).
		Mappings([]dashboard.ValueMapping{{ValueMap: &states}}).
		WithTarget(query(`max by (baseline, type) (kube_clusternetworkbaseline_status_condition{status="True",type!="Stalled"})`, "{{baseline}} {{type}}"))
}

func query(expression, legend string) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().Expr(expression).LegendFormat(legend).RefId("A")
}

func source() common.DataSourceRef {
	return common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}
}

// always is one color for every value.
func always(color string) cog.Builder[dashboard.ThresholdsConfig] {
	return dashboard.NewThresholdsConfigBuilder().
		Mode(dashboard.ThresholdsModeAbsolute).
		Steps([]dashboard.Threshold{{Color: color}})
}

// from is one color below a value and another one from it on.
func from(below string, value float64, above string) cog.Builder[dashboard.ThresholdsConfig] {
	return dashboard.NewThresholdsConfigBuilder().
		Mode(dashboard.ThresholdsModeAbsolute).
		Steps([]dashboard.Threshold{{Color: below}, {Color: above, Value: &value}})
}
