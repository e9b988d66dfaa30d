package harness

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/netbaseline/netbaseline/test/integration/privilege"
	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

// auditDirectory is the environment variable with the directory for the saved requests of the
// operator; see `make privileges`.
const auditDirectory = "NETBASELINE_AUDIT_DIR"

// SaveAccesses saves the requests of the operator's account to a cluster, if NETBASELINE_AUDIT_DIR
// is set. The cluster must have been started with Options.AuditReadsOf the operator. Only suites
// that start a cluster by themselves need to call it, before they stop it.
func SaveAccesses(cluster *localcluster.Cluster) error { return saveAccesses(cluster, "") }

// ExcuseDenials records why a denial in this environment does not mean that the operator lacks
// rights.
func (e *Environment) ExcuseDenials(why string) { e.excuse = why }

func saveAccesses(cluster *localcluster.Cluster, excuse string) error {
	directory := os.Getenv(auditDirectory)
	if directory == "" {
		return nil
	}
	events, err := cluster.ReadAudit()
	if err != nil {
		return fmt.Errorf("read the requests of the operator: %w", err)
	}
	accesses := privilege.Collect(events, OperatorUser, "netbaseline-")
	if len(accesses) == 0 {
		return nil // no manager ran here
	}
	if excuse != "" {
		privilege.Excuse(accesses, excuse)
	}
	if err := privilege.Save(directory, filepath.Base(os.Args[0]), accesses); err != nil {
		return fmt.Errorf("save the requests of the operator: %w", err)
	}
	return nil
}
