package privilege_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/netbaseline/netbaseline/test/integration/privilege"
)

const shippedRole = "ClusterRole shipped"

// asked is a request that a role allowed; denied if there is none.
func asked(verb, resource, name, role string) privilege.Access {
	return privilege.Access{Permission: privilege.Permission{Resource: resource, Verb: verb}, Name: name, Role: role, Count: 1}
}

func excusedAccess(access privilege.Access) privilege.Access {
	access.Excuse = "a test asks for more"
	return access
}

func given(verb, resource, name string) privilege.Grant {
	return privilege.Grant{Permission: privilege.Permission{Resource: resource, Verb: verb}, Role: shippedRole, Name: name}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	excused := excusedAccess(asked("get", "pods", "", ""))
	tests := map[string]struct {
		grants   []privilege.Grant
		accesses []privilege.Access
		want     privilege.Comparison
	}{
		"nothing at all": {},
		"what is granted is used": {
			grants:   []privilege.Grant{given("get", "pods", "")},
			accesses: []privilege.Access{asked("get", "pods", "", shippedRole), asked("get", "pods", "a", shippedRole)},
		},
		"granted and not used": {
			grants:   []privilege.Grant{given("get", "pods", ""), given("list", "pods", "")},
			accesses: []privilege.Access{asked("get", "pods", "", shippedRole)},
			want:     privilege.Comparison{Unused: []string{"list pods: granted by ClusterRole shipped"}},
		},
		"granted as a mark": {
			grants: []privilege.Grant{{Permission: privilege.Mark, Role: shippedRole}},
		},
		"used for one of two names": {
			grants:   []privilege.Grant{given("get", "pods", "a"), given("get", "pods", "b")},
			accesses: []privilege.Access{asked("get", "pods", "b", shippedRole)},
			want:     privilege.Comparison{Unused: []string{"get pods a: granted by ClusterRole shipped"}},
		},
		"denied": {
			accesses: []privilege.Access{asked("get", "pods", "a", "")},
			want:     privilege.Comparison{Missing: []string{"get pods a: denied"}},
		},
		"denied once, and allowed another time": {
			grants:   []privilege.Grant{given("get", "pods", "")},
			accesses: []privilege.Access{asked("get", "pods", "", shippedRole), asked("get", "pods", "", "")},
			want:     privilege.Comparison{Missing: []string{"get pods: denied"}},
		},
		"denied, and that was meant": {
			accesses: []privilege.Access{excused},
			want:     privilege.Comparison{Excused: map[string]int{"a test asks for more": 1}},
		},
		"an excuse takes nothing from what is used": {
			grants:   []privilege.Grant{given("get", "pods", "")},
			accesses: []privilege.Access{excusedAccess(asked("get", "pods", "", shippedRole))},
		},
		"allowed by a role that a test brings": {
			accesses: []privilege.Access{excusedAccess(asked("get", "pods", "", "ClusterRole too-much"))},
			want:     privilege.Comparison{Excused: map[string]int{"a test asks for more": 1}},
		},
		"to be denied uses nothing": {
			grants:   []privilege.Grant{given("get", "pods", "")},
			accesses: []privilege.Access{excused},
			want: privilege.Comparison{
				Unused: []string{"get pods: granted by ClusterRole shipped"}, Excused: map[string]int{"a test asks for more": 1},
			},
		},
		"allowed by a role that is not shipped": {
			grants:   []privilege.Grant{given("get", "pods", "")},
			accesses: []privilege.Access{asked("get", "pods", "", "ClusterRole cluster-admin")},
			want: privilege.Comparison{
				Unused: []string{"get pods: granted by ClusterRole shipped"}, Missing: []string{"get pods: allowed by ClusterRole cluster-admin"},
			},
		},
		"allowed by a shipped role that does not grant it any more": {
			grants:   []privilege.Grant{given("get", "pods", "")},
			accesses: []privilege.Access{asked("get", "pods", "", shippedRole), asked("get", "nodes", "", shippedRole)},
			want:     privilege.Comparison{Missing: []string{"get nodes: allowed by ClusterRole shipped"}},
		},
		"the permissions of every account are no grant": {
			accesses: []privilege.Access{asked("get", "/apis", "", "ClusterRole system:discovery")},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, privilege.Compare(test.grants, test.accesses), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestGrants(t *testing.T) {
	t.Parallel()
	const binding = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: b}
roleRef: {kind: ClusterRole, name: shipped}
subjects: [{kind: ServiceAccount, namespace: here, name: operator}]
---
kind: ClusterRole
metadata: {name: shipped}
rules:
- `
	tests := map[string]struct {
		manifests string
		want      []privilege.Grant
		wantErr   string
	}{
		"a rule is taken apart": {
			manifests: binding + `{apiGroups: [""], resources: [pods, pods/log], resourceNames: [a, b], verbs: [get]}`,
			want:      []privilege.Grant{given("get", "pods", "a"), given("get", "pods", "b"), given("get", "pods/log", "a"), given("get", "pods/log", "b")},
		},
		"a role of a namespace": {
			manifests: strings.ReplaceAll(binding, "ClusterRole", "Role") + `{apiGroups: [""], resources: [pods], verbs: [get]}`,
			want:      []privilege.Grant{{Permission: privilege.Permission{Resource: "pods", Verb: "get"}, Role: "Role shipped"}},
		},
		"another account's":        {manifests: strings.Replace(binding, "namespace: here", "namespace: there", 1) + `{apiGroups: [""], resources: [pods], verbs: [get]}`},
		"every verb":               {manifests: binding + `{apiGroups: [""], resources: [pods], verbs: ["*"]}`, wantErr: "grants more than can be looked at"},
		"every resource":           {manifests: binding + `{apiGroups: [""], resources: ["*"], verbs: [get]}`, wantErr: "grants more than can be looked at"},
		"a path":                   {manifests: binding + `{nonResourceURLs: [/metrics], verbs: [get]}`, wantErr: "paths are not understood"},
		"a role that is not there": {manifests: strings.Replace(binding, "{name: shipped}", "{name: other}", 1) + `{}`, wantErr: "ClusterRole shipped is bound and not there"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := privilege.Grants(test.manifests, "here", "operator")
			if (err == nil) != (test.wantErr == "") || err != nil && !strings.Contains(err.Error(), test.wantErr) {
				t.Fatalf("error %v, want %q", err, test.wantErr)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWithout(t *testing.T) {
	t.Parallel()
	rules := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods", "nodes"}, ResourceNames: []string{"a"}, Verbs: []string{"get", "list"}}}
	left, err := privilege.Expand(shippedRole, privilege.Without(rules, privilege.Permission{Resource: "pods", Verb: "list"}))
	if err != nil {
		t.Fatal(err)
	}
	want := []privilege.Grant{given("get", "pods", "a"), given("get", "nodes", "a"), given("list", "nodes", "a")}
	if diff := cmp.Diff(want, left); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

var noon = time.Date(2026, time.January, 2, 12, 0, 0, 0, time.UTC)

// log is an audit log that begins at noon; each request comes a minute after the one before.
type log []auditv1.Event

func (l *log) add(user, verb, resource, name string, code int32, annotations ...string) *auditv1.Event {
	at := metav1.NewMicroTime(noon.Add(time.Duration(len(*l)) * time.Minute))
	event := auditv1.Event{
		AuditID: types.UID(at.String()), Stage: auditv1.StageResponseComplete, Verb: verb, User: authenticationv1.UserInfo{Username: user},
		ObjectRef:                &auditv1.ObjectReference{Resource: resource, Name: name},
		ResponseStatus:           &metav1.Status{Code: code},
		RequestReceivedTimestamp: at, StageTimestamp: at, Annotations: map[string]string{},
	}
	for i := 0; i < len(annotations); i += 2 {
		event.Annotations["authorization.k8s.io/"+annotations[i]] = annotations[i+1]
	}
	*l = append(*l, event)
	return &(*l)[len(*l)-1]
}

const byShipped = `RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "shipped" to ServiceAccount "operator/here"`

func TestCollect(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		write func(*log)
		want  []privilege.Access
	}{
		"two requests count twice": {
			write: func(l *log) {
				l.add("operator", "get", "pods", "a", 200, "decision", "allow", "reason", byShipped)
				l.add("operator", "get", "pods", "b", 404, "decision", "allow", "reason", byShipped)
			},
			want: []privilege.Access{{Permission: privilege.Permission{Resource: "pods", Verb: "get"}, Role: shippedRole, Count: 2}},
		},
		"a watch that begins and ends counts once": {
			write: func(l *log) {
				begun := l.add("operator", "watch", "pods", "", 200, "decision", "allow", "reason", byShipped)
				id := begun.AuditID
				l.add("operator", "watch", "pods", "", 200, "decision", "allow", "reason", byShipped).AuditID = id
			},
			want: []privilege.Access{asked("watch", "pods", "", shippedRole)},
		},
		"names are kept where roles may depend on them": {
			write: func(l *log) {
				l.add("operator", "get", "leases", "a", 200, "decision", "allow", "reason", byShipped)
			},
			want: []privilege.Access{asked("get", "leases", "a", shippedRole)},
		},
		"a subresource": {
			write: func(l *log) {
				l.add("operator", "update", "pods", "a", 200, "decision", "allow", "reason", byShipped).ObjectRef.Subresource = "status"
			},
			want: []privilege.Access{asked("update", "pods/status", "", shippedRole)},
		},
		"a path": {
			write: func(l *log) {
				event := l.add("operator", "get", "", "", 403, "decision", "forbid")
				event.ObjectRef, event.RequestURI = nil, "/metrics?timeout=1s"
			},
			want: []privilege.Access{asked("get", "/metrics", "", "")},
		},
		"others, and those who act as the operator, are left out": {
			write: func(l *log) {
				l.add("another", "get", "pods", "", 200, "decision", "allow")
				l.add("another", "get", "pods", "", 403, "decision", "forbid").ImpersonatedUser = &authenticationv1.UserInfo{Username: "operator"}
			},
		},
		"what ended before anybody decided says nothing": {
			write: func(l *log) { l.add("operator", "get", "pods", "", 504) },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l log
			test.write(&l)
			if diff := cmp.Diff(test.want, privilege.Collect(l, "operator", "netbaseline-")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Whether a denial is excused, after what others did with roles and bindings before.
func TestCollectExcusesDenialsWhileRolesAreMissing(t *testing.T) {
	t.Parallel()
	const role, binding = "clusterroles", "rolebindings"
	tests := map[string]struct {
		before func(change func(verb, resource, name string, code int32))
		want   bool
	}{
		"installed": {
			before: func(change func(string, string, string, int32)) { change("create", role, "netbaseline-a", 201) },
		},
		"deleted": {
			before: func(change func(string, string, string, int32)) {
				change("create", role, "netbaseline-a", 201)
				change("delete", role, "netbaseline-a", 200)
			},
			want: true,
		},
		"deleted and installed again": {
			before: func(change func(string, string, string, int32)) {
				change("create", role, "netbaseline-a", 201)
				change("delete", role, "netbaseline-a", 200)
				change("patch", role, "netbaseline-a", 201) // server-side apply creates too
			},
		},
		"one of two installed again": {
			before: func(change func(string, string, string, int32)) {
				change("create", role, "netbaseline-a", 201)
				change("create", binding, "netbaseline-b", 201)
				change("delete", role, "netbaseline-a", 200)
				change("delete", binding, "netbaseline-b", 200)
				change("create", role, "netbaseline-a", 201)
			},
			want: true,
		},
		"deleted with their namespace": {
			before: func(change func(string, string, string, int32)) {
				change("create", binding, "netbaseline-b", 201)
				change("deletecollection", binding, "", 200)
			},
			want: true,
		},
		"not deleted, because that was refused": {
			before: func(change func(string, string, string, int32)) {
				change("create", role, "netbaseline-a", 201)
				change("delete", role, "netbaseline-a", 403)
			},
		},
		"changed only": {
			before: func(change func(string, string, string, int32)) {
				change("create", role, "netbaseline-a", 201)
				change("update", role, "netbaseline-a", 200)
			},
		},
		"others deleted theirs": {
			before: func(change func(string, string, string, int32)) {
				change("create", role, "netbaseline-a", 201)
				change("delete", role, "other", 200)
				change("deletecollection", binding, "", 200)
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l log
			test.before(func(verb, resource, name string, code int32) {
				l.add("admin", verb, resource, name, code).ObjectRef.APIGroup = rbacv1.GroupName
			})
			l.add("operator", "get", "pods", "", 403, "decision", "forbid")
			got := privilege.Collect(l, "operator", "netbaseline-")
			if len(got) != 1 || (got[0].Excuse != "") != test.want {
				t.Errorf("got %+v, want an excuse: %t", got, test.want)
			}
		})
	}
}
