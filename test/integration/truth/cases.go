package truth

import (
	"slices"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

// Cases are all truth tables. Their objects are shared: change no more than a copy, such as
// InNamespaces makes.
var Cases = slices.Concat(environmentCases, dnsCases, unlabelledCases, relabelCases, directionCases, tenantCases)

var environmentCases = []Case{
	{
		Name:     "one environment is open across its namespaces, and closed both ways to every other",
		Baseline: builder.Baseline("default").Obj(),
		Namespaces: map[string]map[string]string{
			"shop": environment("production"), "bank": environment("production"), "trial": environment("staging"), "plain": nil,
		},
		Expectations: expect(
			open(pod("shop"), pod("bank")), open(pod("shop"), pod("shop")), open(pod("bank"), pod("bank")), open(pod("trial"), pod("trial")),
			open(pod("shop"), pod("bank")).on(53, udp), open(pod("shop"), pod("bank")).on(1, tcp),
			closed(pod("shop"), pod("trial")), closed(pod("bank"), pod("trial")), closed(pod("shop"), pod("plain")), closed(pod("trial"), pod("plain")),
			closed(pod("shop"), pod("trial")).on(53, udp), closed(pod("shop"), pod("trial")).on(53, tcp),
			// A pod cannot choose its environment: the label of the namespace counts, not its own.
			closed(pod("shop", "environment", "production"), pod("trial", "environment", "production")),
			open(pod("shop", "environment", "staging"), pod("bank", "app", "web")),
			// Peers outside of the cluster have no environment.
			shut(pod("shop"), elsewhere), shut(pod("trial"), elsewhere),
			dnsWorks(pod("shop")),
		),
	},
	{
		Name:     "development cannot reach production, as in the tutorials",
		Baseline: builder.Baseline("default").Obj(),
		Namespaces: map[string]map[string]string{
			"production": environment("production"), "staging": environment("staging"), "development": environment("development"),
		},
		Expectations: expect(
			closed(pod("development"), pod("production")), closed(pod("staging"), pod("production")), closed(pod("development"), pod("staging")),
			closed(pod("development", "app", "frontend"), pod("production", "app", "backend")),
			open(pod("production"), pod("production")), open(pod("staging"), pod("staging")), open(pod("development"), pod("development")),
			dnsWorks(pod("production")), dnsWorks(pod("development")),
		),
	},
	{
		Name:     "with labelKey kubernetes.io/metadata.name every namespace stands on its own",
		Baseline: builder.Baseline("default").LabelKey("kubernetes.io/metadata.name").Obj(),
		Namespaces: map[string]map[string]string{
			"shop": environment("production"), "bank": environment("production"), "plain": nil,
		},
		Expectations: expect(
			open(pod("shop"), pod("shop")), open(pod("bank"), pod("bank")), open(pod("plain"), pod("plain")),
			closed(pod("shop"), pod("bank")), closed(pod("shop"), pod("plain")), shut(pod("shop"), elsewhere),
			dnsWorks(pod("shop")),
		),
	},
	{
		Name:     "another label key makes other environments",
		Baseline: builder.Baseline("default").LabelKey("example.com/tier").Obj(),
		Namespaces: map[string]map[string]string{
			"shop":  builder.Labels("example.com/tier", "gold", "environment", "production"),
			"bank":  builder.Labels("example.com/tier", "gold", "environment", "staging"),
			"trial": builder.Labels("example.com/tier", "iron", "environment", "production"),
		},
		Expectations: expect(open(pod("shop"), pod("bank")), closed(pod("shop"), pod("trial")), closed(pod("bank"), pod("trial"))),
	},
	{
		Name:     "a namespace that the baseline does not select, or excludes, is left alone",
		Baseline: builder.Baseline("default").SelectingWhere("environment", "Exists").Excluding("ci-*").Obj(),
		Namespaces: map[string]map[string]string{
			"shop": environment("production"), "plain": nil, "ci-runner": environment("production"),
		},
		Expectations: expect(
			open(pod("shop"), pod("shop")), shut(pod("shop"), pod("plain")), shut(pod("shop"), elsewhere),
			free(pod("plain"), elsewhere), free(pod("plain"), pod("shop")), free(pod("ci-runner"), elsewhere), free(pod("ci-runner"), pod("plain")),
			open(pod("plain"), pod("ci-runner")),
			// Governed or not, its label puts it into production.
			open(pod("shop"), pod("ci-runner")),
		),
	},
}

var dnsCases = []Case{
	{
		Name:       "DNS is open over UDP and TCP, and nothing beside it",
		Baseline:   builder.Baseline("default").Obj(),
		Namespaces: map[string]map[string]string{"shop": environment("production"), "trial": environment("staging"), "plain": nil},
		Expectations: expect(
			dnsWorks(pod("shop")), dnsWorks(pod("plain")), dnsWorks(pod("shop", "app", "frontend")),
			refused(pod("shop"), kubeDNS).on(9153, tcp), refused(pod("shop"), kubeDNS).on(54, udp), refused(pod("shop"), kubeDNS).on(5353, udp),
			refused(pod("shop"), nodeDNS).on(80, tcp), refused(pod("shop"), nodeDNS).on(54, udp),
			refused(pod("shop"), pod("kube-system", "k8s-app", "metrics-server")).on(53, tcp),
			refused(pod("shop"), pod("kube-system")).on(53, udp),
			refused(pod("shop"), address("169.254.20.11")).on(53, udp), refused(pod("shop"), elsewhere).on(53, udp),
			// Calling itself DNS opens nothing to a tenant's pod.
			closed(pod("shop"), pod("trial", "k8s-app", "kube-dns")).on(53, udp),
			// To ask is not to be asked.
			refused(kubeDNS, pod("shop")).on(53, udp), refused(nodeDNS, pod("shop")).on(53, udp),
		),
	},
	{
		Name:       "with dns.source None no DNS server is open",
		Baseline:   builder.Baseline("default").WithoutDNS().Obj(),
		Namespaces: map[string]map[string]string{"shop": environment("production"), "bank": environment("production")},
		Expectations: expect(
			refused(pod("shop"), kubeDNS).on(53, udp), refused(pod("shop"), kubeDNS).on(53, tcp), refused(pod("shop"), nodeDNS).on(53, udp),
			open(pod("shop"), pod("bank")),
		),
	},
	{
		Name: "DNS servers of one's own are open instead of the default ones, and their namespace is not governed",
		Baseline: builder.Baseline("default").
			DNSPeers(builder.DNSPods("resolver", "app", "coredns"), builder.DNSRange("10.96.0.0/24")).
			DNSPorts(v1alpha1.DNSPort{Protocol: "UDP", Port: 5353}, v1alpha1.DNSPort{Protocol: "TCP", Port: 5353}).Obj(),
		Namespaces: map[string]map[string]string{"shop": environment("production"), "resolver": environment("staging")},
		Expectations: expect(
			allowed(pod("shop"), pod("resolver", "app", "coredns")).on(5353, udp), allowed(pod("shop"), pod("resolver", "app", "coredns")).on(5353, tcp),
			allowed(pod("shop"), address("10.96.0.10")).on(5353, udp), refused(pod("shop"), address("10.96.1.10")).on(5353, udp),
			refused(pod("shop"), pod("resolver", "app", "coredns")).on(53, udp), refused(pod("shop"), pod("resolver")).on(5353, udp),
			refused(pod("shop"), kubeDNS).on(53, udp), refused(pod("shop"), nodeDNS).on(53, udp),
			free(pod("resolver"), elsewhere), shut(pod("shop"), elsewhere),
		),
	},
}

var unlabelledCases = []Case{
	{
		Name:     "a namespace without an environment keeps to itself",
		Baseline: builder.Baseline("default").Obj(),
		Namespaces: map[string]map[string]string{
			"plain": nil, "bare": nil, "empty": environment(""), "hollow": environment(""), "shop": environment("production"),
		},
		Expectations: expect(
			open(pod("plain"), pod("plain")), open(pod("empty"), pod("empty")),
			closed(pod("plain"), pod("bare")), closed(pod("empty"), pod("hollow")), closed(pod("plain"), pod("empty")),
			closed(pod("plain"), pod("shop")), closed(pod("empty"), pod("shop")), shut(pod("plain"), elsewhere),
			dnsWorks(pod("plain")), dnsWorks(pod("empty")),
		),
	},
	{
		Name:     "with unlabeled: Deny the pods of an unlabelled namespace may do nothing but ask DNS",
		Baseline: builder.Baseline("default").Unlabeled(v1alpha1.UnlabeledDeny).Obj(),
		Namespaces: map[string]map[string]string{
			"plain": nil, "bare": nil, "empty": environment(""), "shop": environment("production"), "bank": environment("production"),
		},
		Expectations: expect(
			closed(pod("plain"), pod("plain")), closed(pod("empty"), pod("empty")),
			closed(pod("plain"), pod("bare")), closed(pod("plain"), pod("shop")), shut(pod("plain"), elsewhere),
			dnsWorks(pod("plain")), dnsWorks(pod("empty")),
			open(pod("shop"), pod("shop")), open(pod("shop"), pod("bank")),
		),
	},
}

var relabelCases = []Case{
	{
		Name:       "in the middle of a change of environment own pods reach each other, and the old environment is closed already",
		Baseline:   builder.Baseline("default").Obj(),
		Namespaces: map[string]map[string]string{"shop": environment("production"), "bank": environment("production"), "trial": environment("staging")},
		Relabelled: map[string]map[string]string{"shop": environment("staging")},
		Expectations: expect(
			open(pod("shop"), pod("shop")), dnsWorks(pod("shop")),
			refused(pod("shop"), pod("bank")), refused(pod("bank"), pod("shop")),
			// The new environment follows with the policies: less is open for a moment, never more.
			refused(pod("shop"), pod("trial")), refused(pod("trial"), pod("shop")), shut(pod("shop"), elsewhere),
			open(pod("bank"), pod("bank")), open(pod("trial"), pod("trial")),
		),
	},
	{
		Name:         "in the middle of losing its label a namespace keeps its own pods, and the old environment is closed already",
		Baseline:     builder.Baseline("default").Obj(),
		Namespaces:   map[string]map[string]string{"shop": environment("production"), "bank": environment("production")},
		Relabelled:   map[string]map[string]string{"shop": nil},
		Expectations: expect(open(pod("shop"), pod("shop")), dnsWorks(pod("shop")), refused(pod("shop"), pod("bank")), refused(pod("bank"), pod("shop"))),
	},
	{
		Name:       "in the middle of getting its label a namespace keeps its own pods, and nothing is open yet",
		Baseline:   builder.Baseline("default").Obj(),
		Namespaces: map[string]map[string]string{"plain": nil, "bank": environment("production")},
		Relabelled: map[string]map[string]string{"plain": environment("production")},
		Expectations: expect(
			open(pod("plain"), pod("plain")), dnsWorks(pod("plain")),
			refused(pod("plain"), pod("bank")), refused(pod("bank"), pod("plain")), shut(pod("plain"), pod("bank")),
		),
	},
}

var directionCases = []Case{
	{
		Name:       "with Ingress only, egress is untouched",
		Baseline:   builder.Baseline("default").Denying(v1alpha1.PolicyTypeIngress).Obj(),
		Namespaces: map[string]map[string]string{"shop": environment("production"), "bank": environment("production"), "trial": environment("staging")},
		Expectations: expect(
			open(pod("shop"), pod("bank")), open(pod("shop"), pod("shop")),
			refused(pod("trial"), pod("shop")), refused(pod("shop"), pod("trial")), over(elsewhere, pod("shop"), Ingress, false),
			over(pod("shop"), pod("trial"), Egress, true), over(pod("shop"), elsewhere, Egress, true),
			allowed(pod("shop"), elsewhere), allowed(pod("shop"), elsewhere).on(53, udp), allowed(pod("shop"), pod("kube-system")).on(443, tcp),
			dnsWorks(pod("shop")),
		),
	},
	{
		Name:       "with Egress only, ingress is untouched",
		Baseline:   builder.Baseline("default").Denying(v1alpha1.PolicyTypeEgress).Obj(),
		Namespaces: map[string]map[string]string{"shop": environment("production"), "bank": environment("production"), "trial": environment("staging")},
		Expectations: expect(
			open(pod("shop"), pod("bank")), open(pod("shop"), pod("shop")),
			refused(pod("trial"), pod("shop")), refused(pod("shop"), pod("trial")), refused(pod("shop"), elsewhere),
			over(pod("trial"), pod("shop"), Ingress, true), allowed(elsewhere, pod("shop")), allowed(pod("kube-system"), pod("shop")),
			dnsWorks(pod("shop")),
		),
	},
}
