// Package integration_test runs the manager, under its shipped RBAC, against a real control plane
// and holds every reaction that netbaseline promises against it.
package integration_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

const (
	// patience is for a busy machine; what works takes hundredths of a second.
	patience = 60 * time.Second
	interval = 20 * time.Millisecond
)

var (
	env     *harness.Environment
	manager *harness.Manager
)

func TestIntegration(t *testing.T) {
	RegisterFailHandler(Fail)
	logf.SetLogger(GinkgoLogr)
	SetDefaultEventuallyTimeout(patience)
	SetDefaultEventuallyPollingInterval(interval)
	RunSpecs(t, "Integration")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	env, err = harness.Start(ctx, localcluster.Options{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return env.Stop() })
	manager, err = env.StartManager()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return manager.Stop() })
})

var _ = ReportAfterEach(func(report SpecReport) {
	if report.Failed() && env != nil {
		if seen, err := env.Kubectl(context.Background(), "get", "cnb", "-o", "wide"); err == nil {
			GinkgoWriter.Println(seen)
		}
	}
})
