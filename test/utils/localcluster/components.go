package localcluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// controllers are those that namespaces, RBAC, ownership, quotas and workloads need. Without
// aggregation the cluster roles admin and edit have no rules, and tests that act as a tenant would
// pass for the wrong reason. Without the quota controller a quota counts no deletion.
var controllers = []string{
	"namespace-controller",
	"garbage-collector-controller",
	"clusterrole-aggregation-controller",
	"serviceaccount-controller",
	"resourcequota-controller",
	"replicaset-controller",
	"deployment-controller",
	"job-controller",
	"validatingadmissionpolicy-status-controller",
}

// describeProcesses configures how each process runs and when it is ready; it starts none.
func (c *Cluster) describeProcesses() error {
	tls, err := c.pki.clientTLS()
	if err != nil {
		return fmt.Errorf("read the administrator's certificate: %w", err)
	}
	c.etcd = c.newProcess(etcdBinary, etcdBinary, c.etcdArgs())
	c.etcd.Ready = probe(c.EtcdEndpoint()+"/health", nil)
	args := c.apiServerArgs(c.EtcdEndpoint(), c.apiServerPort, c.AuditLogPath())
	c.apiServer = c.newProcess(apiServerBinary, apiServerBinary, append(args, c.options.APIServerArgs...))
	c.apiServer.Ready = probe("https://"+address(c.apiServerPort)+"/readyz", tls)
	c.controllerManager = c.newProcess(controllerManagerBinary, controllerManagerBinary,
		append(c.controllerManagerArgs(), c.options.ControllerManagerArgs...))
	c.controllerManager.Ready = probe("https://"+address(c.controllerManagerPort)+"/healthz", tls)
	return nil
}

// newProcess gives the process no environment of ours but PATH: ETCD_* and KUBE_FEATURE_* variables
// that a test sets for its own program would change the control plane.
func (c *Cluster) newProcess(binary, name string, args []string) *Process {
	env := []string{"PATH=" + os.Getenv("PATH")}
	return NewProcess(name, filepath.Join(c.options.BinDir, binary), args, env, filepath.Join(c.logs, name+".log"))
}

func (c *Cluster) etcdArgs() []string {
	peer := "http://" + address(c.etcdPeerPort)
	return []string{
		"--name=local",
		"--data-dir=" + filepath.Join(c.directory.path, "etcd"),
		"--listen-client-urls=" + c.EtcdEndpoint(),
		"--advertise-client-urls=" + c.EtcdEndpoint(),
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=local=" + peer,
		"--unsafe-no-fsync",
		"--log-level=warn",
		// A single member has no rival: this elects it in a tenth of the usual second.
		"--heartbeat-interval=10",
		"--election-timeout=100",
	}
}

func (c *Cluster) apiServerArgs(etcdEndpoint string, port int, auditLog string) []string {
	return []string{
		"--etcd-servers=" + etcdEndpoint,
		"--bind-address=" + loopback,
		"--secure-port=" + strconv.Itoa(port),
		// The endpoints of the service `kubernetes` must not be loopback addresses, so they are not
		// kept at all; and without an address to advertise the server would need a default route.
		"--advertise-address=" + loopback,
		"--endpoint-reconciler-type=none",
		"--client-ca-file=" + c.pki.caCert(),
		"--tls-cert-file=" + c.pki.servingCert(),
		"--tls-private-key-file=" + c.pki.servingKey(),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.pki.serviceAccountPub(),
		"--service-account-signing-key-file=" + c.pki.serviceAccountKey(),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--authorization-mode=RBAC",
		"--allow-privileged=true",
		"--profiling=false",
		"--audit-policy-file=" + c.auditPolicyPath(),
		"--audit-log-path=" + auditLog,
		"--audit-log-mode=blocking",
		// One file forever: rotation would hide events from ReadAudit.
		"--audit-log-maxsize=0",
	}
}

func (c *Cluster) controllerManagerArgs() []string {
	return []string{
		"--kubeconfig=" + c.controllerKubeconfig(),
		"--controllers=" + strings.Join(controllers, ","),
		"--use-service-account-credentials=true",
		"--leader-elect=false",
		"--bind-address=" + loopback,
		"--secure-port=" + strconv.Itoa(c.controllerManagerPort),
		"--tls-cert-file=" + c.pki.servingCert(),
		"--tls-private-key-file=" + c.pki.servingKey(),
		"--client-ca-file=" + c.pki.caCert(),
		"--authentication-skip-lookup=true",
		"--profiling=false",
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
		"--concurrent-namespace-syncs=50",
	}
}
