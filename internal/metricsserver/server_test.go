package metricsserver_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/go-logr/logr"

	"github.com/netbaseline/netbaseline/internal/metricsserver"
)

// dial connects to a listener of this machine for as long as the test runs.
func dial(t *testing.T, listener net.Listener) net.Conn {
	t.Helper()
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

func TestConnectionsBeyondTheLimitAreClosed(t *testing.T) {
	t.Parallel()
	listener := metricsserver.Limit(listen(t), 2)
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			accepted <- connection
		}
	}()
	dial(t, listener)
	first := <-accepted
	dial(t, listener)
	<-accepted
	if _, err := dial(t, listener).Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the third one reads %v, want it closed", err)
	}
	for range 2 { // the second time, the place is free already
		_ = first.Close()
	}
	dial(t, listener)
	<-accepted
	if _, err := dial(t, listener).Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the one after that reads %v, want it closed: a place was given away twice", err)
	}
}

func TestHeadersAreSmall(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	served := metricsserver.Bounded(logr.Discard(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	ended := make(chan error, 1)
	go func() { ended <- served.Serve(listener) }()
	t.Cleanup(func() {
		_ = served.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	for size, want := range map[int]int{8 << 10: http.StatusOK, 64 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		connection := dial(t, listener)
		go func() { // what is too much is not read to its end
			_, _ = io.WriteString(connection, "GET / HTTP/1.1\r\nHost: metrics\r\nAuthorization: Bearer "+strings.Repeat("a", size)+"\r\n\r\n")
		}()
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if err := response.Body.Close(); err != nil || response.StatusCode != want {
			t.Errorf("%d bytes: status %d (%v), want %d", size, response.StatusCode, err, want)
		}
	}
}
