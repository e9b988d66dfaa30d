//go:build faults

package faults_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/netbaseline/netbaseline/test/faults"
	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

// program builds the manager, once.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(env.Cluster.Dir(), "manager")
	return path, harness.BuildManager(context.Background(), path)
})

// replica is the manager as a process of its own, under the operator's service account, from its
// start to its end. Everything that it asks of the API server goes through its own transport, which
// is how it can be told from others with the same name.
type replica struct {
	*faults.Transport
	process *localcluster.Process
	// leads means that it has had the lease, and written is how often it has changed a policy or a
	// baseline.
	leads   atomic.Bool
	written atomic.Int32
}

var replicas int

// startReplica starts a replica and waits until its caches are filled.
func startReplica(t *testing.T, flags ...string) *replica {
	t.Helper()
	replicas++
	path, err := program()
	must(t, err)
	r := &replica{Transport: newTransport()}
	r.obey()
	kubeconfig, logs := r.serve(t), filepath.Join(t.TempDir(), "log")
	flags = append([]string{"--metrics-bind-address=0", "--health-probe-bind-address=0"}, flags...)
	r.process = localcluster.NewProcess(fmt.Sprintf("replica %d", replicas), path, flags, append(os.Environ(), "KUBECONFIG="+kubeconfig), logs)
	must(t, r.process.Start(t.Context()))
	t.Cleanup(func() {
		_ = r.process.Kill() // it may be dead
		if t.Failed() {
			if text, err := os.ReadFile(logs); err == nil {
				t.Logf("the log of a replica:\n%s", text)
			}
		}
	})
	r.watches(t)
	return r
}

// serve gives a replica its own way to the API server and returns the kubeconfig for it.
func (r *replica) serve(t *testing.T) (path string) {
	t.Helper()
	proxy, err := r.Proxy(env.Cluster.Config())
	must(t, err)
	server := httptest.NewUnstartedServer(proxy)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of replicas that are killed while they connect
	server.StartTLS()                                   // clients send no token to a server without TLS
	t.Cleanup(func() {
		r.Abandon()
		server.CloseClientConnections()
		server.Close()
	})
	path, err = env.Cluster.ServiceAccountKubeconfig(t.Context(), harness.OperatorNamespace, harness.OperatorServiceAccount)
	must(t, err)
	config, err := clientcmd.LoadFromFile(path)
	must(t, err)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for _, cluster := range config.Clusters {
		cluster.Server, cluster.CertificateAuthorityData = server.URL, authority
	}
	path = filepath.Join(t.TempDir(), "kubeconfig")
	must(t, clientcmd.WriteToFile(*config, path))
	return path
}

// obey has a replica obey rules, and notes what it succeeds in.
func (r *replica) obey(rules ...*faults.Rule) {
	r.Clear()
	for _, rule := range rules {
		r.Add(rule)
	}
	r.Add(&faults.Rule{Match: renewal, Fault: success(func() { r.leads.Store(true) })})
	r.Add(&faults.Rule{Match: faults.Call.Writes, Fault: success(func() { r.written.Add(1) })})
}

func renewal(call faults.Call) bool {
	return call.Resource == "leases" && (call.Verb == "update" || call.Verb == "create")
}

// success calls a function when the API server has accepted something.
func success(note func()) faults.Fault {
	return func(_ *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		response, err := send()
		if err == nil && response.StatusCode < http.StatusMultipleChoices {
			note()
		}
		return response, err
	}
}

func (r *replica) watches(t *testing.T) {
	t.Helper()
	eventually(t, func() string {
		if r.Watching("namespaces", "networkpolicies", "clusternetworkbaselines") {
			return ""
		}
		return "the replica does not watch yet"
	})
}

func (r *replica) silent(t *testing.T, duration time.Duration) {
	t.Helper()
	silent(t, r.Transport, duration)
}

func (r *replica) awaitLeading(t *testing.T) {
	t.Helper()
	eventually(t, func() string {
		if r.leads.Load() {
			return ""
		}
		return "the replica does not lead yet"
	})
}

// ended waits until a replica has ended by itself, and says what it had to say about that.
func (r *replica) ended(t *testing.T) (last string) {
	t.Helper()
	eventually(t, func() string {
		select {
		case <-r.process.Exited():
			return ""
		default:
			return "the replica still runs"
		}
	})
	text, err := os.ReadFile(r.process.LogPath())
	must(t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// killed is a SIGKILL in the middle of a call: before the API server sees it, or after it took
// effect and before the answer arrives.
func (r *replica) killed(effective bool) faults.Fault {
	return func(request *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		fault := faults.ResetBefore()
		if effective {
			fault = faults.ResetAfter()
		}
		response, err := fault(request, send)
		_ = r.process.Kill() // it is alive, or it could not have asked
		return response, err
	}
}

// stopped is a SIGSTOP in the middle of a call, which is held back until a test lets it continue,
// and SIGCONT when its answer arrives.
func (r *replica) stopped(held chan<- struct{}, goOn <-chan struct{}) faults.Fault {
	return func(_ *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if err := r.process.Pause(); err != nil {
			return nil, err
		}
		close(held)
		<-goOn
		response, err := send()
		_ = r.process.Resume() // it is alive, or nothing would have waited for it
		return response, err
	}
}
