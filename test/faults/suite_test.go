//go:build faults

package faults_test

import (
	"context"
	"flag"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/netbaseline/netbaseline/test/faults/witness"
	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

const (
	// poolSize is how many namespaces the sites share, and maxSites how many sites there can be at
	// a time.
	poolSize, maxSites = 300, poolSize / 3
	// grown is the age from which a namespace may hold pods, so that the order of writes in it
	// counts.
	grown = 11500 * time.Millisecond
	// patience bounds every wait. What works takes tenths of a second.
	patience = 60 * time.Second
	// restartBound is how long a tenant's write may hold a namespace open where the manager crashes
	// or is kept from writing.
	restartBound = time.Minute
	seed         = 20261124
)

var (
	long = flag.Bool("faults.long", false, "run everything, not what fits into ten minutes")
	part = flag.String("faults.part", "1/1", "of TestACrashAtEveryWrite run only this part of the workloads, such as 2/3")

	env   *harness.Environment
	judge *witness.Witness
	pool  = make(chan string, poolSize)
	// stopping counts managers that are given up and still on their way out.
	stopping sync.WaitGroup
)

func TestMain(m *testing.M) {
	flag.Parse()
	logf.SetLogger(logr.Discard())
	harness.Main(func() (int, error) { return run(m) })
}

func run(m *testing.M) (code int, err error) {
	ctx := context.Background()
	if env, err = harness.Start(ctx, localcluster.Options{APIServerArgs: witness.StorageArgs}); err != nil {
		return 1, err
	}
	defer func() { _ = env.Stop() }()
	if judge, err = witness.Follow(env.Cluster.EtcdEndpoint(), env.Writes); err != nil {
		return 1, err
	}
	defer func() { _ = judge.Stop() }()
	for i := range poolSize {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pool-%03d", i)}}
		if err := env.Admin.Create(ctx, namespace); err != nil {
			return 1, err
		}
		pool <- namespace.Name
	}
	<-time.After(grown)
	code = m.Run()
	stopping.Wait()
	return code, nil
}

var reported = map[string]bool{}

// expectNoViolation fails a test for every violation that the witness has not reported before.
func expectNoViolation(t *testing.T, bound time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	violations, err := judge.Violations(ctx, bound)
	if err != nil {
		t.Fatal(err)
	}
	for _, violation := range violations {
		if !reported[violation] {
			reported[violation] = true
			t.Error(violation)
		}
	}
	judge.Look((*witness.Judge).Settle) // the next test may have another bound
}

// eventually waits until a function has nothing to complain about.
func eventually(t *testing.T, complaint func() string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		said := complaint()
		if said == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still: %s", said)
		}
		<-ticker.C
	}
}

// caughtUp returns the revision that the witness has judged everything up to.
func caughtUp(t *testing.T) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	revision, err := judge.CatchUp(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
