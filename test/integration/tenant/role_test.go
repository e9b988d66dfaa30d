package tenant_test

import (
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// It is the real role that the other tests try: it may what a tenant may, and no more.
func TestATenantHoldsTheRoleEdit(t *testing.T) {
	t.Parallel()
	hers, other := newNamespace(t, ungovernedPrefix), "default"
	policies := func(namespace, verb string) authorizationv1.ResourceAttributes {
		return authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Group: "networking.k8s.io", Resource: "networkpolicies"}
	}
	baselines := func(verb, subresource string) authorizationv1.ResourceAttributes {
		return authorizationv1.ResourceAttributes{Verb: verb, Group: "policy.netbaseline.dev", Resource: "clusternetworkbaselines", Subresource: subresource}
	}
	tests := map[string]struct {
		user client.Client
		what authorizationv1.ResourceAttributes
		want bool
	}{
		"create policies":                 {dana, policies(hers, "create"), true},
		"patch policies":                  {dana, policies(hers, "patch"), true},
		"delete policies":                 {dana, policies(hers, "delete"), true},
		"delete all policies":             {dana, policies(hers, "deletecollection"), true},
		"change policies of others":       {dana, policies(other, "update"), false},
		"label her namespace":             {dana, authorizationv1.ResourceAttributes{Namespace: hers, Name: hers, Verb: "patch", Resource: "namespaces"}, false},
		"delete her namespace":            {dana, authorizationv1.ResourceAttributes{Namespace: hers, Name: hers, Verb: "delete", Resource: "namespaces"}, false},
		"create namespaces":               {dana, authorizationv1.ResourceAttributes{Verb: "create", Resource: "namespaces"}, false},
		"give herself more":               {dana, authorizationv1.ResourceAttributes{Namespace: hers, Verb: "create", Group: "rbac.authorization.k8s.io", Resource: "rolebindings"}, false},
		"limit how many policies we have": {dana, authorizationv1.ResourceAttributes{Namespace: hers, Verb: "create", Resource: "resourcequotas"}, false},
		"act as the operator": {dana, authorizationv1.ResourceAttributes{
			Namespace: "netbaseline-system", Name: "netbaseline-controller-manager", Verb: "impersonate", Resource: "serviceaccounts",
		}, false},
		"see baselines":                         {dana, baselines("get", ""), false},
		"change baselines":                      {dana, baselines("update", ""), false},
		"write the status of baselines":         {dana, baselines("update", "status"), false},
		"see baselines, from the whole cluster": {erin, baselines("get", ""), true},
		"change them, from the whole cluster":   {erin, baselines("update", ""), false},
		"write their status, from there":        {erin, baselines("update", "status"), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := may(t.Context(), test.user, test.what)
			if err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("allowed: %t, want %t", got, test.want)
			}
		})
	}
}
