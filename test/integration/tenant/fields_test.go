package tenant_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// whole are types that a tenant sets as one value.
var whole = []reflect.Type{
	reflect.TypeFor[intstr.IntOrString](), reflect.TypeFor[metav1.Time](),
	reflect.TypeFor[metav1.OwnerReference](), reflect.TypeFor[metav1.ManagedFieldsEntry](),
}

// fieldsOf names every field that a type has in JSON, down to the last: spec.ingress,
// spec.ingress[].from[].ipBlock.except. A struct that is always there is no field of its own; one
// that may be absent is, and so is a list.
func fieldsOf(t reflect.Type) []string {
	var fields []string
	var walk func(path string, t reflect.Type)
	walk = func(path string, t reflect.Type) {
		element := t
		if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			element = t.Elem()
		}
		inside := element.Kind() == reflect.Struct && !slices.Contains(whole, element)
		if path != "" && (element != t || !inside) {
			fields = append(fields, path)
		}
		if !inside {
			return
		}
		if t.Kind() == reflect.Slice {
			path += "[]"
		}
		for i := range element.NumField() {
			walk(below(path, element.Field(i)), element.Field(i).Type)
		}
	}
	walk("", t)
	return fields
}

// below is the path of a field. One without a name is inlined.
func below(path string, field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	switch {
	case name == "":
		return path
	case path == "":
		return name
	}
	return path + "." + name
}

// valuesAt returns what stands in a field of a policy: nothing, one value, or as many as there are
// items in the lists on the way.
func valuesAt(policy *networkingv1.NetworkPolicy, field string) ([]any, error) {
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(policy)
	found := []any{object}
	for segment := range strings.SplitSeq(field, ".") {
		name, isList := strings.CutSuffix(segment, "[]")
		var next []any
		for _, parent := range found {
			switch value, exists := parent.(map[string]any)[name]; {
			case exists && isList:
				next = append(next, value.([]any)...)
			case exists:
				next = append(next, value)
			}
		}
		found = next
	}
	return found, err
}

// Whatever a later library adds to the API is found.
func TestFieldsOfNamesEveryField(t *testing.T) {
	t.Parallel()
	type inlined struct {
		Kind string `json:"kind,omitempty"`
	}
	type item struct {
		Since metav1.Time       `json:"since"`
		Plain map[string]string `json:"plain,omitempty"`
	}
	type optional struct {
		Items []item   `json:"items,omitempty"`
		Names []string `json:"names,omitempty"`
	}
	type required struct {
		Optional *optional `json:"optional,omitempty"`
		Number   *int32    `json:"number,omitempty"`
	}
	type everything struct {
		inlined  `json:""`
		Required required `json:"required"`
		Switch   bool     `json:"switch"`
	}
	want := []string{
		"kind", "required.optional", "required.optional.items", "required.optional.items[].since", "required.optional.items[].plain",
		"required.optional.names", "required.number", "switch",
	}
	if diff := cmp.Diff(want, fieldsOf(reflect.TypeFor[everything]())); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
