package schema_test

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/policy"
)

// fullSelector is a label selector with bound labels, bound expressions and bound values in each,
// all as long as can be.
func fullSelector(bound int, operator, value string) string {
	key := func(i int) string { return fmt.Sprintf("%s%02d", longestKey("")[:315], i) }
	fill := func(i int) string { return fmt.Sprintf("%s%02d%s", repeat(61-len(value)), i, value) }
	labels := braces(list(bound, func(i int) string { return "'" + key(i) + "': '" + fill(i) + "'" }))
	expression := func(i int) string {
		values := list(bound, func(i int) string { return "'" + fill(i) + "'" })
		if operator == "Exists" {
			values = "[]"
		}
		return "{key: '" + key(i) + "', operator: " + operator + ", values: " + values + "}"
	}
	return "{matchLabels: " + labels + ", matchExpressions: " + list(bound, expression) + "}"
}

// fullBaseline is a baseline with all bounds reached at the same time.
func fullBaseline(name, operator, value, excluded string, peer func(i int) string) string {
	return "{metadata: {name: " + name + repeat(63-len(name)) + "}, spec: {" + strings.Join([]string{
		"priority: 1000",
		"mode: Audit",
		"defaultDeny: {policyTypes: [Ingress, Egress]}",
		"deletionPolicy: Retain",
		"namespaceSelector: " + fullSelector(32, operator, value),
		"excludedNamespaces: " + list(256, func(i int) string { return fmt.Sprintf("'%s%03d%s'", repeat(60-len(excluded)), i, excluded) }),
		"dns: {static: {peers: " + list(16, peer) + ", ports: " + list(8, someDNSPort) + "}}",
		"environmentIsolation: {labelKey: " + longestKey("") + "}",
	}, ", ") + "}}"
}

func fullPeer(operator, value string) func(int) string {
	return func(i int) string {
		return fmt.Sprintf("{namespace: %s%02d, podSelector: %s}", repeat(61), i, fullSelector(16, operator, value))
	}
}

func longestRange(i int) string {
	return fmt.Sprintf("{cidr: 'fd00:0000:0000:0000:0000:0000:0000:%04x/128'}", i)
}

// Whether the costs of all rules fit is decided when an object comes, not when the CRD is
// installed.
func TestEveryBoundReachedAtOnceIsAccepted(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"In, names and pods":                fullBaseline("in", "In", "", "", fullPeer("In", "")),
		"NotIn, beginnings of names, pods":  fullBaseline("notin", "NotIn", "", "*", fullPeer("NotIn", "")),
		"Exists, names and address ranges":  fullBaseline("exists", "Exists", "", "", longestRange),
		"values of every allowed character": fullBaseline("mixed", "In", "_-.9Z", "-*", fullPeer("In", "_-.9Z")),
	}
	for name, document := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			baseline := typed(t, store(t, document))
			if errs := policy.Validate(baseline); len(errs) > 0 {
				t.Errorf("not accepted by the operator: %s", policy.Explain(errs))
			}
			if len(baseline.Spec.ExcludedNamespaces) != 256 || len(baseline.Spec.DNS.Static.Peers) != 16 || len(baseline.Name) != 63 {
				t.Error("the case does not reach the bounds")
			}
			newProber().probe(t, baseline, map[string]string{longestKey(""): repeat(63)})
		})
	}
}

// A budget that ran out before the end of the object would show here: by then all other rules have
// been paid for.
func TestTheLastValueOfAFullBaselineIsChecked(t *testing.T) {
	t.Parallel()
	document := fullBaseline("last", "In", "", "", fullPeer("In", ""))
	last := strings.LastIndex(document, repeat(61)+"15'") + len(repeat(61)+"15")
	_, err := offer(t, document[:last-1]+"-"+document[last:])
	got := complaints(err)
	const field = "spec.dns.static.peers[15].podSelector.matchExpressions[15].values[15]"
	if len(got) != 1 || got[0].Field != field || !strings.Contains(got[0].Message, saysLabelValue) {
		t.Errorf("got %v, want a complaint about %s", err, field)
	}
}

func TestAStatusWithEveryBoundReachedIsAccepted(t *testing.T) {
	t.Parallel()
	baseline := typed(t, store(t, "{metadata: {name: status}, spec: {namespaceSelector: {}}}"))
	baseline.Status = v1alpha1.ClusterNetworkBaselineStatus{ObservedGeneration: 1, EnvironmentCount: 1000}
	for i := range v1alpha1.MaxStatusEnvironments {
		baseline.Status.Environments = append(baseline.Status.Environments, v1alpha1.EnvironmentCount{Name: fmt.Sprintf("%s%02d", repeat(61), i)})
	}
	for i := range v1alpha1.MaxStatusFailures {
		baseline.Status.Failures = append(baseline.Status.Failures, v1alpha1.NamespaceFailure{
			Namespace: fmt.Sprintf("%s%02d", repeat(61), i), Reason: v1alpha1.ReasonAlteredByAdmission, Message: repeat(v1alpha1.MaxFailureMessage),
		})
	}
	for _, kind := range []string{v1alpha1.ConditionAccepted, v1alpha1.ConditionSynced, v1alpha1.ConditionReady, v1alpha1.ConditionStalled} {
		baseline.Status.Conditions = append(baseline.Status.Conditions, metav1.Condition{
			Type: kind, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNamespacesFailed, LastTransitionTime: metav1.Now(),
		})
	}
	if err := admin.Status().Update(t.Context(), baseline); err != nil {
		t.Errorf("update the status: %v", err)
	}
}
