package install_test

import (
	"context"
	"slices"
	"testing"

	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers"
	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

var (
	reads  = []string{"get", "list", "watch"}
	writes = []string{"create", "update", "patch", "delete", "deletecollection"}
)

// Who may do what with baselines, through the roles that Kubernetes itself has put together.
func TestRolesForPeople(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(patience)
	install(t, g, rendered(t, helmTemplate).only("CustomResourceDefinition", "ClusterRole"))
	mustRun(t, "kubectl wait --for=condition=Established --timeout=60s crd/"+harness.CRDName)
	const editor = "netbaseline-clusternetworkbaseline-editor-role"
	tests := map[string]struct {
		role, namespace string
		may             []string
	}{
		"a viewer of the cluster":        {"view", "", reads},
		"an editor of the cluster":       {"edit", "", reads},
		"an administrator of namespaces": {"admin", "", reads},
		"a viewer of baselines":          {"netbaseline-clusternetworkbaseline-viewer-role", "", reads},
		"an editor of baselines":         {editor, "", append(slices.Clone(reads), "create", "update", "patch", "delete")},
		"a tenant who views":             {"view", metav1.NamespaceDefault, nil},
		"a tenant who administers":       {"admin", metav1.NamespaceDefault, nil},
		"an account without roles":       {"", "", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			g.SetDefaultEventuallyTimeout(patience)
			bind(t, g, name, test.role, test.namespace)
			for _, resource := range []string{"clusternetworkbaselines", "clusternetworkbaselines/status"} {
				may := test.may
				if resource != "clusternetworkbaselines" {
					may = slices.DeleteFunc(slices.Clone(may), func(verb string) bool { return verb != "get" })
				}
				// Aggregation takes a moment.
				g.Eventually(allowed).WithArguments(t.Context(), name, resource).Should(Equal(may), resource)
			}
			person, err := client.New(quiet(cluster.ConfigFor(name)), client.Options{Scheme: controllers.NewScheme()})
			g.Expect(err).NotTo(HaveOccurred())
			err = person.Create(t.Context(), builder.Baseline("attempt").Obj(), client.DryRunAll)
			g.Expect(apierrors.IsForbidden(err)).To(Equal(test.role != editor), "the attempt ends with: %v", err)
			err = person.List(t.Context(), &v1alpha1.ClusterNetworkBaselineList{})
			g.Expect(apierrors.IsForbidden(err)).To(Equal(test.may == nil), "the attempt ends with: %v", err)
		})
	}
}

// install creates objects and removes them at the end.
func install(t *testing.T, g Gomega, all objects) {
	for _, object := range all {
		created := object.DeepCopy()
		g.Expect(admin.Create(t.Context(), created)).To(Succeed())
		t.Cleanup(func() {
			ctx := context.WithoutCancel(t.Context())
			g.Expect(client.IgnoreNotFound(admin.Delete(ctx, created, client.PropagationPolicy(metav1.DeletePropagationForeground)))).To(Succeed())
			g.Eventually(func() error {
				return admin.Get(ctx, client.ObjectKeyFromObject(created), created)
			}).Should(Satisfy(apierrors.IsNotFound))
		})
	}
}

// bind gives a role to a user: in a namespace, or without one in the whole cluster.
func bind(t *testing.T, g Gomega, user, role, namespace string) {
	if role == "" {
		return
	}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}
	meta := metav1.ObjectMeta{GenerateName: "person-", Namespace: namespace}
	var binding client.Object = &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}
	if namespace != "" {
		binding = &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}
	}
	g.Expect(admin.Create(t.Context(), binding)).To(Succeed())
	t.Cleanup(func() { g.Expect(admin.Delete(context.WithoutCancel(t.Context()), binding)).To(Succeed()) })
}

// allowed asks the API server which verbs a user may use on all objects of a resource.
func allowed(ctx context.Context, user, resource string) ([]string, error) {
	var verbs []string
	name, subresource := resource, ""
	if resource == "clusternetworkbaselines/status" {
		name, subresource = "clusternetworkbaselines", "status"
	}
	for _, verb := range append(slices.Clone(reads), writes...) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user, Groups: []string{"system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{Group: v1alpha1.GroupVersion.Group, Resource: name, Subresource: subresource, Verb: verb},
		}}
		if err := admin.Create(ctx, review); err != nil {
			return nil, err
		}
		if review.Status.Allowed {
			verbs = append(verbs, verb)
		}
	}
	return verbs, nil
}

func quiet(config *rest.Config) *rest.Config {
	config.WarningHandlerWithContext = rest.NoWarnings{}
	return config
}
