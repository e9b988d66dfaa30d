package controllers

import (
	"context"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/internal/plan"
)

// crdName is the name of our CustomResourceDefinition.
const crdName = "clusternetworkbaselines.policy.netbaseline.dev"

// liveReader reads the evidence for a removal from the API server itself, without a cache, because
// a cache may lag behind.
type liveReader struct {
	api               client.Reader
	operatorNamespace string
}

// evidence returns the data for a decision to release a namespace. If any read fails, there is no
// evidence.
func (l *liveReader) evidence(ctx context.Context, name string) (*governance.Snapshot, *metav1.PartialObjectMetadata, plan.Inventory, governance.Evidence, error) {
	var none governance.Evidence
	namespace := namespaceMetadata()
	if err := l.api.Get(ctx, client.ObjectKey{Name: name}, namespace); err != nil {
		return nil, nil, nil, none, fmt.Errorf("read namespace: %w", err)
	}
	snapshot, err := readSnapshot(ctx, l.api, l.operatorNamespace)
	if err != nil {
		return nil, nil, nil, none, err
	}
	inventory, err := l.inventory(ctx, name)
	if err != nil {
		return nil, nil, nil, none, err
	}
	terminating, err := l.crdTerminating(ctx)
	if err != nil {
		return nil, nil, nil, none, err
	}
	return snapshot, namespace, inventory, governance.Evidence{Live: true, CRDTerminating: terminating}, nil
}

// inventory reads, without any filter, the policies under claimed names in a namespace. It reads
// them one by one: a list would include every other policy of the tenant, who could fill our
// memory.
func (l *liveReader) inventory(ctx context.Context, namespace string) (plan.Inventory, error) {
	return readInventory(ctx, l.api, namespace, plan.Observe)
}

// crdTerminating reports whether our CustomResourceDefinition is being deleted, or is gone.
func (l *liveReader) crdTerminating(ctx context.Context) (bool, error) {
	crd := &metav1.PartialObjectMetadata{}
	crd.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	err := l.api.Get(ctx, client.ObjectKey{Name: crdName}, crd)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the CustomResourceDefinition: %w", err)
	}
	return !crd.DeletionTimestamp.IsZero(), nil
}

// remainingPage is how many objects are requested at a time: few, because anyone who may create
// policies can give each about 1 MiB of labels, and enough, because the first policy of ours
// settles the question.
const remainingPage = 20

// firstPolicy returns a policy made for a baseline, as namespace/name; "" if none is left anywhere.
func (l *liveReader) firstPolicy(ctx context.Context, baseline string) (string, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(networkingv1.SchemeGroupVersion.WithKind("NetworkPolicyList"))
	for {
		err := l.api.List(ctx, list, client.MatchingLabels{v1alpha1.BaselineLabel: baseline}, client.Limit(remainingPage), client.Continue(list.Continue))
		if err != nil {
			return "", fmt.Errorf("list the policies of baseline %q: %w", baseline, err)
		}
		ours := func(object metav1.PartialObjectMetadata) bool { return v1alpha1.IsPolicyName(object.Name) }
		if i := slices.IndexFunc(list.Items, ours); i >= 0 {
			return list.Items[i].Namespace + "/" + list.Items[i].Name, nil
		}
		if list.Continue == "" {
			return "", nil
		}
	}
}
