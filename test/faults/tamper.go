package faults

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// Event is one event of a watch.
type Event struct {
	Type watch.EventType
	// Object is what it is about, without what differs from kind to kind.
	Object metav1.PartialObjectMetadata

	whole metav1.WatchEvent
}

// Deliver returns what a watch delivers when an event arrives: usually that event.
type Deliver func(Event) []Event

// Twice delivers everything twice.
func Twice(event Event) []Event { return []Event{event, event} }

// Unseen is a state of an object that lasts from one event to another one, and is over before any
// client sees it.
type Unseen struct {
	From, Until func(Event) bool
	// Skipped leaves out the events about the object before it is over, as if a cache had been
	// refilled meanwhile. Otherwise the whole watch stalls, and then delivers everything together.
	Skipped bool

	mu    sync.Mutex
	began bool
	over  bool
	held  []Event
	about string
}

// Over reports whether the state has come and gone.
func (u *Unseen) Over() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.over
}

// Deliver implements Deliver.
func (u *Unseen) Deliver(event Event) []Event {
	u.mu.Lock()
	defer u.mu.Unlock()
	name := event.Object.Namespace + "/" + event.Object.Name
	switch {
	case u.over:
		return []Event{event}
	case !u.began && u.From(event):
		u.began, u.about = true, name
	case !u.began:
		return []Event{event}
	case name == u.about && u.Until(event):
		u.over = true
	case u.Skipped && name != u.about:
		return []Event{event}
	}
	if !u.Skipped || u.over {
		u.held = append(u.held, event)
	}
	if !u.over {
		return nil
	}
	return u.held
}

// Chain has each function deliver what the one before it delivers.
func Chain(links ...Deliver) Deliver {
	return func(event Event) []Event {
		events := []Event{event}
		for _, deliver := range links {
			var next []Event
			for _, e := range events {
				next = append(next, deliver(e)...)
			}
			events = next
		}
		return events
	}
}

// Tamper has a watch deliver something else than the API server sends. The watch is requested in
// JSON, whatever the client prefers.
func (t *Transport) Tamper(deliver Deliver) Fault {
	return func(request *http.Request, _ sendFunc) (*http.Response, error) {
		inJSON := request.Clone(request.Context())
		inJSON.Header.Set("Accept", strings.ReplaceAll(request.Header.Get("Accept"), runtime.ContentTypeProtobuf, runtime.ContentTypeJSON))
		response, err := t.next.RoundTrip(inJSON)
		if err != nil || response.StatusCode != http.StatusOK {
			return response, err
		}
		reader, writer := io.Pipe()
		original := response.Body
		go func() { _ = writer.CloseWithError(tamper(original, writer, deliver)) }() // never fails
		response.Body = &tampered{PipeReader: reader, original: original}
		return response, nil
	}
}

func tamper(from io.Reader, to io.Writer, deliver Deliver) error {
	decoder, encoder := json.NewDecoder(from), json.NewEncoder(to)
	for {
		event := Event{}
		if err := decoder.Decode(&event.whole); err != nil {
			return err
		}
		if err := json.Unmarshal(event.whole.Object.Raw, &event.Object); err != nil {
			return err
		}
		event.Type = watch.EventType(event.whole.Type)
		for _, e := range deliver(event) {
			if err := encoder.Encode(e.whole); err != nil {
				return err
			}
		}
	}
}

type tampered struct {
	*io.PipeReader
	original io.Closer
}

// Close implements io.Closer.
func (b *tampered) Close() error { return errors.Join(b.PipeReader.Close(), b.original.Close()) }
