package report

import (
	"fmt"
	"slices"
	"strings"
)

// Series is one or more runs of the same kind.
type Series []Result

func (s Series) sameKind(other *Result) bool {
	return s[0].Namespaces == other.Namespaces && s[0].Foreign == other.Foreign
}

// Table returns the figures of all tools as rows of cells, one column per tool; the first row is
// the head. Of several runs it shows the median, and the least and the most.
func (s Series) Table() [][]string {
	rows := [][]string{{"figure", Parallel, Ordered, Netbaseline, "ratio"}}
	for _, f := range figures() {
		row := []string{f.name}
		measured := false
		for _, tool := range []string{Parallel, Ordered, Netbaseline} {
			values := s.values(&f, tool)
			measured = measured || len(values) > 0
			row = append(row, spread(values, f.show))
		}
		if measured {
			rows = append(rows, append(row, s.ratio(&f)))
		}
	}
	return rows
}

// values returns the measurements of the runs, sorted.
func (s Series) values(f *figure, tool string) []float64 {
	return s.collect(func(r *Result) (float64, bool) { return r.value(f, tool) })
}

// collect reads a value from each run that has it, and returns them sorted.
func (s Series) collect(read func(*Result) (float64, bool)) []float64 {
	var values []float64
	for i := range s {
		if value, ok := read(&s[i]); ok {
			values = append(values, value)
		}
	}
	slices.Sort(values)
	return values
}

// ratio compares the medians.
func (s Series) ratio(f *figure) string {
	ours, floor := s.values(f, Netbaseline), s.values(f, f.floor)
	if len(ours) == 0 || len(floor) == 0 || median(floor) <= 0 {
		return ""
	}
	return fmt.Sprintf("%.2f × %s", median(ours)/median(floor), strings.TrimSuffix(f.floor, " reactor"))
}

// Verdicts returns, for each aim, its outcome in each run.
func (s Series) Verdicts() [][]Verdict {
	var all [][]Verdict
	for i := range s {
		for j, verdict := range s[i].Verdicts() {
			if j == len(all) {
				all = append(all, nil)
			}
			all[j] = append(all[j], verdict)
		}
	}
	return all
}

// median returns the middle one of sorted values; of an even number, the lower of the two in the
// middle.
func median(values []float64) float64 { return values[(len(values)-1)/2] }

func spread(values []float64, show func(float64) string) string {
	switch len(values) {
	case 0:
		return none
	case 1:
		return show(values[0])
	}
	return fmt.Sprintf("%s (%s – %s)", show(median(values)), show(values[0]), show(values[len(values)-1]))
}
