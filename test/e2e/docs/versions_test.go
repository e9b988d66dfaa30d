package docs_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/version"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// The table of supported versions says what these tests run against, and what the chart accepts.
func TestTheSupportedVersionsAreThoseThatAreTested(t *testing.T) {
	t.Parallel()
	printed, err := environment.Kubectl(t.Context(), "get", "--raw", "/version")
	if err != nil {
		t.Fatal(err)
	}
	server, chart := &version.Info{}, struct{ KubeVersion string }{}
	if err := yaml.Unmarshal([]byte(printed), server); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(read(t, "charts/netbaseline/Chart.yaml")), &chart); err != nil {
		t.Fatal(err)
	}
	oldest, ok := strings.CutSuffix(strings.TrimPrefix(chart.KubeVersion, ">="), ".0-0")
	if !ok {
		t.Fatalf("the chart's kubeVersion is %s", chart.KubeVersion)
	}
	minor, err := strconv.Atoi(server.Minor)
	if err != nil {
		t.Fatal(err)
	}
	row := fmt.Sprintf("| `main` | %s | %s to %s.%d |", strings.TrimPrefix(server.GitVersion, "v"), oldest, server.Major, minor-1)
	if !strings.Contains(read(t, "SECURITY.md"), row) {
		t.Errorf("SECURITY.md does not say: %s", row)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(harness.RepositoryPath(path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
