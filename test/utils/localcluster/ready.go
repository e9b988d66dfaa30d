package localcluster

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// probeTimeout bounds one request; a paused process accepts it and never responds.
	probeTimeout = 2 * time.Second

	probeBodyLimit = 4 << 10

	// aggregatedRole is filled by the controller manager from the roles labelled for it.
	aggregatedRole = "edit"
)

// WaitReady returns nil once the API server reports that it is ready, the namespace `default`
// exists, and the aggregated cluster role `edit` has rules, which requires a working controller
// manager. If ctx ends first, the error describes what was missing. Start calls it; call it again
// after processes were paused, killed or restarted.
func (c *Cluster) WaitReady(ctx context.Context) error {
	var notReady error
	err := wait.PollUntilContextCancel(ctx, probeInterval, true, func(ctx context.Context) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		notReady = c.checkReady(ctx)
		return notReady == nil, nil
	})
	if err != nil {
		return fmt.Errorf("cluster not ready: %w (last check: %w)", err, notReady)
	}
	return nil
}

func (c *Cluster) checkReady(ctx context.Context) error {
	if err := c.apiServer.Ready(ctx); err != nil {
		return err
	}
	if _, err := c.clientset.CoreV1().Namespaces().Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{}); err != nil {
		return err
	}
	role, err := c.clientset.RbacV1().ClusterRoles().Get(ctx, aggregatedRole, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if len(role.Rules) == 0 {
		return fmt.Errorf("cluster role %s has no rules yet", aggregatedRole)
	}
	return nil
}

// probe returns a check that a URL answers 200. It keeps no connection, so that the next response
// comes from the process that runs then.
func probe(url string, config *tls.Config) func(context.Context) error {
	client := &http.Client{
		Timeout:   probeTimeout,
		Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true},
	}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }() // only read
		body, err := io.ReadAll(io.LimitReader(response.Body, probeBodyLimit))
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s: %s", url, response.Status, body)
		}
		return nil
	}
}
