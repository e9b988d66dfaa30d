package apply_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/apply"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

const (
	dns       = v1alpha1.AllowDNSName
	isolation = v1alpha1.EnvironmentIsolationName
	deny      = v1alpha1.DefaultDenyName
)

// server is a fake API server whose answers can be scripted, for answers that a real one cannot be
// made to give at will. How a real one answers is for the suites that run against one.
type server struct {
	client.WithWatch
	t *testing.T

	mu      sync.Mutex
	calls   []string             // each as "verb name"
	scripts map[string][]answer  // of each call, what to do with the first, the second, …
	options map[string]any       // of the last call of each
	admit   map[string]admission // of each policy, what a mutating webhook does to it
}

// answer takes the place of the server; pass has it answer itself.
type answer func(ctx context.Context, pass func() error) error

type admission func(*networkingv1.NetworkPolicy)

func newServer(t *testing.T, objects ...client.Object) *server {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := networkingv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, scripts: map[string][]answer{}, options: map[string]any{}, admit: map[string]admission{}}
	s.WithWatch = interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).WithTypeConverters(managedfields.NewDeducedTypeConverter()).WithObjects(objects...).Build(), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			return s.call(ctx, "get", key.Name, nil, func() error { return c.Get(ctx, key, object, opts...) })
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			return s.call(ctx, "create", object.GetName(), opts, func() error { return c.Create(ctx, s.mutated(object), opts...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.UpdateOption) error {
			return s.call(ctx, "update", object.GetName(), opts, func() error {
				object := s.mutated(object)
				if object.GetResourceVersion() == "" { // the API server lets that pass for policies; the fake client does not know
					there := &networkingv1.NetworkPolicy{}
					if err := c.Get(ctx, client.ObjectKeyFromObject(object), there); err != nil {
						return err
					}
					object.SetResourceVersion(there.ResourceVersion)
				}
				return c.Update(ctx, object, opts...)
			})
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
			return s.call(ctx, "delete", object.GetName(), opts, func() error { return c.Delete(ctx, object, opts...) })
		},
		List: func(ctx context.Context, _ client.WithWatch, _ client.ObjectList, _ ...client.ListOption) error {
			return s.never(ctx, "list")
		},
		DeleteAllOf: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ ...client.DeleteAllOfOption) error {
			return s.never(ctx, "deletecollection")
		},
		Patch: func(ctx context.Context, _ client.WithWatch, _ client.Object, patch client.Patch, _ ...client.PatchOption) error {
			return s.never(ctx, "patch "+string(patch.Type()))
		},
		Apply: func(ctx context.Context, _ client.WithWatch, _ runtime.ApplyConfiguration, _ ...client.ApplyOption) error {
			return s.never(ctx, "apply")
		},
	})
	return s
}

// never answers a call that the package must not make, in any test.
func (s *server) never(_ context.Context, what string) error {
	s.t.Errorf("a call that must never be made: %s", what)
	return fmt.Errorf("%s: not in this package", what)
}

func (s *server) call(ctx context.Context, verb, name string, options any, pass func() error) error {
	s.mu.Lock()
	key := verb + " " + name
	s.calls = append(s.calls, key)
	s.options[key] = options
	script := s.scripts[key]
	if len(script) > 0 {
		s.scripts[key] = script[1:]
	}
	s.mu.Unlock()
	if len(script) == 0 {
		return pass()
	}
	return script[0](ctx, pass)
}

// mutated has the webhook change an object as the API server does: not in what the client has sent,
// but in what it gets back.
func (s *server) mutated(object client.Object) client.Object {
	if mutate, ok := s.admit[object.GetName()]; ok {
		sent := object.(*networkingv1.NetworkPolicy)
		received := sent.DeepCopy()
		mutate(received)
		*sent = *received
	}
	return object
}

// on scripts the answers to a call such as "create netbaseline-default-deny".
func (s *server) on(call string, answers ...answer) *server {
	s.scripts[call] = answers
	return s
}

// altering has a mutating webhook change a policy whenever it is written.
func (s *server) altering(name string, change admission) *server {
	s.admit[name] = change
	return s
}

// asked returns the calls that were made.
func (s *server) asked() []string { return slices.Clone(s.calls) }

// stored returns the object under a name; nil if there is none. It does not count as a call.
func (s *server) stored(name string) *networkingv1.NetworkPolicy {
	s.t.Helper()
	before := slices.Clone(s.calls)
	defer func() { s.calls = before }()
	object := &networkingv1.NetworkPolicy{}
	err := s.Get(s.t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, object)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return object
}

// execute carries out a confirmed plan.
func (s *server) execute(p plan.Plan) ([]apply.Written, error) {
	executor := s.executor()
	executor.Confirmed = true
	return executor.Execute(s.t.Context(), p)
}

// executor returns one whose writer can only write and whose reader only read, so that neither is
// taken for the other.
func (s *server) executor() apply.Executor {
	return apply.Executor{Writer: onlyWriter{s.WithWatch}, Live: onlyReader{s.WithWatch}}
}

type (
	onlyWriter struct{ client.Writer }
	onlyReader struct{ client.Reader }
)

// refuse answers with an error and does nothing.
func refuse(err error) answer { return func(context.Context, func() error) error { return err } }

// asUsual lets the server answer itself.
func asUsual(_ context.Context, pass func() error) error { return pass() }

// desired holds the desired policies of the baseline called default in the namespace shop, by name.
func desired() map[string]policy.Desired {
	all := map[string]policy.Desired{}
	for _, d := range policy.Render(builder.Baseline("default").Obj(), policy.Namespace{Name: "shop", Labels: builder.Labels("environment", "production")}) {
		all[d.Policy.Name] = d
	}
	return all
}

// live is a policy as the API server has it, after a change.
func live(name string, change func(*networkingv1.NetworkPolicy)) *networkingv1.NetworkPolicy {
	object := desired()[name].Policy.DeepCopy()
	object.UID, object.ResourceVersion = types.UID("uid of "+name), "7"
	if change != nil {
		change(object)
	}
	return object
}

// foreign is a policy of a tenant's under a name of ours, which lets everything in.
func foreign(name string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "foreign", ResourceVersion: "7"},
		Spec: networkingv1.NetworkPolicySpec{
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}, Ingress: []networkingv1.NetworkPolicyIngressRule{{}},
		},
	}
}

// opened lets everything in, as a tenant would.
func opened(object *networkingv1.NetworkPolicy) {
	object.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
}

func create(name string) plan.Step {
	return plan.Step{Operation: plan.Create, Namespace: "shop", Name: name, Desired: desired()[name]}
}

func update(name string) plan.Step {
	return plan.Step{Operation: plan.Update, Namespace: "shop", Name: name, Desired: desired()[name]}
}

func remove(name string) plan.Step {
	return plan.Step{Operation: plan.Delete, Namespace: "shop", Name: name, Found: plan.Observe(live(name, nil))}
}

// recreate makes a policy again that is being deleted.
func recreate(name string) plan.Step {
	return plan.Step{Operation: plan.Recreate, Namespace: "shop", Name: name, Desired: desired()[name], Found: plan.Observe(live(name, terminating("example.com/keep")))}
}

// blind replaces a policy, which the plan saw in this state, without reading it.
func blind(there *networkingv1.NetworkPolicy) plan.Step {
	step := update(there.Name)
	step.Found, step.Blind = plan.Observe(there), true
	return step
}

// onlyToClose replaces a policy only if it allows too much.
func onlyToClose(name string) plan.Step {
	step := update(name)
	step.OnlyToClose = true
	return step
}

// needing has a step wait for the policy of another name.
func needing(step plan.Step, name string) plan.Step {
	step.Needs = name
	return step
}

// terminating makes a policy one that is deleted and kept by finalizers.
func terminating(finalizers ...string) func(*networkingv1.NetworkPolicy) {
	return func(object *networkingv1.NetworkPolicy) {
		object.Finalizers, object.DeletionTimestamp = finalizers, new(metav1.Unix(1, 0))
	}
}

// oneByOne puts each step in a stage of its own.
func oneByOne(steps ...plan.Step) plan.Plan {
	var p plan.Plan
	for _, step := range steps {
		p = append(p, plan.Stage{step})
	}
	return p
}

var policies = schema.GroupResource{Group: "networking.k8s.io", Resource: "networkpolicies"}

func notFound(name string) error { return apierrors.NewNotFound(policies, name) }

// forbidden is the error of the API server if a permission is missing.
func forbidden(name string) error {
	return apierrors.NewForbidden(policies, name, fmt.Errorf(`User "system:serviceaccount:netbaseline-system:controller-manager" cannot create resource`))
}

// namespaceTerminating is the error of the API server for a create in a namespace that is being
// deleted.
func namespaceTerminating(name string) error {
	err := apierrors.NewForbidden(policies, name, fmt.Errorf("unable to create new content in namespace shop because it is being terminated"))
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{
		Type: corev1.NamespaceTerminatingCause, Message: "namespace shop is being terminated", Field: "metadata.namespace",
	})
	return err
}
