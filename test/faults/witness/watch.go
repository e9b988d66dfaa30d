package witness

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// StorageArgs have the API server store objects in a form that the witness can read.
var StorageArgs = []string{"--storage-media-type=application/json"}

const (
	// registry is where the API server keeps everything.
	registry = "/registry/"
	// One watch over everything from the first to the last kind, so that all come in one order.
	// Other kinds in between are not decoded.
	first, last = registry + "namespaces/", registry + "policy.netbaseline.dev0"
	// marker is a key of our own in that range, and of no kind.
	marker = registry + "netbaseline-witness"
)

// Witness follows the etcd of a control plane.
type Witness struct {
	client *clientv3.Client
	writes func() ([]harness.Write, error)
	cancel context.CancelFunc
	ended  chan struct{}

	mu       sync.Mutex
	judge    *Judge
	revision int64
	marked   string
	err      error
}

// Follow begins to follow. The function returns the audit log.
func Follow(endpoint string, writes func() ([]harness.Write, error)) (*Witness, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 10 * time.Second})
	if err != nil {
		return nil, fmt.Errorf("connect to etcd: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &Witness{client: client, writes: writes, cancel: cancel, ended: make(chan struct{}), judge: NewJudge()}
	go w.follow(ctx)
	return w, nil
}

// Stop ends it.
func (w *Witness) Stop() error {
	w.cancel()
	<-w.ended
	return w.client.Close()
}

// follow reads events until it is stopped. The client resumes by itself after etcd was unavailable.
func (w *Witness) follow(ctx context.Context) {
	defer close(w.ended)
	for response := range w.client.Watch(ctx, first, clientv3.WithRange(last), clientv3.WithRev(1)) {
		w.take(response)
	}
}

func (w *Witness) take(response clientv3.WatchResponse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if err := response.Err(); err != nil && !errors.Is(err, context.Canceled) {
		w.err = errors.Join(w.err, fmt.Errorf("the witness lost the history after revision %d: %w", w.revision, err))
	}
	for _, event := range response.Events {
		w.revision = event.Kv.ModRevision
		if string(event.Kv.Key) == marker {
			w.marked = string(event.Kv.Value)
			continue
		}
		change, ok, err := decode(string(event.Kv.Key), event.Kv.Value)
		if err != nil {
			w.err = errors.Join(w.err, err)
		}
		if ok {
			change.Revision, change.At = event.Kv.ModRevision, now
			w.judge.Observe(change)
		}
	}
}

// CatchUp waits until everything that was stored before the call is judged, and returns the
// revision.
func (w *Witness) CatchUp(ctx context.Context) (int64, error) {
	mark := strconv.FormatInt(time.Now().UnixNano(), 36)
	if _, err := w.client.Put(ctx, marker, mark); err != nil {
		return 0, fmt.Errorf("mark the history: %w", err)
	}
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		w.mu.Lock()
		marked, revision, err := w.marked, w.revision, w.err
		w.mu.Unlock()
		if err != nil || marked >= mark {
			return revision, err
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("catch up with the history: %w", ctx.Err())
		case <-ticker.C:
		}
	}
}

// Look passes the judge, with the state as of the last revision, to a function that must not retain
// it.
func (w *Witness) Look(look func(*Judge)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	look(w.judge)
}

// Violations returns the violations in the history until now, if a tenant may hold a namespace open
// for as long as the bound.
func (w *Witness) Violations(ctx context.Context, bound time.Duration) ([]string, error) {
	if _, err := w.CatchUp(ctx); err != nil {
		return nil, err
	}
	writes, err := w.writes()
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.judge.Violations(writes, bound, time.Now()), nil
}

// Counts returns how often each object was written since a revision.
func (w *Witness) Counts(ctx context.Context, since int64) (map[Object]Count, error) {
	if _, err := w.CatchUp(ctx); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.judge.Counts(since), nil
}
