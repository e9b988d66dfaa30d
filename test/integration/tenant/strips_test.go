package tenant_test

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// manyStrips is more than a memory of rivals lets pass before it begins to wait.
const manyStrips = 8

// strips take off a policy what it is known to be ours by. None of them touches the spec.
var strips = map[string]func(*networkingv1.NetworkPolicy){
	"our labels": func(p *networkingv1.NetworkPolicy) {
		delete(p.Labels, v1alpha1.BaselineLabel)
		delete(p.Labels, v1alpha1.ManagedByLabel)
	},
	"the baseline's label":       func(p *networkingv1.NetworkPolicy) { delete(p.Labels, v1alpha1.BaselineLabel) },
	"all labels and annotations": func(p *networkingv1.NetworkPolicy) { p.Labels, p.Annotations = nil, nil },
	"all labels and annotations, and who wrote them": func(p *networkingv1.NetworkPolicy) {
		p.Labels, p.Annotations, p.ManagedFields = nil, nil, []metav1.ManagedFieldsEntry{{}}
	},
	"the label, for another baseline's": func(p *networkingv1.NetworkPolicy) { p.Labels[v1alpha1.BaselineLabel] = loopBaseline },
	"the label, for that of a baseline that does not exist": func(p *networkingv1.NetworkPolicy) {
		p.Labels[v1alpha1.BaselineLabel] = "absent"
	},
}

// A strip opens nothing, and yet it must not wait: what follows it may come from an object that is
// no longer known as ours.
func TestStripsInARow(t *testing.T) {
	t.Parallel()
	for name, strip := range strips {
		t.Run(fmt.Sprintf("of %s, %d times", name, manyStrips), func(t *testing.T) { stripsThenOpening(t, strip, manyStrips) })
	}
	for times := 1; times < manyStrips; times++ {
		t.Run(fmt.Sprintf("of our labels, %d times", times), func(t *testing.T) { stripsThenOpening(t, strips["our labels"], times) })
	}
}

// stripsThenOpening strips each policy a number of times, and opens it right behind the last strip.
func stripsThenOpening(t *testing.T, strip func(*networkingv1.NetworkPolicy), times int) {
	t.Helper()
	t.Parallel()
	n := newTenancy(t, sweepBaseline)
	for _, name := range policyNames {
		t.Run(name, func(t *testing.T) {
			g, since, first := newGomega(t), time.Now(), 0
			stripping, opening := n.patches(name, mergePatch(t, n.before[name], strip)), n.opening(t, name)
			for i := 1; i <= times; i++ {
				g.Expect(stripping(t.Context())).To(Succeed())
				if i == times {
					g.Expect(opening(t.Context())).To(Succeed())
				}
				g.Eventually(n.damage).WithArguments(t.Context(), name).WithTimeout(promptly).Should(BeEmpty(), "strip %d must be repaired like the first", i)
				if i == 1 {
					first = len(operatorRequests(t, n.namespace, name, since))
				}
			}
			g.Eventually(n.complaints).WithArguments(t.Context()).Should(BeEmpty())
			if times > 1 { // the first strip alone is the measure; the opening right behind the last one has its repair refused once, and read
				g.Expect(len(operatorRequests(t, n.namespace, name, since))).To(BeNumerically("<=", max(first, 1)*(times+1)+3),
					"no repair may need more requests than the first, which took %d", first)
			}
		})
	}
}

// In one request with the strip, no opening comes after a repair.
func TestAStripAndAnOpeningInOneRequest(t *testing.T) {
	t.Parallel()
	for stripped, strip := range strips {
		t.Run("of "+stripped, func(t *testing.T) {
			onEachPolicy(t, func(t *testing.T, n *tenancy, name string) {
				g := newGomega(t)
				both := n.patches(name, mergePatch(t, n.before[name], func(p *networkingv1.NetworkPolicy) {
					strip(p)
					open(p)
				}))
				for i := range manyStrips {
					g.Expect(both(t.Context())).To(Succeed())
					g.Eventually(n.damage).WithArguments(t.Context(), name).WithTimeout(promptly).Should(BeEmpty(), "time %d", i+1)
				}
			})
		})
	}
}

// operatorRequests returns what the operator has asked about one policy since a moment, reads
// included. A create has no name in the audit log; that of any policy of the namespace counts.
func operatorRequests(t *testing.T, namespace, name string, since time.Time) []string {
	t.Helper()
	events, err := environment.Cluster.ReadAudit()
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	for i := range events {
		ref := events[i].ObjectRef
		if events[i].User.Username != harness.OperatorUser || ref == nil || ref.Resource != "networkpolicies" || events[i].Verb == "watch" {
			continue
		}
		if ref.Namespace == namespace && (ref.Name == name || ref.Name == "") && events[i].RequestReceivedTimestamp.After(since) {
			asked = append(asked, events[i].Verb)
		}
	}
	return asked
}
