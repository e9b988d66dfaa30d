package harness

import (
	"slices"
	"sync"
	"time"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

// Write is a request to the API server that changes something, read from the audit log.
type Write struct {
	User, Verb, Resource, Subresource, Namespace, Name string
	Code                                               int32
	At                                                 time.Time
}

// OperatorWrites returns the writes of the operator's service account, oldest first. Events and
// leases are left out.
func (e *Environment) OperatorWrites() ([]Write, error) {
	all, err := e.Writes()
	return slices.DeleteFunc(all, func(w Write) bool {
		return w.User != OperatorUser || w.Resource == "events" || w.Resource == "leases"
	}), err
}

// Writes returns every write, oldest first.
func (e *Environment) Writes() ([]Write, error) { return e.writes.all(e.Cluster) }

// ForgetWrites drops the writes that Writes keeps; the next call reads the audit log anew. It is
// for tests that measure the memory of this process.
func (e *Environment) ForgetWrites() { e.writes.forget() }

// writeLog keeps the writes read from the audit log so far: suites call Writes often, and the log
// grows long.
type writeLog struct {
	mu     sync.Mutex
	reader *localcluster.AuditReader
	writes []Write
}

func (l *writeLog) all(cluster *localcluster.Cluster) ([]Write, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reader == nil {
		l.reader = cluster.FollowAudit()
	}
	events, err := l.reader.Next()
	if err != nil {
		return nil, err
	}
	for i := range events {
		if write, ok := asWrite(&events[i]); ok {
			l.writes = append(l.writes, write)
		}
	}
	slices.SortStableFunc(l.writes, func(a, b Write) int { return a.At.Compare(b.At) })
	return slices.Clone(l.writes), nil
}

func (l *writeLog) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reader, l.writes = nil, nil
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
