package privilege

import (
	"fmt"
	"maps"
	"slices"
)

// everybodys are the roles that Kubernetes gives to every account: what they allow is not the operator's right.
var everybodys = []string{
	"ClusterRole system:basic-user", "ClusterRole system:discovery", "ClusterRole system:public-info-viewer",
	"ClusterRole system:service-account-issuer-discovery", "ClusterRole system:cluster-trust-bundle-discovery",
}

// Comparison is what differs between what is granted and what is asked for. Its lists are sorted, and have each entry once.
type Comparison struct {
	// Unused was granted, and nobody has asked for it.
	Unused []string
	// Missing was asked for, and denied, or allowed by a role that is not shipped.
	Missing []string
	// Excused is how many requests would be missing, if there were not such an excuse.
	Excused map[string]int
}

// Compare holds what is granted against what was asked for.
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

// grant is that one of the grants that allowed it.
func (a *Access) grant(grants []Grant) (Grant, bool) {
	at := slices.IndexFunc(grants, func(grant Grant) bool {
		return grant.Permission == a.Permission && grant.Role == a.Role && (grant.Name == "" || grant.Name == a.Name)
	})
	if at < 0 {
		return Grant{}, false
	}
	return grants[at], true
}

// String is the grant as a person says it.
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
