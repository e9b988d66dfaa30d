package docs_test

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// trial is something that a guard of docs/security.md refuses, or lets pass. Without the guard it
// succeeds in either case.
type trial struct {
	script  string
	refused bool
}

const (
	environmentRefused = "only the platform team sets the label environment of a namespace"
	policiesRefused    = "this policy belongs to netbaseline"
)

// label changes the labels of a namespace through a subresource; "" is the namespace itself.
func label(subresource, labels string) string {
	path := "/api/v1/namespaces/guarded" + subresource
	return `kubectl get --raw ` + namespacePath + ` | sed 's/"labels":{/"labels":{` + labels + `,/' | kubectl replace --as=dana --raw '` + path + `?dryRun=All' --filename -`
}

const namespacePath = "/api/v1/namespaces/guarded"

func patchPolicy(merge string) string {
	return "kubectl patch networkpolicy netbaseline-default-deny --namespace guarded --as=dana --dry-run=server --type=merge --patch='" + merge + "'"
}

var guards = map[string]struct {
	heading, says string
	trials        map[string]trial
}{
	"guard-environment": {"Guard the label", environmentRefused, map[string]trial{
		"the namespace":                  {label("", `"environment":"production"`), true},
		"its status":                     {label("/status", `"environment":"production"`), true},
		"its finalize":                   {label("/finalize", `"environment":"production"`), true},
		"a new namespace":                {`echo '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"fresh","labels":{"environment":"production"}}}' | kubectl create --as=dana --dry-run=server --filename -`, true},
		"another label":                  {label("", `"team":"web"`), false},
		"another label, by its status":   {label("/status", `"team":"web"`), false},
		"another label, by its finalize": {label("/finalize", `"team":"web"`), false},
	}},
	"guard-netbaseline": {"Guard the policies", policiesRefused, map[string]trial{
		"open it":                              {patchPolicy(`{"spec":{"ingress":[{}]}}`), true},
		"take our label":                       {patchPolicy(`{"metadata":{"labels":{"policy.netbaseline.dev/baseline":null}}}`), true},
		"take the label of its manager":        {patchPolicy(`{"metadata":{"labels":{"app.kubernetes.io/managed-by":"helm"}}}`), true},
		"take all labels":                      {patchPolicy(`{"metadata":{"labels":null}}`), true},
		"change our annotation":                {patchPolicy(`{"metadata":{"annotations":{"policy.netbaseline.dev/description":"mine"}}}`), true},
		"add an annotation of ours":            {patchPolicy(`{"metadata":{"annotations":{"policy.netbaseline.dev/replaced-spec":"{}"}}}`), true},
		"have Argo CD compare it":              {patchPolicy(`{"metadata":{"annotations":{"argocd.argoproj.io/compare-options":null}}}`), true},
		"have Argo CD prune it":                {patchPolicy(`{"metadata":{"annotations":{"argocd.argoproj.io/sync-options":"Prune=true"}}}`), true},
		"give it an owner":                     {patchPolicy(`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"bait","uid":"1"}]}}`), true},
		"a finalizer of a tenant":              {patchPolicy(`{"metadata":{"finalizers":["example.com/mine"]}}`), true},
		"a tenant's beside a plugin's":         {patchPolicy(`{"metadata":{"finalizers":["networking.k8s.aws/resources","example.com/mine"]}}`), true},
		"a plugin's, and open it":              {patchPolicy(`{"metadata":{"finalizers":["networking.k8s.aws/resources"]},"spec":{"egress":[{}]}}`), true},
		"delete it":                            {"kubectl delete networkpolicy netbaseline-default-deny --namespace guarded --as=dana --dry-run=server", true},
		"delete all":                           {"kubectl delete --raw '/apis/networking.k8s.io/v1/namespaces/guarded/networkpolicies?dryRun=All' --as=dana", true},
		"create one":                           {`echo '{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"netbaseline-allow-dns"},"spec":{"podSelector":{}}}' | kubectl create --namespace free --as=dana --dry-run=server --filename -`, true},
		"a plugin's finalizer":                 {patchPolicy(`{"metadata":{"finalizers":["networking.k8s.aws/resources"]}}`), false},
		"a label of another's":                 {patchPolicy(`{"metadata":{"labels":{"team":"web"}}}`), false},
		"an annotation of a plugin's":          {patchPolicy(`{"metadata":{"annotations":{"projectcalico.org/metadata":"{}"}}}`), false},
		"a policy of the tenant's own, opened": {`echo '{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"mine"},"spec":{"podSelector":{},"ingress":[{}]}}' | kubectl create --namespace guarded --as=dana --dry-run=server --filename -`, false},
	}},
}

// The guards that docs/security.md recommends refuse what they are there for, each way around them
// included, and nothing else. Every trial is made without the guard first: what refuses it
// afterwards can only be the guard.
func TestTheGuardsOfThePageHold(t *testing.T) {
	page := allPages(t)["docs/security.md"]
	for name, guard := range guards {
		t.Run(name, func(t *testing.T) {
			tidy(t)
			mustRun(t, `kubectl create namespace guarded
kubectl label namespace guarded stage=test
kubectl create namespace free
kubectl apply -f - <<'END'
{apiVersion: policy.netbaseline.dev/v1alpha1, kind: ClusterNetworkBaseline, metadata: {name: guarded}, spec: {namespaceSelector: {matchLabels: {stage: test}}}}
END
kubectl wait --for=condition=Ready cnb/guarded --timeout=60s
kubectl create clusterrole guarded-tenant --verb='*' --resource=networkpolicies,namespaces,namespaces/status,namespaces/finalize
kubectl create clusterrolebinding guarded-tenant --clusterrole=guarded-tenant --user=dana`)
			g := newGomega(t)
			attempt := func(script string) error { _, err := shell(t.Context(), script); return err }
			for what, trial := range guard.trials {
				g.Eventually(attempt).WithArguments(trial.script).Should(Succeed(), "without the guard: %s", what)
			}
			for i := range page.Blocks {
				if block := &page.Blocks[i]; block.Heading == guard.heading && block.Language == "yaml" && strings.Contains(block.Text, name) {
					apply(t, "docs/security.md", block.Text)
				}
			}
			for what, trial := range guard.trials {
				if trial.refused {
					g.Eventually(attempt).WithArguments(trial.script).Should(MatchError(ContainSubstring(guard.says)), what)
				}
			}
			for what, trial := range guard.trials {
				if !trial.refused {
					g.Expect(attempt(trial.script)).To(Succeed(), what)
				}
			}
		})
	}
}
