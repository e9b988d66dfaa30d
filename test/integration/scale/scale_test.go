// Package scale_test shows, by counting, what netbaseline costs at a thousand namespaces. It
// measures no times: those depend on the machine. What counts is what it writes, when it is silent,
// and how much it remembers.
package scale_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

const (
	few  = 100
	many = 1000
	// silence is how long a settled cluster is watched for a write.
	silence = 60 * time.Second
	// heapPerNamespace is what a namespace with its three policies may cost in memory, in bytes.
	heapPerNamespace = 3 << 10
)

var baselineKey = client.ObjectKey{Name: "default"}

func TestAThousandNamespaces(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(5 * time.Minute)
	g.SetDefaultEventuallyPollingInterval(200 * time.Millisecond)
	logf.SetLogger(logr.Discard())
	env, err := harness.Start(t.Context(), localcluster.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(env.Stop()).To(Succeed()) })
	manager, err := env.StartManager()
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(manager.Stop()).To(Succeed()) })
	g.Expect(env.Admin.Create(t.Context(), builder.Baseline(baselineKey.Name).SelectingWhere("environment", "Exists").Obj())).To(Succeed())

	createNamespaces(t.Context(), g, env, 0, few)
	waitSynced(t.Context(), g, env, few)
	heapAtFew := settledHeap(t.Context(), g, env)
	createNamespaces(t.Context(), g, env, few, many)
	waitSynced(t.Context(), g, env, many)
	perNamespace := (settledHeap(t.Context(), g, env) - heapAtFew) / (many - few)
	t.Logf("live heap: %d bytes for each namespace with its three policies", perNamespace)
	g.Expect(perNamespace).To(BeNumerically("<", heapPerNamespace))

	settled := mark(t.Context(), g, env)
	writes := operatorWrites(g, env)
	expectThreeCreatesEach(g, writes)
	expectOneStatusASecond(g, writes)
	expectSilence(t.Context(), g, env, settled)

	g.Expect(manager.Stop()).To(Succeed())
	restarted, err := env.StartManager()
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(restarted.Stop()).To(Succeed()) })
	g.Eventually(func() (float64, error) {
		return restarted.Metric("netbaseline_namespaces", map[string]string{"state": "synced"})
	}).Should(BeEquivalentTo(many), "the new manager must have looked at every namespace")
	mark(t.Context(), g, env)
	g.Expect(writesSince(g, env, settled)).To(BeEmpty(), "a restart writes nothing")
}

// createNamespaces creates the namespaces from one number up to, and without, another, sixteen at a
// time.
func createNamespaces(ctx context.Context, g Gomega, env *harness.Environment, from, to int) {
	environments := []string{"production", "staging", "development"}
	numbers := make(chan int)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for i := range numbers {
				g.Expect(env.Admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
					Name: fmt.Sprintf("team-%04d", i), Labels: map[string]string{"environment": environments[i%len(environments)]},
				}})).To(Succeed())
			}
		})
	}
	for i := from; i < to; i++ {
		numbers <- i
	}
	close(numbers)
	group.Wait()
}

func waitSynced(ctx context.Context, g Gomega, env *harness.Environment, count int32) {
	g.Eventually(func() (v1alpha1.NamespaceCounts, error) {
		baseline := &v1alpha1.ClusterNetworkBaseline{}
		err := env.Admin.Get(ctx, baselineKey, baseline)
		return baseline.Status.Namespaces, err
	}).Should(Equal(v1alpha1.NamespaceCounts{Matched: count, Governed: count, Synced: count}))
}

// settledHeap returns the live heap once it has stopped shrinking: what is on its way through
// connections and queues is none of it.
func settledHeap(ctx context.Context, g Gomega, env *harness.Environment) int64 {
	mark(ctx, g, env)
	env.ForgetWrites() // they are in this process too
	lowest := liveHeap()
	unchanged := 0
	g.Eventually(func() int {
		heap := liveHeap()
		if heap < lowest-lowest/100 {
			unchanged = 0
		} else {
			unchanged++
		}
		lowest = min(lowest, heap)
		return unchanged
	}).Should(BeNumerically(">=", 5), "the heap must come to rest")
	return lowest
}

// liveHeap returns the bytes in use after everything that is no longer needed has been collected.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC() // what the first one finalised
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc) //nolint:gosec // far below 2^63
}

// mark returns a moment such that everything the operator was asked to do before it is done and in
// the audit log.
func mark(ctx context.Context, g Gomega, env *harness.Environment) time.Time {
	marker := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", GenerateName: "marker-"}}
	g.Expect(env.Admin.Create(ctx, marker)).To(Succeed())
	g.Eventually(func() (bool, error) {
		writes, err := env.Writes()
		for _, write := range writes {
			if write.Resource == "configmaps" && write.Verb == "create" && write.Code == 201 {
				return true, err
			}
		}
		return false, err
	}).Should(BeTrue(), "the marker must be in the audit log")
	return time.Now()
}

func operatorWrites(g Gomega, env *harness.Environment) []harness.Write {
	writes, err := env.OperatorWrites()
	g.Expect(err).NotTo(HaveOccurred())
	return writes
}

func writesSince(g Gomega, env *harness.Environment, since time.Time) []harness.Write {
	var late []harness.Write
	for _, write := range operatorWrites(g, env) {
		if write.At.After(since) {
			late = append(late, write)
		}
	}
	return late
}

func expectThreeCreatesEach(g Gomega, writes []harness.Write) {
	created := map[string]int{}
	for _, write := range writes {
		if write.Resource != "networkpolicies" {
			continue
		}
		g.Expect(write.Verb).To(Equal("create"), "%+v", write)
		g.Expect(write.Code).To(BeEquivalentTo(201), "%+v", write)
		created[write.Namespace]++
	}
	g.Expect(created).To(HaveLen(many))
	for namespace, count := range created {
		g.Expect(count).To(Equal(3), namespace)
	}
}

func expectOneStatusASecond(g Gomega, writes []harness.Write) {
	var times []time.Time
	for _, write := range writes {
		if write.Subresource == "status" {
			times = append(times, write.At)
		}
	}
	g.Expect(len(times)).To(BeNumerically(">=", 2), "there must be statuses to judge")
	// Not each pause: a request that is slow to arrive shortens the one after it.
	pauses := times[len(times)-1].Sub(times[0]).Seconds()
	g.Expect(float64(len(times)-1)).To(BeNumerically("<=", pauses+1), "in %.1f s", pauses)
}

// expectSilence watches a settled cluster.
func expectSilence(ctx context.Context, g Gomega, env *harness.Environment, since time.Time) {
	g.Eventually(func() time.Duration { return time.Since(since) }).Should(BeNumerically(">", silence), "a minute must pass")
	mark(ctx, g, env)
	g.Expect(writesSince(g, env, since)).To(BeEmpty(), "a settled cluster sees no write")
}
