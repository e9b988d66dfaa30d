package privilege_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/integration/privilege"
	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// beyond is what a verb that is granted must not reach. Requests are dry runs: the method, the path
// and the body.
type beyond struct {
	refused []string
	// kept are requests that succeed and still change nothing but what they are for.
	kept []string
	// open is, where the verb reaches all there is, what docs/security.md says of it, word for
	// word.
	open string
}

const (
	guarded = ours + "/guarded"
	theirs  = networking + inDefault + "networkpolicies/theirs"
	policy  = `"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","spec":{"podSelector":{}}`
)

// reaches has a row for every permission that is granted: its targets are those that the operator
// has no business with.
var reaches = map[privilege.Permission]beyond{
	{Verb: "get", Resource: "namespaces"}:   {open: "read every namespace"},
	{Verb: "list", Resource: "namespaces"}:  {open: "read every namespace"},
	{Verb: "watch", Resource: "namespaces"}: {open: "read every namespace"},

	{Verb: "create", Resource: "networkpolicies", Group: networkingGroup}: {refused: slices.Concat(
		[]string{"POST " + networking + inDefault + `networkpolicies {"metadata":{"name":"others"},` + policy + `}`},
		[]string{"POST " + networking + inDefault + `networkpolicies {"metadata":{"generateName":"netbaseline-default-deny"},` + policy + `}`},
		inSystem("POST", "", v1alpha1.DefaultDenyName),
	)},
	{Verb: "get", Resource: "networkpolicies", Group: networkingGroup}:    {refused: []string{"GET " + theirs}},
	{Verb: "list", Resource: "networkpolicies", Group: networkingGroup}:   {open: "read every NetworkPolicy"},
	{Verb: "watch", Resource: "networkpolicies", Group: networkingGroup}:  {open: "read every NetworkPolicy"},
	{Verb: "delete", Resource: "networkpolicies", Group: networkingGroup}: {refused: []string{"DELETE " + theirs, "DELETE " + networking + inDefault + "networkpolicies"}},
	{Verb: "update", Resource: "networkpolicies", Group: networkingGroup}: {refused: slices.Concat(
		[]string{"PUT " + theirs + ` {"metadata":{"name":"theirs"},` + policy + `}`}, inSystem("PUT", "/"+v1alpha1.DefaultDenyName, v1alpha1.DefaultDenyName),
	)},

	{Verb: "get", Resource: "customresourcedefinitions", Group: "apiextensions.k8s.io"}: {refused: []string{"GET " + crds + "/none", "GET " + crds}},

	{Verb: "list", Resource: "clusternetworkbaselines", Group: ourGroup}:  {open: "read every baseline"},
	{Verb: "watch", Resource: "clusternetworkbaselines", Group: ourGroup}: {open: "read every baseline"},
	{Verb: "patch", Resource: "clusternetworkbaselines", Group: ourGroup}: {
		refused: []string{
			"PATCH " + guarded + ` {"spec":{"mode":"Audit"}}`,
			"PATCH " + guarded + ` {"spec":{"namespaceSelector":{"matchLabels":{"none":"x"}}}}`,
			"PATCH " + guarded + ` {"spec":{"excludedNamespaces":["shop*"]}}`,
			"PATCH " + guarded + ` {"spec":{"deletionPolicy":"Retain"}}`,
			"PATCH " + guarded + ` {"metadata":{"labels":{"team":"mine"}}}`,
			"PATCH " + guarded + ` {"metadata":{"labels":null}}`,
			"PATCH " + guarded + ` {"metadata":{"annotations":{"note":"mine"}}}`,
			"PATCH " + guarded + ` {"metadata":{"annotations":null}}`,
			"PATCH " + guarded + ` {"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Namespace","name":"x","uid":"1"}]}}`,
			"PATCH " + guarded + ` {"metadata":{"ownerReferences":null}}`,
			"PATCH " + guarded + ` {"metadata":{"finalizers":["example.com/theirs","example.com/more"]}}`,
			"PATCH " + guarded + ` {"metadata":{"finalizers":["` + v1alpha1.CleanupFinalizer + `"]}}`,
			"PATCH " + guarded + ` {"metadata":{"finalizers":null}}`,
			"PATCH " + guarded + ` {"metadata":{"finalizers":["example.com/theirs","` + v1alpha1.CleanupFinalizer + `"]},"spec":{"mode":"Audit"}}`,
			"PATCH " + guarded + `/status {"status":{"conditions":null}}`,
		},
		kept: []string{
			"PATCH " + guarded + ` {"metadata":{"finalizers":["example.com/theirs","` + v1alpha1.CleanupFinalizer + `"]}}`,
			"PATCH " + guarded + ` {"metadata":{"finalizers":["example.com/theirs"]}}`,
		},
	},
	{Verb: "update", Resource: "clusternetworkbaselines/status", Group: ourGroup}: {kept: []string{
		"PUT " + guarded + `/status {"apiVersion":"policy.netbaseline.dev/v1alpha1","kind":"ClusterNetworkBaseline","metadata":{"name":"guarded","resourceVersion":"@"},"spec":{"namespaceSelector":{},"mode":"Audit"}}`,
	}},

	{Verb: "create", Resource: "events", Group: "events.k8s.io"}: {open: "write and change events"},
	{Verb: "patch", Resource: "events", Group: "events.k8s.io"}:  {open: "write and change events"},
	{Verb: "create", Resource: "events"}:                         {refused: []string{"POST /api/v1/namespaces/default/events {}"}},

	{Verb: "get", Resource: "leases", Group: "coordination.k8s.io"}:    {refused: []string{"GET " + leases + "netbaseline-system/leases/theirs", "GET " + leases + "kube-system/leases/" + harness.LeaseName}},
	{Verb: "update", Resource: "leases", Group: "coordination.k8s.io"}: {refused: []string{"PUT " + leases + "netbaseline-system/leases/theirs {}", "PUT " + leases + "kube-system/leases/" + harness.LeaseName + " {}"}},
	{Verb: "create", Resource: "leases", Group: "coordination.k8s.io"}: {refused: []string{"POST " + leases + "kube-system/leases {}", "POST " + leases + "default/leases {}"}},

	{Verb: "create", Resource: "tokenreviews", Group: "authentication.k8s.io"}:        {open: "ask whose a token is, and what anyone may do"},
	{Verb: "create", Resource: "subjectaccessreviews", Group: "authorization.k8s.io"}: {open: "ask whose a token is, and what anyone may do"},

	privilege.Mark: {open: "a right that allows nothing"},
}

// inSystem writes a policy into each of the namespaces of Kubernetes itself.
func inSystem(method, path, name string) (requests []string) {
	for _, namespace := range []string{"kube-system", "kube-public", "kube-node-lease"} {
		requests = append(requests, method+" "+networking+"/namespaces/"+namespace+"/networkpolicies"+path+` {"metadata":{"name":"`+name+`"},`+policy+`}`)
	}
	return requests
}

// Every verb that is granted is tried, with the operator's own token, on what it must not change. A
// grant without a row fails.
func TestNoGrantReachesBeyondItsPurpose(t *testing.T) {
	granted := map[privilege.Permission]bool{}
	for _, grant := range shipped(t) {
		granted[grant.Permission] = true
	}
	for permission := range reaches {
		if !granted[permission] {
			t.Errorf("%s has a row and is not granted", permission)
		}
	}
	setTargets(t, patient(t))
	page := securityPage(t)
	account := connect(t, env.OperatorConfig())
	for permission := range maps.Keys(granted) {
		t.Run(permission.String(), func(t *testing.T) {
			g := patient(t)
			row, ok := reaches[permission]
			g.Expect(ok).To(BeTrue(), "it is granted, and no row of `reaches` holds what it must not touch")
			g.Expect(len(row.refused)+len(row.kept) > 0 || row.open != "").To(BeTrue(), "the row is empty")
			g.Expect(page).To(ContainSubstring(row.open), "docs/security.md must tell of it")
			for _, request := range row.refused {
				g.Eventually(func() int32 { return ask(t.Context(), account, request).Code }).Should(Equal(int32(http.StatusForbidden)), request)
			}
			for _, request := range row.kept {
				g.Expect(keeps(t.Context(), account, request)).To(Succeed(), request)
			}
		})
	}
}

// apart takes a request apart.
func apart(request string) (method, path, body string) {
	method, path, _ = strings.Cut(request, " ")
	path, body, found := strings.Cut(path, " ")
	if !found {
		body = "{}"
	}
	return method, path, body
}

func ask(ctx context.Context, account *connection, request string) *metav1.Status {
	method, path, body := apart(request)
	return account.sendBody(ctx, method, path, body)
}

// keeps sends a request for good, and complains if the baseline is another one then but for our
// finalizer and the status.
func keeps(ctx context.Context, account *connection, request string) error {
	before, after := &v1alpha1.ClusterNetworkBaseline{}, &v1alpha1.ClusterNetworkBaseline{}
	key := client.ObjectKey{Name: "guarded"}
	if err := env.Admin.Get(ctx, key, before); err != nil {
		return err
	}
	method, path, body := apart(strings.Replace(request, `"@"`, `"`+before.ResourceVersion+`"`, 1))
	if status := account.sendFor(ctx, method, path, body); status.Code != 0 {
		return fmt.Errorf("it is refused: %s", status.Message)
	}
	if err := env.Admin.Get(ctx, key, after); err != nil {
		return err
	}
	if diff := differs(before, after); diff != "" {
		return fmt.Errorf("it changed something else (-before +after):\n%s", diff)
	}
	return nil
}

// differs is how two baselines differ in what is not the operator's.
func differs(before, after *v1alpha1.ClusterNetworkBaseline) string {
	foreign := func(baseline *v1alpha1.ClusterNetworkBaseline) []any {
		finalizers := slices.DeleteFunc(slices.Clone(baseline.Finalizers), func(name string) bool { return name == v1alpha1.CleanupFinalizer })
		return []any{baseline.Spec, baseline.Labels, baseline.Annotations, baseline.OwnerReferences, finalizers}
	}
	return cmp.Diff(foreign(before), foreign(after))
}

// setTargets creates the objects that the account must not change.
func setTargets(t *testing.T, g Gomega) {
	t.Helper()
	baseline := builder.Baseline("guarded").Selecting("guarded", "none").Obj()
	baseline.Labels, baseline.Annotations = builder.Labels("team", "platform"), builder.Labels("note", "keep")
	baseline.Finalizers = []string{"example.com/theirs"}
	owner := &corev1.Namespace{}
	g.Expect(env.Admin.Get(t.Context(), client.ObjectKey{Name: "default"}, owner)).To(Succeed())
	baseline.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Namespace", Name: owner.Name, UID: owner.UID}}
	g.Expect(env.Admin.Create(t.Context(), baseline)).To(Succeed())
	others := []*networkingv1.NetworkPolicy{{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "theirs"}}}
	for _, namespace := range []string{"kube-system", "kube-public", "kube-node-lease"} {
		others = append(others, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1alpha1.DefaultDenyName}})
	}
	for _, other := range others {
		g.Expect(env.Admin.Create(t.Context(), other)).To(Succeed())
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		for _, other := range others {
			g.Expect(env.Admin.Delete(ctx, other)).To(Succeed())
		}
		g.Expect(env.Admin.Patch(ctx, baseline, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
		g.Expect(env.Admin.Delete(ctx, baseline)).To(Succeed())
	})
}

// securityPage is docs/security.md without its line breaks.
func securityPage(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(harness.RepositoryPath("docs/security.md"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(content)), " ")
}
