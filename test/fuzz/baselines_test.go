package fuzz

import (
	"context"
	"encoding/json"
	"os"
	"sync"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiextensions-apiserver/pkg/crdserverscheme"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

const definition = "../../config/crd/bases/policy.netbaseline.dev_clusternetworkbaselines.yaml"

var baselineKind = v1alpha1.GroupVersion.WithKind("ClusterNetworkBaseline")

// baselineServer does with a baseline what an API server does that has our
// CustomResourceDefinition.
type baselineServer struct {
	schema   *schema.Structural
	strategy rest.RESTCreateStrategy
}

// theBaselineServer is made once: its rules are compiled then.
var theBaselineServer = sync.OnceValues(newBaselineServer)

func newBaselineServer() (*baselineServer, error) {
	file, err := os.ReadFile(definition)
	if err != nil {
		return nil, err
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(file, crd); err != nil {
		return nil, err
	}
	written, internal := crd.Spec.Versions[0].Schema, &apiextensions.CustomResourceValidation{}
	if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(written, internal, nil); err != nil {
		return nil, err
	}
	structural, err := schema.NewStructural(internal.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	if err := defaulting.PruneDefaults(structural); err != nil {
		return nil, err
	}
	validator, _, err := validation.NewSchemaValidator(internal.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	strategy := customresource.NewStrategy(crdserverscheme.NewUnstructuredObjectTyper(), false, baselineKind,
		validator, nil, structural, &apiextensions.CustomResourceSubresourceStatus{}, nil, nil)
	return &baselineServer{structural, strategy}, nil
}

// asBaseline makes the body of a request of a document, JSON or YAML, whatever it is about; nil if
// it is nothing of the kind.
func asBaseline(document []byte) []byte {
	content := map[string]any{}
	if err := yaml.Unmarshal(document, &content); err != nil || content == nil {
		return nil
	}
	content["apiVersion"], content["kind"] = baselineKind.GroupVersion().String(), baselineKind.Kind
	body, err := json.Marshal(content)
	if err != nil {
		return nil
	}
	return body
}

// admit answers to the creation of a baseline as the API server does: with what a client reads
// afterwards, or with an error. A baseline that is refused is returned as well, defaulted, if it
// can be read at all.
func (s *baselineServer) admit(body []byte) (*v1alpha1.ClusterNetworkBaseline, error) {
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(body); err != nil {
		return nil, err
	}
	metadata, _, err := objectmeta.GetObjectMeta(object.Object, false)
	if err != nil {
		return nil, err
	}
	pruning.Prune(object.Object, s.schema, true)
	defaulting.PruneNonNullableNullsWithoutDefaults(object.Object, s.schema)
	if err := objectmeta.SetObjectMeta(object.Object, metadata); err != nil {
		return nil, err
	}
	defaulting.Default(object.Object, s.schema)

	rest.FillObjectMetaSystemFields(object)
	refusal := rest.BeforeCreate(s.strategy, baselineContext(), object)
	baseline, err := s.read(object)
	if refusal != nil {
		return baseline, refusal
	}
	return baseline, err
}

// read returns a stored object as a client reads it. What the schema defaults is defaulted again
// then.
func (s *baselineServer) read(stored *unstructured.Unstructured) (*v1alpha1.ClusterNetworkBaseline, error) {
	defaulting.Default(stored.Object, s.schema)
	raw, err := stored.MarshalJSON()
	if err != nil {
		return nil, err
	}
	baseline := &v1alpha1.ClusterNetworkBaseline{}
	if err := json.Unmarshal(raw, baseline); err != nil {
		return nil, err
	}
	return baseline, nil
}

func baselineContext() context.Context {
	return request.WithRequestInfo(request.WithNamespace(context.Background(), metav1.NamespaceNone), &request.RequestInfo{
		IsResourceRequest: true, Verb: "create",
		APIGroup: v1alpha1.GroupVersion.Group, APIVersion: v1alpha1.GroupVersion.Version, Resource: "clusternetworkbaselines",
	})
}

// mustServe returns the two servers.
func mustServe(tb testing.TB) (*baselineServer, *policyServer) {
	tb.Helper()
	baselines, err := theBaselineServer()
	if err != nil {
		tb.Fatal(err)
	}
	policies, err := thePolicyServer()
	if err != nil {
		tb.Fatal(err)
	}
	return baselines, policies
}
