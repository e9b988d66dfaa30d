package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/test/performance/reactor"
)

// creators is how many create at the same time when namespaces are created as fast as possible.
const creators = 32

var environments = []string{"production", "staging", "development"}

// newNamespace returns the namespace of a phase with a number.
func newNamespace(phase string, number int) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:   namespaceName(phase, number),
		Labels: map[string]string{"environment": environments[number%len(environments)], reactor.PhaseLabel: phase},
	}}
}

func namespaceName(phase string, number int) string { return fmt.Sprintf("%s-%05d", phase, number) }

// createAll creates namespaces as fast as it can.
func createAll(ctx context.Context, admin client.Client, phase string, count int) error {
	return inParallel(creators, count, func(number int) error { return admin.Create(ctx, newNamespace(phase, number)) })
}

// foreignNamespaces is how many namespaces hold the policies of others: so few that the namespaces
// themselves do not matter.
const foreignNamespaces = 50

// createForeign creates policies of others. The baseline does not select their namespaces.
func createForeign(ctx context.Context, admin client.Client, count int) error {
	if count == 0 {
		return nil
	}
	namespace := func(number int) string { return fmt.Sprintf("foreign-%02d", number%foreignNamespaces) }
	err := inParallel(creators, foreignNamespaces, func(number int) error {
		return admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace(number)}})
	})
	if err != nil {
		return err
	}
	return inParallel(creators, count, func(number int) error {
		return admin.Create(ctx, &networkingv1.NetworkPolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace(number), Name: fmt.Sprintf("allow-%05d", number)},
			Spec: networkingv1.NetworkPolicySpec{
				PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": fmt.Sprintf("app-%05d", number)}},
				Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{
					{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "web"}}},
				}}},
			},
		})
	})
}

// inParallel calls work with each number below count.
func inParallel(workers, count int, work func(number int) error) error {
	numbers := make(chan int)
	errs := make([]error, count)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for number := range numbers {
				errs[number] = work(number)
			}
		})
	}
	for number := range count {
		numbers <- number
	}
	close(numbers)
	group.Wait()
	return errors.Join(errs...)
}

// createPaced creates so many namespaces a second, until there are count of them or until stop is
// closed, and returns how many it has created. A slow answer does not slow down those that follow.
func createPaced(ctx context.Context, admin client.Client, phase string, rate, count int, stop <-chan struct{}) (int, error) {
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	var group sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	created := 0
	for stopped := false; !stopped && created < count; {
		select {
		case <-ctx.Done():
			stopped = true
		case <-stop:
			stopped = true
		case <-ticker.C:
			namespace := newNamespace(phase, created)
			created++
			group.Go(func() {
				if err := admin.Create(ctx, namespace); err != nil {
					mu.Lock()
					defer mu.Unlock()
					errs = append(errs, err)
				}
			})
		}
	}
	group.Wait()
	return created, errors.Join(append(errs, ctx.Err())...)
}
