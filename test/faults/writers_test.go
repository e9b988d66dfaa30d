//go:build faults

package faults_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/netbaseline/netbaseline/test/faults"
)

// Leader election does not fence. Two managers that write at the same time conflict, but leave no
// hole and come to rest.
func TestTwoManagersAtOnce(t *testing.T) {
	all := prepare(t, everyWorkload())
	one, other := start(t, newTransport()), start(t, newTransport())
	for i := range workloads {
		workloads[i].act(t, all[i])
	}
	for i := range workloads {
		workloads[i].finish(t, all[i])
	}
	one.silent(t, 3*time.Second)
	other.silent(t, 3*time.Second)
	for i := range workloads {
		workloads[i].finish(t, all[i])
	}
	t.Logf("%d and %d writes", len(one.Calls(faults.Call.Writes)), len(other.Calls(faults.Call.Writes)))
	one.giveUp()
	other.giveUp()
	expectSilence(t)
	freeAll(t, all)
}

// The processes of the control plane are killed, and stopped and continued, in the middle of a
// workload.
func TestTheControlPlaneIsKilledAndStopped(t *testing.T) {
	cluster := env.Cluster
	outages := map[string]func() error{
		"kube-apiserver is killed": func() error {
			if err := cluster.APIServer().Kill(); err != nil {
				return err
			}
			return cluster.APIServer().Start(t.Context())
		},
		"etcd is killed": func() error {
			if err := cluster.Etcd().Kill(); err != nil {
				return err
			}
			return cluster.Etcd().Start(t.Context())
		},
		"kube-apiserver is stopped": func() error {
			if err := cluster.APIServer().Pause(); err != nil {
				return err
			}
			<-time.After(5 * time.Second)
			return cluster.APIServer().Resume()
		},
		"etcd is stopped": func() error {
			if err := cluster.Etcd().Pause(); err != nil {
				return err
			}
			<-time.After(5 * time.Second)
			return cluster.Etcd().Resume()
		},
	}
	random := rand.New(rand.NewPCG(seed, 4))
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			var all []*site
			chosen := []*workload{&workloads[0], &workloads[1], &workloads[2], &workloads[5]} // create, edit, hand-over, delete
			for _, w := range chosen {
				all = append(all, w.prepare(t, 1)[0])
			}
			o := start(t, newTransport())
			for i, w := range chosen {
				w.act(t, all[i])
			}
			<-time.After(time.Duration(random.IntN(40)) * time.Millisecond)
			must(t, outage())
			must(t, cluster.WaitReady(t.Context()))
			for i, w := range chosen {
				w.finish(t, all[i])
			}
			o.silent(t, 2*time.Second)
			o.giveUp()
			expectSilence(t)
			freeAll(t, all)
		})
	}
}
