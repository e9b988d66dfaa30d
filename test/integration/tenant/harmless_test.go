package tenant_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// narrowing takes all but one range out of what DNS may be asked at, each time another one.
func narrowing(i int) []byte {
	cidr := fmt.Sprintf("10.96.0.%d/32", i%256) // within dnsRange
	return fmt.Appendf(nil, `{"spec":{"egress":[{"to":[{"ipBlock":{"cidr":%q}}],"ports":[{"protocol":"UDP","port":53}]}]}}`, cidr)
}

// harmless are changes that open nothing: what they do to which policy.
var harmless = map[string]struct {
	policy string
	do     func(*networkingv1.NetworkPolicy)
}{
	"a label of ours that decides nothing is taken off": {v1alpha1.DefaultDenyName, func(p *networkingv1.NetworkPolicy) { delete(p.Labels, v1alpha1.ManagedByLabel) }},
	"the description is taken off": {v1alpha1.EnvironmentIsolationName, func(p *networkingv1.NetworkPolicy) {
		delete(p.Annotations, v1alpha1.DescriptionAnnotation)
	}},
	"DNS is taken away":             {v1alpha1.AllowDNSName, func(p *networkingv1.NetworkPolicy) { p.Spec.Egress = nil }},
	"the environment is taken away": {v1alpha1.EnvironmentIsolationName, func(p *networkingv1.NetworkPolicy) { p.Spec.Ingress, p.Spec.Egress = nil, nil }},
}

// A change that only narrows a policy, or has no effect on it, raises no alert: the namespace
// allows no more than it should through the whole run. The operator may leave such a change for
// minutes.
func TestHarmlessChangesLeaveABaselineReady(t *testing.T) {
	t.Parallel()
	victims, attacks := map[string]*victim{}, []attack(nil)
	attacked := func(what string, attack func(*tenancy) attack) {
		own := newBaseline(t)
		v := &victim{tenancy: newTenancy(t, own), status: followStatus(t, own)}
		newGomega(t).Eventually(v.status.isReady).Should(BeTrue(), "before it begins")
		victims[what], attacks = v, append(attacks, attack(v.tenancy))
	}
	for what, change := range harmless {
		attacked(what, func(n *tenancy) attack {
			return n.patches(change.policy, mergePatch(t, n.before[change.policy], change.do))
		})
	}
	attacked("DNS is narrowed, each time otherwise", func(n *tenancy) attack {
		var times atomic.Int32
		return func(ctx context.Context) error {
			return n.patches(v1alpha1.AllowDNSName, narrowing(int(times.Add(1))))(ctx)
		}
	})
	loop(t, attacks)
	for what, v := range victims {
		t.Run(what, func(t *testing.T) {
			g := newGomega(t)
			g.Eventually(v.status.failures).WithTimeout(soon).Should(ConsistOf(And(HaveField("Namespace", v.namespace), HaveField("Reason", v1alpha1.ReasonContested))))
			g.Expect(v.status.lapses()).To(BeEmpty(), "the baseline must stay ready")
			g.Expect(v.status.shortfalls()).To(BeEmpty(), "the namespace must stay synced")
		})
	}
}

// victim is a namespace with a baseline of its own.
type victim struct {
	*tenancy
	status *status
}
