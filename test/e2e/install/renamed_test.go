package install_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers"
	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// The rules of admission hold for the operator's account under every name that an overlay gives it.
// Each is tried without the rules first: then only they can be what refuses it.
func TestAdmissionKnowsARenamedAccount(t *testing.T) {
	overlay := func(lines string) func(*testing.T) objects {
		return func(t *testing.T) objects { return rendered(t, kustomize+overlayOf(t, lines)) }
	}
	for name, test := range map[string]struct {
		objects   func(*testing.T) objects
		namespace string
		account   string
	}{
		"as it is shipped": {overlay(""), "netbaseline-system", "netbaseline-controller-manager"},
		"with a suffix":    {overlay("nameSuffix: -blue\n"), "netbaseline-system", "netbaseline-controller-manager-blue"},
		"with a prefix":    {overlay("namePrefix: acme-\n"), "netbaseline-system", "acme-netbaseline-controller-manager"},
		"elsewhere":        {overlay("namespace: elsewhere\n"), "elsewhere", "netbaseline-controller-manager"},
		"with all of it":   {overlay("namespace: elsewhere\nnamePrefix: acme-\nnameSuffix: -blue\n"), "elsewhere", "acme-netbaseline-controller-manager-blue"},
		"by Helm, as another release elsewhere": {func(t *testing.T) objects {
			return rendered(t, "helm template other charts/netbaseline --namespace elsewhere --set crds.keep=false")
		}, "elsewhere", "netbaseline-controller-manager"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			g.SetDefaultEventuallyTimeout(patience)
			all := test.objects(t)
			accounts := all.only("ServiceAccount")
			g.Expect(accounts).To(HaveLen(1))
			for _, account := range accounts {
				g.Expect([]string{account.GetNamespace(), account.GetName()}).To(Equal([]string{test.namespace, test.account}))
			}
			install(t, g, all.only("CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"))
			mustRun(t, "kubectl wait --for=condition=Established crd/"+harness.CRDName)
			a := newWriteAttempts(t, g, "system:serviceaccount:"+test.namespace+":"+test.account)
			for what, attempt := range a.forbidden {
				g.Eventually(attempt).Should(Succeed(), "without the rules: %s", what)
			}
			install(t, g, all.only("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"))
			for what, attempt := range a.forbidden {
				g.Eventually(attempt).Should(MatchError(ContainSubstring("netbaseline")), what)
				g.Expect(attempt()).To(MatchError(ContainSubstring("denied request")), what)
			}
			for what, attempt := range a.allowed {
				g.Expect(attempt()).To(Succeed(), what)
			}
		})
	}
}

// writeAttempts are dry runs of writes: what the rules have to refuse, and what they must not.
type writeAttempts struct{ forbidden, allowed map[string]func() error }

func newWriteAttempts(t *testing.T, g Gomega, user string) writeAttempts {
	t.Helper()
	as := func(user string) client.Client {
		connected, err := client.New(quiet(cluster.ConfigFor(user)), client.Options{Scheme: controllers.NewScheme()})
		g.Expect(err).NotTo(HaveOccurred())
		return client.NewDryRunClient(connected)
	}
	account, administrator := as(user), as("system:serviceaccount:gitops:deployer")
	bind(t, g, "system:serviceaccount:gitops:deployer", "cluster-admin", "")
	baseline := builder.Baseline("default").Obj()
	g.Eventually(func() error { return admin.Create(t.Context(), baseline) }).Should(Succeed())
	t.Cleanup(func() { g.Expect(admin.Delete(context.WithoutCancel(t.Context()), baseline)).To(Succeed()) })
	patch := func(by client.Client, merge string) func() error {
		return func() error {
			return by.Patch(t.Context(), builder.Baseline("default").Obj(), client.RawPatch(types.MergePatchType, []byte(merge)))
		}
	}
	create := func(by client.Client, name string) func() error {
		return func() error {
			return by.Create(t.Context(), &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceDefault, Name: name}})
		}
	}
	const audit = `{"spec":{"mode":"Audit"}}`
	return writeAttempts{
		forbidden: map[string]func() error{
			"switch a baseline off":       patch(account, audit),
			"create a policy of others'":  create(account, "theirs"),
			"take a baseline's label off": patch(account, `{"metadata":{"labels":{"team":"web"}}}`),
		},
		allowed: map[string]func() error{
			"its finalizer":                          patch(account, `{"metadata":{"finalizers":["`+v1alpha1.CleanupFinalizer+`"]}}`),
			"its own policy":                         create(account, v1alpha1.DefaultDenyName),
			"a service account that administers":     patch(administrator, audit),
			"a policy of a service account's own":    create(administrator, "theirs"),
			"a person who administers the baselines": patch(client.NewDryRunClient(admin), audit),
		},
	}
}

// overlayOf makes an overlay of config/default.
func overlayOf(t *testing.T, lines string) string {
	t.Helper()
	directory, err := os.MkdirTemp(workplace, "overlay-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) }) // goes with the workplace at the latest
	content := lines + "resources:\n- ../config/default\n"
	if err := os.WriteFile(filepath.Join(directory, "kustomization.yaml"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return directory
}
