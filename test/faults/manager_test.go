//go:build faults

package faults_test

import (
	"slices"
	"testing"
	"time"

	"github.com/netbaseline/netbaseline/test/faults"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// operator is a manager and what stands between it and the API server.
type operator struct {
	*faults.Transport
	manager *harness.Manager
	over    bool
}

// running are the managers that have not been given up.
var running []*operator

func giveUpAll() {
	for _, o := range running {
		o.giveUp()
	}
}

// start starts a manager and waits until it watches.
func start(t *testing.T, transport *faults.Transport) *operator {
	t.Helper()
	o := startBlind(t, transport)
	eventually(t, func() string {
		if o.Watching("namespaces", "networkpolicies", "clusternetworkbaselines") {
			return ""
		}
		return "the manager does not watch yet"
	})
	return o
}

// startBlind starts a manager that may never come to see anything.
func startBlind(t *testing.T, transport *faults.Transport) *operator {
	t.Helper()
	manager, err := env.StartManagerWith(transport.Wrap(env.OperatorConfig()))
	must(t, err)
	o := &operator{Transport: transport, manager: manager}
	running = append(slices.DeleteFunc(running, func(o *operator) bool { return o.over }), o)
	t.Cleanup(o.giveUp)
	return o
}

// giveUp cuts a manager off from the API server for good, and has it end by and by.
func (o *operator) giveUp() {
	if o.over {
		return
	}
	o.over = true
	o.Abandon()
	stopping.Go(func() { _ = o.manager.Stop() }) // how it ends, cut off, is of no interest
}

// silent waits until the manager has not written for a while.
func (o *operator) silent(t *testing.T, duration time.Duration) {
	t.Helper()
	silent(t, o.Transport, duration)
}

func silent(t *testing.T, transport *faults.Transport, duration time.Duration) {
	t.Helper()
	eventually(t, func() string {
		if transport.Quiet(duration) {
			return ""
		}
		return "the manager goes on writing"
	})
}
