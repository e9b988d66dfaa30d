package metricsserver_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
	certutil "k8s.io/client-go/util/cert"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/netbaseline/netbaseline/internal/metricsserver"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

func TestTheCertificateOfADirectoryIsServed(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	certificate, key, err := certutil.GenerateSelfSignedCertKey("metrics.example.com", nil, nil)
	g.Expect(err).NotTo(HaveOccurred())
	directory := t.TempDir()
	g.Expect(os.WriteFile(filepath.Join(directory, "tls.crt"), certificate, 0o600)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(directory, "tls.key"), key, 0o600)).To(Succeed())
	address, err := harness.FreeAddress(t.Context())
	g.Expect(err).NotTo(HaveOccurred())

	// Without a token no review is sent: there need be no API server.
	mgr, err := ctrl.NewManager(&rest.Config{Host: "https://127.0.0.1:1"}, ctrl.Options{Metrics: server.Options{BindAddress: "0"}})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(metricsserver.AddTo(t.Context(), mgr, metricsserver.Options{Address: address, Secure: true, CertDir: directory})).To(Succeed())
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		g.Expect(<-ended).To(Succeed())
	})

	roots := x509.NewCertPool()
	g.Expect(roots.AppendCertsFromPEM(certificate)).To(BeTrue())
	client := &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "metrics.example.com"}},
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/metrics", http.NoBody)
	g.Expect(err).NotTo(HaveOccurred())
	response, err := client.Do(request)
	g.Expect(err).NotTo(HaveOccurred(), "only the certificate of the directory is trusted here")
	g.Expect(response.Body.Close()).To(Succeed())
	g.Expect(response.StatusCode).To(Equal(http.StatusUnauthorized))
}
