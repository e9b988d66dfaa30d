// Package schema_test checks, on a real API server, what the CustomResourceDefinition accepts and
// refuses, and with which messages.
package schema_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers"
	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

var (
	// environment is one API server for the whole package. No operator runs in it: every object
	// stays as the schema left it.
	environment *harness.Environment
	// admin may do everything. It does not print the warnings of the API server, of which the
	// random specs would bring many.
	admin client.Client
)

func TestMain(m *testing.M) { harness.Main(func() (int, error) { return run(m) }) }

func run(m *testing.M) (code int, err error) {
	environment, err = harness.Start(context.Background(), localcluster.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, environment.Stop()) }()
	config := environment.Cluster.Config()
	config.WarningHandlerWithContext = rest.NoWarnings{}
	if admin, err = client.New(config, client.Options{Scheme: controllers.NewScheme()}); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// object makes a baseline of a piece of YAML: a spec, to which an empty namespaceSelector is added
// if it has none, or, where it contains metadata or spec itself, the whole object.
func object(t *testing.T, document string) *unstructured.Unstructured {
	t.Helper()
	content := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(document), &content); err != nil {
		t.Fatalf("the case is no YAML: %v\n%s", err, document)
	}
	_, hasSpec := content["spec"]
	_, hasMetadata := content["metadata"]
	if !hasSpec && !hasMetadata {
		if _, ok := content["namespaceSelector"]; !ok {
			content["namespaceSelector"] = map[string]any{}
		}
		content = map[string]any{"spec": content}
	}
	baseline := &unstructured.Unstructured{Object: content}
	baseline.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ClusterNetworkBaseline"))
	if !hasMetadata {
		baseline.SetName("case")
	}
	return baseline
}

// offer has the API server validate and default a baseline without storing it, and returns what it
// would store. A field that the schema does not know is an error.
func offer(t *testing.T, document string) (*unstructured.Unstructured, error) {
	t.Helper()
	baseline := object(t, document)
	return baseline, admit(t, baseline)
}

// admit is offer for an object; it becomes what the API server would store.
func admit(t *testing.T, baseline *unstructured.Unstructured) error {
	t.Helper()
	return admin.Create(t.Context(), baseline, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
}

// accept is offer for documents that the API server has to accept.
func accept(t *testing.T, document string) *unstructured.Unstructured {
	t.Helper()
	baseline, err := offer(t, document)
	if err != nil {
		t.Fatalf("refused: %v\n%s", err, abridge(document))
	}
	return baseline
}

// complaints returns the errors of the API server about an invalid object, one line for each
// mistake, without its remark that it skipped further checks.
func complaints(err error) []metav1.StatusCause {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok || !apierrors.IsInvalid(err) || status.ErrStatus.Details == nil {
		return nil
	}
	return slices.DeleteFunc(status.ErrStatus.Details.Causes, func(cause metav1.StatusCause) bool {
		return strings.Contains(cause.Message, "some validation rules were not checked")
	})
}

func abridge(text string) string {
	const limit = 400
	if len(text) <= limit {
		return text
	}
	return text[:limit] + "…"
}
