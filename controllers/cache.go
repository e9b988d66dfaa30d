package controllers

import (
	"context"
	"fmt"
	"unique"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
)

// CacheOptions returns the options of the manager's cache: baselines whole, namespaces as metadata,
// and of the policies under our names only what is needed to compare them with the desired ones.
// Reading any other type from it is an error and starts no further informer.
func CacheOptions() cache.Options {
	return cache.Options{
		ReaderFailOnMissingInformer: true,
		ByObject: map[client.Object]cache.ByObject{
			&networkingv1.NetworkPolicy{}: {
				Transform:             compactPolicy,
				UnsafeDisableDeepCopy: new(true),
			},
			namespaceMetadata(): {
				Transform:             compactNamespace,
				UnsafeDisableDeepCopy: new(true),
			},
			&v1alpha1.ClusterNetworkBaseline{}: {Transform: cache.TransformStripManagedFields()},
		},
		NewInformer:              newInformer,
		DefaultWatchErrorHandler: theWatchErrors.handle,
	}
}

var namespaceType = metav1.TypeMeta{APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Namespace"}

func namespaceMetadata() *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: namespaceType}
}

// compactPolicy replaces a policy, on its way into the cache, with the result of plan.Observe: the
// three policies of a namespace then take about 1 KiB instead of 10. Hash and owner go into
// GenerateName and the rest, as bits, into Generation, two fields that nothing reads.
func compactPolicy(object any) (any, error) {
	full, ok := object.(*networkingv1.NetworkPolicy)
	if !ok || isCompact(full) {
		return object, nil
	}
	observed := plan.Observe(full)
	compact := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{
		Namespace:         full.Namespace,
		Name:              interned(full.Name),
		UID:               full.UID,
		ResourceVersion:   full.ResourceVersion,
		DeletionTimestamp: full.DeletionTimestamp,
		GenerateName:      interned(string(observed.SpecHash[:]) + observed.Owner),
	}}
	compact.Generation = int64(observed.Isolates) << isolatesShift
	for bit, set := range map[int64]bool{intact: observed.MetadataIntact, made: observed.Ours, plain: observed.Plain} {
		if set {
			compact.Generation |= bit
		}
	}
	if observed.KeptBy != "" {
		compact.Finalizers = []string{interned(observed.KeptBy)}
	}
	return compact, nil
}

// The bits of a compact policy's generation.
const (
	intact int64 = 1 << iota
	made
	plain
	isolatesShift = iota
)

// isCompact reports whether a policy has been through compactPolicy before. The API server always
// fills in policyTypes.
func isCompact(object *networkingv1.NetworkPolicy) bool {
	return len(object.Spec.PolicyTypes) == 0 && len(object.GenerateName) >= len(policy.Hash{})
}

// observeCompact returns the observation that compactPolicy stored.
func observeCompact(object *networkingv1.NetworkPolicy) plan.Observed {
	observed := plan.Observed{
		UID:             object.UID,
		ResourceVersion: object.ResourceVersion,
		MetadataIntact:  object.Generation&intact != 0,
		Ours:            object.Generation&made != 0,
		Plain:           object.Generation&plain != 0,
		Isolates:        plan.Directions(object.Generation >> isolatesShift), //nolint:gosec // two bits
		Terminating:     !object.DeletionTimestamp.IsZero(),
	}
	if len(object.Finalizers) > 0 {
		observed.KeptBy = object.Finalizers[0]
	}
	observed.Owner = object.GenerateName[copy(observed.SpecHash[:], object.GenerateName):]
	return observed
}

// compactNamespace keeps the fields of a namespace that its policies depend on. Its labels go, as
// one string, into GenerateName: a map for each namespace takes four times as much.
func compactNamespace(object any) (any, error) {
	full, ok := object.(*metav1.PartialObjectMetadata)
	if !ok || len(full.Labels) == 0 {
		return object, nil // every namespace has the label with its name, so this one is compact already
	}
	return &metav1.PartialObjectMetadata{TypeMeta: namespaceType, ObjectMeta: metav1.ObjectMeta{
		Name:              full.Name,
		UID:               full.UID,
		ResourceVersion:   full.ResourceVersion,
		CreationTimestamp: full.CreationTimestamp,
		DeletionTimestamp: full.DeletionTimestamp,
		GenerateName:      labels.Set(full.Labels).String(),
	}}, nil
}

// compactLabels returns the labels that compactNamespace kept.
func compactLabels(namespace *metav1.PartialObjectMetadata) (map[string]string, error) {
	return labels.ConvertSelectorToLabelsMap(namespace.GenerateName)
}

// interned returns one shared copy of equal strings: most of thirty thousand policies have the
// same.
func interned(s string) string { return unique.Make(s).Value() }

// cachedInventory returns the policies under claimed names that the cache holds for a namespace.
func cachedInventory(ctx context.Context, reader client.Reader, namespace string) (plan.Inventory, error) {
	return readInventory(ctx, reader, namespace, observeCompact)
}

// readInventory reads the policies under claimed names in a namespace, one by one.
func readInventory(
	ctx context.Context, reader client.Reader, namespace string, observe func(*networkingv1.NetworkPolicy) plan.Observed,
) (plan.Inventory, error) {
	inventory := make(plan.Inventory, len(policy.Names))
	for _, name := range policy.Names {
		object := &networkingv1.NetworkPolicy{}
		err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return nil, fmt.Errorf("read policy %s: %w", name, err)
		default:
			inventory[name] = observe(object)
		}
	}
	return inventory, nil
}
