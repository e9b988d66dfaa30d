package install_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/manifests"
)

const (
	helmTemplate = "helm template netbaseline charts/netbaseline --namespace netbaseline-system "
	kustomize    = "kubectl kustomize "

	crdKey     = "CustomResourceDefinition " + harness.CRDName
	keepPolicy = "helm.sh/resource-policy"
)

// objects are manifests by kind, namespace and name.
type objects map[string]*unstructured.Unstructured

// rendered are the objects that a command prints.
func rendered(t *testing.T, script string) objects {
	t.Helper()
	return parse(t, mustRun(t, script))
}

func parse(t *testing.T, text string) objects {
	t.Helper()
	all, err := manifests.Objects(text)
	if err != nil {
		t.Fatal(err)
	}
	found := objects{}
	for _, object := range all {
		key := strings.Join(slices.DeleteFunc([]string{object.GetKind(), object.GetNamespace(), object.GetName()},
			func(part string) bool { return part == "" }), " ")
		if found[key] != nil {
			t.Errorf("%s is there twice", key)
		}
		found[key] = object
	}
	return found
}

// only returns the objects of some kinds.
func (o objects) only(kinds ...string) objects {
	found := maps.Clone(o)
	maps.DeleteFunc(found, func(_ string, object *unstructured.Unstructured) bool {
		return !slices.Contains(kinds, object.GetKind())
	})
	return found
}

// without returns the objects except some.
func (o objects) without(keys ...string) objects {
	found := maps.Clone(o)
	maps.DeleteFunc(found, func(key string, _ *unstructured.Unstructured) bool { return slices.Contains(keys, key) })
	return found
}
