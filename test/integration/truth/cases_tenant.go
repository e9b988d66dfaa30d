package truth

import (
	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

var tenantCases = []Case{
	{
		Name:       "with scope None only DNS is open until a tenant allows more",
		Baseline:   builder.Baseline("default").Scope(v1alpha1.IsolationScopeNone).Obj(),
		Namespaces: map[string]map[string]string{"shop": environment("production"), "bank": environment("production")},
		Expectations: expect(
			closed(pod("shop"), pod("shop")), closed(pod("shop"), pod("bank")), shut(pod("shop"), elsewhere), dnsWorks(pod("shop")),
		),
	},
	{
		Name:     "with scope None the policies of the tenants decide on top, and the rest stays closed",
		Baseline: builder.Baseline("default").Scope(v1alpha1.IsolationScopeNone).Obj(),
		Namespaces: map[string]map[string]string{
			"shop":    builder.Labels("environment", "production", "purpose", "application"),
			"storage": builder.Labels("environment", "production", "purpose", "storage"),
			"reports": builder.Labels("environment", "production", "purpose", "reporting"),
			"office":  builder.Labels("environment", "production", "purpose", "application"),
		},
		TenantPolicies: tenantPolicies(
			backendFromFrontend, frontendToBackend, databaseFromBackend,
			backendToDatabaseIn("shop"), backendToDatabaseIn("reports"),
		),
		Expectations: expect(
			allowed(pod("shop", "app", "frontend"), pod("shop", "app", "backend")),
			refused(pod("shop", "app", "frontend"), pod("shop", "app", "backend")).on(8081, tcp),
			refused(pod("shop", "app", "frontend"), pod("shop", "app", "backend")).on(8080, udp),
			refused(pod("shop", "app", "backend"), pod("shop", "app", "frontend")),
			refused(pod("shop", "app", "frontend"), pod("shop", "app", "frontend")),
			refused(pod("shop", "app", "cron"), pod("shop", "app", "backend")), refused(pod("reports", "app", "frontend"), pod("shop", "app", "backend")),

			allowed(pod("shop", "app", "backend"), pod("storage", "app", "database")).on(5432, tcp),
			refused(pod("shop", "app", "backend"), pod("storage", "app", "database")).on(5433, tcp),
			refused(pod("shop", "app", "backend"), pod("storage", "app", "database")).on(5432, udp),
			refused(pod("shop", "app", "frontend"), pod("storage", "app", "database")).on(5432, tcp),
			refused(pod("shop", "app", "backend"), pod("storage", "app", "cache")).on(5432, tcp),
			refused(pod("storage", "app", "database"), pod("shop", "app", "backend")).on(5432, tcp),
			// A backend outside of the application may send there, but is not received.
			over(pod("reports", "app", "backend"), pod("storage", "app", "database"), Egress, true).on(5432, tcp),
			refused(pod("reports", "app", "backend"), pod("storage", "app", "database")).on(5432, tcp),
			// One in an application that wrote no policy for sending would be received, but may not
			// send.
			over(pod("office", "app", "backend"), pod("storage", "app", "database"), Ingress, true).on(5432, tcp),
			refused(pod("office", "app", "backend"), pod("storage", "app", "database")).on(5432, tcp),
			shut(pod("shop", "app", "frontend"), elsewhere), shut(pod("storage", "app", "database"), elsewhere),
			dnsWorks(pod("shop", "app", "frontend")), dnsWorks(pod("storage", "app", "database")),
		),
	},
	{
		Name:           "with scope None a tenant who allows only to receive has not allowed to send",
		Baseline:       builder.Baseline("default").Scope(v1alpha1.IsolationScopeNone).Obj(),
		Namespaces:     map[string]map[string]string{"shop": environment("production")},
		TenantPolicies: tenantPolicies(backendFromFrontend),
		Expectations: expect(
			over(pod("shop", "app", "frontend"), pod("shop", "app", "backend"), Ingress, true),
			over(pod("shop", "app", "frontend"), pod("shop", "app", "backend"), Egress, false),
			refused(pod("shop", "app", "frontend"), pod("shop", "app", "backend")),
			dnsWorks(pod("shop", "app", "backend")),
		),
	},
	{
		Name:           "inside one environment a tenant's own deny takes nothing back, because policies add up",
		Baseline:       builder.Baseline("default").Obj(),
		Namespaces:     map[string]map[string]string{"shop": environment("production"), "bank": environment("production"), "trial": environment("staging")},
		TenantPolicies: tenantPolicies(tenantDeny),
		Expectations: expect(
			open(pod("shop"), pod("bank")), open(pod("shop"), pod("shop")), closed(pod("shop"), pod("trial")), dnsWorks(pod("shop")),
		),
	},
	{
		Name:           "a tenant who opens their own side to everyone opens no other environment's side",
		Baseline:       builder.Baseline("default").Obj(),
		Namespaces:     map[string]map[string]string{"shop": environment("production"), "trial": environment("staging")},
		TenantPolicies: tenantPolicies(tenantOpen),
		Expectations: expect(
			free(pod("shop"), pod("trial")), shut(pod("trial"), pod("shop")), refused(pod("shop"), pod("trial")), refused(pod("trial"), pod("shop")),
			dnsWorks(pod("trial")),
		),
	},
}

const (
	backendFromFrontend = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: backend-from-frontend, namespace: shop}
spec:
  podSelector: {matchLabels: {app: backend}}
  policyTypes: [Ingress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: frontend}}}]
    ports: [{protocol: TCP, port: 8080}]
`
	frontendToBackend = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: frontend-to-backend, namespace: shop}
spec:
  podSelector: {matchLabels: {app: frontend}}
  policyTypes: [Egress]
  egress:
  - to: [{podSelector: {matchLabels: {app: backend}}}]
    ports: [{protocol: TCP, port: 8080}]
`
	databaseFromBackend = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: database-from-backend, namespace: storage}
spec:
  podSelector: {matchLabels: {app: database}}
  policyTypes: [Ingress]
  ingress:
  - from:
    - namespaceSelector: {matchLabels: {purpose: application}}
      podSelector: {matchLabels: {app: backend}}
    ports: [{protocol: TCP, port: 5432}]
`
	tenantDeny = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny-all, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
`
	tenantOpen = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow-all, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  ingress: [{}]
  egress: [{}]
`
)

func backendToDatabaseIn(namespace string) string {
	return `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: backend-to-database, namespace: ` + namespace + `}
spec:
  podSelector: {matchLabels: {app: backend}}
  policyTypes: [Egress]
  egress:
  - to:
    - namespaceSelector: {matchLabels: {purpose: storage}}
      podSelector: {matchLabels: {app: database}}
    ports: [{protocol: TCP, port: 5432}]
`
}
