package gitops_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/gomega"
	lua "github.com/yuin/gopher-lua"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// healthDirectory is laid out as Argo CD's own resource_customizations are.
const healthDirectory = "config/argocd/policy.netbaseline.dev/ClusterNetworkBaseline"

// health is what Argo CD expects of a check.
type health struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// healthTests is health_test.yaml, in the form that Argo CD's own tests read.
type healthTests struct {
	Tests []struct {
		HealthStatus health `json:"healthStatus"`
		InputPath    string `json:"inputPath"`
	} `json:"tests"`
}

// asHealth translates what kstatus says. Argo CD has no word for an object that is being deleted:
// it is on its way.
var asHealth = map[kstatus.Status]string{
	kstatus.CurrentStatus:     "Healthy",
	kstatus.InProgressStatus:  "Progressing",
	kstatus.TerminatingStatus: "Progressing",
	kstatus.FailedStatus:      "Degraded",
}

// withoutStatus is no state of a stored baseline, because the schema has a default for the status.
// The check answers anyway.
const withoutStatus = "testdata/progressing_withoutStatus.yaml"

func TestArgoCDAndKstatusSayTheSameAboutEveryFixture(t *testing.T) {
	t.Parallel()
	tested := map[string]bool{}
	for _, test := range readHealthTests(t).Tests {
		tested[test.InputPath] = true
		t.Run(filepath.Base(test.InputPath), func(t *testing.T) {
			t.Parallel()
			fixture := readFixture(t, test.InputPath)
			if diff := cmp.Diff(test.HealthStatus, checkHealth(t, fixture)); diff != "" {
				t.Errorf("the check differs from health_test.yaml (-want +got):\n%s", diff)
			}
			if test.InputPath == withoutStatus {
				return
			}
			if got := computeStatus(t, fixture); asHealth[got.Status] != test.HealthStatus.Status {
				t.Errorf("kstatus says %s (%s), health_test.yaml %s", got.Status, got.Message, test.HealthStatus.Status)
			}
		})
	}
	files, err := filepath.Glob(filepath.Join(harness.RepositoryPath(healthDirectory), "testdata", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 || len(files) != len(tested) {
		t.Errorf("there are %d fixtures, and health_test.yaml names %d", len(files), len(tested))
	}
}

func TestAFixtureIsABaseline(t *testing.T) {
	t.Parallel()
	for _, test := range readHealthTests(t).Tests {
		fixture := readFixture(t, test.InputPath)
		baseline := &v1alpha1.ClusterNetworkBaseline{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(fixture.Object, baseline, true); err != nil {
			t.Errorf("%s: %v", test.InputPath, err)
		}
	}
}

// The states that a running operator gives a baseline, one after the other: each is judged alike by
// both, and has a fixture that looks like it.
func TestArgoCDAndKstatusSayTheSameAboutALiveBaseline(t *testing.T) {
	g := newGomega(t)
	const name = "health"
	newNamespace(t, "health-a", map[string]string{"suite": "health"})
	manifest := func(mode string) string {
		return "apiVersion: policy.netbaseline.dev/v1alpha1\nkind: ClusterNetworkBaseline\nmetadata: {name: " + name + "}\n" +
			"spec: {mode: " + mode + ", namespaceSelector: {matchLabels: {suite: health}}}\n"
	}
	apply := func(mode string) {
		t.Helper()
		if _, err := environment.KubectlWithInput(t.Context(), manifest(mode), "apply", "-f", "-"); err != nil {
			t.Fatal(err)
		}
	}
	kubectl := func(arguments ...string) {
		t.Helper()
		if _, err := environment.Kubectl(t.Context(), arguments...); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(fixture, want string) {
		t.Helper()
		g.Eventually(reason).WithArguments(t.Context(), name).Should(Equal(want))
		object, err := live(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		alike(t, object, readFixture(t, "testdata/"+fixture+".yaml"))
	}

	if err := manager.Stop(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, name) })
	apply("Audit")
	object, err := live(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	alike(t, object, readFixture(t, "testdata/progressing_fresh.yaml"))
	if manager, err = environment.StartManager(); err != nil {
		t.Fatal(err)
	}

	expect("healthy_audit", v1alpha1.ReasonAudit)
	apply("Enforce")
	expect("healthy_protected", v1alpha1.ReasonSynced)
	apply("Audit")
	expect("healthy_held", v1alpha1.ReasonAudit)
	apply("Enforce")
	expect("healthy_protected", v1alpha1.ReasonSynced)

	refusePolicies(t, "health-b", map[string]string{"suite": "health"})
	expect("degraded_namespaceFailed", v1alpha1.ReasonNamespacesFailed)
	kubectl("delete", "namespace", "health-b")
	expect("healthy_protected", v1alpha1.ReasonSynced)

	kubectl("patch", "networkpolicy", v1alpha1.AllowDNSName, "--namespace", "health-a", "--type=merge", "--patch", `{"metadata":{"finalizers":["example.com/mine"]}}`)
	kubectl("delete", "cnb", name, "--wait=false")
	expect("progressing_deleting", v1alpha1.ReasonDeleting)
	kubectl("patch", "networkpolicy", v1alpha1.AllowDNSName, "--namespace", "health-a", "--type=merge", "--patch", `{"metadata":{"finalizers":null}}`)
	g.Eventually(gone).WithArguments(t.Context(), name).Should(BeTrue())
}

// alike asks both about a live object and its fixture: all four answers agree, and so do the
// conditions, apart from their words and times.
func alike(t *testing.T, object, fixture *unstructured.Unstructured) {
	t.Helper()
	want := checkHealth(t, fixture).Status
	if got := checkHealth(t, object); got.Status != want {
		t.Errorf("of the live object, the check says %s (%s), of the fixture %s", got.Status, got.Message, want)
	}
	if got := computeStatus(t, object); asHealth[got.Status] != want {
		t.Errorf("of the live object, kstatus says %s (%s), of the fixture the check %s", got.Status, got.Message, want)
	}
	if diff := cmp.Diff(shape(t, fixture), shape(t, object)); diff != "" {
		t.Errorf("the fixture's conditions are not those of a live object (-fixture +live):\n%s", diff)
	}
}

// shape is what is always the same in the conditions of a state.
func shape(t *testing.T, object *unstructured.Unstructured) map[string]string {
	t.Helper()
	baseline := &v1alpha1.ClusterNetworkBaseline{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, baseline); err != nil {
		t.Fatal(err)
	}
	conditions := map[string]string{}
	for _, c := range baseline.Status.Conditions {
		current := c.ObservedGeneration == baseline.Generation
		conditions[c.Type] = fmt.Sprintf("%s, %s, of the current generation: %t", c.Status, c.Reason, current)
	}
	return conditions
}

func readHealthTests(t *testing.T) *healthTests {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(harness.RepositoryPath(healthDirectory), "health_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	tests := &healthTests{}
	if err := yaml.UnmarshalStrict(text, tests); err != nil {
		t.Fatal(err)
	}
	return tests
}

func readFixture(t *testing.T, path string) *unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(harness.RepositoryPath(healthDirectory), path))
	if err != nil {
		t.Fatal(err)
	}
	content, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		t.Fatal(err)
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(content); err != nil {
		t.Fatal(err)
	}
	return object
}

func computeStatus(t *testing.T, object *unstructured.Unstructured) *kstatus.Result {
	t.Helper()
	result, err := kstatus.Compute(object)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// checkHealth runs the check as Argo CD does: with nothing but the base and table libraries, the
// object in the global variable obj, and a second to answer in.
func checkHealth(t *testing.T, object *unstructured.Unstructured) health {
	t.Helper()
	script, err := os.ReadFile(filepath.Join(harness.RepositoryPath(healthDirectory), "health.lua"))
	if err != nil {
		t.Fatal(err)
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	state.SetContext(ctx)
	lua.OpenBase(state)
	lua.OpenTable(state)
	state.SetGlobal("obj", luaValue(state, object.Object))
	if err := state.DoString(string(script)); err != nil {
		t.Fatal(err)
	}
	answer, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("the check returns a %s, want a table", state.Get(-1).Type())
	}
	var keys []string
	answer.ForEach(func(key, _ lua.LValue) { keys = append(keys, key.String()) })
	slices.Sort(keys)
	if diff := cmp.Diff([]string{"message", "status"}, keys); diff != "" {
		t.Fatalf("what the check returns (-want +got):\n%s", diff)
	}
	return health{Status: answer.RawGetString("status").String(), Message: answer.RawGetString("message").String()}
}

// luaValue makes a value of an unstructured object one of Lua's.
func luaValue(state *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, item := range v {
			table.RawSetString(key, luaValue(state, item))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, item := range v {
			table.Append(luaValue(state, item))
		}
		return table
	case string:
		return lua.LString(v)
	case bool:
		return lua.LBool(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	}
	return lua.LNil
}

// An unforeseen status must not look healthy.
func TestTheCheckIsHealthyOnlyIfReadyIsTrueAndCurrent(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*v1alpha1.ClusterNetworkBaseline){
		"without conditions": func(b *v1alpha1.ClusterNetworkBaseline) { b.Status.Conditions = nil },
		"without Ready": func(b *v1alpha1.ClusterNetworkBaseline) {
			b.Status.Conditions = slices.DeleteFunc(b.Status.Conditions, func(c metav1.Condition) bool { return c.Type == v1alpha1.ConditionReady })
		},
		"of an older generation": func(b *v1alpha1.ClusterNetworkBaseline) { b.Generation++ },
		"being deleted":          func(b *v1alpha1.ClusterNetworkBaseline) { b.DeletionTimestamp = &metav1.Time{Time: time.Unix(0, 0)} },
		"with Ready False":       func(b *v1alpha1.ClusterNetworkBaseline) { setStatus(b, v1alpha1.ConditionReady, metav1.ConditionFalse) },
		"with Ready Unknown": func(b *v1alpha1.ClusterNetworkBaseline) {
			setStatus(b, v1alpha1.ConditionReady, metav1.ConditionUnknown)
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			baseline := &v1alpha1.ClusterNetworkBaseline{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(readFixture(t, "testdata/healthy_protected.yaml").Object, baseline); err != nil {
				t.Fatal(err)
			}
			change(baseline)
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(baseline)
			if err != nil {
				t.Fatal(err)
			}
			if got := checkHealth(t, &unstructured.Unstructured{Object: content}); got.Status != "Progressing" {
				t.Errorf("the check says %s: %s", got.Status, got.Message)
			}
		})
	}
}

func setStatus(baseline *v1alpha1.ClusterNetworkBaseline, kind string, status metav1.ConditionStatus) {
	for i := range baseline.Status.Conditions {
		if baseline.Status.Conditions[i].Type == kind {
			baseline.Status.Conditions[i].Status = status
		}
	}
}

func TestThePatchForArgoCDHoldsTheCheck(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile(filepath.Join(harness.RepositoryPath(healthDirectory), "health.lua"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(harness.RepositoryPath("config/argocd/argocd-cm.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	patch := &corev1.ConfigMap{}
	if err := yaml.UnmarshalStrict(text, patch); err != nil {
		t.Fatal(err)
	}
	// Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/health/
	want := map[string]string{"resource.customizations.health." + v1alpha1.GroupVersion.Group + "_ClusterNetworkBaseline": string(script)}
	if diff := cmp.Diff(want, patch.Data); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
