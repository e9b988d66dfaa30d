package report

import (
	"fmt"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// curve is one line of a plot: a value for each number of namespaces.
type curve struct {
	name string
	read func(*Result) (float64, bool)
}

// picture is a plot and the file it goes to.
type picture struct {
	file, title, unit string
	curves            []curve
}

func pictures() []picture {
	const mib = 1 << 20
	p99 := func(tool, phase string) func(*Result) (float64, bool) {
		return read(tool, phase, func(p *Phase) (float64, bool) {
			if p.Latency == nil || p.Latency.Count == 0 {
				return 0, false
			}
			return p.Latency.P99, true
		})
	}
	rss := func(tool, phase string) func(*Result) (float64, bool) {
		return read(tool, phase, func(p *Phase) (float64, bool) { return float64(p.PeakRSS) / mib, p.PeakRSS > 0 })
	}
	return []picture{
		{"latency.svg", "From a new namespace to its protection, 99th percentile", "seconds", []curve{
			{Netbaseline + ", paced", p99(Netbaseline, Paced)},
			{Netbaseline + ", paced, all others protected", p99(Netbaseline, Rest)},
			{Netbaseline + ", while a spec change rolls", read(Netbaseline, Roll, meanwhile)},
			{Parallel + ", paced", p99(Parallel, Paced)},
			{Ordered + ", paced", p99(Ordered, Paced)},
		}},
		{"memory.svg", "Memory", "MiB", []curve{
			{Netbaseline + ", peak RSS", rss(Netbaseline, Idle)},
			{Netbaseline + ", peak RSS after a restart", rss(Netbaseline, Restart)},
			{Netbaseline + ", live heap", read(Netbaseline, Idle, func(p *Phase) (float64, bool) { return float64(p.LiveHeap) / mib, p.LiveHeap > 0 })},
			{Ordered + ", peak RSS", rss(Ordered, Existing)},
		}},
	}
}

func read(tool, phase string, value func(*Phase) (float64, bool)) func(*Result) (float64, bool) {
	return func(r *Result) (float64, bool) {
		p, ok := r.Of(tool, phase)
		if !ok {
			return 0, false
		}
		return value(&p)
	}
}

// PlotAll draws all plots of the results in a folder into another one, and returns the paths.
func PlotAll(results, directory string) ([]string, error) {
	all, err := Read(results)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, picture := range pictures() {
		path := filepath.Join(directory, picture.file)
		if err := picture.draw(all, path); err != nil {
			return nil, fmt.Errorf("plot %s: %w", path, err)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func (p *picture) draw(results []Series, path string) error {
	const width, height = 8 * vg.Inch, 4.5 * vg.Inch
	drawing := plot.New()
	drawing.Title.Text, drawing.X.Label.Text, drawing.Y.Label.Text = p.title, "namespaces", p.unit
	drawing.Y.Min, drawing.X.Min = 0, 0
	drawing.Legend.Top, drawing.Legend.Left = true, true
	drawing.Add(plotter.NewGrid())
	for i, curve := range p.curves {
		points := plotter.XYs{}
		for j := range results {
			if values := results[j].collect(curve.read); len(values) > 0 && results[j][0].Foreign == 0 {
				points = append(points, plotter.XY{X: float64(results[j][0].Namespaces), Y: median(values)})
			}
		}
		if len(points) == 0 {
			continue
		}
		line, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		line.Color, marks.Color, marks.Shape = plotutil.Color(i), plotutil.Color(i), plotutil.Shape(i)
		drawing.Add(line, marks)
		drawing.Legend.Add(curve.name, line, marks)
	}
	drawing.Y.Max *= 1.4 // room for the legend
	return drawing.Save(width, height, path)
}
