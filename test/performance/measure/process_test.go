package measure

import (
	"os"
	"testing"
	"time"
)

func TestCPUIsUserAndSystemTime(t *testing.T) {
	got, err := parseCPU("7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 5 0 1 2 3\n")
	if err != nil || got != 3*time.Second {
		t.Errorf("got %v, %v; want 3s", got, err)
	}
	if _, err := parseCPU("7 (a) S"); err == nil {
		t.Error("want an error for what is too short")
	}
}

func TestMemoryIsInBytes(t *testing.T) {
	got, err := parseMemory("Name:\ta\nVmPeak:\t  9 kB\nVmHWM:\t   28 kB\n", "VmHWM:")
	if err != nil || got != 28<<10 {
		t.Errorf("got %v, %v; want %d", got, err, 28<<10)
	}
	if _, err := parseMemory("Name:\ta\n", "VmHWM:"); err == nil {
		t.Error("want an error where the field is missing")
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	usage, err := UsageOf(os.Getpid())
	if err != nil || usage.PeakRSS == 0 || usage.AnonymousRSS == 0 {
		t.Errorf("got %+v, %v", usage, err)
	}
}
