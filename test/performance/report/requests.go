package report

import (
	"maps"
	"slices"
	"strings"
)

// stored reports whether creating one of a resource leaves anything behind. The reviews do not: the
// manager uses them to authenticate clients of its metrics, which here is the benchmark itself.
func stored(resource string) bool {
	return resource != "tokenreviews" && resource != "subjectaccessreviews"
}

// writes counts the requests that change a resource; without a resource, those that change
// anything. Refused ones count, because they are requests too.
func (p *Phase) writes(resource string) int {
	count := 0
	for request, n := range p.Requests {
		verb, what, _ := strings.Cut(request, " ")
		what, _, _ = strings.Cut(what, " ") // without the code of what failed
		switch verb {
		case "create", "update", "patch", "delete":
			if what == resource || resource == "" && stored(what) {
				count += n
			}
		}
	}
	return count
}

const (
	policiesResource = "networkpolicies"
	statusResource   = "clusternetworkbaselines/status"
	leasesResource   = "leases"
	eventsResource   = "events.events.k8s.io"
	// leaderEventsResource is the old API group of events. The manager's role does not allow it:
	// only leader election, which reports the leader in its own namespace, uses it.
	leaderEventsResource = "events"
)

// assumedWrites counts the writes that are not leader election's.
func (p *Phase) assumedWrites() int {
	return p.writes("") - p.writes(leasesResource) - p.writes(leaderEventsResource)
}

// otherWrites counts those that are neither of a policy nor of a status.
func (p *Phase) otherWrites() int {
	return p.assumedWrites() - p.writes(policiesResource) - p.writes(statusResource)
}

// unasked counts the requests that are neither watches nor of the lease.
func (p *Phase) unasked() int {
	count := 0
	for request, n := range p.Requests {
		if !strings.HasPrefix(request, "watch ") && !strings.HasSuffix(request, " "+leasesResource) {
			count += n
		}
	}
	return count
}

func (p *Phase) allRequests() int {
	count := 0
	for _, n := range p.Requests {
		count += n
	}
	return count
}

// listed names requests, the most frequent first.
func listed(requests map[string]int) string {
	names := slices.SortedFunc(maps.Keys(requests), func(a, b string) int {
		if requests[a] != requests[b] {
			return requests[b] - requests[a]
		}
		return strings.Compare(a, b)
	})
	parts := make([]string, 0, len(names))
	for _, name := range names {
		parts = append(parts, grouped(requests[name])+" "+name)
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
