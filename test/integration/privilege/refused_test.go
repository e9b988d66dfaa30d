package privilege_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers"
	"github.com/netbaseline/netbaseline/test/integration/privilege"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// The beginnings of paths.
const (
	inDefault  = "/namespaces/default/"
	networking = "/apis/networking.k8s.io/v1"
	rbac       = "/apis/rbac.authorization.k8s.io/v1/"
	admission  = "/apis/admissionregistration.k8s.io/v1/"
	ours       = "/apis/policy.netbaseline.dev/v1alpha1/clusternetworkbaselines"
	crds       = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	leases     = "/apis/coordination.k8s.io/v1/namespaces/"
)

// What the account may not do, asked for with its own token. A request for something that is not
// there is refused before anybody looks for it, so none of these changes anything, if it should be
// allowed.
var refused = map[string]struct {
	requests []string // method and path
	says     string
}{
	"read secrets": {[]string{
		"GET /api/v1/secrets", "GET /api/v1/secrets?watch=true", "GET /api/v1/namespaces/default/secrets/none",
		"GET /api/v1/namespaces/netbaseline-system/secrets", "GET /api/v1/namespaces/netbaseline-system/secrets/none",
	}, `cannot .* resource "secrets"`},
	"read pods": {[]string{"GET /api/v1/pods", "GET /api/v1/pods?watch=true", "GET /api/v1/namespaces/netbaseline-system/pods/none"}, `cannot .* resource "pods"`},
	"run pods, or run something in them": {[]string{
		"POST /api/v1/namespaces/default/pods", "POST /api/v1/namespaces/default/pods/none/exec?command=sh", "PATCH /api/v1/namespaces/default/pods/none/ephemeralcontainers",
	}, `cannot .* resource "pods`},
	"read or write config maps": {[]string{
		"GET /api/v1/configmaps", "GET /api/v1/configmaps?watch=true", "GET /api/v1/namespaces/default/configmaps/none", "POST /api/v1/namespaces/netbaseline-system/configmaps",
	}, `cannot .* resource "configmaps"`},
	"read or change nodes": {[]string{"GET /api/v1/nodes", "GET /api/v1/nodes/none", "PATCH /api/v1/nodes/none"}, `cannot .* resource "nodes"`},
	"relabel, make or delete namespaces": {[]string{
		"PUT /api/v1/namespaces/none", "PATCH /api/v1/namespaces/none", "DELETE /api/v1/namespaces/none", "POST /api/v1/namespaces", "PUT /api/v1/namespaces/none/finalize",
	}, `cannot .* resource "namespaces`},
	"give itself or others rights": {slices.Concat(
		writesOf(rbac+"clusterroles"), writesOf(rbac+"clusterrolebindings"), writesOf(rbac+"namespaces/default/roles"), writesOf(rbac+"namespaces/default/rolebindings"),
		[]string{"PATCH " + rbac + "clusterroles/netbaseline-manager-role", "PATCH " + rbac + "namespaces/netbaseline-system/roles/netbaseline-leader-election-role"},
	), `cannot .* resource ".*role`},
	"change what admission says": {slices.Concat(
		writesOf(admission+"validatingadmissionpolicies"), writesOf(admission+"validatingadmissionpolicybindings"),
		writesOf(admission+"mutatingadmissionpolicies"), writesOf(admission+"mutatingadmissionpolicybindings"),
		writesOf(admission+"validatingwebhookconfigurations"), writesOf(admission+"mutatingwebhookconfigurations"),
		[]string{"DELETE " + admission + "validatingadmissionpolicies/netbaseline-operator-writes", "PATCH " + admission + "validatingadmissionpolicybindings/netbaseline-operator-writes"},
	), `cannot .* resource ".*(policies|bindings|configurations)"`},
	"be another account": {[]string{
		"POST /api/v1/namespaces/netbaseline-system/serviceaccounts/none/token", "POST /api/v1/namespaces/default/serviceaccounts/default/token", "POST /api/v1/namespaces/default/serviceaccounts",
		"POST /apis/certificates.k8s.io/v1/certificatesigningrequests",
	}, `cannot .* resource "(serviceaccounts|serviceaccounts/token|certificatesigningrequests)"`},
	"change, read or delete policies of others": {[]string{
		"PUT " + networking + inDefault + "networkpolicies/theirs", "PATCH " + networking + inDefault + "networkpolicies/theirs", "DELETE " + networking + inDefault + "networkpolicies/theirs",
		"GET " + networking + inDefault + "networkpolicies/theirs", "DELETE " + networking + inDefault + "networkpolicies",
	}, `cannot .* resource "networkpolicies"`},
	"decide what baselines say, or whether there are any": {[]string{
		"POST " + ours, "PUT " + ours + "/none", "DELETE " + ours + "/none", "DELETE " + ours, "PATCH " + ours + "/none/status",
	}, `cannot .* resource "clusternetworkbaselines`},
	"change kinds, its own or others": {append(writesOf(crds), "GET "+crds, "GET "+crds+"/none",
		"PUT "+crds+"/clusternetworkbaselines.policy.netbaseline.dev", "DELETE "+crds+"/clusternetworkbaselines.policy.netbaseline.dev",
	), `cannot .* resource "customresourcedefinitions"`},
	"hold another lease": {[]string{
		"GET " + leases + "netbaseline-system/leases/theirs", "PUT " + leases + "netbaseline-system/leases/theirs", "DELETE " + leases + "netbaseline-system/leases/netbaseline.policy.netbaseline.dev",
		"POST " + leases + "kube-system/leases", "PUT " + leases + "kube-system/leases/kube-controller-manager",
	}, `cannot .* resource "leases"`},
}

func writesOf(collection string) []string {
	return []string{"POST " + collection, "PUT " + collection + "/none", "PATCH " + collection + "/none", "DELETE " + collection + "/none", "DELETE " + collection}
}

func TestWhatTheAccountMayNotDo(t *testing.T) {
	account := connect(t, env.OperatorConfig())
	for what, test := range refused {
		t.Run(what, func(t *testing.T) {
			g := NewWithT(t)
			for _, request := range test.requests {
				method, path, _ := strings.Cut(request, " ")
				g.Expect(account.send(t.Context(), method, path)).To(And(HaveField("Code", int32(http.StatusForbidden)), HaveField("Message", MatchRegexp(test.says))), request)
			}
		})
	}
	t.Run("impersonate", func(t *testing.T) {
		g := NewWithT(t)
		for _, user := range []string{"admin", "system:serviceaccount:kube-system:namespace-controller"} {
			config := env.OperatorConfig()
			config.Impersonate = rest.ImpersonationConfig{UserName: user}
			g.Expect(connect(t, config).send(t.Context(), http.MethodGet, "/api/v1/namespaces")).To(And(
				HaveField("Code", int32(http.StatusForbidden)), HaveField("Message", ContainSubstring("cannot impersonate"))), user)
		}
	})
}

// The API server itself lists what the account may do: what is shipped, and what every account may.
func TestWhatTheAccountMayDoIsWhatIsShipped(t *testing.T) {
	for namespace, kinds := range map[string][]string{metav1.NamespaceDefault: {"ClusterRole"}, harness.OperatorNamespace: {"ClusterRole", "Role"}} {
		t.Run(namespace, func(t *testing.T) {
			g := patient(t)
			everybodys := rulesOf(t, g, env.Cluster.ConfigFor("system:serviceaccount:default:anybody"), namespace)
			var shall []string
			for _, grant := range shipped(t) {
				if kind, _, _ := strings.Cut(grant.Role, " "); slices.Contains(kinds, kind) {
					shall = append(shall, grant.Permission.String()+" "+grant.Name)
				}
			}
			g.Eventually(func() []string { return rulesOf(t, g, env.OperatorConfig(), namespace) }).Should(ConsistOf(append(shall, everybodys...)))
		})
	}
}

// rulesOf asks the API server what an account may do in a namespace.
func rulesOf(t *testing.T, g Gomega, config *rest.Config, namespace string) (rules []string) {
	account, err := client.New(config, client.Options{Scheme: controllers.NewScheme()})
	g.Expect(err).NotTo(HaveOccurred())
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}
	g.Expect(account.Create(t.Context(), review)).To(Succeed())
	g.Expect(review.Status.Incomplete).To(BeFalse())
	for _, rule := range review.Status.ResourceRules {
		grants, err := privilege.Expand("", []rbacv1.PolicyRule{{
			APIGroups: rule.APIGroups, Resources: rule.Resources, ResourceNames: rule.ResourceNames, Verbs: rule.Verbs,
		}})
		g.Expect(err).NotTo(HaveOccurred())
		for _, grant := range grants {
			rules = append(rules, grant.Permission.String()+" "+grant.Name)
		}
	}
	return rules
}

// RBAC cannot say under which name something is created; the admission policy can.
func TestWhatAdmissionRefusesTheAccount(t *testing.T) {
	g := patient(t)
	account := connect(t, env.OperatorConfig())
	create := func(namespace, metadata string) func() *metav1.Status {
		return func() *metav1.Status {
			return account.sendBody(t.Context(), http.MethodPost, networking+"/namespaces/"+namespace+"/networkpolicies", `{"metadata":`+metadata+`,"spec":{"podSelector":{}}}`)
		}
	}
	othersName := And(HaveField("Code", int32(http.StatusForbidden)), HaveField("Message", ContainSubstring("netbaseline writes the policies netbaseline-default-deny, netbaseline-allow-dns and netbaseline-environment-isolation, and no others")))
	g.Eventually(create("default", `{"name":"theirs"}`)).Should(othersName, "a policy takes a moment to be in force")
	g.Expect(create("default", `{"generateName":"netbaseline-default-deny"}`)()).To(othersName)
	for _, name := range []string{v1alpha1.DefaultDenyName, v1alpha1.AllowDNSName, v1alpha1.EnvironmentIsolationName} {
		g.Expect(create("default", `{"name":"`+name+`"}`)()).To(HaveField("Code", int32(0)), "what it is there for")
		for _, namespace := range []string{"kube-system", "kube-public", "kube-node-lease"} {
			g.Expect(create(namespace, `{"name":"`+name+`"}`)()).To(And(
				HaveField("Code", int32(http.StatusForbidden)), HaveField("Message", ContainSubstring("netbaseline writes no policies in the namespaces of Kubernetes itself"))))
		}
	}
	// Widening its role by mistake does not widen this.
	g.Expect(env.Admin.Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "too-much"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"*"}, Verbs: []string{"*"}}},
	})).To(Succeed())
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "too-much"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "too-much"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: harness.OperatorNamespace, Name: harness.OperatorServiceAccount}},
	}
	g.Expect(env.Admin.Create(t.Context(), binding)).To(Succeed())
	const theirs = networking + inDefault + "networkpolicies"
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		g.Expect(env.Admin.Delete(ctx, binding)).To(Succeed())
		g.Eventually(func() *metav1.Status { return account.send(ctx, http.MethodPut, theirs+"/theirs") }).Should(HaveField("Message", ContainSubstring("cannot update")))
	})
	others := connect(t, env.Cluster.Config())
	const body = `{"metadata":{"name":"theirs"},"spec":{"podSelector":{}}}`
	g.Expect(others.sendFor(t.Context(), http.MethodPost, theirs, body)).To(HaveField("Code", int32(0)), "it applies to no other account")
	g.Eventually(func() *metav1.Status {
		return account.sendBody(t.Context(), http.MethodPut, theirs+"/theirs", body)
	}).Should(othersName)
}

// What Kubernetes puts together for tenants holds no write on baselines.
func TestTenantsRolesOnlyRead(t *testing.T) {
	g := patient(t)
	for _, name := range []string{"view", "edit", "admin"} {
		role := &rbacv1.ClusterRole{}
		g.Eventually(func() ([]string, error) {
			err := env.Admin.Get(t.Context(), client.ObjectKey{Name: name}, role)
			var verbs []string
			for _, rule := range role.Rules {
				if slices.Contains(rule.APIGroups, v1alpha1.GroupVersion.Group) || slices.Contains(rule.APIGroups, "*") {
					verbs = append(verbs, rule.Verbs...)
				}
			}
			slices.Sort(verbs)
			return slices.Compact(verbs), err
		}).Should(Equal([]string{"get", "list", "watch"}), name)
	}
}

// connection sends requests as they are.
type connection struct {
	client *http.Client
	host   string
}

func connect(t *testing.T, config *rest.Config) *connection {
	t.Helper()
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	return &connection{client, config.Host}
}

func (c *connection) send(ctx context.Context, method, path string) *metav1.Status {
	return c.sendBody(ctx, method, path, "{}")
}

// sendBody sends a request that changes nothing, and returns what refuses it. A status without a
// code is that of what succeeded.
func (c *connection) sendBody(ctx context.Context, method, path, body string) *metav1.Status {
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	return c.sendFor(ctx, method, path+separator+"dryRun=All", body)
}

// sendFor sends a request for good.
func (c *connection) sendFor(ctx context.Context, method, path, body string) *metav1.Status {
	failed := func(err error) *metav1.Status { return &metav1.Status{Code: -1, Message: err.Error()} }
	request, err := http.NewRequestWithContext(ctx, method, c.host+path, strings.NewReader(body))
	if err != nil {
		return failed(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	response, err := c.client.Do(request)
	if err != nil {
		return failed(err)
	}
	defer func() { _ = response.Body.Close() }() // only read
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return failed(err)
	}
	if response.StatusCode < http.StatusMultipleChoices {
		return &metav1.Status{}
	}
	status := &metav1.Status{}
	if err := json.Unmarshal(answer, status); err != nil {
		return failed(err)
	}
	return status
}
