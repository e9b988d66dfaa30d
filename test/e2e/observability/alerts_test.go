package observability

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// unitTest is a file in alerts/, as far as it is looked at here; promtool reads the rest.
type unitTest struct {
	Tests []struct {
		Rules []struct {
			Alert    string `json:"alertname"`
			Expected []any  `json:"exp_alerts"`
		} `json:"alert_rule_test"`
	} `json:"tests"`
}

const runbooks = "https://github.com/netbaseline/netbaseline/blob/main/docs/runbooks/"

// promtool reads a plain file of rules, which is what stands under spec in a PrometheusRule.
func TestPromtool(t *testing.T) {
	promtool, err := filepath.Abs(root + "/bin/promtool")
	if err == nil {
		_, err = os.Stat(promtool)
	}
	if err != nil {
		t.Fatalf("%v: run `make promtool`", err)
	}
	directory := t.TempDir()
	if err := os.CopyFS(directory, os.DirFS("alerts")); err != nil {
		t.Fatal(err)
	}
	tests, err := filepath.Glob(filepath.Join(directory, "*.yaml"))
	if err != nil || len(tests) == 0 {
		t.Fatalf("tests of alerts: %v %v", tests, err)
	}
	_, spec := readRule(t)
	ruleFile := filepath.Join(directory, "rules.yaml")
	if err := os.WriteFile(ruleFile, spec, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{{"check", "rules", "--lint=all", "--lint-fatal", ruleFile}, append([]string{"test", "rules"}, tests...)} {
		if printed, err := exec.CommandContext(t.Context(), promtool, arguments...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(arguments[:2], " "), err, printed)
		}
	}
}

func TestEveryAlertHasATestThatFiresAndOneThatStaysSilent(t *testing.T) {
	alerts, _ := readRule(t)
	files, err := filepath.Glob("alerts/*.yaml")
	if err != nil || len(files) != len(alerts) {
		t.Errorf("%d alerts and %d files in alerts/: %v", len(alerts), len(files), err)
	}
	for i := range alerts {
		name := alerts[i].Alert
		content, err := os.ReadFile(filepath.Join("alerts", name+".yaml"))
		if err != nil {
			t.Error(err)
			continue
		}
		parsed := &unitTest{}
		if err := yaml.Unmarshal(content, parsed); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		fires, silent := false, false
		for _, test := range parsed.Tests {
			fired := false
			for _, rule := range test.Rules {
				if rule.Alert != name {
					t.Errorf("alerts/%s.yaml tests %s", name, rule.Alert)
				}
				fired = fired || len(rule.Expected) > 0
			}
			fires, silent = fires || fired, silent || !fired && len(test.Rules) > 0
		}
		if !fires || !silent {
			t.Errorf("alerts/%s.yaml: a test fires: %t, another stays silent: %t; there must be both", name, fires, silent)
		}
	}
}

func TestEveryAlertHasARunbook(t *testing.T) {
	alerts, _ := readRule(t)
	pages := map[string]bool{"README.md": true}
	for i := range alerts {
		name := alerts[i].Alert
		pages[name+".md"] = true
		if got, want := alerts[i].Annotations["runbook_url"], runbooks+name+".md"; got != want {
			t.Errorf("%s: runbook_url is %s, want %s", name, got, want)
		}
		if severity := alerts[i].Labels["severity"]; severity != "critical" && severity != "warning" {
			t.Errorf("%s: severity %q", name, severity)
		}
		file := "docs/runbooks/" + name + ".md"
		page := read(t, file)
		var headings []string
		for line := range strings.Lines(string(page)) {
			if heading, ok := strings.CutPrefix(strings.TrimSpace(line), "## "); ok {
				headings = append(headings, heading)
			}
		}
		if want := []string{"Meaning", "Impact", "Diagnosis", "Mitigation"}; !slices.Equal(headings, want) {
			t.Errorf("%s has the headings %q, want %q", file, headings, want)
		}
		if rule := "`" + alerts[i].Labels["severity"] + "`, after " + alerts[i].For + ":"; !strings.Contains(string(page), rule) {
			t.Errorf("%s does not say %s", file, rule)
		}
		shown := expressionsIn(t, file)
		if len(shown) == 0 || strings.TrimSpace(shown[0].text) != alerts[i].Expr {
			t.Errorf("%s does not begin with the expression of the alert", file)
		}
	}
	entries, err := os.ReadDir(root + "/docs/runbooks")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !pages[entry.Name()] {
			t.Errorf("docs/runbooks/%s is about no alert", entry.Name())
		}
	}
}
