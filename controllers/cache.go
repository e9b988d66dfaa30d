package controllers

import (
	"context"
	"fmt"
	"time"
	"unique"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
)

// CacheOptions returns what the manager's cache must hold: baselines whole, namespaces as metadata, and of our policies no more
// than it takes to tell whether they are as they must be. Reading anything else from it is an error, not a second cache.
func CacheOptions() cache.Options {
	return cache.Options{
		ReaderFailOnMissingInformer: true,
		ByObject: map[client.Object]cache.ByObject{
			&networkingv1.NetworkPolicy{}: {
				Label:                 labels.NewSelector().Add(ours()),
				Transform:             compactPolicy,
				UnsafeDisableDeepCopy: new(true),
			},
			namespaceMetadata(): {
				Transform:             compactNamespace,
				UnsafeDisableDeepCopy: new(true),
			},
			&v1alpha1.ClusterNetworkBaseline{}: {Transform: cache.TransformStripManagedFields()},
		},
		NewInformer: withoutIndices,
	}
}

// withoutIndices makes an informer without the index by namespace that the cache would keep: policies are read one by one, by name, and
// the index would take a tenth of all memory. A list of policies in one namespace from the cache therefore fails.
func withoutIndices(lw toolscache.ListerWatcher, object runtime.Object, resync time.Duration, _ toolscache.Indexers) toolscache.SharedIndexInformer {
	return toolscache.NewSharedIndexInformer(lw, object, resync, toolscache.Indexers{})
}

// ours selects the objects that carry our label.
func ours() labels.Requirement {
	requirement, err := labels.NewRequirement(v1alpha1.BaselineLabel, selection.Exists, nil)
	if err != nil {
		panic(fmt.Sprintf("the label %s is no label key: %v", v1alpha1.BaselineLabel, err)) // a constant: found by the first test
	}
	return *requirement
}

var namespaceType = metav1.TypeMeta{APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Namespace"}

func namespaceMetadata() *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: namespaceType}
}

// compactPolicy replaces a policy, on its way into the cache, by what plan.Observe says of it: three policies of a namespace then take
// about 1 KiB instead of 10. Hash and owner go into GenerateName and the verdict on the metadata into Generation, two fields that nothing reads.
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
	if observed.MetadataIntact {
		compact.Generation = intact
	}
	return compact, nil
}

// intact, as the generation of a compact policy, says that its metadata is.
const intact = 1

// isCompact says whether a policy has been through compactPolicy before. The API server always fills in policyTypes.
func isCompact(object *networkingv1.NetworkPolicy) bool {
	return len(object.Spec.PolicyTypes) == 0 && len(object.GenerateName) >= len(policy.Hash{})
}

// observeCompact returns what compactPolicy kept.
func observeCompact(object *networkingv1.NetworkPolicy) plan.Observed {
	observed := plan.Observed{
		UID:             object.UID,
		ResourceVersion: object.ResourceVersion,
		MetadataIntact:  object.Generation == intact,
		Terminating:     !object.DeletionTimestamp.IsZero(),
	}
	observed.Owner = object.GenerateName[copy(observed.SpecHash[:], object.GenerateName):]
	return observed
}

// compactNamespace keeps of a namespace what decides about its policies. Its labels go, as one string, into GenerateName: a map for
// each namespace takes four times as much.
func compactNamespace(object any) (any, error) {
	full, ok := object.(*metav1.PartialObjectMetadata)
	if !ok || len(full.Labels) == 0 {
		return object, nil // every namespace has the label with its name, so this one has been here before
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

// interned returns one and the same copy of equal strings: of thirty thousand policies, most say the same.
func interned(s string) string { return unique.Make(s).Value() }

// cachedInventory returns the policies under claimed names that the cache knows in a namespace.
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
