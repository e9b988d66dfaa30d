// Package tenant_test has a tenant, with only the role `edit` in their namespaces, do everything
// that they can to the policies of netbaseline, and checks the outcome against docs/security.md.
package tenant_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers"
	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

const (
	// patience is for a busy machine.
	patience = 60 * time.Second
	interval = 10 * time.Millisecond
	// Waiting for a resync, or for a minute to pass, takes longer than promptly and soon; a busy
	// machine does not.
	promptly, soon = 30 * time.Second, 30 * time.Second

	// Namespaces carry the name of their baseline in this label; those that no baseline governs do
	// not.
	suiteLabel    = "suite"
	sweepBaseline = "sweep"
	loopBaseline  = "loop"
	// Name prefixes of namespaces that a baseline governs, and that none does.
	governedPrefix, ungovernedPrefix = "governed-", "ungoverned-"

	dnsRange, dnsAddress = "10.96.0.0/24", "10.96.0.10"

	tenantUser      = "dana"
	tenantFinalizer = "example.com/mine"
)

var (
	environment *harness.Environment
	// dana is the tenant, and erin a user who is bound to the roles edit and admin in the whole
	// cluster.
	dana, erin client.WithWatch
	// admin follows what happens.
	admin client.WithWatch

	policyNames = []string{v1alpha1.DefaultDenyName, v1alpha1.AllowDNSName, v1alpha1.EnvironmentIsolationName}
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	harness.Main(func() (int, error) {
		return harness.WithManager(func(e *harness.Environment, _ *harness.Manager) int {
			environment = e
			if err := prepare(context.Background()); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			code := m.Run()
			for _, complaint := range afterwards() {
				fmt.Fprintln(os.Stderr, complaint)
				code = 1
			}
			return code
		})
	})
}

func prepare(ctx context.Context) (err error) {
	if admin, err = as(""); err != nil {
		return err
	}
	if dana, err = as(tenantUser); err != nil {
		return err
	}
	if erin, err = as("erin"); err != nil {
		return err
	}
	objects := []client.Object{baseline(sweepBaseline), baseline(loopBaseline)}
	for _, role := range []string{"edit", "admin"} {
		objects = append(objects, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "erin-" + role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "erin"}},
		})
	}
	for _, object := range objects {
		if err := environment.Admin.Create(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// as returns a client that acts as a user, and as an administrator without one.
func as(user string) (client.WithWatch, error) {
	config := rest.CopyConfig(environment.Cluster.Config())
	if user != "" {
		config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	}
	return client.NewWithWatch(config, client.Options{Scheme: controllers.NewScheme()})
}

// baseline returns one whose policies have as many fields as a baseline can give them.
func baseline(name string) *v1alpha1.ClusterNetworkBaseline {
	servers := builder.DNSPods("kube-system", "k8s-app", "kube-dns")
	servers.PodSelector.MatchExpressions = []v1alpha1.PodSelectorRequirement{{Key: "k8s-app", Operator: "In", Values: []v1alpha1.LabelValue{"kube-dns", "coredns"}}}
	return builder.Baseline(name).Selecting(suiteLabel, name).DNSPeers(servers, builder.DNSRange(dnsRange)).Obj()
}

func newGomega(t *testing.T) Gomega {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(patience)
	g.SetDefaultEventuallyPollingInterval(interval)
	return g
}

// afterwards checks the audit log of the whole run: the operator wrote only its three policies in
// the namespaces that it governs, and the finalizer and status of baselines; and only the tenant
// gave it reason to.
func afterwards() (complaints []string) {
	writes, err := environment.Writes()
	if err != nil {
		return []string{err.Error()}
	}
	for i := range writes {
		write := &writes[i]
		own := write.Resource == "events" || write.Resource == "leases"
		switch write.Resource {
		case "networkpolicies":
			named := slices.Contains(policyNames, write.Name) || write.Name == "" && write.Code >= 300 // a refused create has no name in the log
			own = named && strings.HasPrefix(write.Namespace, governedPrefix)
		case "clusternetworkbaselines":
			own = write.Verb == "patch" && write.Subresource == "" || write.Verb == "update" && write.Subresource == "status"
		}
		writer := write.User == harness.OperatorUser || write.User == tenantUser || strings.HasPrefix(write.User, "system:serviceaccount:kube-system:")
		switch {
		case write.User == harness.OperatorUser && !own:
			complaints = append(complaints, fmt.Sprintf("the operator wrote something foreign: %+v", *write))
		case write.Resource == "networkpolicies" && !writer && write.Code < 300:
			complaints = append(complaints, fmt.Sprintf("not the tenant, but another client changed a policy: %+v", *write))
		}
	}
	return complaints
}
