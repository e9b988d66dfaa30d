package integration_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// admissionTimeout is the longest that the API server waits for a webhook.
const admissionTimeout = 30 * time.Second

// webhook is an admission webhook in front of the policies of a scenario's guarded namespaces.
type webhook struct {
	server        *httptest.Server
	configuration *admissionregistrationv1.ValidatingWebhookConfiguration
	asked         atomic.Int64
	closing       chan struct{}
}

// behaviour answers a review, and returns false if there is no answer. A webhook that is closed, or
// no longer listened to, is done.
type behaviour func(response *admissionv1.AdmissionResponse, done <-chan struct{}) bool

func hangs(_ *admissionv1.AdmissionResponse, done <-chan struct{}) bool {
	<-done
	return false
}

func refuses(response *admissionv1.AdmissionResponse, _ <-chan struct{}) bool {
	response.Allowed, response.Result = false, &metav1.Status{Message: "no policies on Fridays"}
	return true
}

func takes(pause time.Duration) behaviour {
	return func(_ *admissionv1.AdmissionResponse, done <-chan struct{}) bool {
		select {
		case <-time.After(pause):
			return true
		case <-done:
			return false
		}
	}
}

// newWebhook starts a webhook and has the API server ask it, until the end of the spec.
func newWebhook(ctx SpecContext, id string, behave behaviour) *webhook {
	GinkgoHelper()
	w := &webhook{closing: make(chan struct{})}
	w.server = httptest.NewTLSServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) { w.answer(writer, request, behave) }))
	DeferCleanup(func() {
		close(w.closing)
		w.server.Close()
	})
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.server.Certificate().Raw})
	w.configuration = &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: id},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "sick.example.com", ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: &w.server.URL, CABundle: authority},
			Rules:             []admissionregistrationv1.RuleWithOperations{networkPolicyWrites().ResourceRules[0].RuleWithOperations},
			NamespaceSelector: guardedOnly(id).NamespaceSelector, TimeoutSeconds: new(int32(admissionTimeout.Seconds())),
			FailurePolicy: new(admissionregistrationv1.Fail), SideEffects: new(admissionregistrationv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}
	createForNow(ctx, w.configuration)
	elsewhere := newScenario().namespace(ctx, "guarded", id)
	Eventually(func() int64 {
		attempt, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_ = env.Admin.Create(attempt, probePolicy(elsewhere.Name), client.DryRunAll) // there may be no answer
		return w.asked.Load()
	}).Should(BeNumerically(">", 0), "the webhook must be in force")
	return w
}

func (w *webhook) answer(writer http.ResponseWriter, request *http.Request, behave behaviour) {
	w.asked.Add(1)
	review := &admissionv1.AdmissionReview{}
	if err := json.NewDecoder(request.Body).Decode(review); err != nil {
		http.Error(writer, err.Error(), http.StatusBadRequest)
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-request.Context().Done():
		case <-w.closing:
		}
	}()
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	if behave(review.Response, done) {
		_ = json.NewEncoder(writer).Encode(review) // the API server may have given up
	}
}
