package privilege

import (
	"net/http"
	"slices"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// whileRolesWereMissing is the excuse for denials while a role or a binding of the operator does
// not exist: uninstalling netbaseline removes the rights before the operator has ended.
const whileRolesWereMissing = "roles or bindings were not installed at that time"

// belated is how long the API server may take to apply a role that it has stored.
const belated = time.Second

// gap is a period in which a role or a binding did not exist. It has no end while it lasts.
type gap struct{ from, to time.Time }

func (g gap) holds(t time.Time) bool { return !t.Before(g.from) && (g.to.IsZero() || t.Before(g.to)) }

// gapsIn returns when roles and bindings with the prefix of the operator did not exist, according
// to the log.
func gapsIn(events []auditv1.Event, prefix string) []gap {
	var gaps []gap
	open := map[auditv1.ObjectReference]int{} // of what is not there, its gap
	there := map[auditv1.ObjectReference]bool{}
	for _, event := range inOrder(events) {
		object := auditv1.ObjectReference{Resource: event.ObjectRef.Resource, Namespace: event.ObjectRef.Namespace, Name: event.ObjectRef.Name}
		switch {
		case event.Verb == "deletecollection": // as a namespace that is deleted does with what is in it
			for other := range there {
				if other.Resource == object.Resource && other.Namespace == object.Namespace {
					gaps, open[other] = append(gaps, gap{from: event.RequestReceivedTimestamp.Time}), len(gaps)
					delete(there, other)
				}
			}
		case !strings.HasPrefix(object.Name, prefix):
		case event.Verb == "delete":
			gaps, open[object] = append(gaps, gap{from: event.RequestReceivedTimestamp.Time}), len(gaps)
			delete(there, object)
		case event.ResponseStatus.Code == http.StatusCreated:
			at, opened := open[object]
			if !opened { // never there before
				gaps, at = append(gaps, gap{}), len(gaps)
			}
			gaps[at].to = event.StageTimestamp.Add(belated)
			delete(open, object)
			there[object] = true
		}
	}
	return gaps
}

// inOrder returns the requests about roles and bindings that have succeeded, oldest first.
func inOrder(events []auditv1.Event) []*auditv1.Event {
	var kept []*auditv1.Event
	for i := range events {
		event := &events[i]
		if event.Stage == auditv1.StageResponseComplete && event.ObjectRef != nil && event.ObjectRef.APIGroup == rbacv1.GroupName &&
			event.ResponseStatus != nil && event.ResponseStatus.Code < http.StatusMultipleChoices {
			kept = append(kept, event)
		}
	}
	slices.SortStableFunc(kept, func(a, b *auditv1.Event) int {
		return a.RequestReceivedTimestamp.Compare(b.RequestReceivedTimestamp.Time)
	})
	return kept
}
