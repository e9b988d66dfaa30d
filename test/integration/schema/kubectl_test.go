package schema_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

const manifestHead = "apiVersion: policy.netbaseline.dev/v1alpha1\nkind: ClusterNetworkBaseline\nmetadata: {name: kubectl}\n"

// What a platform engineer sees in the terminal, word for word.
func TestKubectlSaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ accepts, refuses, says string }{
		"an unknown field": {
			"spec: {namespaceSelector: {}}", "spec: {namespaceSelector: {}, colour: blue}", `unknown field "spec.colour"`,
		},
		"a field in the wrong case": {
			"spec: {namespaceSelector: {}}", "spec: {namespaceselector: {}}", `unknown field "spec.namespaceselector"`,
		},
		"a field of NetworkPolicy": {
			"spec: {namespaceSelector: {}, dns: {static: {peers: [{cidr: 10.0.0.0/8}]}}}",
			"spec: {namespaceSelector: {}, dns: {static: {peers: [{ipBlock: {cidr: 10.0.0.0/8}}]}}}",
			`unknown field "spec.dns.static.peers[0].ipBlock"`,
		},
		"a value that no enumeration has": {
			"spec: {namespaceSelector: {}, mode: Audit}", "spec: {namespaceSelector: {}, mode: Warn}",
			`spec.mode: Unsupported value: "Warn": supported values: "Enforce", "Audit"`,
		},
		"no selector": {
			"spec: {namespaceSelector: {}}", "spec: {mode: Audit}",
			`The ClusterNetworkBaseline "kubectl" is invalid: spec.namespaceSelector: Required value: ` + saysNoSelector,
		},
		"an unmasked range": {
			"spec: {namespaceSelector: {}, dns: {static: {peers: [{cidr: 10.0.0.0/8}]}}}",
			"spec: {namespaceSelector: {}, dns: {static: {peers: [{cidr: 10.0.0.1/8}]}}}",
			`spec.dns.static.peers[0].cidr: Invalid value: "10.0.0.1/8": ` + saysNotFirst,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apply := []string{"apply", "--dry-run=server", "-f", "-"}
			if _, err := environment.KubectlWithInput(t.Context(), manifestHead+test.accepts, apply...); err != nil {
				t.Errorf("refused: %v", err)
			}
			_, err := environment.KubectlWithInput(t.Context(), manifestHead+test.refuses, apply...)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want it to say: %s", err, test.says)
			}
		})
	}
}

func TestKubectlExplainReadsAsDocumentation(t *testing.T) {
	t.Parallel()
	spec := rootSchema(t).Properties["spec"]
	page, err := environment.Kubectl(t.Context(), "explain", "cnb.spec")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Properties)) {
		// A field and its type, its enumeration if it has one, and its description, line by line as
		// it was written.
		_, entry, found := strings.Cut(page, "\n  "+name+"\t<")
		entry, _, _ = strings.Cut(entry, "\n\n")
		description := "    " + strings.ReplaceAll(spec.Properties[name].Description, "\n", "\n    ")
		if !found || !strings.HasSuffix(entry, "\n"+description) {
			t.Errorf("%s is not there with its description as it was written; kubectl explain cnb.spec says:\n%s", name, page)
		}
	}
}

func TestKubectlExplainShowsEveryField(t *testing.T) {
	t.Parallel()
	page, err := environment.Kubectl(t.Context(), "explain", "cnb.spec", "--recursive")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range specNodes(t) {
		depth := strings.Count(n.path, ".")
		name := n.path[strings.LastIndex(n.path, ".")+1:]
		if depth == 0 || strings.HasSuffix(name, "[*]") {
			continue
		}
		if line := "\n" + strings.Repeat("  ", depth) + name + "\t<"; !strings.Contains(page, line) {
			t.Errorf("%s is missing in:\n%s", n.path, page)
		}
	}
}
