package tenant_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// fate is what becomes of a change that a tenant makes.
type fate string

const (
	putBack fate = "is restored"
	// kept is harmless: it is left alone, and stays when something else is restored.
	kept fate = "is left alone and kept"
	// left is harmless too, and is not promised to stay.
	left fate = "is left alone"
	// refused and ignored are what the API server itself does.
	refused fate = "is refused by the API server"
	ignored fate = "is ignored by the API server"
)

// change is something that a tenant does to a policy.
type change struct {
	fate fate
	do   func(*networkingv1.NetworkPolicy)
}

// field is the field that a change is named after: the first word of its name.
func field(name string) string {
	path, _, _ := strings.Cut(name, " ")
	return path
}

// changes are what a tenant can do to every field of a policy. The name of each begins with its
// field, as fieldsOf has it. Each does as little as it can: where a policy of ours has the field,
// nothing else changes.
var changes = func() map[string]change {
	all := maps.Clone(metadataChanges)
	spec := func(field string, do func(*networkingv1.NetworkPolicySpec)) {
		all["spec."+field] = change{putBack, func(p *networkingv1.NetworkPolicy) { do(&p.Spec) }}
	}
	spec("policyTypes", func(s *networkingv1.NetworkPolicySpec) {
		s.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
	})
	spec("ingress", func(s *networkingv1.NetworkPolicySpec) {
		s.Ingress = append(s.Ingress, networkingv1.NetworkPolicyIngressRule{})
	})
	spec("egress", func(s *networkingv1.NetworkPolicySpec) {
		s.Egress = append(s.Egress, networkingv1.NetworkPolicyEgressRule{})
	})
	for field, do := range selectorChanges {
		spec("podSelector."+field, func(s *networkingv1.NetworkPolicySpec) { do(&s.PodSelector) })
	}
	for field, do := range portChanges {
		spec("ingress[].ports"+field, func(s *networkingv1.NetworkPolicySpec) { do(&ingressRule(s).Ports) })
		spec("egress[].ports"+field, func(s *networkingv1.NetworkPolicySpec) { do(&egressRule(s).Ports) })
	}
	for field, do := range peerChanges() {
		spec("ingress[].from"+field, func(s *networkingv1.NetworkPolicySpec) { do(&ingressRule(s).From) })
		spec("egress[].to"+field, func(s *networkingv1.NetworkPolicySpec) { do(&egressRule(s).To) })
	}
	return all
}()

var selectorChanges = map[string]func(*metav1.LabelSelector){
	"matchLabels": func(s *metav1.LabelSelector) { s.MatchLabels = with(s.MatchLabels, "no", "body") },
	"matchExpressions": func(s *metav1.LabelSelector) {
		s.MatchExpressions = append(s.MatchExpressions, metav1.LabelSelectorRequirement{Key: "no", Operator: metav1.LabelSelectorOpExists})
	},
	"matchExpressions[].key":      func(s *metav1.LabelSelector) { requirement(s).Key = "no" },
	"matchExpressions[].operator": func(s *metav1.LabelSelector) { requirement(s).Operator = metav1.LabelSelectorOpNotIn },
	"matchExpressions[].values":   func(s *metav1.LabelSelector) { requirement(s).Values = []string{"no"} },
}

var portChanges = map[string]func(*[]networkingv1.NetworkPolicyPort){
	"": func(ports *[]networkingv1.NetworkPolicyPort) {
		*ports = toggled(*ports, networkingv1.NetworkPolicyPort{Protocol: new(corev1.ProtocolTCP)})
	},
	"[].protocol":     func(ports *[]networkingv1.NetworkPolicyPort) { first(ports).Protocol = new(corev1.ProtocolSCTP) },
	"[].port":         func(ports *[]networkingv1.NetworkPolicyPort) { first(ports).Port = new(intstr.FromInt32(9999)) },
	"[].port by name": func(ports *[]networkingv1.NetworkPolicyPort) { first(ports).Port = new(intstr.FromString("https")) },
	"[].endPort": func(ports *[]networkingv1.NetworkPolicyPort) {
		port := first(ports)
		if port.Port == nil {
			port.Port = new(intstr.FromInt32(1))
		}
		port.EndPort = new(int32(65535))
	},
}

func peerChanges() map[string]func(*[]networkingv1.NetworkPolicyPeer) {
	pods := func(peers *[]networkingv1.NetworkPolicyPeer) *networkingv1.NetworkPolicyPeer {
		return suiting(peers, func(p *networkingv1.NetworkPolicyPeer) bool { return p.PodSelector != nil }, networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}})
	}
	namespaces := func(peers *[]networkingv1.NetworkPolicyPeer) *networkingv1.NetworkPolicyPeer {
		return suiting(peers, func(p *networkingv1.NetworkPolicyPeer) bool { return p.NamespaceSelector != nil }, networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{}})
	}
	block := func(peers *[]networkingv1.NetworkPolicyPeer) *networkingv1.IPBlock {
		return suiting(peers, func(p *networkingv1.NetworkPolicyPeer) bool { return p.IPBlock != nil },
			networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: dnsRange}}).IPBlock
	}
	all := map[string]func(*[]networkingv1.NetworkPolicyPeer){
		"": func(peers *[]networkingv1.NetworkPolicyPeer) {
			*peers = toggled(*peers, networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{}})
		},
		"[].podSelector": func(peers *[]networkingv1.NetworkPolicyPeer) {
			peer := namespaces(peers)
			peer.PodSelector = absentOrEmpty(peer.PodSelector)
		},
		"[].namespaceSelector": func(peers *[]networkingv1.NetworkPolicyPeer) {
			peer := pods(peers)
			peer.NamespaceSelector = absentOrEmpty(peer.NamespaceSelector)
		},
		"[].ipBlock": func(peers *[]networkingv1.NetworkPolicyPeer) {
			*peers = append(*peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "::/0"}})
		},
		"[].ipBlock.cidr":   func(peers *[]networkingv1.NetworkPolicyPeer) { block(peers).CIDR = "0.0.0.0/0" },
		"[].ipBlock.except": func(peers *[]networkingv1.NetworkPolicyPeer) { block(peers).Except = []string{dnsAddress + "/32"} },
	}
	for field, do := range selectorChanges {
		all["[].podSelector."+field] = func(peers *[]networkingv1.NetworkPolicyPeer) { do(pods(peers).PodSelector) }
		all["[].namespaceSelector."+field] = func(peers *[]networkingv1.NetworkPolicyPeer) { do(namespaces(peers).NamespaceSelector) }
	}
	return all
}

// metadataChanges are about everything but the spec.
var metadataChanges = map[string]change{
	"kind":                                {refused, func(p *networkingv1.NetworkPolicy) { p.Kind = "Ingress" }},
	"apiVersion":                          {refused, func(p *networkingv1.NetworkPolicy) { p.APIVersion = "v1" }},
	"metadata.name":                       {refused, func(p *networkingv1.NetworkPolicy) { p.Name = "mine" }},
	"metadata.namespace":                  {refused, func(p *networkingv1.NetworkPolicy) { p.Namespace = "default" }},
	"metadata.uid":                        {refused, func(p *networkingv1.NetworkPolicy) { p.UID = "0f0e0d0c" }},
	"metadata.resourceVersion":            {refused, func(p *networkingv1.NetworkPolicy) { p.ResourceVersion = "1" }},
	"metadata.deletionTimestamp":          {refused, func(p *networkingv1.NetworkPolicy) { p.DeletionTimestamp = new(metav1.Unix(0, 0)) }},
	"metadata.deletionGracePeriodSeconds": {refused, func(p *networkingv1.NetworkPolicy) { p.DeletionGracePeriodSeconds = new(int64(1)) }},
	"metadata.selfLink":                   {ignored, func(p *networkingv1.NetworkPolicy) { p.SetSelfLink("/mine") }},
	"metadata.generation":                 {ignored, func(p *networkingv1.NetworkPolicy) { p.Generation = 1000 }},
	"metadata.creationTimestamp":          {ignored, func(p *networkingv1.NetworkPolicy) { p.CreationTimestamp = metav1.Unix(0, 0) }},

	"metadata.generateName": {left, func(p *networkingv1.NetworkPolicy) { p.GenerateName = "mine-" }},
	"metadata.finalizers":   {kept, func(p *networkingv1.NetworkPolicy) { p.Finalizers = []string{tenantFinalizer} }},

	"metadata.labels with one of her own":  {kept, func(p *networkingv1.NetworkPolicy) { p.Labels["team"] = "shop" }},
	"metadata.labels without the baseline": {putBack, func(p *networkingv1.NetworkPolicy) { delete(p.Labels, v1alpha1.BaselineLabel) }},
	"metadata.labels with another baseline": {putBack, func(p *networkingv1.NetworkPolicy) {
		p.Labels[v1alpha1.BaselineLabel] = loopBaseline
	}},
	"metadata.labels with a baseline that does not exist": {putBack, func(p *networkingv1.NetworkPolicy) { p.Labels[v1alpha1.BaselineLabel] = "absent" }},
	"metadata.labels without managed-by":                  {putBack, func(p *networkingv1.NetworkPolicy) { delete(p.Labels, v1alpha1.ManagedByLabel) }},
	"metadata.labels managed by another":                  {putBack, func(p *networkingv1.NetworkPolicy) { p.Labels[v1alpha1.ManagedByLabel] = "dana" }},
	"metadata.labels and annotations gone, ingress opened": {putBack, func(p *networkingv1.NetworkPolicy) {
		p.Labels, p.Annotations = nil, nil
		p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{})
	}},

	"metadata.annotations with one of her own":     {kept, func(p *networkingv1.NetworkPolicy) { p.Annotations["note"] = "mine" }},
	"metadata.annotations without the description": {putBack, func(p *networkingv1.NetworkPolicy) { delete(p.Annotations, v1alpha1.DescriptionAnnotation) }},
	"metadata.annotations with another description": {putBack, func(p *networkingv1.NetworkPolicy) {
		p.Annotations[v1alpha1.DescriptionAnnotation] = "Dana's."
	}},
	"metadata.annotations that Argo CD compares by": {putBack, func(p *networkingv1.NetworkPolicy) {
		delete(p.Annotations, v1alpha1.ArgoCDCompareOptionsAnnotation)
	}},
	"metadata.annotations that Argo CD prunes by": {putBack, func(p *networkingv1.NetworkPolicy) {
		p.Annotations[v1alpha1.ArgoCDSyncOptionsAnnotation] = "Prune=true"
	}},
	"metadata.annotations gone": {putBack, func(p *networkingv1.NetworkPolicy) { p.Annotations = nil }},
	"metadata.annotations of 256 KiB": {putBack, func(p *networkingv1.NetworkPolicy) {
		p.Annotations = map[string]string{"x": strings.Repeat("x", 256<<10-1)}
	}},

	"metadata.ownerReferences to what exists": {putBack, func(p *networkingv1.NetworkPolicy) {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy", Name: p.Name, UID: p.UID}} // itself
	}},
	"metadata.ownerReferences to no object": {putBack, func(p *networkingv1.NetworkPolicy) { // the garbage collector deletes it, if it is faster
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "gone", UID: "0f0e0d0c"}}
	}},

	"metadata.managedFields": {left, func(p *networkingv1.NetworkPolicy) { p.ManagedFields = []metav1.ManagedFieldsEntry{{}} }},
	"metadata.managedFields reset, ingress opened": {putBack, func(p *networkingv1.NetworkPolicy) {
		p.ManagedFields = []metav1.ManagedFieldsEntry{{}}
		p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{})
	}},
}

// ingressRule and egressRule return the first rule of a direction, made if there is none.
func ingressRule(spec *networkingv1.NetworkPolicySpec) *networkingv1.NetworkPolicyIngressRule {
	return first(&spec.Ingress)
}

func egressRule(spec *networkingv1.NetworkPolicySpec) *networkingv1.NetworkPolicyEgressRule {
	return first(&spec.Egress)
}

func requirement(selector *metav1.LabelSelector) *metav1.LabelSelectorRequirement {
	return suiting(&selector.MatchExpressions, func(*metav1.LabelSelectorRequirement) bool { return true },
		metav1.LabelSelectorRequirement{Key: "app", Operator: metav1.LabelSelectorOpIn, Values: []string{"none"}})
}

func first[T any](list *[]T) *T {
	var zero T
	return suiting(list, func(*T) bool { return true }, zero)
}

// suiting returns the first item that suits, or else another one, appended.
func suiting[T any](list *[]T, suits func(*T) bool, other T) *T {
	for i := range *list {
		if suits(&(*list)[i]) {
			return &(*list)[i]
		}
	}
	*list = append(*list, other)
	return &(*list)[len(*list)-1]
}

// toggled empties a list, or fills an empty one. Of peers and ports, an empty list means all.
func toggled[T any](list []T, item T) []T {
	if len(list) > 0 {
		return nil
	}
	return []T{item}
}

func absentOrEmpty(selector *metav1.LabelSelector) *metav1.LabelSelector {
	if selector != nil {
		return nil
	}
	return &metav1.LabelSelector{}
}

func with(labels map[string]string, key, value string) map[string]string {
	all := map[string]string{key: value}
	maps.Copy(all, labels)
	return all
}

func TestEveryFieldIsChanged(t *testing.T) {
	t.Parallel()
	fields := fieldsOf(reflect.TypeFor[networkingv1.NetworkPolicy]())
	changed := map[string]bool{}
	for name := range changes {
		changed[field(name)] = true
	}
	for _, field := range fields {
		if !changed[field] {
			t.Errorf("a tenant may change %s, and nothing shows what becomes of that: handle it in changes (changes_test.go)", field)
		}
	}
	for field := range changed {
		if !slices.Contains(fields, field) {
			t.Errorf("a NetworkPolicy has no field %s: take it out of changes (changes_test.go)", field)
		}
	}
}
