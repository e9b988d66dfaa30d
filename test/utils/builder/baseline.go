// Package builder builds the objects that tests begin with, in one line each. They are complete:
// every default of the CustomResourceDefinition's schema is filled in, as in an object that was
// read from an API server.
package builder

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// BaselineBuilder makes a ClusterNetworkBaseline.
type BaselineBuilder struct {
	baseline *v1alpha1.ClusterNetworkBaseline
}

// Baseline begins a baseline that selects every namespace and otherwise has the schema's defaults.
func Baseline(name string) *BaselineBuilder {
	return &BaselineBuilder{&v1alpha1.ClusterNetworkBaseline{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.ClusterNetworkBaselineSpec{
			NamespaceSelector: &v1alpha1.NamespaceSelector{},
			Priority:          new(int32(0)),
			Mode:              v1alpha1.ModeEnforce,
			DefaultDeny: v1alpha1.DefaultDeny{
				PolicyTypes: []v1alpha1.PolicyType{v1alpha1.PolicyTypeIngress, v1alpha1.PolicyTypeEgress},
			},
			DNS: v1alpha1.DNS{
				Source: v1alpha1.DNSSourceStatic,
				Static: v1alpha1.StaticDNS{
					Peers: []v1alpha1.DNSPeer{DNSPods(metav1.NamespaceSystem, "k8s-app", "kube-dns"), DNSRange("169.254.20.10/32")},
					Ports: []v1alpha1.DNSPort{{Protocol: "UDP", Port: 53}, {Protocol: "TCP", Port: 53}},
				},
			},
			EnvironmentIsolation: v1alpha1.EnvironmentIsolation{
				Scope:     v1alpha1.IsolationScopeSameEnvironment,
				LabelKey:  "environment",
				Unlabeled: v1alpha1.UnlabeledSameNamespace,
			},
			DeletionPolicy: v1alpha1.DeletionPolicyDelete,
		},
		Status: v1alpha1.ClusterNetworkBaselineStatus{
			ObservedGeneration: -1,
			Conditions: []metav1.Condition{{
				Type: v1alpha1.ConditionReady, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonWaiting,
				Message: "Waiting for the netbaseline operator", LastTransitionTime: metav1.Unix(0, 0),
			}},
		},
	}}
}

// Selecting adds a label that a namespace must carry.
func (b *BaselineBuilder) Selecting(key, value string) *BaselineBuilder {
	selector := b.baseline.Spec.NamespaceSelector
	if selector.MatchLabels == nil {
		selector.MatchLabels = map[string]v1alpha1.LabelValue{}
	}
	selector.MatchLabels[key] = v1alpha1.LabelValue(value)
	return b
}

// SelectingWhere adds a condition on a label of the namespace.
func (b *BaselineBuilder) SelectingWhere(key, operator string, values ...string) *BaselineBuilder {
	requirement := v1alpha1.NamespaceSelectorRequirement{Key: v1alpha1.LabelKey(key), Operator: v1alpha1.LabelSelectorOperator(operator)}
	for _, value := range values {
		requirement.Values = append(requirement.Values, v1alpha1.LabelValue(value))
	}
	selector := b.baseline.Spec.NamespaceSelector
	selector.MatchExpressions = append(selector.MatchExpressions, requirement)
	return b
}

// Excluding adds excluded namespaces: names, or prefixes with a trailing *.
func (b *BaselineBuilder) Excluding(patterns ...v1alpha1.NamespacePattern) *BaselineBuilder {
	b.baseline.Spec.ExcludedNamespaces = append(b.baseline.Spec.ExcludedNamespaces, patterns...)
	return b
}

// Priority sets the priority.
func (b *BaselineBuilder) Priority(priority int32) *BaselineBuilder {
	b.baseline.Spec.Priority = &priority
	return b
}

// Mode sets the mode.
func (b *BaselineBuilder) Mode(mode v1alpha1.Mode) *BaselineBuilder {
	b.baseline.Spec.Mode = mode
	return b
}

// Denying sets the directions that are denied.
func (b *BaselineBuilder) Denying(directions ...v1alpha1.PolicyType) *BaselineBuilder {
	b.baseline.Spec.DefaultDeny.PolicyTypes = directions
	return b
}

// DNSPeers replaces the DNS servers.
func (b *BaselineBuilder) DNSPeers(peers ...v1alpha1.DNSPeer) *BaselineBuilder {
	b.baseline.Spec.DNS.Static.Peers = peers
	return b
}

// DNSPorts replaces the ports of the DNS servers.
func (b *BaselineBuilder) DNSPorts(ports ...v1alpha1.DNSPort) *BaselineBuilder {
	b.baseline.Spec.DNS.Static.Ports = ports
	return b
}

// WithoutDNS sets the source of DNS to None.
func (b *BaselineBuilder) WithoutDNS() *BaselineBuilder {
	b.baseline.Spec.DNS.Source = v1alpha1.DNSSourceNone
	return b
}

// Scope sets the scope of environment isolation.
func (b *BaselineBuilder) Scope(scope v1alpha1.IsolationScope) *BaselineBuilder {
	b.baseline.Spec.EnvironmentIsolation.Scope = scope
	return b
}

// LabelKey sets the namespace label that names the environment.
func (b *BaselineBuilder) LabelKey(key v1alpha1.LabelKey) *BaselineBuilder {
	b.baseline.Spec.EnvironmentIsolation.LabelKey = key
	return b
}

// Unlabeled sets what a namespace without an environment may do.
func (b *BaselineBuilder) Unlabeled(unlabeled v1alpha1.UnlabeledPolicy) *BaselineBuilder {
	b.baseline.Spec.EnvironmentIsolation.Unlabeled = unlabeled
	return b
}

// DeletionPolicy sets what happens to the policies when the baseline is deleted.
func (b *BaselineBuilder) DeletionPolicy(deletionPolicy v1alpha1.DeletionPolicy) *BaselineBuilder {
	b.baseline.Spec.DeletionPolicy = deletionPolicy
	return b
}

// Generation sets the generation of the spec.
func (b *BaselineBuilder) Generation(generation int64) *BaselineBuilder {
	b.baseline.Generation = generation
	return b
}

// Finalized adds the finalizer that an enforcing baseline must have before its first policy is
// written.
func (b *BaselineBuilder) Finalized() *BaselineBuilder {
	b.baseline.Finalizers = append(b.baseline.Finalizers, v1alpha1.CleanupFinalizer)
	return b
}

// Deleting marks the baseline as being deleted. An API server keeps such an object only while it
// has a finalizer.
func (b *BaselineBuilder) Deleting() *BaselineBuilder {
	b.baseline.DeletionTimestamp = new(metav1.NewTime(time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)))
	return b
}

// With changes the baseline in a way that has no method of its own, such as one that the API server
// would refuse.
func (b *BaselineBuilder) With(change func(*v1alpha1.ClusterNetworkBaseline)) *BaselineBuilder {
	change(b.baseline)
	return b
}

// Obj returns the baseline. The builder can be used further without changing the returned object.
func (b *BaselineBuilder) Obj() *v1alpha1.ClusterNetworkBaseline { return b.baseline.DeepCopy() }

// DNSPods returns the peer for DNS pods in a namespace, chosen by labels given as key and value in
// turn; without any, all pods there.
func DNSPods(namespace string, keysAndValues ...string) v1alpha1.DNSPeer {
	peer := v1alpha1.DNSPeer{Namespace: namespace}
	if len(keysAndValues) > 0 {
		peer.PodSelector = &v1alpha1.PodSelector{MatchLabels: map[string]v1alpha1.LabelValue{}}
		for key, value := range Labels(keysAndValues...) {
			peer.PodSelector.MatchLabels[key] = v1alpha1.LabelValue(value)
		}
	}
	return peer
}

// DNSRange returns the peer for DNS servers in a range of addresses.
func DNSRange(cidr string) v1alpha1.DNSPeer { return v1alpha1.DNSPeer{CIDR: cidr} }

// Labels makes labels of keys and values in turn.
func Labels(keysAndValues ...string) map[string]string {
	if len(keysAndValues)%2 != 0 {
		panic("builder: a key without a value")
	}
	labels := make(map[string]string, len(keysAndValues)/2)
	for i := 0; i < len(keysAndValues); i += 2 {
		labels[keysAndValues[i]] = keysAndValues[i+1]
	}
	return labels
}
