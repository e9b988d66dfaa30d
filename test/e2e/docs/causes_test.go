package docs_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// causes bring about what a page quotes and no code of ours says alone, and return what was said.
// Each leaves behind what tidy takes away.
var causes = map[string]func(*testing.T, Gomega) string{
	"Waiting for the netbaseline operator": nobodyRuns,
	`<n> of <n namespaces> not protected; <namespace>: QuotaExceeded: create <policy>: exceeded quota: <quota>, <usage>`:                                              aQuotaRefuses,
	`<n> of <n namespaces> not protected; <namespace>: Invalid: create <policy>: <details> denied request: <words of the admission policy>`:                           anAdmissionPolicyRefuses,
	`The ClusterNetworkBaseline "<name>" is invalid: spec.namespaceSelector: Required value: write a label selector, or {} for every namespace that is not protected`: theSchemaRefuses,
}

var placeholder = regexp.MustCompile(`<[^<>]+>`)

func TestTheClusterSaysWhatThePagesQuote(t *testing.T) {
	for text, cause := range causes {
		t.Run(text, func(t *testing.T) {
			tidy(t)
			said := cause(t, newGomega(t))
			if !matches(text, said) {
				t.Errorf("the page quotes\n%s\nand the cluster says\n%s", text, said)
			}
		})
	}
}

func matches(text, said string) bool {
	var pattern strings.Builder
	last := 0
	for _, at := range placeholder.FindAllStringIndex(text, -1) {
		pattern.WriteString(regexp.QuoteMeta(text[last:at[0]]) + "(?s:.+)")
		last = at[1]
	}
	return regexp.MustCompile("^" + pattern.String() + regexp.QuoteMeta(text[last:]) + "$").MatchString(said)
}

const readyMessage = `kubectl get cnb default --output jsonpath='{.status.conditions[?(@.type=="Ready")].message}'`

func nobodyRuns(t *testing.T, _ Gomega) string {
	if err := manager.Stop(); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "kubectl apply --kustomize config/samples")
	said := mustRun(t, readyMessage)
	var err error
	if manager, err = environment.StartManager(); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "kubectl wait --for=condition=Ready cnb/default --timeout=60s")
	return said
}

// failing waits until the baseline fails, and returns what it says.
func failing(t *testing.T, g Gomega) string {
	mustRun(t, "kubectl apply --kustomize config/samples")
	g.Eventually(shell).WithArguments(t.Context(), `kubectl get cnb default --output jsonpath='{.status.conditions[?(@.type=="Stalled")].status}'`).Should(Equal("True"))
	return mustRun(t, readyMessage)
}

func aQuotaRefuses(t *testing.T, g Gomega) string {
	mustRun(t, "kubectl create namespace shop && kubectl create quota none --namespace shop --hard=count/networkpolicies.networking.k8s.io=0")
	// What the quota controller would write, which does not run here.
	mustRun(t, `kubectl patch quota none --namespace shop --subresource=status --type=merge --patch `+
		`'{"status":{"hard":{"count/networkpolicies.networking.k8s.io":"0"},"used":{"count/networkpolicies.networking.k8s.io":"0"}}}'`)
	return failing(t, g)
}

const noFridays = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: fridays}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [networking.k8s.io], apiVersions: [v1], resources: [networkpolicies], operations: [CREATE, UPDATE]}
  validations:
  - {expression: "false", message: no policies on Fridays}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: fridays}
spec:
  policyName: fridays
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}
`

func anAdmissionPolicyRefuses(t *testing.T, g Gomega) string {
	mustRun(t, "kubectl create namespace shop")
	if _, err := environment.KubectlWithInput(t.Context(), noFridays, "apply", "--filename=-"); err != nil {
		t.Fatal(err)
	}
	const probe = `{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"probe","namespace":"shop"},"spec":{"podSelector":{}}}`
	g.Eventually(func(ctx context.Context) error {
		_, err := environment.KubectlWithInput(ctx, probe, "create", "--dry-run=server", "--filename=-")
		return err
	}).WithContext(t.Context()).ShouldNot(Succeed(), "the guard must be in force")
	return failing(t, g)
}

func theSchemaRefuses(t *testing.T, _ Gomega) string {
	const manifest = `{"apiVersion":"policy.netbaseline.dev/v1alpha1","kind":"ClusterNetworkBaseline","metadata":{"name":"default"},"spec":{}}`
	_, err := environment.KubectlWithInput(t.Context(), manifest, "apply", "--filename=-")
	if err == nil {
		t.Fatal("it is accepted")
	}
	_, said, _ := strings.Cut(err.Error(), "exit status 1: ")
	return said
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]bool{"shop: Invalid: no (really)": true, "shop: Invalid:": false, "shop: Forbidden: no": false, "x shop: Invalid: no!": true} {
		if got := matches("<namespace>: Invalid: <message>", said); got != want {
			t.Errorf("%q: got %t, want %t", said, got, want)
		}
	}
}
