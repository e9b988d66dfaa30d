package process_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/test/performance/measure"
	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

const (
	strangers = 2000 // that connect, and never finish the handshake
	places    = 64   // that there are for connections
	madeUp    = 500  // tokens
	// mebibytes is what the manager may have used at most; 2,000 connections alone would add 60.
	mebibytes = 100
)

// Strangers can reach the port of the metrics as everyone can. They get a little of the operator's
// memory, and of the API server no more than the pace of internal/metricsauth; namespaces are
// protected meanwhile.
func TestStrangersAtTheMetricsPort(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(30 * time.Second)
	g.SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	ctx := t.Context()
	env, err := harness.Start(ctx, localcluster.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(env.Stop()).To(Succeed()) })
	manager := start(t, g, env, build(t, g))
	g.Expect(env.Admin.Create(ctx, builder.Baseline("default").Obj())).To(Succeed())
	_, err = env.Kubectl(ctx, "wait", "--for=condition=Ready", "--timeout=30s", "cnb/default")
	g.Expect(err).NotTo(HaveOccurred())
	reader, err := env.Token(ctx, "reader")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(env.LetReadMetrics(ctx, "reader")).To(Succeed())
	url := manager.Metrics + "/metrics"
	g.Eventually(harness.GetStatus).WithArguments(ctx, url, reader).Should(Equal(http.StatusOK))

	unfinished := connect(ctx, t, g, strings.TrimPrefix(manager.Metrics, "https://"))
	g.Expect(env.Admin.Create(ctx, namespace("among-connections"))).To(Succeed())
	g.Eventually(policiesIn).WithArguments(ctx, env, "among-connections").Should(HaveLen(3), "strangers are not in the way of protection")
	g.Eventually(closed).WithArguments(unfinished).Should(BeNumerically(">=", strangers-places), "what there is no place for")
	g.Eventually(harness.GetStatus).WithArguments(ctx, url, reader).Should(Equal(http.StatusOK), "at the latest when the unfinished ones are dropped")
	g.Eventually(closed).WithArguments(unfinished).Should(Equal(strangers), "those that had a place, and did nothing with it")

	before := reviews(g, env)
	answers, took := offer(ctx, t, url, reader)
	g.Expect(env.Admin.Create(ctx, namespace("after-tokens"))).To(Succeed())
	g.Eventually(policiesIn).WithArguments(ctx, env, "after-tokens").Should(HaveLen(3))
	g.Expect(answers).To(HaveKey(http.StatusTooManyRequests))
	g.Expect(answers[http.StatusOK]).To(Equal(madeUp/10), "the good token, each time that it was sent among the others")
	g.Expect(answers[http.StatusTooManyRequests]+answers[http.StatusUnauthorized]).To(Equal(madeUp), "%v", answers)
	// A burst of twenty and ten a second; and one for the good token, should its minute have
	// passed.
	pace := 20 + 10*(int(took/time.Second)+1) + 1
	g.Expect(reviews(g, env)-before).To(And(BeNumerically(">", 0), BeNumerically("<=", pace)), "%v in %v", answers, took)
	if runtime.GOOS == "linux" {
		used, err := measure.UsageOf(manager.PID())
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(used.PeakRSS>>20).To(BeNumerically("<", mebibytes), "MiB")
		t.Logf("%d MiB at most, %v in %v", used.PeakRSS>>20, answers, took)
	}
}

// connect makes connections on which the client never says a word, and returns a channel that gets
// a value for each that is closed.
func connect(ctx context.Context, t *testing.T, g Gomega, address string) <-chan struct{} {
	ended := make(chan struct{}, strangers)
	for range strangers {
		connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		g.Expect(err).NotTo(HaveOccurred())
		t.Cleanup(func() { _ = connection.Close() })
		go func() {
			_, _ = connection.Read(make([]byte, 1))
			ended <- struct{}{}
		}()
	}
	return ended
}

func closed(connections <-chan struct{}) int { return len(connections) }

// offer sends made-up tokens, ten at a time, and the good one for every ten of them. It returns how
// many answers had which status.
func offer(ctx context.Context, t *testing.T, url, good string) (answers map[int]int, took time.Duration) {
	answers = map[int]int{}
	var lock sync.Mutex
	send := func(token string) {
		status, err := harness.GetStatus(ctx, url, token)
		if err != nil {
			t.Errorf("send a token: %v", err)
		}
		lock.Lock()
		defer lock.Unlock()
		answers[status]++
	}
	begin := time.Now()
	var senders sync.WaitGroup
	for sender := range 10 {
		senders.Go(func() {
			for i := range madeUp / 10 {
				if i%10 == 0 {
					send(good)
				}
				send(fmt.Sprintf("made-up-%d-%d", sender, i))
			}
		})
	}
	senders.Wait()
	return answers, time.Since(begin)
}

// reviews returns how many tokens the operator has had reviewed.
func reviews(g Gomega, env *harness.Environment) (count int) {
	writes, err := env.OperatorWrites()
	g.Expect(err).NotTo(HaveOccurred())
	for _, write := range writes {
		if write.Resource == "tokenreviews" {
			count++
		}
	}
	return count
}

func namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func policiesIn(ctx context.Context, env *harness.Environment, namespace string) ([]networkingv1.NetworkPolicy, error) {
	list := &networkingv1.NetworkPolicyList{}
	err := env.Admin.List(ctx, list, client.InNamespace(namespace))
	return list.Items, err
}
