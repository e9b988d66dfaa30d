package integration_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// Every way in which a baseline can vanish without anybody having asked for its policies to go. In
// each, no policy is deleted.
var _ = Describe("Holding", Ordered, func() {
	var (
		s         *scenario
		baseline  *v1alpha1.ClusterNetworkBaseline
		namespace *corev1.Namespace
		before    map[string]types.UID
		since     time.Time
	)

	stopManager := func() { Expect(manager.Stop()).To(Succeed()) }
	startManager := func() {
		var err error
		manager, err = env.StartManager()
		Expect(err).NotTo(HaveOccurred())
	}
	// forceOff removes a baseline as an administrator would who has lost patience.
	forceOff := func(ctx SpecContext) {
		GinkgoHelper()
		Expect(client.IgnoreNotFound(env.Admin.Delete(ctx, baseline.DeepCopy()))).To(Succeed())
		Expect(client.IgnoreNotFound(env.Admin.Patch(ctx, baseline.DeepCopy(),
			client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))))).To(Succeed())
		gone(ctx, baseline)
	}
	again := func(ctx SpecContext) {
		GinkgoHelper()
		copied := s.baseline("a").Obj()
		Eventually(env.Admin.Create).WithArguments(ctx, copied).Should(Succeed())
		Expect(copied.UID).NotTo(Equal(baseline.UID))
		baseline = copied
	}
	heldAbsent := func() (float64, error) {
		return manager.Metric("netbaseline_namespaces", map[string]string{"baseline": "", "state": "held"})
	}
	expectNothingDeleted := func(ctx SpecContext) {
		GinkgoHelper()
		Expect(uids(ctx, namespace.Name)).To(Equal(before))
		all, err := env.OperatorWrites()
		Expect(err).NotTo(HaveOccurred())
		for _, write := range all {
			if write.At.After(since) && write.Resource == "networkpolicies" {
				Expect(write.Verb).NotTo(Equal("delete"), "%+v", write)
			}
		}
	}

	BeforeEach(func(ctx SpecContext) {
		s = newScenario()
		namespace = s.namespace(ctx, "environment", "production")
		baseline = s.baseline("a").Obj()
		Expect(env.Admin.Create(ctx, baseline)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { // with a manager running and the CRD in place, whatever the case did
			Expect(client.IgnoreNotFound(env.Admin.Delete(ctx, baseline.DeepCopy()))).To(Succeed())
			gone(ctx, baseline)
		})
		protects(ctx, baseline, namespace)
		ready(ctx, baseline)
		before, since = uids(ctx, namespace.Name), time.Now()
	})

	It("when the CRD is deleted while the manager runs, and nothing is stuck", func(ctx SpecContext) {
		crd := getCRD(ctx)
		Expect(env.Admin.Delete(ctx, crd.DeepCopy())).To(Succeed())
		gone(ctx, crd)
		Eventually(heldAbsent).Should(BeEquivalentTo(1))
		expectNothingDeleted(ctx)
		restoreCRD(ctx)
		again(ctx)
		Eventually(func() string {
			Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(baseline), baseline)).To(Succeed())
			return readyMessage(baseline)
		}).WithTimeout(2*time.Minute).Should(ContainSubstring("1 namespace protected"), "the manager finds the new CRD by itself")
		protects(ctx, baseline, namespace)
		expectNothingDeleted(ctx)
	})

	It("when the CRD is deleted while no manager runs; the next one lets it go", func(ctx SpecContext) {
		stopManager()
		crd := getCRD(ctx)
		Expect(env.Admin.Delete(ctx, crd.DeepCopy())).To(Succeed())
		Eventually(func() *metav1.Time {
			Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(baseline), baseline)).To(Succeed())
			return baseline.DeletionTimestamp
		}).ShouldNot(BeNil(), "the finalizer keeps the baseline")
		startManager()
		gone(ctx, crd)
		Eventually(heldAbsent).Should(BeEquivalentTo(1))
		expectNothingDeleted(ctx)
		stopManager()
		restoreCRD(ctx)
		again(ctx)
		startManager()
		ready(ctx, baseline)
		expectNothingDeleted(ctx)
	})

	It("when a baseline's finalizer is forced off while no manager runs", func(ctx SpecContext) {
		stopManager()
		forceOff(ctx)
		startManager()
		Eventually(heldAbsent).Should(BeEquivalentTo(1))
		expectNothingDeleted(ctx)
		marker(ctx)
		expectNothingDeleted(ctx)
		again(ctx)
		ready(ctx, baseline)
		expectNothingDeleted(ctx)
	})

	It("when baselines are created again with new UIDs, as after a restore", func(ctx SpecContext) {
		stopManager()
		forceOff(ctx)
		again(ctx)
		startManager()
		ready(ctx, baseline)
		protects(ctx, baseline, namespace)
		expectNothingDeleted(ctx)
		Expect(operatorWrites(namespace.Name, since)).To(BeEmpty(), "the policies are as they must be already")
	})

	DescribeTable("when the manager starts and baselines",
		func(ctx SpecContext, lie func(*http.Response), started bool) {
			stopManager()
			liar := &lyingTransport{lie: lie}
			liar.lying.Store(true)
			config := env.OperatorConfig()
			config.Wrap(func(next http.RoundTripper) http.RoundTripper { liar.next = next; return liar })
			var err error
			manager, err = env.StartManagerWith(config)
			Expect(err).NotTo(HaveOccurred())
			Eventually(liar.told.Load).Should(BeNumerically(">", 1), "the manager must have asked")
			if started {
				Eventually(heldAbsent).Should(BeEquivalentTo(1))
			}
			Expect(operatorWrites(namespace.Name, since)).To(BeEmpty())
			expectNothingDeleted(ctx)
			liar.lying.Store(false)
			stopManager()
			startManager()
			change(ctx, namespace, func(n *corev1.Namespace) { n.Labels["environment"] = "staging" })
			protects(ctx, baseline, namespace)
			expectNothingDeleted(ctx)
		},
		Entry("cannot be read", func(response *http.Response) { replaceBody(response, http.StatusInternalServerError, `{}`) }, false),
		Entry("are said to be none", func(response *http.Response) {
			replaceBody(response, http.StatusOK, `{"apiVersion":"policy.netbaseline.dev/v1alpha1","kind":"ClusterNetworkBaselineList","metadata":{"resourceVersion":"1"},"items":[]}`)
		}, true),
	)

	It("not at all over a restart: it writes nothing", func(ctx SpecContext) {
		stopManager()
		startManager()
		marker(ctx)
		Expect(operatorWrites(namespace.Name, since)).To(BeEmpty())
		all, err := env.OperatorWrites()
		Expect(err).NotTo(HaveOccurred())
		for _, write := range all {
			if write.At.After(since) {
				Expect(write.Name).NotTo(Equal(baseline.Name), "no status or finalizer either: %+v", write)
			}
		}
	})
})

func getCRD(ctx SpecContext) *apiextensionsv1.CustomResourceDefinition {
	GinkgoHelper()
	crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: harness.CRDName}}
	Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(crd), crd)).To(Succeed())
	return crd
}

func restoreCRD(ctx SpecContext) {
	GinkgoHelper()
	_, err := env.Kubectl(ctx, "apply", "--server-side", "-f", harness.RepositoryPath("config/crd/bases"))
	Expect(err).NotTo(HaveOccurred())
}

// lyingTransport answers every list and watch of baselines with a lie.
type lyingTransport struct {
	next  http.RoundTripper
	lie   func(*http.Response)
	lying atomic.Bool
	told  atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (t *lyingTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(request)
	if err == nil && t.lying.Load() && strings.HasSuffix(request.URL.Path, "/clusternetworkbaselines") && request.Method == http.MethodGet {
		t.told.Add(1)
		t.lie(response)
	}
	return response, err
}

func replaceBody(response *http.Response, code int, body string) {
	_ = response.Body.Close()
	response.StatusCode, response.Status = code, http.StatusText(code)
	response.Header = http.Header{"Content-Type": []string{"application/json"}}
	response.Body, response.ContentLength = io.NopCloser(bytes.NewBufferString(body)), int64(len(body))
}
