package install_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// aForgetfulCluster answers as kubectl would of a cluster with one baseline, which stops
// answering once its deletion has begun.
const aForgetfulCluster = `#!/usr/bin/env bash
case "$*" in
*customresourcedefinition*) echo customresourcedefinition/clusternetworkbaselines.policy.netbaseline.dev ;;
delete*) touch "$0.deleted" ;;
get*) [[ ! -e $0.deleted ]] || { echo "Unable to connect to the server" >&2; exit 1; }; echo "default 7" ;;
esac
`

// After this, `make undeploy` deletes the CustomResourceDefinition and the operator.
func TestNoAnswerIsNotTakenForNoBaselines(t *testing.T) {
	t.Parallel()
	kubectl := filepath.Join(t.TempDir(), "kubectl")
	if err := os.WriteFile(kubectl, []byte(aForgetfulCluster), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	script := harness.RepositoryPath("internal/tools/delete-baselines.sh")
	said, err := harness.Shell(t.Context(), ".", append(os.Environ(), "KUBECTL="+kubectl), script)
	if err == nil || strings.Contains(said, "are gone") {
		t.Errorf("it ends well and says:\n%s", said)
	}
}
