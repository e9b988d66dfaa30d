//go:build faults

package faults_test

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/faults/witness"
)

// vandalisms damage a policy in every field of its spec, in its metadata, and as a whole.
var vandalisms = map[string]func(*networkingv1.NetworkPolicy){
	"podSelector": func(p *networkingv1.NetworkPolicy) { p.Spec.PodSelector.MatchLabels = map[string]string{"no": "body"} },
	"podSelector expressions": func(p *networkingv1.NetworkPolicy) {
		p.Spec.PodSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "no", Operator: metav1.LabelSelectorOpExists}}
	},
	"ingress": func(p *networkingv1.NetworkPolicy) { p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}} },
	"ingress from": func(p *networkingv1.NetworkPolicy) {
		p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{}}}}}
	},
	"ingress ports": func(p *networkingv1.NetworkPolicy) {
		p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{Ports: []networkingv1.NetworkPolicyPort{{
			Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromInt32(1)), EndPort: new(int32(65535)),
		}}}}
	},
	"egress": func(p *networkingv1.NetworkPolicy) { p.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}} },
	"egress to": func(p *networkingv1.NetworkPolicy) {
		p.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0"}}}}}
	},
	"policyTypes":   func(p *networkingv1.NetworkPolicy) { p.Spec.PolicyTypes = []networkingv1.PolicyType{"Egress"} },
	"our label":     func(p *networkingv1.NetworkPolicy) { delete(p.Labels, v1alpha1.BaselineLabel) },
	"all metadata":  func(p *networkingv1.NetworkPolicy) { p.Labels, p.Annotations = nil, nil },
	"another owner": func(p *networkingv1.NetworkPolicy) { p.Labels[v1alpha1.BaselineLabel] = "another" },
	"deleted":       nil,
	"owner reference": func(p *networkingv1.NetworkPolicy) {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Namespace", Name: p.Namespace, UID: "0"}}
	},
}

// A tenant who loops over everything that a tenant can do to our policies is always answered: no
// hole is left for later, and each write of ours answers one of the tenant's.
func TestATenantWhoLoops(t *testing.T) {
	const changes, interval = 200, 50 * time.Millisecond
	s := newSite(t)
	o := start(t, newTransport())
	enforce(t, s)
	s.settle(t)
	caughtUp(t)
	before, damaged := s.repairs(t), 0
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	kinds := sortedVandalisms()
	for began := time.Now(); damaged < changes && time.Since(began) < 2*patience; {
		name := []string{v1alpha1.DefaultDenyName, v1alpha1.AllowDNSName, v1alpha1.EnvironmentIsolationName}[damaged/len(kinds)%3]
		if vandalize(t, s.namespaces[0], name, vandalisms[kinds[damaged%len(kinds)]]) {
			damaged++
		}
		<-ticker.C
	}
	s.settle(t)
	caughtUp(t)
	repairs := s.repairs(t) - before
	var holes []time.Duration
	judge.Look(func(j *witness.Judge) { holes = j.Holes(s.namespaces[0], time.Now()) })
	slices.Sort(holes)
	t.Logf("%d damages, %d repairs, %d holes, the longest %v", damaged, repairs, len(holes), holes[max(0, len(holes)-5):])
	if len(holes) == 0 || damaged < changes {
		t.Errorf("the tenant did %d times damage, which opened the namespace %d times: too little is shown", damaged, len(holes))
	}
	const more = 3 // what was decided on before the last change was seen
	if repairs > damaged+more {
		t.Errorf("the operator wrote %d times, want at most %d", repairs, damaged+more)
	}
	o.giveUp()
	expectNoViolation(t, witness.TenantBound)
	s.free(t)
}

// Whatever a tenant changes of a policy, it is restored.
func TestEveryFieldIsPutBack(t *testing.T) {
	s := newSite(t)
	o := start(t, newTransport())
	enforce(t, s)
	s.settle(t)
	for _, kind := range sortedVandalisms() {
		for _, name := range []string{v1alpha1.DefaultDenyName, v1alpha1.AllowDNSName, v1alpha1.EnvironmentIsolationName} {
			if !vandalize(t, s.namespaces[1], name, vandalisms[kind]) {
				t.Errorf("%s of %s: no chance to damage it", kind, name)
			}
			eventually(t, func() string {
				if said := s.unsettled(t); said != "" {
					return kind + " of " + name + ": " + said
				}
				return ""
			})
		}
	}
	o.giveUp()
	expectNoViolation(t, witness.TenantBound)
	s.free(t)
}

// repairs is how often the operator has written a policy of a site's first namespace.
func (s *site) repairs(t *testing.T) (repairs int) {
	t.Helper()
	writes, err := env.OperatorWrites()
	must(t, err)
	for i := range writes {
		if writes[i].Namespace == s.namespaces[0] && writes[i].Resource == "networkpolicies" && writes[i].Code < 300 {
			repairs++
		}
	}
	return repairs
}

func sortedVandalisms() []string {
	var kinds []string
	for kind := range vandalisms {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}

// vandalize reports whether the damage was done; the operator may be faster.
func vandalize(t *testing.T, namespace, name string, damage func(*networkingv1.NetworkPolicy)) bool {
	t.Helper()
	policy := &networkingv1.NetworkPolicy{}
	err := env.Admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, policy)
	if apierrors.IsNotFound(err) {
		return false
	}
	must(t, err)
	if damage == nil {
		err = env.Admin.Delete(t.Context(), policy)
	} else {
		if policy.Labels == nil {
			policy.Labels = map[string]string{}
		}
		damage(policy)
		err = env.Admin.Update(t.Context(), policy)
	}
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return false
	}
	must(t, err)
	return true
}
