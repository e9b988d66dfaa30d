package schema_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/test/utils/harness"
)

const crdFile = "config/crd/bases/policy.netbaseline.dev_clusternetworkbaselines.yaml"

// node is a place in the schema, such as spec.dns.static.peers[*].cidr; [*] stands for any item of
// a list and any key of a map.
type node struct {
	path   string
	schema *apiextensionsv1.JSONSchemaProps
}

func rootSchema(t *testing.T) *apiextensionsv1.JSONSchemaProps {
	t.Helper()
	content, err := os.ReadFile(harness.RepositoryPath(crdFile))
	if err != nil {
		t.Fatal(err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(content, crd); err != nil {
		t.Fatal(err)
	}
	if len(crd.Spec.Versions) != 1 {
		t.Fatalf("the CRD has %d versions: this test knows one", len(crd.Spec.Versions))
	}
	return crd.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// walk returns a place in the schema and all places below it.
func walk(path string, schema *apiextensionsv1.JSONSchemaProps) []node {
	nodes := []node{{path, schema}}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		property := schema.Properties[name]
		nodes = append(nodes, walk(strings.TrimPrefix(path+"."+name, "."), &property)...)
	}
	if schema.Items != nil {
		nodes = append(nodes, walk(path+"[*]", schema.Items.Schema)...)
	}
	if schema.AdditionalProperties != nil {
		nodes = append(nodes, walk(path+"[*]", schema.AdditionalProperties.Schema)...)
	}
	return nodes
}

func specNodes(t *testing.T) []node {
	t.Helper()
	spec := rootSchema(t).Properties["spec"]
	return walk("spec", &spec)
}

func TestEverythingInTheSpecIsBounded(t *testing.T) {
	t.Parallel()
	nodes := specNodes(t)
	if len(nodes) < 30 {
		t.Fatalf("only %d places in the spec: the walk misses some", len(nodes))
	}
	for _, n := range nodes {
		s := n.schema
		bounded := false
		switch s.Type {
		case "array":
			bounded = s.MaxItems != nil
		case "string":
			bounded = s.MaxLength != nil || len(s.Enum) > 0
		case "integer":
			bounded = s.Minimum != nil && s.Maximum != nil
		case "object":
			bounded = s.AdditionalProperties == nil || s.MaxProperties != nil
			if s.XPreserveUnknownFields != nil || s.AdditionalProperties != nil && s.AdditionalProperties.Schema == nil {
				t.Errorf("%s: holds anything", n.path)
			}
		default:
			t.Errorf("%s: type %q has no rule here", n.path, s.Type)
		}
		if !bounded {
			t.Errorf("%s: a %s without a bound", n.path, s.Type)
		}
	}
}

// explainWidth is where kubectl explain breaks the lines of a description; it keeps the breaks that
// it finds.
const explainWidth = 76

func TestEveryFieldIsDescribedForKubectlExplain(t *testing.T) {
	t.Parallel()
	for _, n := range walk("", rootSchema(t)) {
		name := n.path[strings.LastIndex(n.path, ".")+1:]
		if slices.Contains([]string{"", "apiVersion", "kind", "metadata"}, n.path) || strings.HasSuffix(name, "[*]") {
			continue
		}
		if !strings.HasPrefix(n.schema.Description, name+" ") {
			t.Errorf("%s: its description does not begin with its name: %q", n.path, n.schema.Description)
		}
		if strings.HasPrefix(n.path, "status.conditions[*]") {
			continue // Kubernetes' own words
		}
		for line := range strings.Lines(n.schema.Description) {
			if length := utf8.RuneCountInString(strings.TrimSpace(line)); length > explainWidth {
				t.Errorf("%s: %d characters are more than kubectl explain has in a line: %s", n.path, length, line)
			}
		}
	}
}

// demand is one thing that the schema demands at one place.
type demand struct {
	path, says string
	// measure and limit say what is counted, and up to where: a value at the limit must be
	// accepted. Nil for what is no such bound.
	measure func(value any) int64
	limit   int64
}

func demands(n node) []demand {
	s := n.schema
	var all []demand
	add := func(path, says string) { all = append(all, demand{path: path, says: says}) }
	bound := func(says string, limit int64, measure func(any) int64) {
		all = append(all, demand{n.path, says, measure, limit})
	}
	if len(s.Enum) > 0 {
		values := make([]string, len(s.Enum))
		for i := range s.Enum {
			values[i] = string(s.Enum[i].Raw)
		}
		add(n.path, "supported values: "+strings.Join(values, ", "))
	}
	if s.MaxItems != nil {
		bound(atMostItems(int(*s.MaxItems)), *s.MaxItems, length)
	}
	if s.MaxProperties != nil {
		bound(atMostItems(int(*s.MaxProperties)), *s.MaxProperties, length)
	}
	if s.MaxLength != nil {
		bound(atMostBytes(int(*s.MaxLength)), *s.MaxLength, length)
	}
	if s.MinLength != nil {
		add(n.path, fmt.Sprintf("should be at least %d chars long", *s.MinLength))
	}
	if s.Minimum != nil {
		bound(atLeast(int(*s.Minimum)), int64(*s.Minimum), number)
	}
	if s.Maximum != nil {
		bound(atMost(int(*s.Maximum)), int64(*s.Maximum), number)
	}
	if s.XListType != nil && *s.XListType == "set" {
		add(n.path+"[*]", "Duplicate value")
	}
	for _, name := range s.Required {
		add(strings.TrimPrefix(n.path+"."+name, "."), "Required value")
	}
	for _, rule := range s.XValidations {
		add(strings.TrimPrefix(n.path+rule.FieldPath, "."), strings.TrimPrefix(rule.Message, "a key "))
	}
	return all
}

func length(value any) int64 {
	switch value := value.(type) {
	case string:
		return int64(len(value))
	case []any:
		return int64(len(value))
	case map[string]any:
		return int64(len(value))
	}
	return -1
}

func number(value any) int64 {
	if number, ok := value.(float64); ok {
		return int64(number)
	}
	return -1
}

// allDemands are those of everything that a user writes: the name and the spec.
func allDemands(t *testing.T) []demand {
	t.Helper()
	root := *rootSchema(t)
	top := root
	top.Properties = nil
	all := demands(node{"", &top})
	for _, n := range specNodes(t) {
		all = append(all, demands(n)...)
	}
	return all
}

func TestEveryRuleOfTheSchemaHasACase(t *testing.T) {
	t.Parallel()
	rules := table()
	all := allDemands(t)
	if len(all) < 60 {
		t.Fatalf("only %d rules and bounds found in the CRD: the walk misses some", len(all))
	}
	for _, d := range all {
		covered, atLimit := false, d.measure == nil
		for _, r := range rules {
			if anyItem(r.field) != d.path || !strings.Contains(d.says, r.says) && !strings.Contains(r.says, d.says) {
				continue
			}
			covered = true
			atLimit = atLimit || slices.ContainsFunc(valuesAt(object(t, r.accepts).Object, d.path), func(v any) bool { return d.measure(v) == d.limit })
		}
		if !covered {
			t.Errorf("%s: no case is refused because of %q", d.path, d.says)
		} else if !atLimit {
			t.Errorf("%s: no case accepts the limit of %q", d.path, d.says)
		}
	}
}

var (
	index  = regexp.MustCompile(`\[[^\]]*\]`)
	mapKey = regexp.MustCompile(`\.matchLabels\.[^.]+$`)
)

// anyItem puts [*] in the place of the index of a list and of the key of a map, which the API
// server writes in two ways.
func anyItem(field string) string {
	return mapKey.ReplaceAllString(index.ReplaceAllString(field, "[*]"), ".matchLabels[*]")
}

// valuesAt returns what an object holds at a path with [*] in it.
func valuesAt(value any, path string) []any {
	if path == "" {
		return []any{value}
	}
	if rest, ok := strings.CutPrefix(path, "[*]"); ok {
		var all []any
		for _, item := range itemsOf(value) {
			all = append(all, valuesAt(item, rest)...)
		}
		return all
	}
	path = strings.TrimPrefix(path, ".")
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		end = len(path)
	}
	fields, ok := value.(map[string]any)
	if !ok {
		return nil
	}
	below, ok := fields[path[:end]]
	if !ok {
		return nil
	}
	return valuesAt(below, path[end:])
}

func itemsOf(value any) []any {
	switch value := value.(type) {
	case []any:
		return value
	case map[string]any:
		return slices.Collect(maps.Values(value))
	}
	return nil
}
