package localcluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"testing"
)

// ownerVariable makes the test binary start a cluster, describe it on stdout, and wait to be
// killed.
const ownerVariable = "NETBASELINE_LOCALCLUSTER_OWNER"

// ownedCluster is what such an owner prints.
type ownedCluster struct {
	Dir  string
	PIDs []int
}

func TestMain(m *testing.M) {
	if os.Getenv(ownerVariable) == "" {
		os.Exit(m.Run())
	}
	if err := ownCluster(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func ownCluster() error {
	cluster, err := Start(context.Background(), Options{})
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(ownedCluster{Dir: cluster.Dir(), PIDs: pids(cluster)}); err != nil {
		return err
	}
	<-cluster.APIServer().Exited()
	return fmt.Errorf("the API server ended before its owner")
}

func pids(c *Cluster) []int {
	return []int{c.Etcd().PID(), c.APIServer().PID(), c.ControllerManager().PID()}
}

func procStat(pid int) string { return "/proc/" + strconv.Itoa(pid) + "/stat" }
