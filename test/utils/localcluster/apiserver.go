package localcluster

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
)

// APIServer is one more kube-apiserver of a cluster.
type APIServer struct {
	*Process
	// Host is where it listens, such as 127.0.0.1:20001. It accepts the same users as the first
	// one.
	Host string
}

// StartAPIServer starts one more kube-apiserver, with the certificates and flags of the first one
// and a port of its own, and waits until it is ready. It reaches the cluster's etcd at
// etcdEndpoint, which may be a proxy. It ends with the cluster at the latest; ReadAudit reads its
// audit log too.
func (c *Cluster) StartAPIServer(ctx context.Context, etcdEndpoint string) (*APIServer, error) {
	tls, err := c.pki.clientTLS()
	if err != nil {
		return nil, fmt.Errorf("read the administrator's certificate: %w", err)
	}
	c.moreMutex.Lock()
	defer c.moreMutex.Unlock()
	ports, err := c.ports.reserve(1)
	if err != nil {
		return nil, err
	}
	number := strconv.Itoa(len(c.more) + 2)
	args := c.apiServerArgs(etcdEndpoint, ports[0], filepath.Join(c.logs, "audit-"+number+".log"))
	server := &APIServer{
		Process: c.newProcess(apiServerBinary, apiServerBinary+"-"+number, append(args, c.options.APIServerArgs...)),
		Host:    address(ports[0]),
	}
	server.Ready = probe("https://"+server.Host+"/readyz", tls)
	c.more = append(c.more, server.Process)
	return server, server.Start(ctx)
}
