// Package privilege compares the permissions of the operator's service account with its requests in
// the audit logs of test runs. It starts nothing and contacts no cluster.
package privilege

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// Permission is one verb on one resource.
type Permission struct {
	Group string
	// Resource has its subresource behind a slash. For a non-resource request it is the path.
	Resource string
	Verb     string
}

// String is the permission in words.
func (p Permission) String() string {
	resource := p.Resource
	if p.Group != "" {
		resource += " (" + p.Group + ")"
	}
	return p.Verb + " " + resource
}

// Access is a permission that an account has requested, with the number of requests.
type Access struct {
	Permission
	// Name is that of the object where a role may depend on it: see named.
	Name string
	// Role is the role that allowed it, such as "ClusterRole netbaseline-manager-role"; empty if it
	// was denied.
	Role string
	// Excuse is why it does not matter if no grant allows it.
	Excuse string
	Count  int
}

// named are the resources that roles restrict by the name of the object. For all others
// the names are left out: they are many, and carry no information.
var named = []string{"networkpolicies", "customresourcedefinitions", "leases"}

// Collect returns the accesses of an account; its roles and bindings are those whose names begin
// with the prefix. A long request is in the log twice, when it began and when it ended.
func Collect(events []auditv1.Event, user, prefix string) []Access {
	counts, seen, gaps := map[Access]int{}, map[types.UID]bool{}, gapsIn(events, prefix)
	for i := range events {
		event := &events[i]
		if event.User.Username != user || event.ImpersonatedUser != nil || seen[event.AuditID] {
			continue
		}
		seen[event.AuditID] = true
		access, decided := accessOf(event)
		if !decided {
			continue
		}
		if access.Role == "" && slices.ContainsFunc(gaps, func(g gap) bool { return g.holds(event.RequestReceivedTimestamp.Time) }) {
			access.Excuse = whileRolesWereMissing
		}
		counts[access]++
	}
	var all []Access
	for access, count := range counts {
		access.Count = count
		all = append(all, access)
	}
	slices.SortFunc(all, func(a, b Access) int { return cmp.Compare(a.key(), b.key()) })
	return all
}

// Excuse excuses every access that no grant allows.
func Excuse(accesses []Access, why string) {
	for i := range accesses {
		accesses[i].Excuse = why
	}
}

func (a *Access) key() string {
	return strings.Join([]string{a.Group, a.Resource, a.Verb, a.Name, a.Role, a.Excuse}, " ")
}

// Where the API server notes what it has decided, and why:
// https://kubernetes.io/docs/reference/labels-annotations-taints/audit-annotations/
const (
	decisionAnnotation = "authorization.k8s.io/decision"
	reasonAnnotation   = "authorization.k8s.io/reason"
)

// role finds the role in a reason such as: RBAC: allowed by ClusterRoleBinding "b" of ClusterRole
// "r" to ServiceAccount "a/n".
var role = regexp.MustCompile(` of (ClusterRole|Role) "([^"]+)"`)

// accessOf returns the access of a request. A request that ended before authorization, such as one
// without a valid token, has none.
func accessOf(event *auditv1.Event) (access Access, decided bool) {
	decision, decided := event.Annotations[decisionAnnotation]
	access.Permission = permissionOf(event)
	if event.ObjectRef != nil && slices.Contains(named, event.ObjectRef.Resource) {
		access.Name = event.ObjectRef.Name
	}
	if decision == "allow" {
		access.Role = event.Annotations[reasonAnnotation] // whatever it is
		if match := role.FindStringSubmatch(access.Role); match != nil {
			access.Role = match[1] + " " + match[2]
		}
	}
	return access, decided
}

func permissionOf(event *auditv1.Event) Permission {
	object := event.ObjectRef
	if object == nil {
		path, _, _ := strings.Cut(event.RequestURI, "?")
		return Permission{Resource: path, Verb: event.Verb}
	}
	resource := object.Resource
	if object.Subresource != "" {
		resource += "/" + object.Subresource
	}
	return Permission{Group: object.APIGroup, Resource: resource, Verb: event.Verb}
}

// Save writes the accesses of an account into a new file in a directory. The beginning of its name
// is given.
func Save(directory, name string, accesses []Access) error {
	content, err := json.MarshalIndent(accesses, "", "  ")
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(directory, name+"-*.json")
	if err != nil {
		return err
	}
	if _, err := file.Write(content); err != nil {
		_ = file.Close() // the first error counts
		return err
	}
	return file.Close()
}

// Load returns the accesses in the files of a directory, by file.
func Load(directory string) (map[string][]Access, error) {
	paths, err := filepath.Glob(filepath.Join(directory, "*.json"))
	if err != nil {
		return nil, err
	}
	all := map[string][]Access{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var accesses []Access
		if err := json.Unmarshal(content, &accesses); err != nil {
			return nil, err
		}
		all[filepath.Base(path)] = accesses
	}
	return all, nil
}
