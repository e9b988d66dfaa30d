package privilege

import (
	"fmt"
	"maps"
	"slices"
)

// everybodys are the roles that Kubernetes gives to every account: what they allow does not count
// as the operator's right.
var everybodys = []string{
	"ClusterRole system:basic-user", "ClusterRole system:discovery", "ClusterRole system:public-info-viewer",
	"ClusterRole system:service-account-issuer-discovery", "ClusterRole system:cluster-trust-bundle-discovery",
}

// Comparison is the difference between the granted and the requested permissions. Its lists are
// sorted, without duplicates.
type Comparison struct {
	// Unused was granted, and never requested.
	Unused []string
	// Missing was requested, and denied, or allowed by a role that is not shipped.
	Missing []string
	// Excused is how many requests would be missing without an excuse.
	Excused map[string]int
}

// Compare compares the granted with the requested permissions.
func Compare(grants []Grant, accesses []Access) Comparison {
	used, missing, excused := map[Grant]bool{}, map[string]bool{}, map[string]int{}
	for i := range accesses {
		access := &accesses[i]
		grant, granted := access.grant(grants)
		switch {
		case granted:
			used[grant] = true
		case slices.Contains(everybodys, access.Role):
		case access.Excuse != "":
			excused[access.Excuse] += access.Count
		case access.Role == "":
			missing[access.Permission.String()+of(access.Name)+": denied"] = true
		default:
			missing[access.Permission.String()+of(access.Name)+": allowed by "+access.Role] = true
		}
	}
	unused := map[string]bool{}
	for _, grant := range grants {
		if !used[grant] && grant.Permission != Mark {
			unused[grant.String()] = true
		}
	}
	return Comparison{sorted(unused), sorted(missing), excused}
}

// grant is the grant that allowed it.
func (a *Access) grant(grants []Grant) (Grant, bool) {
	at := slices.IndexFunc(grants, func(grant Grant) bool {
		return grant.Permission == a.Permission && grant.Role == a.Role && (grant.Name == "" || grant.Name == a.Name)
	})
	if at < 0 {
		return Grant{}, false
	}
	return grants[at], true
}

// String is the grant in words.
func (g Grant) String() string {
	return fmt.Sprintf("%s%s: granted by %s", g.Permission, of(g.Name), g.Role)
}

func of(name string) string {
	if name == "" {
		return ""
	}
	return " " + name
}

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
