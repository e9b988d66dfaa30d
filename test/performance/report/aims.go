package report

import "fmt"

// Verdict is an aim and its outcome.
type Verdict struct {
	What, Aim, Got string
	// Judged is false where the run has no figure for it; then Reached means nothing.
	Judged, Reached bool
}

// Mark is the verdict as one character.
func (v *Verdict) Mark() string {
	switch {
	case !v.Judged:
		return none
	case v.Reached:
		return "✓"
	}
	return "✗"
}

// The aims.
const (
	pacedAim       = 1.2
	burstAim       = 1.15
	existingAim    = 1.25
	rollAim        = 2.0
	cpuBurstAim    = 1.3
	cpuPacedAim    = 1.8
	cpuExistingAim = 1.5

	restartAim      = 5.0  // seconds from the caches' sync
	stormAim        = 0.5  // seconds
	singleAim       = 0.1  // seconds
	heapAim         = 3072 // bytes for each namespace
	rssAimThousand  = 50   // MiB
	rssAimTenfold   = 100  // MiB
	thousand        = 1000
	tenThousand     = 10_000
	writesPerPolicy = 1
)

// Verdicts compares a run with the aims.
func (r *Result) Verdicts() []Verdict {
	return []Verdict{
		r.againstFloor("new namespace, paced, p50", Paced, Parallel, pacedAim, func(p *Phase) (float64, bool) { return p.Latency.P50, p.Missing == 0 }),
		r.againstFloor("burst, total", Burst, Parallel, burstAim, total),
		r.againstFloor("existing namespaces, total", Existing, Ordered, existingAim, total),
		r.newNamespaceWrites(),
		r.rollLatency(),
		r.restart(),
		r.idle(),
		r.heap(),
		r.storm("policies deleted at the same time, p99", RepairDeleted),
		r.storm("policies opened at the same time, p99", RepairOpened),
		r.single(),
		r.againstFloor("CPU for a burst", Burst, Parallel, cpuBurstAim, cpu),
		r.againstFloor("CPU for new namespaces, paced", Paced, Parallel, cpuPacedAim, cpu),
		r.againstFloor("CPU for existing namespaces", Existing, Ordered, cpuExistingAim, cpu),
		r.memory(),
	}
}

func (r *Result) againstFloor(what, phase, floor string, limit float64, read func(*Phase) (float64, bool)) Verdict {
	f := figure{phase: phase, read: read}
	verdict := Verdict{What: what, Aim: fmt.Sprintf("within %.4g × the %s", limit, floor), Got: none}
	ours, known := r.value(&f, Netbaseline)
	theirs, hasFloor := r.value(&f, floor)
	if !known || !hasFloor || theirs <= 0 {
		return verdict
	}
	verdict.Got = fmt.Sprintf("%.2f × (%s, %s)", ours/theirs, secondsOf(ours), secondsOf(theirs))
	verdict.Judged, verdict.Reached = true, ours <= limit*theirs
	return verdict
}

func (r *Result) newNamespaceWrites() Verdict {
	verdict := Verdict{What: "writes for a new namespace", Aim: "3, and nothing else but one status write a second", Got: none}
	p, ok := r.Of(Netbaseline, Paced)
	if !ok {
		return verdict
	}
	each, status, other := float64(p.writes(policiesResource))/float64(max(p.Namespaces, 1)), p.writes(statusResource), p.otherWrites()
	verdict.Got = fmt.Sprintf("%.2f; %d status writes in %.0f s; %d others, %d of them events", each, status, p.WindowSeconds, other, p.writes(eventsResource))
	verdict.Judged, verdict.Reached = true, each == 3 && float64(status) <= p.WindowSeconds+1 && other == 0
	return verdict
}

func (r *Result) rollLatency() Verdict {
	verdict := Verdict{What: "new namespace while a spec change rolls, p99", Aim: fmt.Sprintf("within %.4g × its p99 at rest", rollAim), Got: none}
	roll, ok := r.Of(Netbaseline, Roll)
	rest, known := r.Of(Netbaseline, Rest)
	if !ok || !known || roll.Meanwhile == nil || roll.Meanwhile.Count == 0 || rest.Latency.P99 <= 0 {
		return verdict
	}
	ours, theirs := roll.Meanwhile.P99, rest.Latency.P99
	verdict.Got = fmt.Sprintf("%.2f × (%s of %d, %s of %d)", ours/theirs, secondsOf(ours), roll.Meanwhile.Count, secondsOf(theirs), rest.Latency.Count)
	verdict.Judged, verdict.Reached = true, ours <= rollAim*theirs && roll.MeanwhileMissing == 0
	return verdict
}

func (r *Result) restart() Verdict {
	verdict := Verdict{What: "restart", Aim: "0 writes, ready within 5 s of the caches' sync", Got: none}
	p, ok := r.Of(Netbaseline, Restart)
	if !ok {
		return verdict
	}
	writes, behind := p.assumedWrites(), p.ReadySeconds-p.SyncedSeconds
	verdict.Got = fmt.Sprintf("%d writes, ready %s after it (%s after the start)", writes, secondsOf(behind), secondsOf(p.ReadySeconds))
	verdict.Judged, verdict.Reached = true, writes == 0 && behind <= restartAim
	return verdict
}

func (r *Result) idle() Verdict {
	verdict := Verdict{What: "at rest", Aim: "0 requests beyond watches and the lease", Got: none}
	if p, ok := r.Of(Netbaseline, Idle); ok {
		verdict.Got = fmt.Sprintf("%d in %.0f s", p.unasked(), p.WindowSeconds)
		verdict.Judged, verdict.Reached = true, p.unasked() == 0
	}
	return verdict
}

func (r *Result) heap() Verdict {
	verdict := Verdict{What: "live heap", Aim: "below 3 KiB for each namespace", Got: none}
	if p, ok := r.Of(Netbaseline, Burst); ok && p.LiveHeap > 0 {
		verdict.Got = fmt.Sprintf("%s for each of the burst (%s in all)", bytes(float64(p.HeapPerNamespace)), mebibytes(float64(p.LiveHeap)))
		verdict.Judged, verdict.Reached = true, p.HeapPerNamespace < heapAim
	}
	return verdict
}

func (r *Result) storm(what, phase string) Verdict {
	verdict := Verdict{What: what, Aim: "below 0.5 s, none missed, 1 write each", Got: none}
	p, ok := r.Of(Netbaseline, phase)
	if !ok {
		return verdict
	}
	writes := p.writes(policiesResource)
	verdict.What = fmt.Sprintf("%d %s", p.Namespaces, what)
	verdict.Got = fmt.Sprintf("%s, %d missed, %.2f policy writes and %.2f events each",
		secondsOf(p.Latency.P99), p.Missing, float64(writes)/float64(max(p.Namespaces, 1)), float64(p.otherWrites())/float64(max(p.Namespaces, 1)))
	verdict.Judged, verdict.Reached = true, p.Latency.P99 < stormAim && p.Missing == 0 && writes == writesPerPolicy*p.Namespaces
	return verdict
}

func (r *Result) single() Verdict {
	verdict := Verdict{What: "one policy deleted or opened at rest, p99", Aim: "within 0.1 s", Got: none}
	if p, ok := r.Of(Netbaseline, RepairSingle); ok {
		verdict.Got = fmt.Sprintf("%s of %d, %d missed", secondsOf(p.Latency.P99), p.Latency.Count, p.Missing)
		verdict.Judged, verdict.Reached = true, p.Latency.P99 <= singleAim && p.Missing == 0
	}
	return verdict
}

// memory judges the larger of the peaks of the two processes that held about as many namespaces as
// the run is about.
func (r *Result) memory() Verdict {
	limit := rssAimThousand
	if r.Namespaces > thousand {
		limit = rssAimTenfold
	}
	verdict := Verdict{What: "peak RSS", Aim: fmt.Sprintf("below %d MiB", limit), Got: none}
	idle, ok := r.Of(Netbaseline, Idle)
	restart, known := r.Of(Netbaseline, Restart)
	if !ok || !known {
		return verdict
	}
	most := max(idle.PeakRSS, restart.PeakRSS)
	verdict.Got = fmt.Sprintf("%s with %s namespaces", mebibytes(float64(most)), grouped(idle.Total))
	verdict.Judged = r.Namespaces <= tenThousand
	verdict.Reached = float64(most) < float64(limit)*(1<<20)
	return verdict
}
