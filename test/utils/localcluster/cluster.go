package localcluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Cluster is a running control plane. It has no nodes: pods stay pending. Its methods may be called
// from several goroutines.
type Cluster struct {
	options   Options
	directory *directory
	ports     portSet
	pki       pki
	logs      string
	config    *rest.Config
	clientset *kubernetes.Clientset

	etcdPort, etcdPeerPort, apiServerPort, controllerManagerPort int

	etcd, apiServer, controllerManager *Process

	moreMutex sync.Mutex // also held while one of them starts, so that none starts in a cluster that is stopped
	more      []*Process // API servers beyond the first

	stop    sync.Once
	stopErr error
}

// Start starts a control plane and waits until it is ready, see WaitReady. It fails if a binary is
// missing, if the directory is used by another cluster, or if a process does not become ready: then
// the error ends with that process' last log lines, and nothing is left running. ctx bounds the
// start only; end the cluster with Stop.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("start local cluster: %w", err)
	}
	directory, err := openDirectory(options.Dir)
	if err != nil {
		return nil, fmt.Errorf("start local cluster: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, options.StartTimeout)
	defer cancel()
	c := &Cluster{options: options, directory: directory}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start local cluster: %w", err), c.Stop())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	if err := c.prepare(); err != nil {
		return err
	}
	if err := c.describeProcesses(); err != nil {
		return err
	}
	for _, process := range []*Process{c.etcd, c.apiServer, c.controllerManager} {
		if err := process.Start(ctx); err != nil {
			return err
		}
	}
	if err := c.WaitReady(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, logTail(c.controllerManager.LogPath(), 0)) // the last that had work to do
	}
	return nil
}

// prepare chooses ports and writes all files that the processes read.
func (c *Cluster) prepare() error {
	ports, err := c.ports.reserve(4)
	if err != nil {
		return err
	}
	c.etcdPort, c.etcdPeerPort, c.apiServerPort, c.controllerManagerPort = ports[0], ports[1], ports[2], ports[3]
	if c.logs, err = c.directory.subdirectory("logs"); err != nil {
		return err
	}
	if c.pki, err = ensurePKI(filepath.Join(c.directory.path, "pki")); err != nil {
		return err
	}
	if err := c.writeAuditPolicy(); err != nil {
		return err
	}
	if c.config, err = c.writeKubeconfigs(); err != nil {
		return err
	}
	c.clientset, err = kubernetes.NewForConfig(c.config)
	return err
}

// Stop ends all processes, frees their ports, and removes the directory if it is temporary. In a
// directory that stays the processes end in order and gracefully; in one that goes they are killed.
// Calling it again returns the same error.
func (c *Cluster) Stop() error {
	c.stop.Do(func() {
		c.moreMutex.Lock()
		defer c.moreMutex.Unlock()
		var errs []error
		for _, process := range append(c.more, c.controllerManager, c.apiServer, c.etcd) {
			if process != nil {
				errs = append(errs, c.end(process))
			}
		}
		c.ports.release()
		errs = append(errs, c.directory.release())
		c.stopErr = errors.Join(errs...)
	})
	return c.stopErr
}

func (c *Cluster) end(process *Process) error {
	if !c.directory.temporary {
		return process.Stop()
	}
	if err := process.Kill(); err != nil && !errors.Is(err, ErrNotRunning) {
		return err
	}
	return nil
}

// Etcd is the etcd process. Without it the API server answers reads from its cache and fails
// writes.
func (c *Cluster) Etcd() *Process { return c.etcd }

// APIServer is the kube-apiserver process.
func (c *Cluster) APIServer() *Process { return c.apiServer }

// ControllerManager is the kube-controller-manager process: it deletes namespaces and garbage,
// aggregates cluster roles, creates service accounts, and runs Deployments, ReplicaSets and Jobs as
// far as creating pods.
func (c *Cluster) ControllerManager() *Process { return c.controllerManager }

// Dir holds everything the cluster writes; process logs are in its folder logs.
func (c *Cluster) Dir() string { return c.directory.path }

// Kubectl is the path of a kubectl binary of the cluster's version.
func (c *Cluster) Kubectl() string { return filepath.Join(c.options.BinDir, kubectlBinary) }

// EtcdEndpoint is the URL for etcd clients. It needs no credentials: any program on this machine
// can use it.
func (c *Cluster) EtcdEndpoint() string { return "http://" + address(c.etcdPort) }
