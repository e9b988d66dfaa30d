package faults_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/netbaseline/netbaseline/test/faults"
)

func TestAStalledLinkDeliversEverythingLater(t *testing.T) {
	link, err := faults.NewLink(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	before := dial(t, link)
	say(t, before, "one")
	hear(t, before, "one")
	link.Stall()
	say(t, before, "two")
	link.Stall() // once more is fine
	during := dial(t, link)
	say(t, during, "three")
	for name, connection := range map[string]net.Conn{"an open connection": before, "a new connection": during} {
		if err := connection.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if n, err := connection.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %d bytes and error %v, want silence", name, n, err)
		}
	}
	link.Release()
	link.Release()
	hear(t, before, "two")
	hear(t, during, "three")
	if err := link.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := before.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) || err == nil {
		t.Errorf("after the end of the link: %v, want a broken connection", err)
	}
}

// echo returns the address of a server that says what it hears.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(connection, connection) }()
		}
	}()
	return listener.Addr().String()
}

func dial(t *testing.T, link *faults.Link) net.Conn {
	t.Helper()
	connection, err := net.Dial("tcp", link.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

func say(t *testing.T, connection net.Conn, text string) {
	t.Helper()
	if _, err := connection.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, connection net.Conn, want string) {
	t.Helper()
	if err := connection.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(connection, got); err != nil || string(got) != want {
		t.Fatalf("heard %q, error %v, want %q", got, err, want)
	}
}
