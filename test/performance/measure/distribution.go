// Package measure turns raw observations into numbers: durations into percentiles, /proc into CPU
// time and memory, an audit log into counts of requests. It starts nothing and prints nothing.
package measure

import (
	"math"
	"slices"
	"time"
)

// Distribution sums up durations, in seconds.
type Distribution struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// Distribute sums durations up. Percentiles are by nearest rank: each is a duration that did occur,
// and with fewer than a hundred of them the 99th percentile is the maximum.
func Distribute(durations []time.Duration) Distribution {
	sorted := slices.Sorted(slices.Values(durations))
	return Distribution{
		Count: len(sorted),
		P50:   percentile(sorted, 50).Seconds(),
		P90:   percentile(sorted, 90).Seconds(),
		P99:   percentile(sorted, 99).Seconds(),
		Max:   percentile(sorted, 100).Seconds(),
	}
}

// percentile returns the smallest duration that at least so many of a hundred do not exceed; 0 if
// there are none.
func percentile(sorted []time.Duration, percent float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(percent / 100 * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}
