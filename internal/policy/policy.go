// Package policy owns what the policies of a namespace say: it turns a baseline and the labels of one namespace into the
// NetworkPolicies that the namespace must have, and gives them a canonical form to compare by. It is pure: no client, no clock,
// no logger; and it decides neither who governs a namespace nor how policies are written.
package policy

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Names lists the policy names that netbaseline claims, in the order in which they are written: DNS first, so that a pod is never
// isolated without it, and default-deny last, so that where it stands the baseline is complete.
var Names = []string{v1alpha1.AllowDNSName, v1alpha1.EnvironmentIsolationName, v1alpha1.DefaultDenyName}

// Namespace is what a namespace's policies depend on: nothing but its own name and labels.
type Namespace struct {
	Name   string
	Labels map[string]string
}

// Desired is one policy that a namespace must have.
type Desired struct {
	// Policy is complete and fully defaulted: what the API server stores when it is written.
	Policy *networkingv1.NetworkPolicy
	// Hash is the canonical hash of Policy.Spec.
	Hash Hash
}

// Render returns the policies that the baseline asks for in a namespace, in the order of Names. The spec must have passed
// Validate. A direction that is not denied gets no policy, because a policy with rules for a direction isolates it.
func Render(baseline *v1alpha1.ClusterNetworkBaseline, namespace Namespace) []Desired {
	desired := RenderEnvironment(baseline, Environment(&baseline.Spec, namespace.Labels))
	for i := range desired {
		desired[i].Policy.Namespace = namespace.Name
	}
	return desired
}

// RenderEnvironment returns what Render does for any namespace of an environment, "" for none: nothing else of a namespace decides
// what its policies say. The policies name no namespace.
func RenderEnvironment(baseline *v1alpha1.ClusterNetworkBaseline, environment string) []Desired {
	spec := &baseline.Spec
	var desired []Desired
	add := func(name string, rendered *networkingv1.NetworkPolicySpec) {
		if rendered == nil {
			return
		}
		desired = append(desired, Desired{
			Policy: &networkingv1.NetworkPolicy{
				ObjectMeta: metav1.ObjectMeta{Name: name, Labels: Labels(baseline.Name), Annotations: Annotations(name)},
				Spec:       *rendered,
			},
			Hash: HashSpec(rendered),
		})
	}
	add(v1alpha1.AllowDNSName, allowDNS(spec))
	add(v1alpha1.EnvironmentIsolationName, environmentIsolation(spec, environment))
	add(v1alpha1.DefaultDenyName, defaultDeny(spec))
	return desired
}

// Environment returns the environment that a namespace with these labels belongs to, "" for none. An empty value counts as none.
func Environment(spec *v1alpha1.ClusterNetworkBaselineSpec, labels map[string]string) string {
	return labels[string(spec.EnvironmentIsolation.LabelKey)]
}

// policyTypes returns the denied directions in the order in which the API server itself lists them.
func policyTypes(spec *v1alpha1.ClusterNetworkBaselineSpec) []networkingv1.PolicyType {
	var types []networkingv1.PolicyType
	if spec.Denies(v1alpha1.PolicyTypeIngress) {
		types = append(types, networkingv1.PolicyTypeIngress)
	}
	if spec.Denies(v1alpha1.PolicyTypeEgress) {
		types = append(types, networkingv1.PolicyTypeEgress)
	}
	return types
}
