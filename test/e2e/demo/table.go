package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"

	"github.com/netbaseline/netbaseline/test/utils/reachability"
)

// The contents of a cell of the table.
const (
	open   = "●"
	closed = "·"
	arrow  = "→"
)

// Ends of connections that are not one of the cast's namespaces.
const (
	internet = "internet"
	dns      = "DNS"
)

// cast is the namespaces of the story, in the order of the table.
var cast = []string{"shop", "billing", "preview", "qa", "sandbox", "scratch"}

// way is a possible connection.
type way struct{ from, to string }

// reach is which ways are open.
type reach map[way]bool

// look evaluates, with cyclonus' matcher, which connections a world allows.
func look(world reachability.World) reach {
	seen := reach{}
	for _, w := range ways(world) {
		port, protocol := 8080, corev1.ProtocolTCP
		if w.to == dns {
			port, protocol = 53, corev1.ProtocolUDP
		}
		seen[w] = world.Allowed(podOf(w.from), podOf(w.to), port, protocol)
	}
	return seen
}

// ways lists the connections between the members of the cast that exist in a world.
func ways(world reachability.World) []way {
	present := slices.DeleteFunc(slices.Clone(cast), func(name string) bool {
		_, ok := world.Namespaces[name]
		return !ok
	})
	var list []way
	for _, from := range present {
		for _, to := range slices.Concat(present, []string{internet, dns}) {
			list = append(list, way{from, to})
		}
		list = append(list, way{internet, from})
	}
	return list
}

// podOf returns a pod that represents an end of a connection.
func podOf(end string) reachability.Pod {
	switch end {
	case internet:
		return reachability.Pod{IP: "203.0.113.7"} // an address kept free for documentation
	case dns:
		return reachability.Pod{Namespace: "kube-system", Labels: map[string]string{"k8s-app": "kube-dns"}}
	default:
		return reachability.Pod{Namespace: end}
	}
}

// difference lists the ways that are open in one and closed in the other, sorted.
func difference(a, b reach) []way {
	var different []way
	for w, isOpen := range b {
		if was, known := a[w]; known && was != isOpen {
			different = append(different, w)
		}
	}
	slices.SortFunc(different, func(a, b way) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	return different
}

// table draws one moment, or several moments in one: a cell that changed shows its
// history. Its first column holds the environments.
func (s *screen) table(environments map[string]string, moments ...reach) {
	now := moments[len(moments)-1]
	columns := slices.Concat(inTable(now), []string{internet, dns})
	widths := map[string]int{}
	for _, column := range columns {
		widths[column] = utf8.RuneCountInString(column)
		for from := range rowsOf(now) {
			widths[column] = max(widths[column], utf8.RuneCountInString(cell(moments, way{from, column})))
		}
		widths[column] |= 1 // odd, as all cells are, so that they stand in the middle
	}
	head := fmt.Sprintf("%-10s%-13s", "from ↓", "environment")
	for _, column := range columns {
		head += "  " + center(column, widths[column])
	}
	s.line("  " + s.paint(dim, head))
	for _, from := range slices.Concat(inTable(now), []string{internet}) {
		row := fmt.Sprintf("  %-10s%-13s", from, environments[from])
		for _, column := range columns {
			text := cell(moments, way{from, column})
			row += "  " + s.paint(cellStyle(text), center(text, widths[column]))
		}
		s.line(strings.TrimRight(row, " "))
	}
}

func inTable(now reach) []string {
	rows := rowsOf(now)
	return slices.DeleteFunc(slices.Clone(cast), func(name string) bool { return !rows[name] })
}

func rowsOf(now reach) map[string]bool {
	rows := map[string]bool{}
	for w := range maps.Keys(now) {
		rows[w.from] = true
	}
	return rows
}

// cell shows the history of a way.
func cell(moments []reach, w way) string {
	var marks []string
	for _, moment := range moments {
		isOpen, known := moment[w]
		mark := closed
		if isOpen {
			mark = open
		}
		if known && (len(marks) == 0 || marks[len(marks)-1] != mark) {
			marks = append(marks, mark)
		}
	}
	return strings.Join(marks, arrow)
}

func cellStyle(text string) style {
	switch {
	case strings.Contains(text, arrow):
		return yellow
	case text == open:
		return green
	default:
		return dim
	}
}

func center(text string, within int) string {
	space := within - utf8.RuneCountInString(text)
	left := space / 2
	return strings.Repeat(" ", left) + text + strings.Repeat(" ", space-left)
}

// caption is printed above a table.
func (s *screen) caption(text string) {
	s.line("")
	s.line("  " + text + s.paint(dim, "   ("+open+" yes  "+closed+" no; TCP 8080, DNS: UDP 53)"))
}
