package plan_test

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/choices"
)

// From any state of a namespace to any other desired state, in every order that a plan allows and
// interrupted after any write: the plan leads to the desired state and then stops, no direction
// that is isolated before and afterwards opens in between, DNS is allowed whenever egress is
// isolated, foreign objects stay, and nothing that is being deleted counts as desired. The part of
// a plan that only closes opens nothing at all.
func FuzzPlan(f *testing.F) {
	for _, example := range choices.Examples(256) {
		f.Add(example)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		s := newScenario(choices.From(input))
		p := s.plan(s.start)

		shuffled := s
		shuffled.desired = slices.Clone(s.desired)
		slices.Reverse(shuffled.desired)
		if diff := cmp.Diff(p, shuffled.plan(s.start)); diff != "" {
			t.Errorf("the plan depends on the order of the policies it was given (-as rendered +reversed):\n%s", diff)
		}

		s.walk(t, p, s.target())
		s.walk(t, p.UpdatesOnly(), s.start.after(slices.Concat(p.UpdatesOnly()...)))
		s.checkClosing(t, p.Closing(nil))
		s.checkRemoval(t)
	})
}

// state holds the NetworkPolicies of a namespace as an API server has them, by name.
type state map[string]*networkingv1.NetworkPolicy

// scenario is a namespace, its desired policies, and the owners whose policies are to be removed
// from it.
type scenario struct {
	start    state
	desired  []policy.Desired
	parallel bool
	owners   []string
}

func newScenario(c *choices.Source) scenario {
	s := scenario{start: state{}, parallel: c.OneIn(3)}
	s.desired = policy.Render(drawBaseline(c, "default"), drawNamespace(c))
	before := [][]policy.Desired{
		s.desired,
		policy.Render(drawBaseline(c, "default"), drawNamespace(c)),
		policy.Render(drawBaseline(c, "other"), drawNamespace(c)),
	}
	for _, name := range append([]string{"tenant"}, policy.Names...) {
		if object := drawObject(c, name, choices.Pick(c, before...)); object != nil {
			s.start[name] = object
		}
	}
	s.owners = choices.Pick(c, []string{"default"}, []string{"other"}, []string{"default", "other"}, nil)
	return s
}

func drawBaseline(c *choices.Source, name string) *v1alpha1.ClusterNetworkBaseline {
	b := builder.Baseline(name)
	switch c.IntN(3) {
	case 1:
		b.Denying(v1alpha1.PolicyTypeIngress)
	case 2:
		b.Denying(v1alpha1.PolicyTypeEgress)
	}
	switch c.IntN(4) {
	case 2:
		b.DNSPeers(builder.DNSRange("10.0.0.10/32"))
	case 3:
		b.WithoutDNS()
	}
	if c.OneIn(3) {
		b.Scope(v1alpha1.IsolationScopeNone)
	}
	if c.OneIn(3) {
		b.Unlabeled(v1alpha1.UnlabeledDeny)
	}
	return b.Obj()
}

func drawNamespace(c *choices.Source) policy.Namespace {
	return policy.Namespace{Name: "shop", Labels: choices.Pick(c, builder.Labels("environment", "production"), nil, builder.Labels("environment", "test"))}
}

// drawObject returns an object under a name: none, a desired policy of one of the baselines, or
// what a client has made of it.
func drawObject(c *choices.Source, name string, rendered []policy.Desired) *networkingv1.NetworkPolicy {
	i := slices.IndexFunc(rendered, func(d policy.Desired) bool { return d.Policy.Name == name })
	var object *networkingv1.NetworkPolicy
	switch {
	case c.OneIn(4):
		return nil
	case i < 0 || c.OneIn(6):
		object = foreign(c, name)
	default:
		object = rendered[i].Policy.DeepCopy()
	}
	for c.OneIn(2) {
		damage(c, object)
	}
	object.UID, object.ResourceVersion = types.UID("uid of "+name), "version of "+name
	return object
}

// foreign is a policy of a tenant's, of any form, that never was ours.
func foreign(c *choices.Source, name string) *networkingv1.NetworkPolicy {
	object := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	object.Spec.PolicyTypes = drawDirections(c)
	return object
}

func drawDirections(c *choices.Source) []networkingv1.PolicyType {
	return choices.Pick(
		c,
		[]networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
		[]networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
		[]networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
	)
}

// damage makes one change that a client with access to an object could make.
func damage(c *choices.Source, object *networkingv1.NetworkPolicy) {
	switch c.IntN(10) {
	case 0:
		object.Spec.Ingress = append(object.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{})
	case 1:
		object.Spec.Egress = append(object.Spec.Egress, networkingv1.NetworkPolicyEgressRule{})
	case 2:
		object.Spec.Ingress, object.Spec.Egress = nil, nil
	case 3:
		object.Spec.PolicyTypes = drawDirections(c)
	case 4:
		object.Spec.PodSelector.MatchLabels = map[string]string{"app": "web"}
	case 5:
		object.Labels = nil
	case 6:
		object.Labels = policy.Labels(choices.Pick(c, "other", "default", ""))
	case 7:
		object.Annotations = nil
	case 8:
		object.Finalizers = []string{"example.com/keep"}
	case 9:
		object.Finalizers, object.DeletionTimestamp = []string{"example.com/keep"}, new(metav1.Unix(1, 0))
	}
}

func (s *scenario) plan(now state) plan.Plan {
	return plan.Converge("shop", s.desired, s.inventory(now), s.parallel)
}

func (s *scenario) inventory(now state) plan.Inventory {
	inventory := plan.Inventory{}
	for name, object := range now {
		if v1alpha1.IsPolicyName(name) {
			inventory[name] = plan.Observe(object)
		}
	}
	return inventory
}

// after returns the state after some writes. The API server deletes an object immediately only if
// it has no finalizer; one that is created again has none.
func (s state) after(steps []plan.Step) state {
	next := maps.Clone(s)
	for _, step := range steps {
		found := next[step.Name]
		switch {
		case step.Operation != plan.Delete:
			object := step.Desired.Policy.DeepCopy()
			object.UID = types.UID("uid of " + step.Name)
			if found != nil && step.Operation == plan.Update {
				object.Finalizers, object.DeletionTimestamp = found.Finalizers, found.DeletionTimestamp
			}
			next[step.Name] = object
		case found == nil:
		case len(found.Finalizers) == 0:
			delete(next, step.Name)
		default:
			next[step.Name] = found.DeepCopy()
			next[step.Name].DeletionTimestamp = new(metav1.Unix(1, 0))
		}
	}
	return next
}

// target is the state at the end, derived without a plan: the desired policies, and all others that
// are not deleted.
func (s *scenario) target() state {
	end := maps.Clone(s.start)
	for _, name := range policy.Names {
		if object := end[name]; object != nil && ours(object) {
			end = end.after([]plan.Step{{Operation: plan.Delete, Name: name}})
		}
	}
	for _, d := range s.desired {
		wanted := d.Policy.DeepCopy()
		if found := s.start[wanted.Name]; found != nil && found.DeletionTimestamp == nil {
			wanted.Finalizers = found.Finalizers
		}
		end[wanted.Name] = wanted
	}
	return end
}

// ours reports whether an object carries a mark that only netbaseline sets: one alone is enough,
// because the others may have been removed.
func ours(object *networkingv1.NetworkPolicy) bool {
	_, labelled := object.Labels[v1alpha1.BaselineLabel]
	_, described := object.Annotations[v1alpha1.DescriptionAnnotation]
	return labelled || described || object.Labels[v1alpha1.ManagedByLabel] == v1alpha1.ManagedByValue
}

// differences compares what matters of two states: identities and versions are the API server's.
func differences(want, got state) string {
	significant := func(s state) map[string]networkingv1.NetworkPolicy {
		all := map[string]networkingv1.NetworkPolicy{}
		for name, object := range s {
			plain := *object.DeepCopy()
			plain.UID, plain.ResourceVersion = "", ""
			all[name] = plain
		}
		return all
	}
	if reflect.DeepEqual(significant(want), significant(got)) {
		return ""
	}
	return cmp.Diff(significant(want), significant(got))
}

// walk carries out a plan in every order that it allows, and checks the state after each write and
// at the end.
func (s *scenario) walk(t *testing.T, p plan.Plan, end state) {
	t.Helper()
	for _, path := range paths(p) {
		now := s.start
		for i, step := range path {
			s.checkStep(t, step)
			now = now.after([]plan.Step{step})
			s.checkState(t, path[:i+1], now, end)
		}
		if diff := differences(end, now); diff != "" {
			t.Errorf("after %v (-want +got):\n%s", outline(plan.Plan{path}), diff)
		}
	}
}

// paths lists the orders in which the writes of a plan may happen.
func paths(p plan.Plan) [][]plan.Step {
	all := [][]plan.Step{nil}
	for _, stage := range p {
		var longer [][]plan.Step
		for _, path := range all {
			for _, order := range orders(stage) {
				longer = append(longer, slices.Concat(path, order))
			}
		}
		all = longer
	}
	return all
}

func orders(stage []plan.Step) [][]plan.Step {
	if len(stage) == 0 {
		return [][]plan.Step{nil}
	}
	var all [][]plan.Step
	for i := range stage {
		for _, rest := range orders(slices.Delete(slices.Clone(stage), i, i+1)) {
			all = append(all, append([]plan.Step{stage[i]}, rest...))
		}
	}
	return all
}

// checkStep checks that a write is about a name of ours, and a removal about exactly the object
// that was judged, which was ours.
func (s *scenario) checkStep(t *testing.T, step plan.Step) {
	t.Helper()
	if !v1alpha1.IsPolicyName(step.Name) || step.Namespace != "shop" {
		t.Errorf("%s %s/%s: not ours to write", step.Operation, step.Namespace, step.Name)
	}
	if step.Operation != plan.Delete {
		return
	}
	judged := s.start[step.Name]
	if judged == nil || !ours(judged) {
		t.Errorf("%s is deleted and was not ours: %v", step.Name, judged)
	} else if step.Found.UID != judged.UID || step.Found.ResourceVersion != judged.ResourceVersion {
		t.Errorf("%s: the deletion is of %s in version %s, not of what was judged", step.Name, step.Found.UID, step.Found.ResourceVersion)
	}
}

// checkState checks the state after some of the writes of a plan.
func (s *scenario) checkState(t *testing.T, done []plan.Step, now, end state) {
	t.Helper()
	for _, pod := range pods {
		for _, direction := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
			if s.start.isolates(pod, direction) && end.isolates(pod, direction) && !now.isolates(pod, direction) {
				t.Errorf("after %v %s of pods with %v is open in between", outline(plan.Plan{done}), direction, pod)
			}
		}
	}
	if !s.parallel {
		s.checkDNS(t, done, now, end)
	}
	if done[len(done)-1].Name == deny && !s.parallel && reflect.DeepEqual(s.target(), end) {
		s.checkComplete(t, now)
	}
	s.checkResumed(t, done, now)
}

// checkDNS checks that pods that have DNS before and afterwards have it in between.
func (s *scenario) checkDNS(t *testing.T, done []plan.Step, now, end state) {
	t.Helper()
	for _, pod := range pods {
		if s.start.resolves(pod) && end.resolves(pod) && !now.resolves(pod) {
			t.Errorf("after %v pods with %v are without DNS in between", outline(plan.Plan{done}), pod)
		}
	}
}

// checkComplete checks that once default-deny is written all other desired policies exist.
func (s *scenario) checkComplete(t *testing.T, now state) {
	t.Helper()
	for _, d := range s.desired {
		if found := now[d.Policy.Name]; found == nil || policy.HashSpec(&found.Spec) != d.Hash {
			t.Errorf("default-deny exists, and %s does not", d.Policy.Name)
		}
	}
}

// checkResumed checks that a new plan, after a crash, finishes what another one has begun, and that
// nothing is left to do then.
func (s *scenario) checkResumed(t *testing.T, done []plan.Step, now state) {
	t.Helper()
	finished := now.after(slices.Concat(s.plan(now)...))
	if diff := differences(s.target(), finished); diff != "" {
		t.Errorf("interrupted after %v and planned again (-want +got):\n%s", outline(plan.Plan{done}), diff)
	}
	if again := s.plan(finished); again.Len() != 0 {
		t.Errorf("what was reached after %v still has a plan: %v", outline(plan.Plan{done}), outline(again))
	}
}

// checkClosing checks that the part of a plan that only closes takes nothing away: every direction
// that is isolated stays so, and no policy goes. A policy that allows no more than desired is left,
// as the executor of a plan does.
func (s *scenario) checkClosing(t *testing.T, p plan.Plan) {
	t.Helper()
	if p.Loosens() {
		t.Errorf("%v is to close alone, and takes protection away", outline(p))
	}
	now := s.start
	for _, step := range slices.Concat(p...) {
		found := now[step.Name]
		if step.OnlyToClose && policy.OpensNothing(&found.Spec, &step.Desired.Policy.Spec) {
			continue
		}
		now = now.after([]plan.Step{step})
		for _, pod := range pods {
			for _, direction := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
				if s.start.isolates(pod, direction) && !now.isolates(pod, direction) {
					t.Errorf("%s %s, which is to close alone, opens %s of pods with %v", step.Operation, step.Name, direction, pod)
				}
			}
		}
	}
	for name := range s.start {
		if now[name] == nil {
			t.Errorf("%v is to close alone, and %s is gone", outline(p), name)
		}
	}
}

// checkRemoval checks that a release takes away all that was made for the given baselines and
// nothing else.
func (s *scenario) checkRemoval(t *testing.T) {
	t.Helper()
	want := maps.Clone(s.start)
	for _, name := range policy.Names {
		object := want[name]
		if object == nil {
			continue
		}
		owner := object.Labels[v1alpha1.BaselineLabel]
		if slices.Contains(s.owners, owner) || owner == "" && ours(object) {
			want = want.after([]plan.Step{{Operation: plan.Delete, Name: name}})
		}
	}
	for _, path := range paths(plan.Remove("shop", s.owners, s.inventory(s.start))) {
		got := s.start
		for i, step := range path {
			s.checkStep(t, step)
			got = got.after([]plan.Step{step})
			s.checkDNS(t, path[:i+1], got, want)
		}
		if diff := differences(want, got); diff != "" {
			t.Errorf("after the release of %v by %v (-want +got):\n%s", s.owners, outline(plan.Plan{path}), diff)
		}
		if again := plan.Remove("shop", s.owners, s.inventory(got)); again.Len() != 0 {
			t.Errorf("what was released still has a plan: %v", outline(again))
		}
	}
}

// pods are labels of pods: a policy that a client has narrowed selects some of them.
var pods = []labels.Set{nil, {"app": "web"}}

// isolates reports whether our policies isolate a pod in a direction, by their specs. The DNS
// policy is about egress: if another client makes it isolate ingress, then that is not our
// protection, and goes with the repair.
func (s state) isolates(pod labels.Set, direction networkingv1.PolicyType) bool {
	for name, object := range s {
		ours := v1alpha1.IsPolicyName(name) && (name != dns || direction == networkingv1.PolicyTypeEgress)
		if ours && slices.Contains(object.Spec.PolicyTypes, direction) && selects(object, pod) {
			return true
		}
	}
	return false
}

// resolves reports whether a pod has DNS: its egress is not isolated, or the DNS policy opens it.
// If DNS is possible only because another client opened another policy of ours, then the repair may
// take that back.
func (s state) resolves(pod labels.Set) bool {
	if !s.isolates(pod, networkingv1.PolicyTypeEgress) {
		return true
	}
	object := s[dns]
	return object != nil && slices.Contains(object.Spec.PolicyTypes, networkingv1.PolicyTypeEgress) && len(object.Spec.Egress) > 0 && selects(object, pod)
}

func selects(object *networkingv1.NetworkPolicy, pod labels.Set) bool {
	selector, err := metav1.LabelSelectorAsSelector(&object.Spec.PodSelector)
	return err == nil && selector.Matches(pod)
}
