package privilege_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/test/integration/privilege"
	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

const (
	// patience is for a busy machine. Otherwise tenths of a second suffice.
	patience = 60 * time.Second
	interval = 50 * time.Millisecond
)

var (
	env *harness.Environment
	// program is the path of the manager.
	program string
)

func TestMain(m *testing.M) { harness.Main(func() (int, error) { return run(m) }) }

func run(m *testing.M) (code int, err error) {
	ctx := context.Background()
	// As in Kubernetes 1.33: where the API server streams lists, caches are filled by the right to
	// watch alone.
	env, err = harness.Start(ctx, localcluster.Options{APIServerArgs: []string{"--feature-gates=WatchList=false"}})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, env.Stop()) }()
	env.ExcuseDenials("test/integration/privilege takes rights away, and asks for what is not granted")
	program = filepath.Join(env.Cluster.Dir(), "manager")
	if err := harness.BuildManager(ctx, program); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

func patient(t *testing.T) Gomega {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(patience)
	g.SetDefaultEventuallyPollingInterval(interval)
	g.SetDefaultConsistentlyPollingInterval(interval)
	return g
}

// shipped are the grants of config/default to the operator.
func shipped(t *testing.T) []privilege.Grant {
	t.Helper()
	manifests, err := env.Kubectl(t.Context(), "kustomize", harness.RepositoryPath("config/default"))
	if err != nil {
		t.Fatal(err)
	}
	grants, err := privilege.Grants(manifests, harness.OperatorNamespace, harness.OperatorServiceAccount)
	if err != nil {
		t.Fatal(err)
	}
	return grants
}

// manager is the shipped program, under its own account.
type manager struct {
	*harness.Program
	log int64 // where the audit log ended when it was started
}

func startManager(t *testing.T, g Gomega) *manager {
	t.Helper()
	log, err := os.Stat(env.Cluster.AuditLogPath())
	g.Expect(err).NotTo(HaveOccurred())
	started, err := env.StartProgram(t.Context(), program, filepath.Join(t.TempDir(), "manager.log"))
	g.Expect(err).NotTo(HaveOccurred())
	m := &manager{started, log.Size()}
	t.Cleanup(func() { g.Expect(m.Stop()).To(Succeed()) })
	return m
}

// leads waits until the manager has filled its caches and works.
func (m *manager) leads(t *testing.T, g Gomega) {
	t.Helper()
	g.Eventually(func() (int, error) { return harness.GetStatus(t.Context(), m.Probes+"/readyz", "") }).Should(Equal(http.StatusOK))
	g.Eventually(leaseHeld).WithArguments(t.Context()).Should(BeTrue())
}

// refusals are the times at which it requested a permission and was denied. Earlier entries are
// left out: the log is long.
func (m *manager) refusals(permission privilege.Permission) (times []time.Time, err error) {
	log, err := os.Open(env.Cluster.AuditLogPath())
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // only read
	if _, err := log.Seek(m.log, io.SeekStart); err != nil {
		return nil, err
	}
	content, err := io.ReadAll(log)
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(content) {
		event := auditv1.Event{}
		if !bytes.HasSuffix(line, []byte("\n")) || !bytes.Contains(line, []byte(`"forbid"`)) {
			continue
		}
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, err
		}
		for _, access := range privilege.Collect([]auditv1.Event{event}, harness.OperatorUser, "netbaseline-") {
			if access.Permission == permission && access.Role == "" {
				times = append(times, event.RequestReceivedTimestamp.Time)
			}
		}
	}
	return times, nil
}

// leaseHeld reports whether the lease has a holder. A manager that ends releases the lease.
func leaseHeld(ctx context.Context) (bool, error) {
	leader, err := env.Leader(ctx)
	return leader != "", client.IgnoreNotFound(err)
}

// name returns a unique name for an object of the suite.
func name(what string, number int) string { return fmt.Sprintf("%s-%02d", what, number) }
