package reachability_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/reachability"
)

func TestTable(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		world reachability.World
		pods  []reachability.Pod
		port  int
		want  string
	}{
		"a pod for each namespace": {
			world: world(t, `{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{from: [{podSelector: {}}]}], egress: [{to: [{podSelector: {}}]}]}`),
			pods:  reachability.Pods("bank", "shop"), port: 80,
			want: "" +
				"from ↓ to →  bank  shop\n" +
				"bank         ✓     ·\n" +
				"shop         ·     ✓\n",
		},
		"a direction": {
			world: world(t, `{podSelector: {}, policyTypes: [Ingress]}`), pods: reachability.Pods("bank", "shop"), port: 80,
			want: "" +
				"from ↓ to →  bank  shop\n" +
				"bank         ✓     ·\n" +
				"shop         ✓     ·\n",
		},
		"a port": {
			world: world(t, `{podSelector: {}, policyTypes: [Ingress], ingress: [{ports: [{port: 8080}]}]}`),
			pods:  reachability.Pods("bank", "shop"), port: 8080,
			want: "" +
				"from ↓ to →  bank  shop\n" +
				"bank         ✓     ✓\n" +
				"shop         ✓     ✓\n",
		},
		"pods with labels, and an address": {
			world: world(t, `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 203.0.113.0/24}}]}]}`),
			pods: []reachability.Pod{
				{Namespace: "shop", Labels: builder.Labels("tier", "1", "app", "backend")}, {IP: "203.0.113.7"},
			},
			port: 80,
			want: "" +
				"from ↓ to →              shop app=backend tier=1  203.0.113.7\n" +
				"shop app=backend tier=1  ·                        ✓\n" +
				"203.0.113.7              ✓                        ✓\n",
		},
		"no pods": {world: world(t), want: "from ↓ to →\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, reachability.Table(test.world, test.pods, test.port)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
