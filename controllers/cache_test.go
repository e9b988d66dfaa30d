package controllers

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// written returns a policy of the namespace shop as the API server has it after we wrote it.
func written(name string) *networkingv1.NetworkPolicy {
	for _, desired := range policy.Render(builder.Baseline("default").Obj(), policy.Namespace{Name: "shop", Labels: builder.Labels("environment", "production")}) {
		if desired.Policy.Name == name {
			object := desired.Policy.DeepCopy()
			object.UID, object.ResourceVersion, object.Generation = types.UID("uid of "+name), "7", 1
			object.CreationTimestamp = metav1.NewTime(noon)
			object.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "netbaseline", Operation: metav1.ManagedFieldsOperationUpdate}}
			return object
		}
	}
	panic("no such policy: " + name)
}

// mutations are the ways in which another client can change a policy.
var mutations = map[string]func(*networkingv1.NetworkPolicy){
	"nothing":        func(*networkingv1.NetworkPolicy) {},
	"its pods":       func(n *networkingv1.NetworkPolicy) { n.Spec.PodSelector.MatchLabels = map[string]string{"app": "web"} },
	"its directions": func(n *networkingv1.NetworkPolicy) { n.Spec.PolicyTypes = n.Spec.PolicyTypes[:1] },
	"ingress rules":  func(n *networkingv1.NetworkPolicy) { n.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}} },
	"no rules":       func(n *networkingv1.NetworkPolicy) { n.Spec.Ingress, n.Spec.Egress = nil, nil },
	"a port": func(n *networkingv1.NetworkPolicy) {
		n.Spec.Egress = append(n.Spec.Egress, networkingv1.NetworkPolicyEgressRule{Ports: []networkingv1.NetworkPolicyPort{{Port: new(intstr.FromInt32(53))}}})
	},
	"a named port": func(n *networkingv1.NetworkPolicy) {
		n.Spec.Egress = append(n.Spec.Egress, networkingv1.NetworkPolicyEgressRule{Ports: []networkingv1.NetworkPolicyPort{{Port: new(intstr.FromString("53"))}}})
	},
	"no labels": func(n *networkingv1.NetworkPolicy) { n.Labels = nil },
	"our label": func(n *networkingv1.NetworkPolicy) {
		n.Labels = builder.Labels(v1alpha1.BaselineLabel, "other", v1alpha1.ManagedByLabel, v1alpha1.ManagedByValue)
	},
	"an empty label": func(n *networkingv1.NetworkPolicy) {
		n.Labels = builder.Labels(v1alpha1.BaselineLabel, "", v1alpha1.ManagedByLabel, v1alpha1.ManagedByValue)
	},
	"a long label": func(n *networkingv1.NetworkPolicy) {
		n.Labels = builder.Labels(v1alpha1.BaselineLabel, strings.Repeat("a", 63), v1alpha1.ManagedByLabel, v1alpha1.ManagedByValue)
	},
	"the manager": func(n *networkingv1.NetworkPolicy) {
		n.Labels = builder.Labels(v1alpha1.BaselineLabel, "default", v1alpha1.ManagedByLabel, "helm")
	},
	"a foreign label": func(n *networkingv1.NetworkPolicy) {
		n.Labels = map[string]string{"team": "web", v1alpha1.BaselineLabel: "default", v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}
	},
	"no annotations": func(n *networkingv1.NetworkPolicy) { n.Annotations = nil },
	"the description": func(n *networkingv1.NetworkPolicy) {
		n.Annotations = map[string]string{v1alpha1.DescriptionAnnotation: "mine"}
	},
	"an owner": func(n *networkingv1.NetworkPolicy) {
		n.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "bait", UID: "1"}}
	},
	"a finalizer":      func(n *networkingv1.NetworkPolicy) { n.Finalizers = []string{"example.com/keep"} },
	"it is deleted":    func(n *networkingv1.NetworkPolicy) { n.DeletionTimestamp = new(metav1.NewTime(noon)) },
	"no managedFields": func(n *networkingv1.NetworkPolicy) { n.ManagedFields = nil },
	"its name":         func(n *networkingv1.NetworkPolicy) { n.Name = v1alpha1.AllowDNSName },
	"another object":   func(n *networkingv1.NetworkPolicy) { n.UID = "another" },
	"its version":      func(n *networkingv1.NetworkPolicy) { n.ResourceVersion = "8" },
	// A tenant who creates the object can also write the fields that compactPolicy stores its
	// results in.
	"a generateName":                    func(n *networkingv1.NetworkPolicy) { n.GenerateName = "netbaseline-" },
	"a generateName as long as a hash":  func(n *networkingv1.NetworkPolicy) { n.GenerateName = strings.Repeat("a", len(policy.Hash{})) },
	"a generateName longer than a hash": func(n *networkingv1.NetworkPolicy) { n.GenerateName = strings.Repeat("a", 2*len(policy.Hash{})) },
	"the generateName of the hash": func(n *networkingv1.NetworkPolicy) {
		hash := policy.HashSpec(&written(v1alpha1.DefaultDenyName).Spec)
		n.GenerateName = string(hash[:]) + "default"
	},
	"a generation of 0": func(n *networkingv1.NetworkPolicy) { n.Generation = 0 },
	"a generation of 1": func(n *networkingv1.NetworkPolicy) { n.Generation = 1 },
	"a generation of 9": func(n *networkingv1.NetworkPolicy) { n.Generation = 9 },
}

func compact(t *testing.T, object any) *networkingv1.NetworkPolicy {
	t.Helper()
	got, err := compactPolicy(object)
	if err != nil {
		t.Fatal(err)
	}
	return got.(*networkingv1.NetworkPolicy)
}

// After any two changes, the cache reports the same about a policy as plan.Observe does about the
// object itself.
func TestACompactPolicySaysWhatWasObserved(t *testing.T) {
	t.Parallel()
	for _, name := range policy.Names {
		for one, first := range mutations {
			t.Run(name+" after a change of "+one, func(t *testing.T) {
				t.Parallel()
				for other, second := range mutations {
					full := written(name)
					first(full)
					second(full)
					want := plan.Observe(full)
					once := compact(t, full.DeepCopy())
					if got := observeCompact(once); got != want {
						t.Errorf("and of %s: -want +got:\n%s", other, cmp.Diff(want, got))
					}
					if twice := compact(t, once.DeepCopy()); !reflect.DeepEqual(once, twice) {
						t.Errorf("and of %s: a second pass is not the same as the first:\n%s", other, cmp.Diff(once, twice))
					}
				}
			})
		}
	}
}

func TestACompactPolicyKeepsNothingElse(t *testing.T) {
	t.Parallel()
	full := written(v1alpha1.DefaultDenyName)
	before := full.DeepCopy()
	got := compact(t, full)
	if diff := cmp.Diff(before, full); diff != "" {
		t.Errorf("the object that came in was changed:\n%s", diff)
	}
	if len(got.Spec.PolicyTypes) > 0 || got.Annotations != nil || got.Labels != nil || got.ManagedFields != nil || got.Finalizers != nil {
		t.Errorf("kept is %+v, want neither spec nor maps nor lists", got)
	}
	if got.Namespace != "shop" || got.Name != v1alpha1.DefaultDenyName || got.UID != full.UID || got.ResourceVersion != "7" {
		t.Errorf("got %s/%s %s %s, want it to be known by what it is", got.Namespace, got.Name, got.UID, got.ResourceVersion)
	}
}

func TestCompactPolicyLeavesAloneWhatIsNoPolicy(t *testing.T) {
	t.Parallel()
	for name, object := range map[string]any{
		"a tombstone":    toolscache.DeletedFinalStateUnknown{Key: "shop/netbaseline-default-deny"},
		"another object": &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := compactPolicy(object)
			if diff := cmp.Diff(object, got); err != nil || diff != "" {
				t.Errorf("error %v, difference:\n%s", err, diff)
			}
		})
	}
}

func TestCompactNamespace(t *testing.T) {
	t.Parallel()
	namespace := func(change func(*metav1.PartialObjectMetadata)) *metav1.PartialObjectMetadata {
		object := namespaceMetadata()
		object.ObjectMeta = metav1.ObjectMeta{
			Name: "shop", UID: "1", ResourceVersion: "7", CreationTimestamp: metav1.NewTime(noon),
			Labels: builder.Labels(corev1.LabelMetadataName, "shop"),
		}
		if change != nil {
			change(object)
		}
		return object
	}
	tests := map[string]struct {
		namespace  *metav1.PartialObjectMetadata
		wantLabels map[string]string
	}{
		"with the label that every namespace has": {
			namespace: namespace(nil), wantLabels: builder.Labels(corev1.LabelMetadataName, "shop"),
		},
		"with many labels": {
			namespace: namespace(func(o *metav1.PartialObjectMetadata) {
				o.Labels = builder.Labels(corev1.LabelMetadataName, "shop", "environment", "production", "team.example.com/Owner_1", "A.b-c_d", "z", "1")
			}),
			wantLabels: builder.Labels(corev1.LabelMetadataName, "shop", "environment", "production", "team.example.com/Owner_1", "A.b-c_d", "z", "1"),
		},
		"with an empty value, which is still a label": {
			namespace:  namespace(func(o *metav1.PartialObjectMetadata) { o.Labels["environment"] = "" }),
			wantLabels: builder.Labels(corev1.LabelMetadataName, "shop", "environment", ""),
		},
		"with the longest label there can be": {
			namespace: namespace(func(o *metav1.PartialObjectMetadata) {
				o.Labels[strings.Repeat("a", 63)+".example.com/"+strings.Repeat("b", 63)] = strings.Repeat("c", 63)
			}),
			wantLabels: builder.Labels(corev1.LabelMetadataName, "shop", strings.Repeat("a", 63)+".example.com/"+strings.Repeat("b", 63), strings.Repeat("c", 63)),
		},
		"with a generateName that looks like labels": {
			namespace:  namespace(func(o *metav1.PartialObjectMetadata) { o.GenerateName = "environment=production" }),
			wantLabels: builder.Labels(corev1.LabelMetadataName, "shop"),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			full := test.namespace.DeepCopy()
			full.Annotations = map[string]string{"kubectl.kubernetes.io/last-applied-configuration": strings.Repeat("x", 1000)}
			full.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
			full.Finalizers, full.DeletionTimestamp = []string{"kubernetes"}, new(metav1.NewTime(noon))
			before := full.DeepCopy()

			transformed, err := compactNamespace(full)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, full); diff != "" {
				t.Errorf("the object that came in was changed:\n%s", diff)
			}
			got := transformed.(*metav1.PartialObjectMetadata)
			gotLabels, err := compactLabels(got)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.wantLabels, gotLabels); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
			want := namespace(func(o *metav1.PartialObjectMetadata) {
				o.Labels, o.GenerateName, o.DeletionTimestamp = nil, got.GenerateName, full.DeletionTimestamp
			})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the rest, which must be no more than this (-want +got):\n%s", diff)
			}
			again, err := compactNamespace(got)
			if diff := cmp.Diff(got, again); err != nil || diff != "" {
				t.Errorf("a second pass: error %v, difference:\n%s", err, diff)
			}
		})
	}
}

func TestCompactNamespaceLeavesAloneWhatIsNoMetadata(t *testing.T) {
	t.Parallel()
	tombstone := toolscache.DeletedFinalStateUnknown{Key: "shop"}
	if got, err := compactNamespace(tombstone); err != nil || got != any(tombstone) {
		t.Errorf("got %v and %v, want it as it came", got, err)
	}
}

// The same labels listed in another order must not look like a change.
func TestEqualLabelsAreKeptAsEqualText(t *testing.T) {
	t.Parallel()
	texts := map[string]bool{}
	for range 50 {
		object := namespaceMetadata()
		object.Labels = map[string]string{}
		for _, key := range []string{"d", "b", "a", "c", "e", "f"} {
			object.Labels[key] = "x"
		}
		transformed, err := compactNamespace(object)
		if err != nil {
			t.Fatal(err)
		}
		texts[transformed.(*metav1.PartialObjectMetadata).GenerateName] = true
	}
	if len(texts) != 1 {
		t.Errorf("the same labels are kept as %v", texts)
	}
}

func TestTheCacheHoldsWhatItMustAndNoMore(t *testing.T) {
	t.Parallel()
	options := CacheOptions()
	if !options.ReaderFailOnMissingInformer {
		t.Error("reading anything else would silently begin another cache")
	}
	if len(options.ByObject) != 3 {
		t.Errorf("%d kinds are described, want policies, namespaces and baselines", len(options.ByObject))
	}
	for object, by := range options.ByObject {
		if by.Transform == nil {
			t.Errorf("%T comes in whole", object)
		}
		if by.Label != nil || by.Field != nil || by.Namespaces != nil {
			t.Errorf("%T is filtered: no event would report changes to excluded objects", object)
		}
	}
	if options.NewInformer == nil {
		t.Error("policies of other clients are kept")
	}
}

// shelf is a cache that holds these objects under their names, or fails.
type shelf struct {
	client.Reader
	policies map[string]*networkingv1.NetworkPolicy
	err      error
}

func (s shelf) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	stored, ok := s.policies[key.Name]
	switch {
	case s.err != nil:
		return s.err
	case !ok || stored.Namespace != key.Namespace:
		return apierrors.NewNotFound(networkingv1.Resource("networkpolicies"), key.Name)
	}
	*object.(*networkingv1.NetworkPolicy) = *stored
	return nil
}

func TestTheInventoryThatTheCacheKnows(t *testing.T) {
	t.Parallel()
	dns, deny := written(v1alpha1.AllowDNSName), written(v1alpha1.DefaultDenyName)
	tenant := written(v1alpha1.DefaultDenyName)
	tenant.Name = "tenant"
	reader := shelf{policies: map[string]*networkingv1.NetworkPolicy{dns.Name: compact(t, dns), deny.Name: compact(t, deny), "tenant": compact(t, tenant)}}

	got, err := cachedInventory(t.Context(), reader, "shop")
	if err != nil {
		t.Fatal(err)
	}
	want := plan.Inventory{dns.Name: plan.Observe(dns), deny.Name: plan.Observe(deny)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got, err = cachedInventory(t.Context(), reader, "other"); err != nil || len(got) > 0 {
		t.Errorf("of another namespace: got %v and %v, want nothing", got, err)
	}
	cause := errors.New("no informer")
	if _, err = cachedInventory(t.Context(), shelf{err: cause}, "shop"); !errors.Is(err, cause) {
		t.Errorf("got %v, want the failure of the cache: absence would be taken for an empty namespace", err)
	}
}
