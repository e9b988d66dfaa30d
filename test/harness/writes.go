package harness

import (
	"slices"
	"time"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// Write is a request to the API server that changes something, read from the audit log.
type Write struct {
	User, Verb, Resource, Subresource, Namespace, Name string
	Code                                               int32
	At                                                 time.Time
}

// OperatorWrites returns what the operator's service account has written, oldest first. Events and leases are left out.
func (e *Environment) OperatorWrites() ([]Write, error) {
	all, err := e.Writes()
	return slices.DeleteFunc(all, func(w Write) bool {
		return w.User != OperatorUser || w.Resource == "events" || w.Resource == "leases"
	}), err
}

// Writes returns every write, oldest first.
func (e *Environment) Writes() ([]Write, error) {
	events, err := e.Cluster.ReadAudit()
	if err != nil {
		return nil, err
	}
	var writes []Write
	for i := range events {
		if write, ok := asWrite(&events[i]); ok {
			writes = append(writes, write)
		}
	}
	slices.SortStableFunc(writes, func(a, b Write) int { return a.At.Compare(b.At) })
	return writes, nil
}

func asWrite(event *auditv1.Event) (Write, bool) {
	verbs := []string{"create", "update", "patch", "delete", "deletecollection"}
	if event.Stage != auditv1.StageResponseComplete || event.ObjectRef == nil || !slices.Contains(verbs, event.Verb) {
		return Write{}, false
	}
	write := Write{
		User: event.User.Username, Verb: event.Verb, At: event.RequestReceivedTimestamp.Time,
		Resource: event.ObjectRef.Resource, Subresource: event.ObjectRef.Subresource,
		Namespace: event.ObjectRef.Namespace, Name: event.ObjectRef.Name,
	}
	if event.ImpersonatedUser != nil {
		write.User = event.ImpersonatedUser.Username
	}
	if event.ResponseStatus != nil {
		write.Code = event.ResponseStatus.Code
	}
	return write, true
}
