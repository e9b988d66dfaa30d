package schema_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

// rule is one thing that the schema refuses, beside the nearest thing that it accepts.
type rule struct {
	accepts string
	refuses string
	// field is where the user is told to look, and says a part of what the user is told.
	field, says string
	// also is how many more complaints come with it, where one mistake breaks more than one rule.
	also int
}

// What the API server itself says about a bound.
func atMostItems(n int) string { return fmt.Sprintf("must have at most %d items", n) }
func atMostBytes(n int) string { return fmt.Sprintf("may not be more than %d bytes", n) }
func atLeast(n int) string     { return fmt.Sprintf("should be greater than or equal to %d", n) }
func atMost(n int) string      { return fmt.Sprintf("should be less than or equal to %d", n) }

const atLeastOneByte = "should be at least 1 chars long"

// What our own rules say.
const (
	saysLabelKey   = "is not a label key: write at most 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit, such as 'team'; a lower-case DNS name may come before it, as in 'example.com/team'"
	saysLabelValue = "not a label value: write at most 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit, or leave it empty"
	saysNamespace  = "not the name of a namespace: write lower-case letters, digits and '-', beginning and ending with a letter or digit, such as 'kube-system'"
	saysPattern    = "neither the name of a namespace nor the beginning of one with a single * at its end: write lower-case letters, digits and '-', as in 'ci-runner' or 'ci-*'"
	saysNoRange    = "not an address range: write an address, a slash and a prefix length, such as 169.254.20.10/32, 10.0.0.0/8 or fd00::/64"
	saysNotFirst   = "the address is not the first one of its range: write the first one, such as 10.1.0.0/16 instead of 10.1.2.3/16, or, for that address alone, the prefix length 32 (IPv4) or 128 (IPv6)"
	saysOnePeer    = "write namespace (with or without podSelector) or cidr: exactly one of the two"
	saysNeedValues = "operators In and NotIn need at least one value: write values, or use Exists or DoesNotExist"
	saysTakeNone   = "operators Exists and DoesNotExist take no values: remove values, or use In or NotIn"
	saysNoSelector = "write a label selector, or {} for every namespace that is not protected"
)

func repeat(n int) string { return strings.Repeat("a", n) }

// list writes a YAML list of n items.
func list(n int, item func(i int) string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = item(i)
	}
	return "[" + strings.Join(items, ", ") + "]"
}

func numbered(prefix string) func(int) string {
	return func(i int) string { return fmt.Sprintf("%s%d", prefix, i) }
}

func always(item string) func(int) string { return func(int) string { return item } }

// table holds a case for every rule and bound of the schema; TestEveryRuleOfTheSchemaHasACase says
// so.
func table() map[string]rule {
	all := map[string]rule{}
	for _, part := range []map[string]rule{
		wholeRules, specRules, excludedRules, denyRules, dnsRules, portRules, isolationRules,
		selectorRules("the namespaceSelector", "namespaceSelector: ", "", "spec.namespaceSelector", 32),
		selectorRules("a podSelector", "dns: {static: {peers: [{namespace: dns, podSelector: ", "}]}}", "spec.dns.static.peers[0].podSelector", 16),
	} {
		maps.Copy(all, part)
	}
	return all
}

var wholeRules = map[string]rule{
	"a name of 64 characters": {
		accepts: "{metadata: {name: " + repeat(63) + "}, spec: {namespaceSelector: {}}}",
		refuses: "{metadata: {name: " + repeat(64) + "}, spec: {namespaceSelector: {}}}",
		field:   "metadata", says: "a baseline's name is used as a label value: write at most 63 characters",
	},
	"no spec": {
		accepts: "{metadata: {name: case}, spec: {namespaceSelector: {}}}",
		refuses: "{metadata: {name: case}}",
		field:   "spec", says: "Required value",
	},
	"an empty spec": {
		accepts: "spec: {namespaceSelector: {}}",
		refuses: "spec: {}",
		field:   "spec.namespaceSelector", says: saysNoSelector,
	},
	"no namespaceSelector": {
		accepts: "spec: {mode: Audit, namespaceSelector: {}}",
		refuses: "spec: {mode: Audit}",
		field:   "spec.namespaceSelector", says: saysNoSelector,
	},
	"a namespaceSelector that is null": {
		accepts: "spec: {namespaceSelector: {}}",
		refuses: "spec: {namespaceSelector: null}",
		field:   "spec.namespaceSelector", says: saysNoSelector,
	},
}

var specRules = map[string]rule{
	"an unknown mode": {
		accepts: "mode: Audit", refuses: "mode: Warn", field: "spec.mode", says: `supported values: "Enforce", "Audit"`,
	},
	"an unknown deletionPolicy": {
		accepts: "deletionPolicy: Retain", refuses: "deletionPolicy: Orphan", field: "spec.deletionPolicy", says: `supported values: "Delete", "Retain"`,
	},
	"a priority below 0": {
		accepts: "priority: 0", refuses: "priority: -1", field: "spec.priority", says: atLeast(0),
	},
	"a priority above 1000": {
		accepts: "priority: 1000", refuses: "priority: 1001", field: "spec.priority", says: atMost(1000),
	},
}

var excludedRules = map[string]rule{
	"257 excluded namespaces": {
		accepts: "excludedNamespaces: " + list(256, numbered("ns-")), refuses: "excludedNamespaces: " + list(257, numbered("ns-")),
		field: "spec.excludedNamespaces", says: atMostItems(256),
	},
	"a namespace excluded twice": {
		accepts: "excludedNamespaces: [ci, 'ci*']", refuses: "excludedNamespaces: [ci, ci]",
		field: "spec.excludedNamespaces[1]", says: "Duplicate value",
	},
	"an excluded name of 64 characters": {
		accepts: "excludedNamespaces: [" + repeat(63) + "]", refuses: "excludedNamespaces: [" + repeat(64) + "]",
		field: "spec.excludedNamespaces[0]", says: atMostBytes(63),
	},
	"an excluded beginning of 64 characters": {
		accepts: "excludedNamespaces: [" + repeat(62) + "*]", refuses: "excludedNamespaces: [" + repeat(63) + "*]",
		field: "spec.excludedNamespaces[0]", says: atMostBytes(63),
	},
	"an empty excluded name": {
		accepts: "excludedNamespaces: [a]", refuses: "excludedNamespaces: ['']",
		field: "spec.excludedNamespaces[0]", says: atLeastOneByte, also: 1,
	},
	"everything excluded by *":                            excluded("a*", "*"),
	"an excluded name with a * inside":                    excluded("a-b", "a*b"),
	"an excluded name that begins with a *":               excluded("b*", "*b"),
	"an excluded beginning with two *":                    excluded("a*", "a**"),
	"an excluded name in upper case":                      excluded("upper", "UPPER"),
	"an excluded beginning in upper case":                 excluded("upper*", "UPPER*"),
	"an excluded name that begins with a dash":            excluded("x", "-x"),
	"an excluded name that ends with a dash":              excluded("x-*", "x-"),
	"an excluded beginning that begins with a dash":       excluded("x*", "-x*"),
	"an excluded name with a dot":                         excluded("a-b", "a.b"),
	"an excluded beginning that ends with a dot":          excluded("a-*", "a.*"),
	"an excluded name with letters of another alphabet":   excluded("cafe", "café"),
	"an excluded name with a space after it":              excluded("ci", "ci "),
	"an excluded namespace written as a regexp":           excluded("ci-*", "ci-.*"),
	"an excluded namespace written as a list in a string": excluded("ci", "ci,qa"),
}

func excluded(accepts, refuses string) rule {
	return rule{
		accepts: "excludedNamespaces: ['" + accepts + "']", refuses: "excludedNamespaces: ['" + refuses + "']",
		field: "spec.excludedNamespaces[0]", says: saysPattern,
	}
}

var denyRules = map[string]rule{
	"no policyTypes at all": {
		accepts: "defaultDeny: {policyTypes: [Egress]}", refuses: "defaultDeny: {policyTypes: []}",
		field: "spec.defaultDeny.policyTypes", says: "write Ingress, Egress or both: a baseline denies at least one direction; one that writes no policies has mode: Audit",
	},
	"a policyType twice": {
		accepts: "defaultDeny: {policyTypes: [Egress, Ingress]}", refuses: "defaultDeny: {policyTypes: [Ingress, Ingress]}",
		field: "spec.defaultDeny.policyTypes[1]", says: "Duplicate value",
	},
	"three policyTypes": {
		accepts: "defaultDeny: {policyTypes: [Ingress, Egress]}", refuses: "defaultDeny: {policyTypes: [Ingress, Egress, Ingress]}",
		field: "spec.defaultDeny.policyTypes", says: atMostItems(2), also: 1,
	},
	"an unknown policyType": {
		accepts: "defaultDeny: {policyTypes: [Ingress]}", refuses: "defaultDeny: {policyTypes: [ingress]}",
		field: "spec.defaultDeny.policyTypes[0]", says: `supported values: "Ingress", "Egress"`,
	},
}

var isolationRules = map[string]rule{
	"an unknown scope": {
		accepts: "environmentIsolation: {scope: None}", refuses: "environmentIsolation: {scope: SameTeam}",
		field: "spec.environmentIsolation.scope", says: `supported values: "SameEnvironment", "None"`,
	},
	"an unknown answer to unlabeled": {
		accepts: "environmentIsolation: {unlabeled: Deny}", refuses: "environmentIsolation: {unlabeled: Allow}",
		field: "spec.environmentIsolation.unlabeled", says: `supported values: "SameNamespace", "Deny"`,
	},
	"an empty labelKey": {
		accepts: "environmentIsolation: {labelKey: a}", refuses: "environmentIsolation: {labelKey: ''}",
		field: "spec.environmentIsolation.labelKey", says: atLeastOneByte, also: 1,
	},
	"a labelKey longer than any can be": {
		accepts: "environmentIsolation: {labelKey: " + longestKey("") + "}", refuses: "environmentIsolation: {labelKey: " + longestKey("b") + "}",
		field: "spec.environmentIsolation.labelKey", says: atMostBytes(317),
	},
	"a labelKey with a space":                labelKey("a_b", "a b"),
	"a labelKey with two slashes":            labelKey("a/b.c", "a/b/c"),
	"a labelKey with an empty prefix":        labelKey("a/b", "/b"),
	"a labelKey with nothing but a prefix":   labelKey("example.com/b", "example.com/"),
	"a labelKey with a prefix in upper case": labelKey("example.com/Stage", "Example.com/stage"),
	"a labelKey that ends with a dash":       labelKey("stage-1", "stage-"),
	"a labelKey whose name has 64 letters":   labelKey(repeat(63), repeat(64)),
	"a labelKey with a value":                labelKey("environment", "environment=production"),
}

// longestKey is the longest label key there is: a DNS name of 253 characters, a slash and 63
// characters.
func longestKey(more string) string {
	return strings.Repeat(repeat(49)+".", 5) + "abc/" + repeat(63) + more
}

func labelKey(accepts, refuses string) rule {
	return rule{
		accepts: "environmentIsolation: {labelKey: '" + accepts + "'}", refuses: "environmentIsolation: {labelKey: '" + refuses + "'}",
		field: "spec.environmentIsolation.labelKey", says: saysLabelKey[len("is "):],
	}
}

func TestTheSchemaRefusesAndSaysWhatToWrite(t *testing.T) {
	t.Parallel()
	for name, test := range table() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			accept(t, test.accepts)

			_, err := offer(t, test.refuses)
			if err == nil {
				t.Fatalf("accepted:\n%s", abridge(test.refuses))
			}
			got := complaints(err)
			found := false
			for _, cause := range got {
				found = found || cause.Field == test.field && strings.Contains(cause.Message, test.says)
			}
			if !found {
				t.Errorf("nothing about %s saying %q in: %v", test.field, test.says, err)
			}
			if len(got) != 1+test.also {
				t.Errorf("%d complaints, want %d: %v", len(got), 1+test.also, err)
			}
		})
	}
}
