package witness

import (
	"fmt"
	"slices"
	"time"

	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// auditBefore and auditAfter are how far the time of a write in the audit log may be from the time
// when the witness saw it: on a busy machine, answers and watches are slow.
const auditBefore, auditAfter = 15 * time.Second, 150 * time.Millisecond

// Count is how often an object was written.
type Count struct{ Creates, Updates, Deletes int }

// Counts returns how often each object was written since a revision.
func (j *Judge) Counts(since int64) map[Object]Count {
	counts := map[Object]Count{}
	for object, all := range j.counts {
		for _, c := range all {
			if c.revision <= since {
				continue
			}
			count := counts[object]
			switch c.what {
			case "create":
				count.Creates++
			case "update":
				count.Updates++
			case "delete":
				count.Deletes++
			}
			counts[object] = count
		}
	}
	return counts
}

// Violations returns the violations in the history so far. A tenant's own writes, known from the
// audit log, are excused; an opening only for a while.
func (j *Judge) Violations(writes []harness.Write, bound time.Duration, now time.Time) []string {
	var violations []string
	for _, s := range j.suspicion {
		lasted := s.lasted
		if s.open {
			lasted = now.Sub(s.at)
		}
		byTenant := slices.ContainsFunc(writes, func(w harness.Write) bool { return s.excusedBy(&w) })
		switch {
		case !byTenant && s.hole:
			violations = append(violations, fmt.Sprintf("%s at revision %d: %s, for %s", s.invariant, s.revision, s.text, lasted))
		case !byTenant:
			violations = append(violations, fmt.Sprintf("%s at revision %d: %s", s.invariant, s.revision, s.text))
		case s.hole && lasted > bound:
			violations = append(violations, fmt.Sprintf("%s at revision %d: %s, by a tenant, but for %s", s.invariant, s.revision, s.text, lasted))
		}
	}
	return append(violations, j.foreign(writes)...)
}

// Settle drops the findings so far, apart from holes that are still open.
func (j *Judge) Settle() {
	j.suspicion = slices.DeleteFunc(j.suspicion, func(s *suspicion) bool { return !s.open })
}

// Holes returns how long each hole lasted that another client opened in a namespace; one that is
// still open lasts until now.
func (j *Judge) Holes(namespace string, now time.Time) []time.Duration {
	var all []time.Duration
	for _, s := range j.suspicion {
		switch {
		case !s.hole || s.run != namespace:
		case s.open:
			all = append(all, now.Sub(s.at))
		default:
			all = append(all, s.lasted)
		}
	}
	return all
}

// excusedBy reports whether a write shows that a client other than the operator caused the
// suspicion.
func (s *suspicion) excusedBy(write *harness.Write) bool {
	return write.User != harness.OperatorUser && write.Code < 300 &&
		write.Resource == string(s.by.Kind) && write.Namespace == s.by.Namespace && (write.Name == s.by.Name || write.Verb == "deletecollection") &&
		write.At.Before(s.at.Add(auditAfter)) && write.At.After(s.at.Add(-auditBefore))
}

// foreign is I3: the operator writes only our three names, in namespaces that a baseline selects,
// and the finalizer and status of baselines.
func (j *Judge) foreign(writes []harness.Write) []string {
	var violations []string
	for _, write := range writes {
		if write.User == harness.OperatorUser && !j.own(&write) {
			violations = append(violations, fmt.Sprintf("I3: the operator wrote something foreign: %s %s %s/%s %s",
				write.Verb, write.Resource, write.Namespace, write.Name, write.Subresource))
		}
	}
	return violations
}

func (j *Judge) own(write *harness.Write) bool {
	switch write.Resource {
	case "events", "leases":
		return true
	case string(Baselines):
		return write.Verb == "patch" && write.Subresource == "" || write.Verb == "update" && write.Subresource == "status"
	case string(Policies):
		// The name of an object that could not be created is not in the audit log.
		return (slices.Contains(claimed, write.Name) || write.Name == "" && write.Code >= 300) && j.governed[write.Namespace]
	}
	return false
}
