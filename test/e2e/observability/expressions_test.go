package observability

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

// expression is one PromQL expression, and where it stands.
type expression struct {
	where, text string
}

// place names where expressions are used, for the reference: the alert or the panel.
func alertPlace(name string) string  { return "alert " + name }
func panelPlace(title string) string { return "panel " + title }

// rules is config/prometheus/prometheus_rule.yaml.
type rules struct {
	Spec struct {
		Groups []struct {
			Name  string  `json:"name"`
			Rules []alert `json:"rules"`
		} `json:"groups"`
	} `json:"spec"`
}

type alert struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func readRule(t *testing.T) (alerts []alert, spec []byte) {
	t.Helper()
	content := read(t, "config/prometheus/prometheus_rule.yaml")
	parsed, plain := &rules{}, map[string]any{}
	if err := errors.Join(yaml.Unmarshal(content, parsed), yaml.Unmarshal(content, &plain)); err != nil {
		t.Fatal(err)
	}
	for _, group := range parsed.Spec.Groups {
		alerts = append(alerts, group.Rules...)
	}
	spec, err := yaml.Marshal(plain["spec"])
	if err != nil {
		t.Fatal(err)
	}
	return alerts, spec
}

// grafana is config/grafana/netbaseline.json.
type grafana struct {
	Panels     []panel `json:"panels"`
	Templating struct {
		List []struct {
			Name  string `json:"name"`
			Type  string `json:"type"`
			Query any    `json:"query"`
		} `json:"list"`
	} `json:"templating"`
}

type panel struct {
	ID          int    `json:"id"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Datasource  struct {
		UID string `json:"uid"`
	} `json:"datasource"`
	GridPos struct {
		X, Y, W, H int
	} `json:"gridPos"`
	Targets []struct {
		Expr  string `json:"expr"`
		RefID string `json:"refId"`
	} `json:"targets"`
}

func readDashboard(t *testing.T) *grafana {
	t.Helper()
	page := &grafana{}
	if err := json.Unmarshal(read(t, "config/grafana/netbaseline.json"), page); err != nil {
		t.Fatal(err)
	}
	return page
}

// labelValues is what a variable of the dashboard asks for its values.
var labelValues = regexp.MustCompile(`^label_values\((.+), *\w+\)$`)

// expressions are all of them, from the alerts, the dashboard and the documentation.
func expressions(t *testing.T) []expression {
	t.Helper()
	var found []expression
	alerts, _ := readRule(t)
	for i := range alerts {
		found = append(found, expression{alertPlace(alerts[i].Alert), alerts[i].Expr})
	}
	page := readDashboard(t)
	for i := range page.Panels {
		for _, target := range page.Panels[i].Targets {
			found = append(found, expression{panelPlace(page.Panels[i].Title), target.Expr})
		}
	}
	for _, variable := range page.Templating.List {
		if variable.Type != "query" {
			continue
		}
		query := fmt.Sprint(variable.Query)
		match := labelValues.FindStringSubmatch(query)
		if match == nil {
			t.Errorf("variable %s: %q is not label_values(metric, label)", variable.Name, query)
			continue
		}
		found = append(found, expression{"variable " + variable.Name, match[1]})
	}
	for _, file := range documentation(t) {
		found = append(found, expressionsIn(t, file)...)
	}
	return found
}

// documentation is every page that people read.
func documentation(t *testing.T) []string {
	t.Helper()
	files := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"}
	err := fs.WalkDir(os.DirFS(root), "docs", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// expressionsIn are the blocks of a page that are marked as promql: one expression each.
func expressionsIn(t *testing.T, file string) []expression {
	t.Helper()
	var found []expression
	block, inside, number := "", false, 0
	for line := range strings.Lines(string(read(t, file))) {
		number++
		switch trimmed := strings.TrimSpace(line); {
		case inside && trimmed == "```":
			found, inside = append(found, expression{fmt.Sprintf("%s, above line %d", file, number), block}), false
		case inside:
			block += line
		case trimmed == "```promql":
			block, inside = "", true
		}
	}
	if inside {
		t.Errorf("%s: the last block does not end", file)
	}
	return found
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// parse reads an expression. Grafana's variables stand in durations and in the values of labels.
func parse(text string) (parser.Expr, error) {
	return parser.NewParser(parser.Options{}).ParseExpr(strings.ReplaceAll(text, "$__rate_interval", "5m"))
}

// selectors returns every selector in an expression, by the name of its metric, and every label
// that it groups by.
func selectors(text string) (found []*parser.VectorSelector, grouping []string, err error) {
	parsed, err := parse(text)
	if err != nil {
		return nil, nil, err
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			found = append(found, n)
		case *parser.AggregateExpr:
			grouping = append(grouping, n.Grouping...)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				grouping = append(grouping, n.VectorMatching.MatchingLabels...)
			}
		}
		return nil
	})
	return found, grouping, nil
}

// check says what is wrong with an expression.
func check(text string, series map[string]*family) (problems []string) {
	found, grouping, err := selectors(text)
	if err != nil {
		return []string{err.Error()}
	}
	if len(found) == 0 {
		problems = append(problems, "it is about no metric")
	}
	possible := slices.Clone(targetLabels)
	for _, selector := range found {
		f, exported := series[selector.Name]
		if !exported {
			problems = append(problems, fmt.Sprintf("nothing exports %s", selector.Name))
			continue
		}
		possible = append(possible, slices.Collect(maps.Keys(f.labels))...)
		for _, matcher := range selector.LabelMatchers {
			problems = append(problems, f.checkMatcher(matcher)...)
		}
	}
	for _, label := range grouping {
		if !slices.Contains(possible, label) {
			problems = append(problems, fmt.Sprintf("no metric in it has the label %s", label))
		}
	}
	return problems
}

// checkMatcher says what is wrong with one condition on one label: it must be able to hold for
// something that is exported, and each alternative of a|b|c too.
func (f *family) checkMatcher(matcher *labels.Matcher) []string {
	if matcher.Name == model.MetricNameLabel || slices.Contains(targetLabels, matcher.Name) {
		return nil
	}
	values, there := f.labels[matcher.Name]
	if !there {
		return []string{fmt.Sprintf("%s has no label %s", f.name, matcher.Name)}
	}
	if slices.Contains(f.open, matcher.Name) {
		return nil
	}
	var alternatives []string
	switch matcher.Type {
	case labels.MatchEqual:
		alternatives = []string{regexp.QuoteMeta(matcher.Value)}
	case labels.MatchRegexp:
		alternatives = strings.Split(matcher.Value, "|")
	}
	var problems []string
	for _, alternative := range alternatives {
		pattern, err := regexp.Compile("^(?:" + alternative + ")$")
		if err != nil || !slices.ContainsFunc(values, pattern.MatchString) {
			problems = append(problems, fmt.Sprintf("%s of %s is never %q, but one of %q", matcher.Name, f.name, alternative, values))
		}
	}
	return problems
}

func TestEveryExpressionIsAboutWhatIsExported(t *testing.T) {
	series := known(t)
	all := expressions(t)
	for _, e := range all {
		for _, problem := range check(e.text, series) {
			t.Errorf("%s: %s\n\t%s", e.where, problem, strings.TrimSpace(e.text))
		}
	}
	for _, part := range []string{"alert ", "panel ", "docs/"} {
		if !slices.ContainsFunc(all, func(e expression) bool { return strings.HasPrefix(e.where, part) }) {
			t.Errorf("there is no expression in any %q: they are not found", part)
		}
	}
}

// What the check is for, so that it cannot fall asleep.
func TestTheCheckOfExpressionsNotices(t *testing.T) {
	f := newFamily("netbaseline_namespaces", "gauge", "")
	f.note("state", "failed")
	f.note("state", "pending")
	f.note("baseline", "default")
	f.open = []string{"baseline"}
	h := newFamily("wait_seconds", "histogram", "")
	h.note("le", "1")
	series := map[string]*family{"netbaseline_namespaces": f, "wait_seconds_bucket": h}
	tests := map[string]struct{ text, wantProblem string }{
		"an expression without a fault":         {`sum by (baseline) (netbaseline_namespaces{state=~"pending|failed",baseline="b"}) > 0`, ""},
		"Grafana's variables":                   {`sum by (le) (rate(wait_seconds_bucket{job="$job"}[$__rate_interval]))`, ""},
		"a metric that nothing exports":         {`sum(netbaseline_spaces)`, "nothing exports netbaseline_spaces"},
		"one of two":                            {`netbaseline_namespaces > netbaseline_spaces`, "nothing exports netbaseline_spaces"},
		"in a subquery":                         {`max_over_time(netbaseline_spaces[1h:1m])`, "nothing exports netbaseline_spaces"},
		"a histogram without its suffix":        {`rate(wait_seconds[5m])`, "nothing exports wait_seconds"},
		"a label that it does not have":         {`netbaseline_namespaces{status="failed"}`, "netbaseline_namespaces has no label status"},
		"a value that a label does not have":    {`netbaseline_namespaces{state="fail"}`, `state of netbaseline_namespaces is never "fail"`},
		"one of several values":                 {`netbaseline_namespaces{state=~"failed|waiting"}`, `state of netbaseline_namespaces is never "waiting"`},
		"grouping by a label that is not there": {`sum by (status) (netbaseline_namespaces)`, "no metric in it has the label status"},
		"no metric at all":                      {`vector(1)`, "it is about no metric"},
		"what is not PromQL":                    {`sum(`, "parse error"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			problems := strings.Join(check(test.text, series), "; ")
			if test.wantProblem == "" && problems != "" || !strings.Contains(problems, test.wantProblem) {
				t.Errorf("problems %q, want %q", problems, test.wantProblem)
			}
		})
	}
}

// mentioned finds metrics of ours that are named in prose.
var mentioned = regexp.MustCompile(`\b(?:netbaseline|kube_clusternetworkbaseline)_[a-z0-9_]*[a-z0-9]`)

func TestEveryMetricInTheDocumentationIsExported(t *testing.T) {
	series := known(t)
	families := map[string]bool{}
	for _, f := range series {
		families[f.name] = true
	}
	found := 0
	for _, file := range documentation(t) {
		for _, name := range mentioned.FindAllString(string(read(t, file)), -1) {
			found++
			if series[name] == nil && !families[name] {
				t.Errorf("%s: nothing exports %s", file, name)
			}
		}
	}
	if found == 0 {
		t.Error("the documentation names no metric: they are not found")
	}
}
