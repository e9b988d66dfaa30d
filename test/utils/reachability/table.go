package reachability

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
)

const (
	allowedMark = "✓"
	refusedMark = "·"
)

// Pods returns one pod, without labels and address, for each namespace.
func Pods(namespaces ...string) []Pod {
	pods := make([]Pod, 0, len(namespaces))
	for _, namespace := range namespaces {
		pods = append(pods, Pod{Namespace: namespace})
	}
	return pods
}

// String names a pod by its namespace and labels, or by its address.
func (p Pod) String() string {
	if p.Namespace == "" {
		return p.IP
	}
	var name strings.Builder
	name.WriteString(p.Namespace)
	for _, key := range slices.Sorted(maps.Keys(p.Labels)) {
		name.WriteString(" " + pair(key, p.Labels[key]))
	}
	return name.String()
}

// Table shows, for a terminal, which of the pods may talk to which over TCP on a port: a row for
// each source, a column for each destination, ✓ for yes and · for no. On the diagonal a pod
// represents two pods of one namespace.
func Table(w World, pods []Pod, port int) string {
	e := w.evaluator(pods...)
	rows := [][]string{{"from ↓ to →"}}
	for _, to := range pods {
		rows[0] = append(rows[0], to.String())
	}
	for _, from := range pods {
		row := []string{from.String()}
		for _, to := range pods {
			if e.egress(from, to, port, corev1.ProtocolTCP) && e.ingress(from, to, port, corev1.ProtocolTCP) {
				row = append(row, allowedMark)
			} else {
				row = append(row, refusedMark)
			}
		}
		rows = append(rows, row)
	}
	return aligned(rows)
}

// aligned puts the cells of each column, all of which have one character in a terminal cell, under
// each other.
func aligned(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for column, cell := range row {
			widths[column] = max(widths[column], utf8.RuneCountInString(cell))
		}
	}
	var table strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for column, cell := range row {
			line.WriteString(cell + strings.Repeat(" ", widths[column]-utf8.RuneCountInString(cell)+2))
		}
		table.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return table.String()
}
