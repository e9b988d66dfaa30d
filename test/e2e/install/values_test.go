package install_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// another gives every value of the chart a different one. Both name the values by their path.
var another = map[string]string{
	"crds.enabled":                   `false`,
	"crds.keep":                      `false`,
	"image.repository":               `"registry.example.com/netbaseline"`,
	"image.tag":                      `"v1"`,
	"image.digest":                   `"sha256:` + strings.Repeat("0", 64) + `"`,
	"image.pullPolicy":               `"Always"`,
	"image.pullSecrets":              `["registry"]`,
	"replicas":                       `3`,
	"podDisruptionBudget.enabled":    `false`,
	"priorityClassName":              `""`,
	"resources.requests.cpu":         `"1"`,
	"resources.requests.memory":      `"32Mi"`,
	"resources.limits.memory":        `"1Gi"`,
	"nodeSelector":                   `{"a": "b"}`,
	"tolerations":                    `[{"operator": "Exists"}]`,
	"podLabels":                      `{"a": "b"}`,
	"podAnnotations":                 `{"a": "b"}`,
	"extraArgs":                      `["--zap-log-level=debug"]`,
	"networkPolicy.enabled":          `false`,
	"networkPolicy.metricsFrom":      fromMonitoring,
	"networkPolicy.apiServerPorts":   `[8443]`,
	"metrics.serviceMonitor.enabled": `true`,
	"metrics.serviceMonitor.labels":  `{"a": "b"}`,
	"metrics.prometheusRule.enabled": `true`,
	"metrics.prometheusRule.labels":  `{"a": "b"}`,
}

// requires are the values without which another one means nothing.
var requires = map[string]string{
	"metrics.serviceMonitor.labels": " --set metrics.serviceMonitor.enabled=true",
	"metrics.prometheusRule.labels": " --set metrics.prometheusRule.enabled=true",
}

func TestEveryValueHasAnEffect(t *testing.T) {
	found := map[string]bool{}
	for _, path := range leaves("", chartValues(t)) {
		found[path] = true
		value, known := another[path]
		if !known {
			t.Errorf("%s is in values.yaml and in no test", path)
			continue
		}
		before, after := mustRun(t, helmTemplate+requires[path]), mustRun(t, helmTemplate+requires[path]+" --set-json '"+path+"="+value+"'")
		if before == after {
			t.Errorf("%s=%s changes nothing", path, value)
		}
	}
	for path := range another {
		if !found[path] {
			t.Errorf("%s is not in values.yaml", path)
		}
	}
}

func TestTheChartRefusesWhatItDoesNotKnow(t *testing.T) {
	// Quantities have free names, as in a Pod.
	free := []string{"resources.requests", "resources.limits"}
	for _, path := range append(branches("", chartValues(t)), "") {
		if slices.Contains(free, path) {
			continue
		}
		unknown := strings.TrimPrefix(path+".unknown", ".")
		_, err := shell(t.Context(), helmTemplate+"--set "+unknown+"=1")
		if err == nil || !strings.Contains(err.Error(), "additional properties 'unknown' not allowed") {
			t.Errorf("%s: %v, want it refused as unknown", unknown, err)
		}
	}
}

func TestTheChartRefusesWhatCannotWork(t *testing.T) {
	tests := map[string]struct{ accepts, refuses, says string }{
		"replicas in words":         {"replicas=1", "replicas=two", "got string, want integer"},
		"a negative replica":        {"replicas=0", "replicas=-1", "minimum"},
		"an image without a tag":    {"image.tag=v1", "image.tag=", "image"},
		"no digest":                 {"image.digest=sha256:" + strings.Repeat("a", 64), "image.digest=latest", "does not match pattern"},
		"a port that is none":       {"networkPolicy.apiServerPorts={8443}", "networkPolicy.apiServerPorts={70000}", "maximum"},
		"no port to the API server": {"networkPolicy.enabled=false", "networkPolicy.apiServerPorts=null", "apiServerPorts"},
		"a peer that is none":       {"networkPolicy.metricsFrom[0].podSelector.matchLabels.app=prometheus", "networkPolicy.metricsFrom[0].namespace=monitoring", "additional properties 'namespace' not allowed"},
		"no flag":                   {"extraArgs={--zap-log-level=debug}", "extraArgs={debug}", "does not match pattern"},
		"a policy that is none":     {"image.pullPolicy=Always", "image.pullPolicy=Sometimes", "must be one of"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			mustRun(t, helmTemplate+"--set '"+test.accepts+"'")
			_, err := shell(t.Context(), helmTemplate+"--set '"+test.refuses+"'")
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "values don't meet the specifications") {
				t.Errorf("%s: %v, want it refused and told: %s", test.refuses, err, test.says)
			}
		})
	}
}

// To a subchart, Helm passes `global`, and its parent often sets `enabled` for a condition.
func TestTheChartCanBeDependedOn(t *testing.T) {
	const script = `mkdir -p parent/charts && cp -r charts/netbaseline parent/charts/
		printf 'apiVersion: v2\nname: parent\nversion: 1.0.0\ndependencies:\n- {name: netbaseline, version: 0.1.0, condition: netbaseline.enabled}\n' >parent/Chart.yaml
		printf 'global: {a: b}\nnetbaseline: {enabled: true}\n' >parent/values.yaml
		helm template netbaseline parent --namespace netbaseline-system`
	if diff := cmp.Diff(rendered(t, helmTemplate), rendered(t, script)); diff != "" {
		t.Errorf("as a dependency it renders something else (-alone +dependency):\n%s", diff)
	}
}

func TestNothingOfTheChartIsABaseline(t *testing.T) {
	all := rendered(t, helmTemplate+"--set metrics.serviceMonitor.enabled=true --set metrics.prometheusRule.enabled=true")
	for key, object := range all {
		if object.GroupVersionKind().Group == "policy.netbaseline.dev" {
			t.Errorf("%s: a first baseline must be a decision", key)
		}
	}
	entries, err := os.ReadDir(harness.RepositoryPath("charts/netbaseline"))
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(entries, func(entry os.DirEntry) bool { return entry.Name() == "crds" }) {
		t.Error("Helm never upgrades what is in crds/")
	}
}

func TestTheMemoryLimitOfGoFollowsTheContainers(t *testing.T) {
	tests := map[string]string{"256Mi": "224MiB", "100Mi": "87MiB", "1Gi": "896MiB", "1G": ""}
	for limit, want := range tests {
		deployment := rendered(t, helmTemplate+"--set resources.limits.memory="+limit)["Deployment netbaseline-system netbaseline-controller-manager"]
		text, err := json.Marshal(deployment)
		if err != nil {
			t.Fatal(err)
		}
		entry := fmt.Sprintf(`{"name":"GOMEMLIMIT","value":%q}`, want)
		if want == "" {
			if strings.Contains(string(text), "GOMEMLIMIT") {
				t.Errorf("%s: there is a GOMEMLIMIT", limit)
			}
		} else if !strings.Contains(string(text), entry) {
			t.Errorf("%s: no %s in %s", limit, entry, text)
		}
	}
}

func TestTheNotesWarn(t *testing.T) {
	const published = "image.repository=registry.example.com/netbaseline"
	tests := map[string]struct {
		values string
		warns  []string
	}{
		"nothing to warn of":    {"", nil},
		"no replica":            {",replicas=0", []string{"no replica", "no disruption budget"}},
		"one replica":           {",replicas=1", []string{"one replica", "no disruption budget"}},
		"no budget":             {",podDisruptionBudget.enabled=false", []string{"no disruption budget"}},
		"the CRD does not stay": {",crds.keep=false", []string{"crds.keep is false"}},
		"the CRD is not ours":   {",crds.keep=false,crds.enabled=false", nil},
		"no image":              {",image.repository=controller", []string{"the image is controller:latest"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			notes := mustRun(t, "helm install netbaseline charts/netbaseline --namespace netbaseline-system --dry-run=client --set "+published+test.values)
			_, notes, _ = strings.Cut(notes, "NOTES:")
			var warns []string
			for line := range strings.Lines(notes) {
				if warning, found := strings.CutPrefix(line, "WARNING: "); found {
					warns = append(warns, warning)
				}
			}
			if !slices.EqualFunc(warns, test.warns, strings.HasPrefix) {
				t.Errorf("warnings %q, want %q", warns, test.warns)
			}
			if !strings.HasSuffix(strings.TrimSpace(notes), "EOF") || !strings.Contains(notes, "\n  mode: Audit\n") {
				t.Errorf("they do not end with a baseline in Audit mode:\n%s", notes)
			}
		})
	}
}

func chartValues(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile(harness.RepositoryPath("charts/netbaseline/values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	if err := yaml.UnmarshalStrict(text, &values); err != nil {
		t.Fatal(err)
	}
	return values
}

// leaves are the paths of the values that hold no others; an empty map is one, since its keys are
// free.
func leaves(prefix string, values map[string]any) (paths []string) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if inner, ok := values[key].(map[string]any); ok && len(inner) > 0 {
			paths = append(paths, leaves(prefix+key+".", inner)...)
		} else {
			paths = append(paths, prefix+key)
		}
	}
	return paths
}

// branches are the paths of the values that hold others.
func branches(prefix string, values map[string]any) (paths []string) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if inner, ok := values[key].(map[string]any); ok && len(inner) > 0 {
			paths = append(append(paths, prefix+key), branches(prefix+key+".", inner)...)
		}
	}
	return paths
}
