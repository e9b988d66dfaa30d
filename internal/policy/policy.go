// Package policy renders the NetworkPolicies of a namespace from a baseline and the namespace's
// labels, and hashes them in a canonical form for comparison. It is pure: no client, no clock, no
// logger. It decides neither which baseline governs a namespace nor how policies are written.
package policy

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Names lists the policy names that netbaseline claims, in the order in which they are written: DNS
// first, so that a pod is never isolated without it, and default-deny last, so that its presence
// means that the baseline is complete.
var Names = []string{v1alpha1.AllowDNSName, v1alpha1.EnvironmentIsolationName, v1alpha1.DefaultDenyName}

// Namespace holds everything that the policies of a namespace depend on: its name and labels.
type Namespace struct {
	Name   string
	Labels map[string]string
}

// Desired is one desired policy of a namespace.
type Desired struct {
	// Policy is complete and fully defaulted, exactly as the API server stores it.
	Policy *networkingv1.NetworkPolicy
	// Hash is the canonical hash of Policy.Spec.
	Hash Hash
}

// Render returns the desired policies of a namespace under a baseline, in the order of Names. The
// spec must have passed Validate. A direction that is not denied gets no policy, because a policy
// with rules for a direction isolates it.
func Render(baseline *v1alpha1.ClusterNetworkBaseline, namespace Namespace) []Desired {
	desired := RenderEnvironment(baseline, Environment(&baseline.Spec, namespace.Labels))
	for i := range desired {
		desired[i].Policy.Namespace = namespace.Name
	}
	return desired
}

// RenderEnvironment returns what Render does for any namespace of an environment, "" for none: the
// specs depend on nothing else of a namespace. The policies have no namespace set.
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

// Environment returns the environment that a namespace with these labels belongs to, "" for none.
// An empty value counts as none.
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
