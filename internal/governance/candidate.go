package governance

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/policy"
)

// Candidate is a baseline, prepared for many decisions.
type Candidate struct {
	// Baseline is the object that the candidate was made from. It is shared: never change it.
	Baseline *v1alpha1.ClusterNetworkBaseline
	// Rejection is why the baseline is not Accepted; empty if it is.
	Rejection string

	selector labels.Selector // nil if the baseline's selector is invalid
	rendered *renderings
}

// NewCandidate prepares a baseline. It never fails: a baseline that cannot be carried out becomes a
// candidate that is not Accepted.
func NewCandidate(baseline *v1alpha1.ClusterNetworkBaseline) *Candidate {
	candidate := &Candidate{
		Baseline: baseline, Rejection: policy.Explain(policy.Validate(baseline)), rendered: &renderings{},
	}
	if baseline.Spec.NamespaceSelector != nil {
		selector, err := metav1.LabelSelectorAsSelector(baseline.Spec.NamespaceSelector.AsLabelSelector())
		if err == nil {
			candidate.selector = selector
		}
	}
	return candidate
}

// Accepted reports whether the baseline can be carried out.
func (c *Candidate) Accepted() bool { return c.Rejection == "" }

// Deleting reports whether the baseline is being deleted.
func (c *Candidate) Deleting() bool { return !c.Baseline.DeletionTimestamp.IsZero() }

// Enforces reports whether the baseline is meant to govern namespaces. An unknown mode counts: when
// in doubt, protection stays.
func (c *Candidate) Enforces() bool {
	return !c.Deleting() && c.Baseline.Spec.Mode != v1alpha1.ModeAudit
}

// FinalizerInPlace reports whether the baseline has the finalizer that it needs before the first
// policy is written, or needs none.
func (c *Candidate) FinalizerInPlace() bool {
	return c.Baseline.Spec.DeletionPolicy != v1alpha1.DeletionPolicyDelete ||
		slices.Contains(c.Baseline.Finalizers, v1alpha1.CleanupFinalizer)
}

// selects reports whether the baseline selects a namespace. If that cannot be determined, it does:
// when in doubt, protection stays.
func (c *Candidate) selects(namespace policy.Namespace) bool {
	for _, pattern := range c.Baseline.Spec.ExcludedNamespaces {
		if pattern.Matches(namespace.Name) {
			return false
		}
	}
	return c.selector == nil || c.selector.Matches(labels.Set(namespace.Labels))
}

// byPrecedence orders candidates: the highest priority first, equal ones by name.
func byPrecedence(a, b *Candidate) int {
	return cmp.Or(
		cmp.Compare(b.Baseline.Spec.GetPriority(), a.Baseline.Spec.GetPriority()),
		cmp.Compare(a.Baseline.Name, b.Baseline.Name),
	)
}

// Snapshot is a snapshot of all baselines.
type Snapshot struct {
	candidates []*Candidate // by precedence
	byName     map[string]*Candidate
	protected  sets.Set[string]
	previews   []Preview
}

// NewSnapshot takes all baselines of the cluster and the operator's own namespace.
func NewSnapshot(candidates []*Candidate, operatorNamespace string) *Snapshot {
	snapshot := assemble(candidates, operatorNamespace)
	snapshot.preview(operatorNamespace)
	return snapshot
}

func assemble(candidates []*Candidate, operatorNamespace string) *Snapshot {
	snapshot := &Snapshot{
		candidates: slices.SortedFunc(slices.Values(candidates), byPrecedence),
		byName:     make(map[string]*Candidate, len(candidates)),
		protected:  sets.New(metav1.NamespaceSystem, metav1.NamespacePublic, "kube-node-lease", operatorNamespace),
	}
	for _, candidate := range candidates {
		snapshot.byName[candidate.Baseline.Name] = candidate
		snapshot.protectDNS(candidate)
	}
	return snapshot
}

// protectDNS protects the namespaces that the DNS peers of an enforcing, accepted baseline name:
// isolating one would cut off DNS for the whole cluster. A baseline in Audit protects none, because
// it must not change anything either.
func (v *Snapshot) protectDNS(candidate *Candidate) {
	dns := candidate.Baseline.Spec.DNS
	if dns.Source != v1alpha1.DNSSourceStatic || !candidate.Accepted() || candidate.Baseline.Spec.Mode != v1alpha1.ModeEnforce {
		return
	}
	for _, peer := range dns.Static.Peers {
		if peer.Namespace != "" {
			v.protected.Insert(peer.Namespace)
		}
	}
}

// Protected reports whether no baseline may ever govern the namespace of this name.
func (v *Snapshot) Protected(namespace string) bool { return v.protected.Has(namespace) }

// Candidate returns the baseline of this name, nil if there is none.
func (v *Snapshot) Candidate(name string) *Candidate { return v.byName[name] }
