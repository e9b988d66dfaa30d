// Package specs makes baselines and namespaces from choices, as a user, a template, a careless
// script or an attacker might write them: mostly within the bounds, so that most are admitted, with
// an arbitrary value in an arbitrary place now and then.
package specs

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/choices"
)

// Generator makes things of the choices in its source. The same choices are always the same things.
type Generator struct{ *choices.Source }

type block = map[string]any

// Document makes a whole baseline. The label key is one that the namespace may carry.
func (g Generator) Document(labelKey string) []byte {
	metadata := block{"name": g.AlmostAlways(g.name)}
	content := block{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "ClusterNetworkBaseline",
		"metadata": metadata, "spec": g.anything(func() any { return g.Spec(labelKey) }),
	}
	g.maybe(metadata, "labels", func() any { return block{g.LabelKey(): g.LabelValue()} })
	if g.OneIn(16) {
		content[g.Text(8)] = g.anything(func() any { return g.Text(8) })
	}
	document, err := json.Marshal(content)
	if err != nil {
		panic(err) // not reached: every value is plain
	}
	return document
}

// Namespace makes a namespace. Its name and labels may be ones that no namespace can have.
func (g Generator) Namespace(labelKey string) policy.Namespace {
	namespace := policy.Namespace{Name: g.AlmostAlways(g.name)}
	for g.OneIn(2) {
		if namespace.Labels == nil {
			namespace.Labels = map[string]string{}
		}
		namespace.Labels[choices.Pick(g.Source, labelKey, g.LabelKey())] = g.LabelValue()
	}
	return namespace
}

// Possible reports whether there can be such a namespace.
func Possible(namespace policy.Namespace) bool {
	return len(apimachineryvalidation.ValidateNamespaceName(namespace.Name, false)) == 0 && len(metav1validation.ValidateLabels(namespace.Labels, nil)) == 0
}

// maybe puts a field into a block, or leaves it out, or writes null in its place.
func (g Generator) maybe(b block, field string, value func() any) {
	switch g.IntN(6) {
	case 0:
	case 1:
		b[field] = nil
	default:
		b[field] = g.anything(value)
	}
}

// anything is the value, or now and then one of another kind.
func (g Generator) anything(value func() any) any {
	if !g.OneIn(64) {
		return value()
	}
	return choices.Pick[any](g.Source, "", 0, -1, 1.5, 1<<40, true, []any{}, []any{nil}, block{}, block{"": nil}, g.Text(20))
}

// AlmostAlways is a text as it should be, or now and then any other.
func (g Generator) AlmostAlways(proper func() string) string {
	if g.OneIn(48) {
		return g.Text(80)
	}
	return proper()
}

// oneOf is one of some values, or now and then a text that is none of them.
func (g Generator) oneOf(values ...any) func() any {
	return func() any {
		if g.OneIn(64) {
			return g.Text(10)
		}
		return choices.Pick(g.Source, values...)
	}
}

// some is how many items a list has: few most of the time, and sometimes as many as it may have or
// one more.
func (g Generator) some(bound int) int {
	switch g.IntN(64) {
	case 62:
		return bound
	case 63:
		return bound + 1
	}
	return g.IntN(min(bound, 3) + 1)
}

func many(n int, item func() any) any {
	items := make([]any, n)
	for i := range items {
		items[i] = item()
	}
	return items
}

// Spec makes what decides about the policies first, so that it is there also in a short input.
func (g Generator) Spec(labelKey string) any {
	spec := block{"namespaceSelector": block{}}
	g.maybe(spec, "defaultDeny", func() any {
		deny := block{}
		g.maybe(deny, "policyTypes", g.oneOf([]any{"Ingress"}, []any{"Egress"}, []any{"Ingress", "Egress"}, []any{"Egress", "Ingress"}))
		return deny
	})
	g.maybe(spec, "environmentIsolation", func() any {
		isolation := block{}
		g.maybe(isolation, "scope", g.oneOf("SameEnvironment", "SameEnvironment", "None"))
		g.maybe(isolation, "labelKey", func() any { return choices.Pick(g.Source, labelKey, g.LabelKey()) })
		g.maybe(isolation, "unlabeled", g.oneOf("SameNamespace", "Deny"))
		return isolation
	})
	g.maybe(spec, "dns", g.dns)
	g.maybe(spec, "priority", g.oneOf(0, 1000, json.RawMessage("7.0"), json.RawMessage("1e2"), g.IntN(1002)))
	g.maybe(spec, "mode", g.oneOf("Enforce", "Audit"))
	g.maybe(spec, "deletionPolicy", g.oneOf("Delete", "Retain"))
	g.maybe(spec, "excludedNamespaces", g.excluded)
	g.maybe(spec, "namespaceSelector", func() any { return g.selector(32) })
	return spec
}

func (g Generator) excluded() any {
	n := 0
	return many(g.some(256), func() any {
		n++
		return g.AlmostAlways(func() string { return fmt.Sprintf("%s%d%s", g.name(), n, choices.Pick(g.Source, "", "*", "-*")) })
	})
}

func (g Generator) dns() any {
	static, dns := block{}, block{}
	g.maybe(static, "peers", func() any { return many(1+g.some(15), func() any { return g.anything(g.peer) }) })
	g.maybe(static, "ports", func() any { return many(1+g.some(7), func() any { return g.anything(g.port) }) })
	dns["static"] = static
	g.maybe(dns, "source", g.oneOf("Static", "Static", "Static", "None"))
	return dns
}

func (g Generator) port() any {
	return block{"protocol": g.oneOf("UDP", "TCP")(), "port": g.oneOf(53, 1, 65535, json.RawMessage("5.3e1"), 1+g.IntN(65536))()}
}

func (g Generator) peer() any {
	peer := block{}
	kind := g.IntN(64)
	if kind < 32 || kind == 63 {
		peer["cidr"] = g.AlmostAlways(g.cidr)
	}
	if kind >= 32 && kind != 62 {
		peer["namespace"] = g.AlmostAlways(g.name)
	}
	if kind >= 32 {
		g.maybe(peer, "podSelector", func() any { return g.selector(16) })
	}
	return peer
}

func (g Generator) selector(bound int) any {
	selector := block{}
	g.maybe(selector, "matchLabels", func() any {
		labels := block{}
		for range g.some(bound) {
			labels[g.LabelKey()] = g.LabelValue()
		}
		return labels
	})
	g.maybe(selector, "matchExpressions", func() any {
		return many(g.some(bound), func() any { return g.requirement(bound) })
	})
	return selector
}

func (g Generator) requirement(bound int) any {
	requirement := block{"key": g.LabelKey()}
	if g.OneIn(2) {
		requirement["operator"] = g.oneOf("Exists", "DoesNotExist")()
		g.maybe(requirement, "values", func() any { return []any{} })
		return requirement
	}
	requirement["operator"] = g.oneOf("In", "NotIn")()
	requirement["values"] = many(1+g.some(bound-1), func() any { return g.LabelValue() })
	return requirement
}

const (
	lower  = "abcdefghijklmnopqrstuvwxyz0123456789"
	letter = lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// word is a text of a few characters of an alphabet, or of as many as it may have, with separators
// inside but not at its ends.
func (g Generator) word(longest int, alphabet, separators string) string {
	n := 1 + g.IntN(6)
	if g.OneIn(12) {
		n = longest
	}
	word := make([]byte, n)
	for i := range word {
		from := alphabet
		if i > 0 && i < n-1 {
			from += separators
		}
		word[i] = from[g.IntN(len(from))]
	}
	return string(word)
}

func (g Generator) name() string { return g.word(63, lower, "----") }

// Labels that are valid and that a careless reader, template or encoder may misread.
var (
	oddKeys = []string{
		"environment", "kubernetes.io/metadata.name", "policy.netbaseline.dev/baseline", "k8s-app", "true", "null", "0", "1e3", "No", "a.b", "A_b-C",
		"matchLabels", "a/b", "1.example.com/1", strings.Repeat("a.", 126) + "a/" + strings.Repeat("b", 63),
	}
	oddValues = []string{"", "production", "true", "null", "0", "007", "1e3", "0x1f", "1_000", "No", "y", "1.10", "2026-01-02", "a..b", "A__b"}
)

func (g Generator) LabelKey() string {
	return g.AlmostAlways(func() string {
		if g.OneIn(2) {
			return choices.Pick(g.Source, oddKeys...)
		}
		key := g.word(63, letter, "-_.-_.")
		for g.OneIn(3) {
			key = g.word(63, lower, "-.") + choices.Pick(g.Source, "/", ".") + key
		}
		return key
	})
}

func (g Generator) LabelValue() string {
	return g.AlmostAlways(func() string {
		if g.OneIn(2) {
			return choices.Pick(g.Source, oddValues...)
		}
		return g.word(63, letter, "-_.-_.")
	})
}

// cidr is an address range in one of the ways to write it; some must be refused.
func (g Generator) cidr() string {
	address := netip.AddrFrom4([4]byte{byte(g.IntN(256)), byte(g.IntN(256)), byte(g.IntN(256)), byte(g.IntN(256))})
	if g.OneIn(2) {
		var bytes [16]byte
		for i := range bytes {
			bytes[i] = byte(g.IntN(256) * g.IntN(2))
		}
		address = netip.AddrFrom16(bytes)
	}
	prefix := netip.PrefixFrom(address, choices.Pick(g.Source, address.BitLen(), 0, g.IntN(address.BitLen()+1)))
	masked := prefix.Masked()
	if g.OneIn(16) {
		return choices.Pick(g.Source, prefix.String(), fmt.Sprintf("::ffff:%d.0.0.0/104", g.IntN(256)), "0"+masked.String(), masked.Addr().String(), "fe80::%eth0/64")
	}
	return choices.Pick(g.Source, masked.String(), strings.ToUpper(masked.String()), fmt.Sprintf("%s/%d", masked.Addr().StringExpanded(), masked.Bits()))
}
