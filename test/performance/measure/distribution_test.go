package measure

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDistribute(t *testing.T) {
	hundred := make([]time.Duration, 0, 100)
	for i := 100; i > 0; i-- { // unsorted on purpose
		hundred = append(hundred, time.Duration(i)*time.Second)
	}
	for name, test := range map[string]struct {
		durations []time.Duration
		want      Distribution
	}{
		"of nothing, everything is zero":                   {nil, Distribution{}},
		"one duration is every percentile":                 {[]time.Duration{2 * time.Second}, Distribution{1, 2, 2, 2, 2}},
		"percentiles are durations that occurred":          {[]time.Duration{3 * time.Second, time.Second}, Distribution{2, 1, 3, 3, 3}},
		"of a hundred, the 99th percentile leaves out one": {hundred, Distribution{100, 50, 90, 99, 100}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Distribute(test.durations)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
