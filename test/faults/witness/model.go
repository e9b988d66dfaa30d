package witness

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// This file is the model of the end state, written from README.md and not from the code that it
// judges.

var claimed = []string{"netbaseline-allow-dns", "netbaseline-environment-isolation", "netbaseline-default-deny"}

const ownerLabel = "policy.netbaseline.dev/baseline"

// Governor returns the baseline that must protect a namespace, or nil. A baseline that still waits
// for its finalizer counts: nothing is written yet, but nothing may be removed either. While the
// namespace holds policies that another baseline has not given up, no baseline governs it.
func (s *State) Governor(name string) *v1alpha1.ClusterNetworkBaseline {
	best := s.highest(name)
	if best == nil || s.objects(name, best) {
		return nil
	}
	return best
}

// highest returns the enforcing baseline of the highest precedence that selects a namespace, or
// nil.
func (s *State) highest(name string) *v1alpha1.ClusterNetworkBaseline {
	namespace := s.Namespaces[name]
	if namespace == nil || s.protected(name) {
		return nil
	}
	var best *v1alpha1.ClusterNetworkBaseline
	for _, baseline := range s.Baselines {
		if !enforcing(baseline) || !chooses(baseline, namespace) {
			continue
		}
		if best == nil || precedes(baseline, best) {
			best = baseline
		}
	}
	return best
}

func precedes(a, b *v1alpha1.ClusterNetworkBaseline) bool {
	if x, y := priority(a), priority(b); x != y {
		return x > y
	}
	return a.Name < b.Name
}

func priority(baseline *v1alpha1.ClusterNetworkBaseline) int32 {
	if baseline.Spec.Priority == nil {
		return 0
	}
	return *baseline.Spec.Priority
}

func enforcing(baseline *v1alpha1.ClusterNetworkBaseline) bool {
	return baseline.DeletionTimestamp == nil && baseline.Spec.Mode == "Enforce" && Accepted(baseline)
}

// Accepted reports whether a baseline can be carried out: a later version may have stored a spec
// that this one does not know.
func Accepted(baseline *v1alpha1.ClusterNetworkBaseline) bool {
	spec := &baseline.Spec
	return slices.Contains([]v1alpha1.Mode{"Enforce", "Audit"}, spec.Mode) &&
		slices.Contains([]v1alpha1.DeletionPolicy{"Delete", "Retain"}, spec.DeletionPolicy) &&
		slices.Contains([]v1alpha1.DNSSource{"Static", "None"}, spec.DNS.Source) &&
		slices.Contains([]v1alpha1.IsolationScope{"SameEnvironment", "None"}, spec.EnvironmentIsolation.Scope) &&
		slices.Contains([]v1alpha1.UnlabeledPolicy{"SameNamespace", "Deny"}, spec.EnvironmentIsolation.Unlabeled)
}

func (s *State) protected(name string) bool {
	if slices.Contains([]string{"kube-system", "kube-public", "kube-node-lease", harness.OperatorNamespace}, name) {
		return true
	}
	for _, baseline := range s.Baselines {
		if baseline.Spec.Mode != "Enforce" || baseline.Spec.DNS.Source != "Static" || !Accepted(baseline) {
			continue
		}
		for _, peer := range baseline.Spec.DNS.Static.Peers {
			if peer.Namespace == name {
				return true
			}
		}
	}
	return false
}

func chooses(baseline *v1alpha1.ClusterNetworkBaseline, namespace *corev1.Namespace) bool {
	for _, pattern := range baseline.Spec.ExcludedNamespaces {
		prefix, wild := strings.CutSuffix(string(pattern), "*")
		if namespace.Name == prefix || wild && strings.HasPrefix(namespace.Name, prefix) {
			return false
		}
	}
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{}}
	for key, value := range baseline.Spec.NamespaceSelector.MatchLabels {
		selector.MatchLabels[key] = string(value)
	}
	for _, expression := range baseline.Spec.NamespaceSelector.MatchExpressions {
		selector.MatchExpressions = append(selector.MatchExpressions, requirement(expression.Key, expression.Operator, expression.Values))
	}
	return selects(selector, namespace.Labels)
}

func requirement(key v1alpha1.LabelKey, operator v1alpha1.LabelSelectorOperator, values []v1alpha1.LabelValue) metav1.LabelSelectorRequirement {
	plain := metav1.LabelSelectorRequirement{Key: string(key), Operator: metav1.LabelSelectorOperator(operator)}
	for _, value := range values {
		plain.Values = append(plain.Values, string(value))
	}
	return plain
}

func denies(baseline *v1alpha1.ClusterNetworkBaseline, direction networkingv1.PolicyType) bool {
	return baseline != nil && slices.Contains(baseline.Spec.DefaultDeny.PolicyTypes, v1alpha1.PolicyType(direction))
}

// Expected returns the policy specs of a baseline for a namespace with these labels, by name.
func Expected(baseline *v1alpha1.ClusterNetworkBaseline, labels map[string]string) map[string]networkingv1.NetworkPolicySpec {
	ingress, egress := denies(baseline, networkingv1.PolicyTypeIngress), denies(baseline, networkingv1.PolicyTypeEgress)
	var types []networkingv1.PolicyType
	if ingress {
		types = append(types, networkingv1.PolicyTypeIngress)
	}
	if egress {
		types = append(types, networkingv1.PolicyTypeEgress)
	}
	expected := map[string]networkingv1.NetworkPolicySpec{"netbaseline-default-deny": {PolicyTypes: types}}
	if egress && baseline.Spec.DNS.Source == "Static" {
		expected["netbaseline-allow-dns"] = networkingv1.NetworkPolicySpec{
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
			Egress:      []networkingv1.NetworkPolicyEgressRule{{To: servers(baseline), Ports: ports(baseline)}},
		}
	}
	friends := friends(baseline, labels)
	if len(friends) == 0 {
		return expected
	}
	isolation := networkingv1.NetworkPolicySpec{PolicyTypes: types}
	if ingress {
		isolation.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: friends}}
	}
	if egress {
		isolation.Egress = []networkingv1.NetworkPolicyEgressRule{{To: friends}}
	}
	expected["netbaseline-environment-isolation"] = isolation
	return expected
}

// friends are the peers to which environment isolation opens a namespace; none means that there is
// no such policy.
func friends(baseline *v1alpha1.ClusterNetworkBaseline, labels map[string]string) []networkingv1.NetworkPolicyPeer {
	isolation := baseline.Spec.EnvironmentIsolation
	environment := labels[string(isolation.LabelKey)]
	own := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}}
	switch {
	case isolation.Scope == "None", environment == "" && isolation.Unlabeled == "Deny":
		return nil
	case environment == "":
		return []networkingv1.NetworkPolicyPeer{own}
	}
	return []networkingv1.NetworkPolicyPeer{own, {NamespaceSelector: &metav1.LabelSelector{
		MatchLabels: map[string]string{string(isolation.LabelKey): environment},
	}}}
}

func servers(baseline *v1alpha1.ClusterNetworkBaseline) []networkingv1.NetworkPolicyPeer {
	var peers []networkingv1.NetworkPolicyPeer
	for _, peer := range baseline.Spec.DNS.Static.Peers {
		if peer.CIDR != "" {
			peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: peer.CIDR}})
			continue
		}
		rendered := networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{
			MatchLabels: map[string]string{"kubernetes.io/metadata.name": peer.Namespace},
		}}
		if peer.PodSelector != nil {
			rendered.PodSelector = &metav1.LabelSelector{MatchLabels: map[string]string{}}
			for key, value := range peer.PodSelector.MatchLabels {
				rendered.PodSelector.MatchLabels[key] = string(value)
			}
			for _, expression := range peer.PodSelector.MatchExpressions {
				rendered.PodSelector.MatchExpressions = append(rendered.PodSelector.MatchExpressions,
					requirement(expression.Key, expression.Operator, expression.Values))
			}
		}
		peers = append(peers, rendered)
	}
	return peers
}

func ports(baseline *v1alpha1.ClusterNetworkBaseline) []networkingv1.NetworkPolicyPort {
	var all []networkingv1.NetworkPolicyPort
	for _, port := range baseline.Spec.DNS.Static.Ports {
		all = append(all, networkingv1.NetworkPolicyPort{
			Protocol: new(corev1.Protocol(port.Protocol)), Port: new(intstr.FromInt32(port.Port)),
		})
	}
	return all
}

// MayGo reports whether a policy of ours may be removed at this moment: because the baseline that
// governs its namespace does not render it, or because no baseline governs the namespace and the
// baseline that made it exists and permits it.
func (s *State) MayGo(policy *networkingv1.NetworkPolicy) bool {
	owner := policy.Labels[ownerLabel]
	if owner == "" || !slices.Contains(claimed, policy.Name) {
		return false
	}
	if governor := s.Governor(policy.Namespace); governor != nil {
		_, wanted := Expected(governor, s.Namespaces[policy.Namespace].Labels)[policy.Name]
		return !wanted
	}
	baseline, namespace := s.Baselines[owner], s.Namespaces[policy.Namespace]
	switch {
	case baseline == nil:
		return false
	case baseline.DeletionTimestamp != nil:
		return baseline.Spec.DeletionPolicy == "Delete"
	}
	return enforcing(baseline) && (namespace == nil || s.protected(namespace.Name) || !chooses(baseline, namespace))
}

// Differences returns how a namespace differs from the end state of the model.
func (s *State) Differences(name string) []string {
	var found []string
	differ := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	for _, difference := range s.differences(name) {
		differ("%s: %s", difference.policy, difference.how)
	}
	return found
}

type difference struct{ policy, how string }

func (s *State) differences(name string) []difference {
	namespace, governor := s.Namespaces[name], s.Governor(name)
	if namespace == nil || namespace.DeletionTimestamp != nil {
		return nil
	}
	var expected map[string]networkingv1.NetworkPolicySpec
	if governor != nil {
		expected = Expected(governor, namespace.Labels)
	}
	var found []difference
	for _, policyName := range claimed {
		policy := s.Policies[name][policyName]
		want, wanted := expected[policyName]
		switch {
		case wanted && policy == nil:
			found = append(found, difference{policyName, "missing"})
		case wanted && policy.Labels[ownerLabel] != governor.Name:
			found = append(found, difference{policyName, fmt.Sprintf("made for %q and not for %s", policy.Labels[ownerLabel], governor.Name)})
		case wanted && !equality.Semantic.DeepEqual(policy.Spec, want):
			found = append(found, difference{policyName, "another spec"})
		case !wanted && policy != nil && s.MayGo(policy):
			found = append(found, difference{policyName, "left behind"})
		}
	}
	return found
}
