// Command exposition prints the metrics of a running manager, as Prometheus would read them. It
// runs the manager as a process, on a control plane of its own, has it protect a namespace and
// repair a policy, so that every counter has a value, and then scrapes it.
//
//	go run ./test/utils/exposition [-baseline FILE]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

const (
	// patience is for a busy machine; an idle one needs ten seconds.
	patience = 3 * time.Minute
	interval = 100 * time.Millisecond
)

func main() {
	baseline := flag.String("baseline", "", "File to write the baseline to, as the API server has it at the end, in JSON.")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *baseline)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, baselineFile string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	directory, err := os.MkdirTemp("", "netbaseline-exposition-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	program, err := build(ctx, directory)
	if err != nil {
		return err
	}
	environment, err := harness.Start(ctx, localcluster.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, environment.Stop()) }()
	manager, url, err := start(ctx, environment, program, directory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, manager.Stop()) }()
	exposition, err := exercise(ctx, environment, url)
	if err != nil {
		return err
	}
	fmt.Print(exposition)
	if baselineFile == "" {
		return nil
	}
	baseline, err := environment.Kubectl(ctx, "get", "cnb", "default", "--output", "json")
	if err != nil {
		return err
	}
	return os.WriteFile(baselineFile, []byte(baseline), 0o600)
}

// build builds the manager; with a warm cache that takes a second.
func build(ctx context.Context, directory string) (string, error) {
	path := filepath.Join(directory, "manager")
	return path, harness.BuildManager(ctx, path)
}

// start starts the manager with leader election, as it is deployed; metrics are served to every
// client on this machine.
func start(ctx context.Context, environment *harness.Environment, program, directory string) (process *localcluster.Process, url string, err error) {
	kubeconfig, err := environment.Cluster.ServiceAccountKubeconfig(ctx, harness.OperatorNamespace, harness.OperatorServiceAccount)
	if err != nil {
		return nil, "", err
	}
	address, err := harness.FreeAddress(ctx)
	if err != nil {
		return nil, "", err
	}
	process = localcluster.NewProcess("manager", program, []string{
		"--leader-elect", "--metrics-bind-address=" + address, "--metrics-secure=false", "--health-probe-bind-address=0",
	}, append(os.Environ(), "KUBECONFIG="+kubeconfig), filepath.Join(directory, "manager.log"))
	return process, "http://" + address + "/metrics", process.Start(ctx)
}

// exercise gives the manager something to count, and returns its metrics afterwards.
func exercise(ctx context.Context, environment *harness.Environment, url string) (string, error) {
	const protected, repaired = "netbaseline_namespace_protection_seconds_count 1\n", "netbaseline_drift_repairs_total 1\n"
	if err := environment.Admin.Create(ctx, builder.Baseline("default").Obj()); err != nil {
		return "", err
	}
	if _, err := environment.Kubectl(ctx, "wait", "--for=condition=Ready", "--timeout=60s", "cnb/default"); err != nil {
		return "", err
	}
	shop := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"environment": "production"}}}
	if err := environment.Admin.Create(ctx, shop); err != nil {
		return "", err
	}
	if _, err := scrapeUntil(ctx, url, protected); err != nil {
		return "", err
	}
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: shop.Name, Name: v1alpha1.DefaultDenyName}}
	if err := environment.Admin.Delete(ctx, policy); err != nil {
		return "", err
	}
	return scrapeUntil(ctx, url, repaired)
}

// scrapeUntil scrapes until a line is there.
func scrapeUntil(ctx context.Context, url, line string) (exposition string, err error) {
	var last error
	err = wait.PollUntilContextCancel(ctx, interval, true, func(ctx context.Context) (bool, error) {
		exposition, last = scrape(ctx, url)
		return last == nil && strings.Contains(exposition, "\n"+line), nil
	})
	if err != nil {
		return "", fmt.Errorf("wait for %q: %w", strings.TrimSpace(line), errors.Join(err, last))
	}
	return exposition, nil
}

func scrape(ctx context.Context, url string) (_ string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %s", url, response.Status)
	}
	content, err := io.ReadAll(response.Body)
	return string(content), err
}
