package schema_test

import "fmt"

// selectorRules are the cases of a label selector: where it is called so in the names of the cases,
// what stands before and after it, its field, and how many of everything it may hold.
func selectorRules(where, before, after, field string, bound int) map[string]rule {
	inside := func(accepts, refuses, below, says string) rule {
		return rule{accepts: before + accepts + after, refuses: before + refuses + after, field: field + below, says: says}
	}
	labels := func(accepts, refuses, below, says string) rule {
		return inside("{matchLabels: {"+accepts+"}}", "{matchLabels: {"+refuses+"}}", ".matchLabels"+below, says)
	}
	key := func(accepts, refuses string) rule {
		return labels("'"+accepts+"': a", "'"+refuses+"': a", "", "'"+refuses+"' "+saysLabelKey)
	}
	expression := func(accepts, refuses, below, says string) rule {
		return inside("{matchExpressions: [{"+accepts+"}]}", "{matchExpressions: [{"+refuses+"}]}", ".matchExpressions[0]"+below, says)
	}
	value := func(accepts, refuses string) rule {
		return expression("key: a, operator: In, values: ['"+accepts+"']", "key: a, operator: In, values: ['"+refuses+"']", ".values[0]", saysLabelValue)
	}
	numberedLabels := func(n int) string { return braces(list(n, func(i int) string { return fmt.Sprintf("k%d: v", i) })) }
	manyExpressions := func(n int) string {
		return "{matchExpressions: " + list(n, always("{key: a, operator: Exists}")) + "}"
	}
	manyValues := func(n int) string { return "key: a, operator: In, values: " + list(n, numbered("v")) }

	rules := map[string]rule{
		"a label key with a space":                key("a_b", "a b"),
		"an empty label key":                      key("a", ""),
		"a label key with two slashes":            key("a/b", "a/b/c"),
		"a label key with a prefix in upper case": key("example.com/Team", "Example.com/team"),
		"a label key that begins with a dash":     key("team", "-team"),
		"a label key whose name has 64 letters":   key(repeat(63), repeat(64)),
		"a label key longer than any can be":      key(longestKey(""), longestKey("b")),
		"one bad label key among good ones":       labels("a: x, b: x, c: x", "a: x, 'b ': x, c: x", "", "'b ' "+saysLabelKey),
		"a label value with a space":              labels("a: b_c", "a: b c", "[a]", saysLabelValue),
		"a label value that begins with a dash":   labels("a: ''", "a: -b", "[a]", saysLabelValue),
		"a label value with a slash":              labels("a: b.c", "a: b/c", "[a]", saysLabelValue),
		"a label value of 64 letters":             labels("a: "+repeat(63), "a: "+repeat(64), ".a", atMostBytes(63)),
		"a label value that is no string":         labels("a: 'true'", "a: true", ".a", "must be of type string"),
		"too many labels":                         inside("{matchLabels: "+numberedLabels(bound)+"}", "{matchLabels: "+numberedLabels(bound+1)+"}", ".matchLabels", atMostItems(bound)),

		"too many expressions":      inside(manyExpressions(bound), manyExpressions(bound+1), ".matchExpressions", atMostItems(bound)),
		"an expression without key": expression("key: a, operator: Exists", "operator: Exists", ".key", "Required value"),
		"an expression with an empty key": withOneMore(
			expression("key: a, operator: Exists", "key: '', operator: Exists", ".key", atLeastOneByte)),
		"an expression with a key that has a space": expression("key: a.b, operator: Exists", "key: a b, operator: Exists", ".key", saysLabelKey[len("is "):]),
		"an expression with a key longer than any can be": expression("key: "+longestKey("")+", operator: Exists",
			"key: "+longestKey("b")+", operator: Exists", ".key", atMostBytes(317)),
		"an expression without operator": expression("key: a, operator: DoesNotExist", "key: a", ".operator", "Required value"),
		"an unknown operator": expression("key: a, operator: NotIn, values: [b]", "key: a, operator: Equals, values: [b]", ".operator",
			`supported values: "In", "NotIn", "Exists", "DoesNotExist"`),
		"an operator of node selectors": expression("key: a, operator: In, values: ['1']", "key: a, operator: Gt, values: ['1']", ".operator",
			`supported values: "In", "NotIn", "Exists", "DoesNotExist"`),
		"In without values":           expression("key: a, operator: In, values: [b]", "key: a, operator: In", ".values", saysNeedValues),
		"In with an empty list":       expression("key: a, operator: In, values: [b]", "key: a, operator: In, values: []", ".values", saysNeedValues),
		"NotIn without values":        expression("key: a, operator: NotIn, values: [b]", "key: a, operator: NotIn", ".values", saysNeedValues),
		"Exists with values":          expression("key: a, operator: Exists, values: []", "key: a, operator: Exists, values: [b]", ".values", saysTakeNone),
		"DoesNotExist with values":    expression("key: a, operator: DoesNotExist", "key: a, operator: DoesNotExist, values: ['']", ".values", saysTakeNone),
		"a value with a space":        value("b-c", "b c"),
		"a value that ends in a dash": value("", "b-"),
		"a value of another alphabet": value("Zurich", "Zürich"),
		"a value of 64 letters":       expression("key: a, operator: In, values: ["+repeat(63)+"]", "key: a, operator: In, values: ["+repeat(64)+"]", ".values[0]", atMostBytes(63)),
		"a value that is null":        expression("key: a, operator: In, values: ['null']", "key: a, operator: In, values: [null]", ".values[0]", "must be of type string"),
		"too many values":             expression(manyValues(bound), manyValues(bound+1), ".values", atMostItems(bound)),
	}
	named := make(map[string]rule, len(rules))
	for name, r := range rules {
		named[where+": "+name] = r
	}
	return named
}

// braces turns a YAML list of pairs into a map.
func braces(list string) string { return "{" + list[1:len(list)-1] + "}" }
