package tenant_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// fates are how each fate is shown.
var fates = map[fate]func(*testing.T, *tenancy, string, string){
	putBack: isPutBack,
	kept:    isKept,
	left:    func(t *testing.T, n *tenancy, policy, change string) { isLeftAlone(t, n, policy, change) },
	refused: isRefused,
	ignored: isIgnored,
}

// Every field of every policy: what the tenant does to it, and what becomes of that.
func TestWhatATenantChanges(t *testing.T) {
	t.Parallel()
	for name, change := range changes {
		t.Run(name+" "+string(change.fate), func(t *testing.T) {
			t.Parallel()
			n := newTenancy(t, sweepBaseline)
			for _, policy := range policyNames {
				t.Run(policy, func(t *testing.T) { fates[change.fate](t, n, policy, name) })
			}
		})
	}
}

func isPutBack(t *testing.T, n *tenancy, policy, name string) {
	isStored(t, n, policy, name)
	n.isPutBack(t, policy)
}

// isStored has the tenant make a change, and sees to it that it reaches its field.
func isStored(t *testing.T, n *tenancy, policy, name string) *networkingv1.NetworkPolicy {
	t.Helper()
	before, stored, err := n.changes(t, policy, changes[name].do)
	if err != nil {
		t.Fatal(err)
	}
	if cmp.Equal(at(t, before, name), at(t, stored, name)) {
		t.Fatalf("%s is still %v: nothing is shown", field(name), at(t, stored, name))
	}
	return stored
}

func isLeftAlone(t *testing.T, n *tenancy, policy, name string) *networkingv1.NetworkPolicy {
	t.Helper()
	g, since := newGomega(t), time.Now()
	stored := isStored(t, n, policy, name)
	n.isLookedAt(t, another(policy))
	g.Expect(n.get(t, policy).ResourceVersion).To(Equal(stored.ResourceVersion), "it must be left alone")
	g.Expect(operatorWrites(t, n.namespace, since)).NotTo(ContainElement(HaveField("Name", policy)), "no write must be without effect")
	return stored
}

func isKept(t *testing.T, n *tenancy, policy, name string) {
	stored := isLeftAlone(t, n, policy, name)
	n.isLookedAt(t, policy)
	newGomega(t).Expect(at(t, n.get(t, policy), name)).To(Equal(at(t, stored, name)), "it must stay when something else is restored")
}

func isRefused(t *testing.T, n *tenancy, policy, name string) {
	before, _, err := n.changes(t, policy, changes[name].do)
	g := newGomega(t)
	g.Expect(apierrors.IsInvalid(err) || apierrors.IsConflict(err) || apierrors.IsBadRequest(err)).To(BeTrue(), "%v", err)
	g.Expect(n.get(t, policy).ResourceVersion).To(Equal(before.ResourceVersion))
}

func isIgnored(t *testing.T, n *tenancy, policy, name string) {
	before, stored, err := n.changes(t, policy, changes[name].do)
	g := newGomega(t)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(at(t, stored, name)).To(Equal(at(t, before, name)))
}

func at(t *testing.T, policy *networkingv1.NetworkPolicy, name string) []any {
	t.Helper()
	values, err := valuesAt(policy, field(name))
	if err != nil {
		t.Fatal(err)
	}
	return values
}
