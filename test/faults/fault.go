package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type sendFunc = func() (*http.Response, error)

// ResetBefore is a connection that breaks before the request arrives.
func ResetBefore() Fault {
	return func(request *http.Request, _ sendFunc) (*http.Response, error) {
		closeBody(request)
		return nil, errInjected
	}
}

// ResetAfter is a connection that breaks after the request took effect: the answer is lost.
func ResetAfter() Fault {
	return func(_ *http.Request, send sendFunc) (*http.Response, error) {
		if err := discard(send()); err != nil {
			return nil, err
		}
		return nil, errInjected
	}
}

// Timeout is a server that does not answer in time.
func Timeout(after time.Duration) Fault {
	return func(request *http.Request, _ sendFunc) (*http.Response, error) {
		closeBody(request)
		select {
		case <-request.Context().Done():
			return nil, request.Context().Err()
		case <-time.After(after):
			return nil, context.DeadlineExceeded
		}
	}
}

// Status is an answer of the API server, with a header Retry-After unless that is 0.
func Status(code int32, reason metav1.StatusReason, retryAfter int) Fault {
	return func(request *http.Request, _ sendFunc) (*http.Response, error) {
		closeBody(request)
		status := metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
			Code: code, Reason: reason, Message: fmt.Sprintf("injected fault: %d", code),
		}
		header := http.Header{"Content-Type": []string{"application/json"}}
		if retryAfter > 0 {
			header.Set("Retry-After", strconv.Itoa(retryAfter))
		}
		body, err := json.Marshal(status)
		return &http.Response{
			StatusCode: int(code), Status: http.StatusText(int(code)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: request,
		}, err
	}
}

// CrashBefore kills the client when it is about to send.
func (t *Transport) CrashBefore() Fault {
	return func(request *http.Request, _ sendFunc) (*http.Response, error) {
		t.Die()
		return t.hang(request)
	}
}

// CrashAfter kills the client when it has the answer: what it does next does not arrive.
func (t *Transport) CrashAfter() Fault {
	return func(_ *http.Request, send sendFunc) (*http.Response, error) {
		response, err := send()
		t.Die()
		return response, err
	}
}

// CrashUnanswered kills the client between the effect of a request and its answer.
func (t *Transport) CrashUnanswered() Fault {
	return func(request *http.Request, send sendFunc) (*http.Response, error) {
		err := discard(send())
		t.Die()
		if err != nil {
			return nil, err
		}
		return t.hang(request)
	}
}

// Lag delivers what a response has, such as the events of a watch, by so much later, in the same
// order.
func Lag(delay time.Duration) Fault {
	return func(request *http.Request, send sendFunc) (*http.Response, error) {
		response, err := send()
		if err == nil {
			line := &delayLine{ReadCloser: response.Body, done: request.Context().Done(), chunks: make(chan chunk, 1<<12)}
			response.Body = line
			go line.fill(delay)
		}
		return response, err
	}
}

// delayLine is a body in which everything takes the same time.
type delayLine struct {
	io.ReadCloser
	done    <-chan struct{}
	chunks  chan chunk
	current chunk
}

type chunk struct {
	data []byte
	due  time.Time
	err  error
}

func (l *delayLine) fill(delay time.Duration) {
	for {
		data := make([]byte, 4<<10)
		n, err := l.ReadCloser.Read(data)
		select {
		case l.chunks <- chunk{data[:n], time.Now().Add(delay), err}:
		case <-l.done:
			return
		}
		if err != nil {
			return
		}
	}
}

// Read implements io.Reader.
func (l *delayLine) Read(p []byte) (int, error) {
	if len(l.current.data) == 0 && l.current.err == nil {
		select {
		case l.current = <-l.chunks:
		case <-l.done:
			return 0, context.Canceled
		}
		select {
		case <-time.After(time.Until(l.current.due)):
		case <-l.done:
			return 0, context.Canceled
		}
	}
	n := copy(p, l.current.data)
	l.current.data = l.current.data[n:]
	if len(l.current.data) == 0 && l.current.err != nil {
		return n, l.current.err
	}
	return n, nil
}

// CutAfter breaks a response, such as a watch, after a while.
func CutAfter(life time.Duration) Fault {
	return func(_ *http.Request, send sendFunc) (*http.Response, error) {
		response, err := send()
		if err == nil {
			time.AfterFunc(life, func() { _ = response.Body.Close() })
		}
		return response, err
	}
}

// CutWhen breaks a response, such as a watch, when a channel is closed.
func CutWhen(cut <-chan struct{}) Fault {
	return func(request *http.Request, send sendFunc) (*http.Response, error) {
		response, err := send()
		if err == nil {
			go func() {
				select {
				case <-cut:
					_ = response.Body.Close()
				case <-request.Context().Done():
				}
			}()
		}
		return response, err
	}
}

// Until has a call wait until a channel is closed.
func Until(open <-chan struct{}) Fault {
	return func(request *http.Request, send sendFunc) (*http.Response, error) {
		select {
		case <-open:
			return send()
		case <-request.Context().Done():
			closeBody(request)
			return nil, request.Context().Err()
		}
	}
}

// Answer is an answer in JSON that the API server has not given. It stays open, as that of a watch,
// until a channel is closed.
func Answer(body string, end <-chan struct{}) Fault {
	return func(request *http.Request, _ sendFunc) (*http.Response, error) {
		closeBody(request)
		reader, writer := io.Pipe()
		go func() {
			_, _ = io.WriteString(writer, body) // fails only without a reader
			select {
			case <-end:
			case <-request.Context().Done():
			}
			_ = writer.Close() // never fails
		}()
		return answer(request, reader), nil
	}
}

func answer(request *http.Request, body io.ReadCloser) *http.Response {
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": []string{"application/json"}}, Body: body, ContentLength: -1, Request: request,
	}
}

// Elsewhere has another API server answer a call.
func (t *Transport) Elsewhere(host string) Fault {
	return func(request *http.Request, _ sendFunc) (*http.Response, error) {
		detour := request.Clone(request.Context())
		detour.URL.Host, detour.Host = host, ""
		return t.next.RoundTrip(detour)
	}
}

// Expired tells a watch that its resource version is too old.
func Expired() Fault {
	return func(request *http.Request, _ sendFunc) (*http.Response, error) {
		closeBody(request)
		body := `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
			`"message":"too old resource version","reason":"Expired","code":410}}` + "\n"
		return answer(request, io.NopCloser(bytes.NewBufferString(body))), nil
	}
}

func discard(response *http.Response, err error) error {
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, response.Body) // what is lost cannot fail
	return response.Body.Close()
}

func closeBody(request *http.Request) {
	if request.Body != nil {
		_ = request.Body.Close() // it was never read
	}
}
