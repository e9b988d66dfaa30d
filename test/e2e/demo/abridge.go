package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// usual are the policies of a governed namespace, sorted.
var usual = []string{v1alpha1.AllowDNSName, v1alpha1.DefaultDenyName, v1alpha1.EnvironmentIsolationName}

// abridge shortens a listing of policies in all namespaces. It leaves out only namespaces
// that hold exactly the usual three: left is the number of lines, others names the namespaces.
func abridge(lines, interesting []string) (shown []string, left int, others string) {
	held := map[string][]string{}
	for _, line := range lines[1:] {
		if columns := strings.Fields(line); len(columns) > 1 {
			held[columns[0]] = append(held[columns[0]], columns[1])
		}
	}
	maps.DeleteFunc(held, func(namespace string, names []string) bool {
		return slices.Contains(interesting, namespace) || !slices.Equal(slices.Sorted(slices.Values(names)), usual)
	})
	for i, line := range lines {
		columns := strings.Fields(line)
		if _, abridged := held[columns[0]]; i > 0 && abridged {
			left++
			continue
		}
		shown = append(shown, line)
	}
	return shown, left, "the same three in each of " + strings.Join(slices.Sorted(maps.Keys(held)), ", ")
}
