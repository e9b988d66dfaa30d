package measure

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is the unit of /proc/PID/stat; Linux has reported 100 to every program since 2.6,
// independent of its internal unit.
const ticksPerSecond = 100

// Usage is what a process has used since it began.
type Usage struct {
	// CPU is in user and kernel mode, of all threads, to a hundredth of a second.
	CPU time.Duration
	// PeakRSS is the largest resident set so far, in bytes.
	PeakRSS int64
	// AnonymousRSS is the part of the resident set that is heap and stacks, now, in bytes. The rest
	// is pages of the program's own file.
	AnonymousRSS int64
}

// UsageOf reads what a process has used. It needs Linux.
func UsageOf(pid int) (Usage, error) {
	directory := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(directory + "/stat")
	if err != nil {
		return Usage{}, err
	}
	status, err := os.ReadFile(directory + "/status")
	if err != nil {
		return Usage{}, err
	}
	cpu, err := parseCPU(string(stat))
	if err != nil {
		return Usage{}, err
	}
	peak, err := parseMemory(string(status), "VmHWM:")
	if err != nil {
		return Usage{}, err
	}
	anonymous, err := parseMemory(string(status), "RssAnon:")
	return Usage{CPU: cpu, PeakRSS: peak, AnonymousRSS: anonymous}, err
}

// parseCPU adds up utime and stime, the 14th and 15th field. The second field is the program's
// name, which may hold anything.
func parseCPU(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("not a /proc/PID/stat: %q", stat)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticksPerSecond, err
}

func parseMemory(status, field string) (int64, error) {
	for line := range strings.Lines(status) {
		if value, found := strings.CutPrefix(line, field); found {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("no %s in /proc/PID/status", field)
}
