package privilege_test

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/test/integration/privilege"
	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

func TestEveryCheckIsNeeded(t *testing.T) {
	t.Parallel()
	for permission, what := range needs {
		if _, ok := checks[what]; !ok {
			t.Errorf("%s: there is no check called %q", permission, what)
		}
	}
	for what := range checks {
		if !slices.Contains(slices.Collect(maps.Values(needs)), what) {
			t.Errorf("no permission is needed for the check %q", what)
		}
	}
}

// Every permission is taken from the roles, alone: then the operator requests it, is denied, and
// cannot do what the permission is for. With the permission back, it can.
func TestNothingIsGrantedInVain(t *testing.T) {
	granted := map[privilege.Permission][]privilege.Grant{}
	for _, grant := range shipped(t) {
		granted[grant.Permission] = append(granted[grant.Permission], grant)
	}
	delete(granted, privilege.Mark) // what it is for: TestWhatAdmissionRefusesTheAccount
	for permission := range needs {
		if granted[permission] == nil {
			t.Errorf("%s is needed and not granted", permission)
		}
	}
	permissions := slices.SortedFunc(maps.Keys(granted), func(a, b privilege.Permission) int { return cmp.Compare(a.String(), b.String()) })
	scenes := set(t, len(permissions))
	for i, permission := range permissions {
		t.Run(permission.String(), func(t *testing.T) {
			what, known := needs[permission]
			if !known {
				t.Fatal("it is granted, and nothing here needs it: name in `needs` what the operator cannot do without it")
			}
			s := scenes[i]
			s.ctx, s.g = t.Context(), patient(t)
			check := checks[what]
			restore := take(t, s.g, granted[permission])
			s.fails(t, &check, permission, what)
			restore()
			s.succeeds(t, &check, what)
		})
	}
}

// set makes scenes, each with its policies and its status in place.
func set(t *testing.T, count int) (scenes []*scene) {
	t.Helper()
	g := patient(t)
	token := scraper(t, g)
	for i := range count {
		s := &scene{ctx: t.Context(), g: g, id: name("scene", i), token: token}
		g.Expect(env.Admin.Create(s.ctx, s.namespace(s.id))).To(Succeed())
		g.Expect(env.Admin.Create(s.ctx, builder.Baseline(s.id).Selecting("scene", s.id).Obj())).To(Succeed())
		scenes = append(scenes, s)
	}
	running := startManager(t, g)
	_, err := env.Kubectl(t.Context(), "wait", "--for=condition=Ready", "--timeout=60s", "cnb", "--all")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(running.Stop()).To(Succeed())
	return scenes
}

// scraper makes an account that may read metrics, and returns its token.
func scraper(t *testing.T, g Gomega) string {
	token, err := env.Token(t.Context(), "scraper")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(env.LetReadMetrics(t.Context(), "scraper")).To(Succeed())
	return token
}

// fails has the operator try without the permission.
func (s *scene) fails(t *testing.T, check *check, permission privilege.Permission, what string) {
	t.Helper()
	s.start(t, check)
	if permission.Verb == "watch" {
		s.failsToWatch(t, check, permission, what)
	} else {
		s.provoke(check)
		s.g.Eventually(func() ([]time.Time, error) {
			s.g.Expect(check.done(s)).To(BeFalse(), "without the permission, netbaseline still %s", what)
			return s.manager.refusals(permission)
		}).ShouldNot(BeEmpty(), "the operator must ask for it: %s", permission)
		s.g.Consistently(func() bool { return check.done(s) }, "300ms").Should(BeFalse(), "without the permission, netbaseline still %s", what)
	}
	s.g.Expect(s.manager.Stop()).To(Succeed())
}

// failsToWatch has it try without the right to watch. Then it asks for that again and again, less
// and less often, and lists each time: so it does what it has to do, but not before it has asked
// once more. It must have been still for long enough, for that to tell anything.
func (s *scene) failsToWatch(t *testing.T, check *check, permission privilege.Permission, what string) {
	t.Helper()
	const still = 500 * time.Millisecond
	s.manager.leads(t, s.g)
	for waited := time.Duration(0); waited < still; {
		provoked := time.Now()
		s.provoke(check)
		s.g.Eventually(func() (time.Duration, error) {
			done := check.done(s)
			refusals, err := s.manager.refusals(permission)
			at := slices.IndexFunc(refusals, provoked.Before)
			if at < 0 {
				s.g.Expect(done).To(BeFalse(), "without the permission, netbaseline still %s", what)
				return 0, err
			}
			waited = refusals[at].Sub(provoked)
			return waited, err
		}).Should(BeNumerically(">", 0), "the operator must ask for it: %s", permission)
	}
}

// succeeds has it try once more.
func (s *scene) succeeds(t *testing.T, check *check, what string) {
	t.Helper()
	s.start(t, check)
	s.manager.leads(t, s.g)
	s.provoke(check)
	s.g.Eventually(func() bool { return check.done(s) }).Should(BeTrue(), "with the permission, netbaseline %s", what)
	s.g.Expect(s.manager.Stop()).To(Succeed())
}

func (s *scene) start(t *testing.T, check *check) {
	t.Helper()
	if check.before != nil {
		check.before(s)
	}
	s.manager = startManager(t, s.g)
}

func (s *scene) provoke(check *check) {
	if check.provoke != nil {
		check.provoke(s)
	}
}

// take takes a permission from the roles that grant it, and returns how to give it back. It waits
// until the API server knows.
func take(t *testing.T, g Gomega, grants []privilege.Grant) (restore func()) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	original := map[string][]rbacv1.PolicyRule{}
	for _, grant := range grants {
		if original[grant.Role] == nil {
			original[grant.Role] = setRules(ctx, g, grant.Role, func(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
				return privilege.Without(rules, grant.Permission)
			})
		}
	}
	restored := false
	restore = func() {
		if restored {
			return
		}
		restored = true
		for role, rules := range original {
			setRules(ctx, g, role, func([]rbacv1.PolicyRule) []rbacv1.PolicyRule { return rules })
		}
		g.Eventually(allowed).WithArguments(ctx, grants[0]).Should(BeTrue())
	}
	t.Cleanup(restore)
	g.Eventually(allowed).WithArguments(ctx, grants[0]).Should(BeFalse())
	return restore
}

// setRules changes the rules of a role and returns what they were.
func setRules(ctx context.Context, g Gomega, role string, change func([]rbacv1.PolicyRule) []rbacv1.PolicyRule) (before []rbacv1.PolicyRule) {
	kind, name, _ := strings.Cut(role, " ")
	if kind == "Role" {
		object := &rbacv1.Role{}
		g.Expect(env.Admin.Get(ctx, client.ObjectKey{Namespace: harness.OperatorNamespace, Name: name}, object)).To(Succeed())
		before, object.Rules = object.Rules, change(object.Rules)
		g.Expect(env.Admin.Update(ctx, object)).To(Succeed())
		return before
	}
	object := &rbacv1.ClusterRole{}
	g.Expect(env.Admin.Get(ctx, client.ObjectKey{Name: name}, object)).To(Succeed())
	before, object.Rules = object.Rules, change(object.Rules)
	g.Expect(env.Admin.Update(ctx, object)).To(Succeed())
	return before
}

// allowed asks the API server whether the operator may do something in its namespace.
func allowed(ctx context.Context, grant privilege.Grant) (bool, error) {
	resource, subresource, _ := strings.Cut(grant.Resource, "/")
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: harness.OperatorUser,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: grant.Group, Resource: resource, Subresource: subresource, Verb: grant.Verb, Name: grant.Name, Namespace: harness.OperatorNamespace,
		},
	}}
	err := env.Admin.Create(ctx, review)
	return review.Status.Allowed, err
}
