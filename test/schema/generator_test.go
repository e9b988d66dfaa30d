package schema_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
)

// generator makes random specs as a user, a template or a careless script might write them: mostly within the bounds, with fields
// absent, null or empty, and with labels that look like something else.
type generator struct{ *rand.Rand }

type block = map[string]any

func (g *generator) oneIn(n int) bool { return g.IntN(n) == 0 }

func pick[T any](g *generator, choices ...T) T { return choices[g.IntN(len(choices))] }

// some is how many items a list has: few most of the time, and sometimes as many as it may have.
func (g *generator) some(bound int) int {
	if g.oneIn(12) {
		return bound
	}
	return g.IntN(min(bound, 3) + 1)
}

func many[T any](n int, item func() T) []any {
	items := make([]any, n)
	for i := range items {
		items[i] = item()
	}
	return items
}

// maybe puts a field into a block, or leaves it out, or writes null or {} in its place, which must all be the same.
func (g *generator) maybe(b block, field string, value func() any) {
	switch g.IntN(6) {
	case 0:
	case 1:
		b[field] = nil
	default:
		b[field] = value()
	}
}

func (g *generator) spec() block {
	spec := block{"namespaceSelector": g.selector(32)}
	g.maybe(spec, "excludedNamespaces", g.excluded)
	g.maybe(spec, "priority", func() any { return pick(g, 0, 1000, g.IntN(1001)) })
	g.maybe(spec, "mode", func() any { return pick(g, "Enforce", "Audit") })
	g.maybe(spec, "deletionPolicy", func() any { return pick(g, "Delete", "Retain") })
	g.maybe(spec, "defaultDeny", func() any {
		deny := block{}
		g.maybe(deny, "policyTypes", func() any {
			return pick(g, []any{"Ingress"}, []any{"Egress"}, []any{"Ingress", "Egress"}, []any{"Egress", "Ingress"})
		})
		return deny
	})
	g.maybe(spec, "dns", g.dns)
	g.maybe(spec, "environmentIsolation", func() any {
		isolation := block{}
		g.maybe(isolation, "scope", func() any { return pick(g, "SameEnvironment", "SameEnvironment", "None") })
		g.maybe(isolation, "labelKey", func() any { return g.labelKey() })
		g.maybe(isolation, "unlabeled", func() any { return pick(g, "SameNamespace", "Deny") })
		return isolation
	})
	return spec
}

func (g *generator) excluded() any {
	n := g.some(256)
	items := make([]any, n)
	for i := range items {
		items[i] = fmt.Sprintf("%s-%d%s", g.name(20), i, pick(g, "", "*", "-*"))
	}
	return items
}

func (g *generator) dns() any {
	static := block{}
	g.maybe(static, "peers", func() any { return many(1+g.some(15), g.peer) })
	g.maybe(static, "ports", func() any {
		return many(1+g.some(7), func() block {
			return block{"protocol": pick(g, "UDP", "TCP"), "port": pick(g, 1, 53, 65535, 1+g.IntN(65535))}
		})
	})
	dns := block{}
	g.maybe(dns, "source", func() any { return pick(g, "Static", "Static", "Static", "None") })
	g.maybe(dns, "static", func() any { return static })
	return dns
}

func (g *generator) peer() block {
	peer := block{}
	if g.oneIn(2) {
		peer["cidr"] = g.cidr()
		return peer
	}
	peer["namespace"] = g.name(63)
	g.maybe(peer, "podSelector", func() any { return g.selector(16) })
	return peer
}

func (g *generator) selector(bound int) block {
	selector := block{}
	g.maybe(selector, "matchLabels", func() any {
		labels := block{}
		for range g.some(bound) {
			labels[g.labelKey()] = g.labelValue()
		}
		return labels
	})
	g.maybe(selector, "matchExpressions", func() any {
		return many(g.some(bound), func() block {
			requirement := block{"key": g.labelKey()}
			if g.oneIn(2) {
				requirement["operator"] = pick(g, "Exists", "DoesNotExist")
				g.maybe(requirement, "values", func() any { return []any{} })
				return requirement
			}
			requirement["operator"] = pick(g, "In", "NotIn")
			requirement["values"] = many(1+g.some(bound-1), g.labelValue)
			return requirement
		})
	})
	return selector
}

const (
	lower    = "abcdefghijklmnopqrstuvwxyz0123456789"
	anything = lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// word is a text of 1 to longest characters of an alphabet, with separators inside but not at its ends.
func (g *generator) word(longest int, alphabet, separators string) string {
	n := 1 + g.IntN(longest)
	if g.oneIn(8) {
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

func (g *generator) name(longest int) string { return g.word(longest, lower, "----") }

// Labels that are valid and that a careless reader, template or encoder takes for something else.
var (
	oddKeys = []string{
		"kubernetes.io/metadata.name", "policy.netbaseline.dev/baseline", "k8s-app", "true", "null", "0", "1e3", "No", "a.b", "A_b-C",
		"matchLabels", "a/b", "1.example.com/1", longestKey(""),
	}
	oddValues = []string{"", "true", "null", "0", "007", "1e3", "0x1f", "1_000", "No", "y", "1.10", "2026-01-02", "a..b", "A__b", repeat(63)}
)

func (g *generator) labelKey() string {
	if g.oneIn(3) {
		return pick(g, oddKeys...)
	}
	name := g.word(63, anything, "-_.-_.")
	if g.oneIn(2) {
		return name
	}
	parts := make([]string, 1+g.IntN(3))
	for i := range parts {
		parts[i] = g.name(40)
	}
	return strings.Join(parts, ".") + "/" + name
}

func (g *generator) labelValue() string {
	if g.oneIn(3) {
		return pick(g, oddValues...)
	}
	return g.word(63, anything, "-_.-_.")
}

// cidr is an address range in one of the ways to write it; one in eight is one that must be refused.
func (g *generator) cidr() string {
	address := netip.AddrFrom4([4]byte{byte(g.IntN(256)), byte(g.IntN(256)), byte(g.IntN(256)), byte(g.IntN(256))})
	if g.oneIn(2) {
		var bytes [16]byte
		for i := range bytes {
			bytes[i] = byte(g.IntN(256) * g.IntN(2))
		}
		address = netip.AddrFrom16(bytes)
	}
	length := pick(g, 0, address.BitLen(), g.IntN(address.BitLen()+1))
	masked := netip.PrefixFrom(address, length).Masked()
	if g.oneIn(8) {
		return pick(g,
			netip.PrefixFrom(address, length).String(),
			fmt.Sprintf("::ffff:%d.0.0.0/104", g.IntN(256)),
			fmt.Sprintf("0%s", masked),
			masked.Addr().String(),
		)
	}
	return pick(g, masked.String(), strings.ToUpper(masked.String()), fmt.Sprintf("%s/%d", masked.Addr().StringExpanded(), masked.Bits()))
}
