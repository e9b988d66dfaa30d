package report

import (
	"strings"
	"unicode/utf8"
)

// none fills a cell without a value.
const none = "–"

func (r *Result) value(f *figure, tool string) (float64, bool) {
	phase, ok := r.Of(tool, f.phase)
	if !ok {
		return 0, false
	}
	return f.read(&phase)
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
