package reachability_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/reachability"
)

const tcp, udp = corev1.ProtocolTCP, corev1.ProtocolUDP

var (
	shop     = reachability.Pod{Namespace: "shop"}
	frontend = reachability.Pod{Namespace: "shop", Labels: builder.Labels("app", "frontend")}
	backend  = reachability.Pod{Namespace: "shop", Labels: builder.Labels("app", "backend")}
	bank     = reachability.Pod{Namespace: "bank"}
	teller   = reachability.Pod{Namespace: "bank", Labels: builder.Labels("app", "frontend")}
	internet = reachability.Pod{IP: "203.0.113.7"}
)

// policy is a NetworkPolicy in the namespace shop with this spec, in YAML.
func policy(t *testing.T, spec string) *networkingv1.NetworkPolicy {
	t.Helper()
	object := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "test", Namespace: "shop"}}
	if err := yaml.UnmarshalStrict([]byte(spec), &object.Spec); err != nil {
		t.Fatalf("%v in %s", err, spec)
	}
	return object
}

// world has the namespaces shop (team: web) and bank (team: money) and, in shop, policies with
// these specs.
func world(t *testing.T, specs ...string) reachability.World {
	t.Helper()
	w := reachability.World{Namespaces: map[string]map[string]string{
		"shop": builder.Labels("team", "web"), "bank": builder.Labels("team", "money"),
	}}
	for _, spec := range specs {
		w.Policies = append(w.Policies, policy(t, spec))
	}
	return w
}

type connection struct {
	from, to reachability.Pod
	port     int
	protocol corev1.Protocol
}

func TestPolicyTypesIsolate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		specs                     []string
		wantIngress, wantEgress   bool // between bank and shop
		wantWithin, wantElsewhere bool
	}{
		"without policies everything is allowed": {wantIngress: true, wantEgress: true, wantWithin: true, wantElsewhere: true},
		"Ingress":                                {specs: []string{`{podSelector: {}, policyTypes: [Ingress]}`}, wantEgress: true, wantElsewhere: true},
		"Egress":                                 {specs: []string{`{podSelector: {}, policyTypes: [Egress]}`}, wantIngress: true, wantElsewhere: true},
		"both":                                   {specs: []string{`{podSelector: {}, policyTypes: [Ingress, Egress]}`}, wantElsewhere: true},
		"left out, and defaulted as the API server does, without egress rules": {
			specs: []string{`{podSelector: {}}`}, wantEgress: true, wantElsewhere: true,
		},
		"left out, and defaulted as the API server does, with egress rules": {
			specs: []string{`{podSelector: {}, egress: [{to: [{podSelector: {}}]}]}`}, wantElsewhere: true,
		},
		"policies add up": {
			specs:       []string{`{podSelector: {}, policyTypes: [Ingress, Egress]}`, `{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}`},
			wantIngress: true, wantEgress: true, wantWithin: true, wantElsewhere: true,
		},
		"a policy for other pods changes nothing for these": {
			specs:       []string{`{podSelector: {matchLabels: {app: database}}, policyTypes: [Ingress, Egress]}`},
			wantIngress: true, wantEgress: true, wantWithin: true, wantElsewhere: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := world(t, test.specs...)
			for what, got := range map[string][2]bool{
				"bank to shop":        {w.Allowed(bank, shop, 80, tcp), test.wantIngress},
				"bank to shop, there": {w.AllowedIngress(bank, shop, 80, tcp), test.wantIngress},
				"bank to shop, here":  {w.AllowedEgress(bank, shop, 80, tcp), true},
				"shop to bank":        {w.Allowed(shop, bank, 80, tcp), test.wantEgress},
				"shop to bank, there": {w.AllowedIngress(shop, bank, 80, tcp), true},
				"shop to bank, here":  {w.AllowedEgress(shop, bank, 80, tcp), test.wantEgress},
				"within shop":         {w.Allowed(shop, shop, 80, tcp), test.wantWithin},
				"within bank":         {w.Allowed(bank, bank, 80, tcp), test.wantElsewhere},
				"internet to shop":    {w.Allowed(internet, shop, 80, tcp), test.wantIngress},
				"shop to internet":    {w.Allowed(shop, internet, 80, tcp), test.wantEgress},
			} {
				if got[0] != got[1] {
					t.Errorf("%s: got %t, want %t", what, got[0], got[1])
				}
			}
		})
	}
}

func TestPeersAndPortsOfARule(t *testing.T) {
	t.Parallel()
	local := func(pod reachability.Pod, ip string) reachability.Pod { pod.IP = ip; return pod }
	at80 := func(from, to reachability.Pod) connection { return connection{from, to, 80, tcp} }

	tests := map[string]struct {
		ingress string // the one rule, for all pods of shop
		want    map[string]connection
		refused map[string]connection
	}{
		"podSelector alone means the own namespace": {
			ingress: `{from: [{podSelector: {matchLabels: {app: frontend}}}]}`,
			want:    map[string]connection{"frontend": at80(frontend, shop)},
			refused: map[string]connection{
				"backend": at80(backend, shop), "a frontend elsewhere": at80(teller, shop), "internet": at80(internet, shop),
			},
		},
		"an empty podSelector means every pod of the own namespace": {
			ingress: `{from: [{podSelector: {}}]}`,
			want:    map[string]connection{"backend": at80(backend, shop), "without labels": at80(shop, shop)},
			refused: map[string]connection{"bank": at80(bank, shop), "internet": at80(internet, shop)},
		},
		"namespaceSelector alone means every pod there": {
			ingress: `{from: [{namespaceSelector: {matchLabels: {team: money}}}]}`,
			want:    map[string]connection{"bank": at80(bank, shop), "teller": at80(teller, shop)},
			refused: map[string]connection{"the own namespace, which has another label": at80(shop, shop), "internet": at80(internet, shop)},
		},
		"an empty namespaceSelector means every pod of the cluster": {
			ingress: `{from: [{namespaceSelector: {}}]}`,
			want:    map[string]connection{"bank": at80(bank, shop), "shop": at80(shop, shop)},
			refused: map[string]connection{"internet": at80(internet, shop)},
		},
		"both selectors of one peer must match": {
			ingress: `{from: [{namespaceSelector: {matchLabels: {team: money}}, podSelector: {matchLabels: {app: frontend}}}]}`,
			want:    map[string]connection{"teller": at80(teller, shop)},
			refused: map[string]connection{"another pod there": at80(bank, shop), "the same pod here": at80(frontend, shop)},
		},
		"of two peers one must match": {
			ingress: `{from: [{namespaceSelector: {matchLabels: {team: money}}}, {podSelector: {matchLabels: {app: frontend}}}]}`,
			want:    map[string]connection{"bank": at80(bank, shop), "frontend": at80(frontend, shop)},
			refused: map[string]connection{"backend": at80(backend, shop)},
		},
		"a namespace is known by the label of its name": {
			ingress: `{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: bank}}}]}`,
			want:    map[string]connection{"bank": at80(bank, shop)},
			refused: map[string]connection{"shop": at80(shop, shop)},
		},
		"an empty value is not an absent label": {
			ingress: `{from: [{namespaceSelector: {matchLabels: {environment: ""}}}]}`,
			refused: map[string]connection{"bank, which has no environment": at80(bank, shop), "shop": at80(shop, shop)},
		},
		"NotIn matches an object without the label": {
			ingress: `{from: [{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [backend, database]}]}}]}`,
			want:    map[string]connection{"without the label": at80(shop, shop), "with another value": at80(frontend, shop)},
			refused: map[string]connection{"with one of the values": at80(backend, shop)},
		},
		"a rule without peers means everyone": {
			ingress: `{ports: [{port: 80}]}`,
			want:    map[string]connection{"bank": at80(bank, shop), "internet": at80(internet, shop)},
			refused: map[string]connection{"on another port": {bank, shop, 81, tcp}},
		},
		"an empty list of peers means everyone too": {
			ingress: `{from: []}`, want: map[string]connection{"bank": at80(bank, shop), "internet": at80(internet, shop)},
		},
		"an ipBlock means addresses inside it": {
			ingress: `{from: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.128/25]}}]}`,
			want: map[string]connection{
				"inside": at80(internet, shop), "a pod with an address inside": at80(local(bank, "203.0.113.9"), shop),
			},
			refused: map[string]connection{
				"an exception":                  at80(reachability.Pod{IP: "203.0.113.200"}, shop),
				"outside":                       at80(reachability.Pod{IP: "203.0.114.7"}, shop),
				"an IPv6 address":               at80(reachability.Pod{IP: "2001:db8::1"}, shop),
				"a pod without an address":      at80(bank, shop),
				"a pod with an address outside": at80(local(bank, "10.0.0.9"), shop),
			},
		},
		"an ipBlock for all addresses means no pod without one": {
			ingress: `{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}`,
			want:    map[string]connection{"internet": at80(internet, shop)},
			refused: map[string]connection{"bank": at80(bank, shop), "the own namespace": at80(shop, shop)},
		},
		"an ipBlock beside a podSelector leaves it as it is": {
			ingress: `{from: [{ipBlock: {cidr: 0.0.0.0/0}}, {podSelector: {matchLabels: {app: frontend}}}]}`,
			want:    map[string]connection{"internet": at80(internet, shop), "frontend": at80(frontend, shop)},
			refused: map[string]connection{"bank": at80(bank, shop), "backend": at80(backend, shop)},
		},
		"an IPv6 ipBlock": {
			ingress: `{from: [{ipBlock: {cidr: "2001:db8::/32"}}]}`,
			want:    map[string]connection{"inside": at80(reachability.Pod{IP: "2001:db8::1"}, shop)},
			refused: map[string]connection{"outside": at80(reachability.Pod{IP: "2001:db9::1"}, shop), "IPv4": at80(internet, shop)},
		},
		"a port without a protocol means TCP": {
			ingress: `{ports: [{port: 80}]}`,
			want:    map[string]connection{"TCP": at80(bank, shop)},
			refused: map[string]connection{"UDP": {bank, shop, 80, udp}},
		},
		"a protocol without a port means all of its ports": {
			ingress: `{ports: [{protocol: UDP}]}`,
			want:    map[string]connection{"UDP": {bank, shop, 1, udp}, "UDP high": {bank, shop, 65535, udp}},
			refused: map[string]connection{"TCP": {bank, shop, 1, tcp}},
		},
		"a range of ports": {
			ingress: `{ports: [{port: 8000, endPort: 8002}]}`,
			want:    map[string]connection{"first": {bank, shop, 8000, tcp}, "last": {bank, shop, 8002, tcp}},
			refused: map[string]connection{
				"below": {bank, shop, 7999, tcp}, "above": {bank, shop, 8003, tcp}, "UDP": {bank, shop, 8001, udp},
			},
		},
		"of two ports one must match": {
			ingress: `{ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}`,
			want:    map[string]connection{"UDP": {bank, shop, 53, udp}, "TCP": {bank, shop, 53, tcp}},
			refused: map[string]connection{"another": {bank, shop, 54, tcp}},
		},
		"peers and ports must both match": {
			ingress: `{from: [{namespaceSelector: {matchLabels: {team: money}}}], ports: [{port: 80}]}`,
			want:    map[string]connection{"both": at80(bank, shop)},
			refused: map[string]connection{"another port": {bank, shop, 81, tcp}, "another peer": at80(shop, shop)},
		},
		"a port with a name matches nothing, because pods have no containers here": {
			ingress: `{ports: [{port: http}]}`,
			refused: map[string]connection{"80": at80(bank, shop), "0": {bank, shop, 0, tcp}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := world(t, `{podSelector: {}, policyTypes: [Ingress], ingress: [`+test.ingress+`]}`)
			// The same rule the other way round must answer the same.
			rule := strings.Replace(test.ingress, "from:", "to:", 1)
			mirrored := world(t, `{podSelector: {}, policyTypes: [Egress], egress: [`+rule+`]}`)
			ask := func(what string, c connection, want bool) {
				t.Helper()
				if got := w.Allowed(c.from, c.to, c.port, c.protocol); got != want {
					t.Errorf("%s: allowed %t, want %t", what, got, want)
				}
				if got := mirrored.Allowed(c.to, c.from, c.port, c.protocol); got != want {
					t.Errorf("%s, as egress: allowed %t, want %t", what, got, want)
				}
			}
			for what, c := range test.want {
				ask(what, c, true)
			}
			for what, c := range test.refused {
				ask(what, c, false)
			}
		})
	}
}

func TestBothEndsMustAllow(t *testing.T) {
	t.Parallel()
	w := world(t, `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}]}]}`)
	closed := policy(t, `{podSelector: {}, policyTypes: [Ingress]}`)
	closed.Namespace = "bank"
	w.Policies = append(w.Policies, closed)

	if !w.AllowedEgress(shop, bank, 80, tcp) || w.AllowedIngress(shop, bank, 80, tcp) || w.Allowed(shop, bank, 80, tcp) {
		t.Error("want: shop may send, bank may not receive, so they may not talk")
	}
}

func TestThePodSelectorOfAPolicyIsUnderstoodAsKubernetesDoes(t *testing.T) {
	t.Parallel()
	w := world(t, `{podSelector: {matchLabels: {app: ""}}, policyTypes: [Ingress]}`)
	if !w.Allowed(bank, shop, 80, tcp) {
		t.Error("a pod without the label is isolated by a policy for pods whose label is empty")
	}
	w = world(t, `{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [frontend]}]}, policyTypes: [Ingress]}`)
	if w.Allowed(bank, shop, 80, tcp) || !w.Allowed(bank, frontend, 80, tcp) {
		t.Error("want: the policy isolates a pod without the label, and not the one with the value")
	}
}

func TestWithLabelsLeavesTheWorldAsItWas(t *testing.T) {
	t.Parallel()
	before := world(t, `{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {matchLabels: {team: web}}}]}]}`)
	after := before.WithLabels(map[string]map[string]string{"bank": builder.Labels("team", "web")})
	if before.Allowed(bank, shop, 80, tcp) || !after.Allowed(bank, shop, 80, tcp) {
		t.Error("want: bank may talk to shop with its new labels, and not in the world before")
	}
}

func TestEvaluationLeavesPoliciesAsTheyAre(t *testing.T) {
	t.Parallel()
	w := world(t, `{podSelector: {matchLabels: {app: frontend}}, egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}, {podSelector: {matchLabels: {a: b}}}]}]}`)
	before := w.Policies[0].DeepCopy()
	w.Allowed(frontend, bank, 80, tcp)
	w.Allowed(frontend, internet, 80, tcp)
	if diff := cmp.Diff(before, w.Policies[0]); diff != "" {
		t.Errorf("a policy was changed (-before +after):\n%s", diff)
	}
}

func TestNobodyIsNotAskedAbout(t *testing.T) {
	t.Parallel()
	w := world(t)
	tests := map[string]func(){
		"a sender in a namespace that is not there":   func() { w.Allowed(reachability.Pod{Namespace: "shpo"}, shop, 80, tcp) },
		"a receiver in a namespace that is not there": func() { w.Allowed(shop, reachability.Pod{Namespace: "shpo"}, 80, tcp) },
		"a pod without namespace and IP":              func() { w.Allowed(shop, reachability.Pod{}, 80, tcp) },
		"new labels for a namespace that is not there": func() {
			w.WithLabels(map[string]map[string]string{"shpo": nil})
		},
	}
	for name, ask := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("answered")
				}
			}()
			ask()
		})
	}
}

func TestLive(t *testing.T) {
	t.Parallel()
	isolated := policy(t, `{podSelector: {}, policyTypes: [Ingress]}`)
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: builder.Labels("team", "web")}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "bank"}},
		isolated,
	}
	reader := fake.NewClientBuilder().WithObjects(objects...).Build()
	w, err := reachability.Live(t.Context(), reader)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]map[string]string{"shop": builder.Labels("team", "web"), "bank": nil}, w.Namespaces); diff != "" {
		t.Errorf("namespaces (-want +got):\n%s", diff)
	}
	if w.Allowed(bank, shop, 80, tcp) || !w.Allowed(shop, bank, 80, tcp) {
		t.Error("want: shop is isolated by its policy, bank is not")
	}
}

func TestLiveSaysWhatItCouldNotRead(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	tests := map[string]struct {
		of   func(client.ObjectList) bool
		want string
	}{
		"namespaces": {of: func(l client.ObjectList) bool { _, ok := l.(*corev1.NamespaceList); return ok }, want: "list namespaces: refused"},
		"policies":   {of: func(l client.ObjectList) bool { _, ok := l.(*networkingv1.NetworkPolicyList); return ok }, want: "list network policies: refused"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reader := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
				List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
					if test.of(list) {
						return refused
					}
					return c.List(ctx, list, options...)
				},
			}).Build()
			_, err := reachability.Live(t.Context(), reader)
			if !errors.Is(err, refused) || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}
