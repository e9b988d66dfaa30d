package report

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// none stands where there is nothing to show.
const none = "–"

// Table returns the figures of all tools side by side, as rows of cells; the first row is the head.
func (r *Result) Table() [][]string {
	rows := [][]string{{"figure", Parallel, Ordered, Netbaseline, "ratio"}}
	for _, f := range figures() {
		row := []string{f.name}
		measured := false
		for _, tool := range []string{Parallel, Ordered, Netbaseline} {
			value, ok := r.value(&f, tool)
			measured = measured || ok
			row = append(row, shown(value, ok, f.show))
		}
		if measured {
			rows = append(rows, append(row, r.ratio(&f)))
		}
	}
	return rows
}

func (r *Result) value(f *figure, tool string) (float64, bool) {
	phase, ok := r.Of(tool, f.phase)
	if !ok {
		return 0, false
	}
	return f.read(&phase)
}

func (r *Result) ratio(f *figure) string {
	ours, known := r.value(f, Netbaseline)
	floor, hasFloor := r.value(f, f.floor)
	if !known || !hasFloor || floor <= 0 {
		return ""
	}
	return fmt.Sprintf("%.2f × %s", ours/floor, strings.TrimSuffix(f.floor, " reactor"))
}

func shown(value float64, ok bool, show func(float64) string) string {
	if !ok {
		return none
	}
	return show(value)
}

// Aligned returns rows as lines of equally wide columns.
func Aligned(rows [][]string) []string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	lines := make([]string, 0, len(rows))
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		lines = append(lines, strings.TrimRight(line.String(), " "))
	}
	return lines
}
