package report

import (
	"fmt"
	"strconv"

	"github.com/netbaseline/netbaseline/test/performance/measure"
)

// figure is one line of the table: what it is, how it is read from a phase, and which floor it is
// compared with.
type figure struct {
	name  string
	phase string
	floor string // the tool that the ratio is to; "" for none
	read  func(*Phase) (float64, bool)
	show  func(float64) string
}

func figures() []figure {
	var all []figure
	all = append(all, latency(Paced, "new namespaces, paced", Parallel)...)
	all = append(all, latency(Burst, "new namespaces, burst", Parallel)...)
	all = append(all,
		figure{"burst, total", Burst, Parallel, total, secondsOf},
		figure{"burst, CPU", Burst, Parallel, cpu, secondsOf},
		figure{"paced, CPU", Paced, Parallel, cpu, secondsOf},
		figure{"peak RSS after paced and burst", Burst, Parallel, peak, mebibytes},
		figure{"requests for a new namespace, paced", Paced, Parallel, perNamespace((*Phase).allRequests), twoDigits},
		figure{"policy writes for a new namespace, paced", Paced, Parallel, perNamespace(policyWrites), twoDigits},
		figure{"existing namespaces, total", Existing, Ordered, total, secondsOf},
		figure{"new ones meanwhile, p99", Existing, Parallel, meanwhile, secondsOf},
		figure{"existing namespaces, CPU", Existing, Ordered, cpu, secondsOf},
		figure{"peak RSS after that", Existing, Ordered, peak, mebibytes},
	)
	all = append(all, latency(Rest, "new namespaces, paced, all others protected", "")...)
	all = append(all,
		figure{"change of the spec, total", Roll, "", total, secondsOf},
		figure{"new ones meanwhile, p99", Roll, "", meanwhile, secondsOf},
	)
	all = append(all, latency(RepairSingle, "one policy broken at rest", "")...)
	all = append(all, latency(RepairDeleted, "many deleted at the same time", "")...)
	all = append(all, latency(RepairOpened, "many opened at the same time", "")...)
	return append(all,
		figure{"requests at rest, but watches and the lease", Idle, "", func(p *Phase) (float64, bool) { return float64(p.unasked()), true }, whole},
		figure{"CPU at rest", Idle, "", cpu, secondsOf},
		figure{"live heap", Idle, "", func(p *Phase) (float64, bool) { return float64(p.LiveHeap), p.LiveHeap > 0 }, mebibytes},
		figure{"live heap for each namespace of the burst", Burst, "", func(p *Phase) (float64, bool) { return float64(p.HeapPerNamespace), p.LiveHeap > 0 }, bytes},
		figure{"peak RSS of the first process", Idle, "", peak, mebibytes},
		figure{"of its last RSS, heap and stacks", Idle, "", func(p *Phase) (float64, bool) { return float64(p.AnonymousRSS), p.AnonymousRSS > 0 }, mebibytes},
		figure{"restart: caches filled", Restart, "", func(p *Phase) (float64, bool) { return p.SyncedSeconds, true }, secondsOf},
		figure{"restart: every namespace looked at", Restart, "", func(p *Phase) (float64, bool) { return p.ReadySeconds, true }, secondsOf},
		figure{"restart: writes, but for leader election", Restart, "", assumedWrites, whole},
		figure{"peak RSS after the restart", Restart, "", peak, mebibytes},
	)
}

// latency returns the lines about how long each namespace or repair of a phase took.
func latency(phase, title, floor string) []figure {
	line := func(name string, read func(*measure.Distribution) float64) figure {
		return figure{title + ", " + name, phase, floor, func(p *Phase) (float64, bool) {
			if p.Latency == nil || p.Latency.Count == 0 {
				return 0, false
			}
			return read(p.Latency), true
		}, secondsOf}
	}
	return []figure{
		line("p50", func(d *measure.Distribution) float64 { return d.P50 }),
		line("p90", func(d *measure.Distribution) float64 { return d.P90 }),
		line("p99", func(d *measure.Distribution) float64 { return d.P99 }),
		line("max", func(d *measure.Distribution) float64 { return d.Max }),
	}
}

func total(p *Phase) (float64, bool) { return p.Seconds, p.Missing == 0 }
func cpu(p *Phase) (float64, bool)   { return p.CPUSeconds, true }
func peak(p *Phase) (float64, bool)  { return float64(p.PeakRSS), p.PeakRSS > 0 }
func policyWrites(p *Phase) int      { return p.writes(policiesResource) }

func meanwhile(p *Phase) (float64, bool) {
	if p.Meanwhile == nil {
		return 0, false
	}
	return p.Meanwhile.P99, p.Meanwhile.Count > 0
}

func assumedWrites(p *Phase) (float64, bool) {
	return float64(p.assumedWrites()), true
}

func perNamespace(count func(*Phase) int) func(*Phase) (float64, bool) {
	return func(p *Phase) (float64, bool) { return float64(count(p)) / float64(max(p.Namespaces, 1)), true }
}

func secondsOf(value float64) string {
	switch {
	case value < 1:
		return fmt.Sprintf("%.3f s", value)
	case value < 10:
		return fmt.Sprintf("%.2f s", value)
	}
	return fmt.Sprintf("%.1f s", value)
}

func mebibytes(value float64) string { return fmt.Sprintf("%.1f MiB", value/(1<<20)) }
func bytes(value float64) string     { return grouped(int(value)) + " B" }
func twoDigits(value float64) string { return fmt.Sprintf("%.2f", value) }
func whole(value float64) string     { return grouped(int(value)) }

// grouped shows a number with its thousands apart.
func grouped(number int) string {
	text := strconv.Itoa(number)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
