package faults

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
)

// Link carries TCP connections to another address. While it is stalled, connections stay open and
// nothing passes, in either direction: so a process sees the other end fall silent, and not go
// away.
type Link struct {
	listener net.Listener
	target   string
	ctx      context.Context
	cancel   context.CancelFunc

	mu      sync.Mutex
	passing chan struct{} // closed while bytes pass
}

// NewLink returns a link that passes.
func NewLink(target string) (*Link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for a link: %w", err)
	}
	l := &Link{listener: listener, target: target, passing: make(chan struct{})}
	close(l.passing)
	l.ctx, l.cancel = context.WithCancel(context.Background())
	go l.accept()
	return l, nil
}

// Address is where the link begins.
func (l *Link) Address() string { return l.listener.Addr().String() }

// Stall lets nothing pass until Release.
func (l *Link) Stall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.passing:
		l.passing = make(chan struct{})
	default: // stalled already: what waits must hear of the release
	}
}

// Release lets everything pass, what waits first.
func (l *Link) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.passing:
	default:
		close(l.passing)
	}
}

// Close breaks all connections.
func (l *Link) Close() error {
	l.cancel()
	return l.listener.Close()
}

// wait returns when bytes may pass, or the link is closed.
func (l *Link) wait() {
	l.mu.Lock()
	passing := l.passing
	l.mu.Unlock()
	select {
	case <-passing:
	case <-l.ctx.Done():
	}
}

func (l *Link) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		go l.carry(near)
	}
}

// carry copies both ways until one end is gone.
func (l *Link) carry(near net.Conn) {
	defer func() { _ = near.Close() }()
	l.wait()
	far, err := net.Dial("tcp", l.target)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	over := make(chan struct{}, 2)
	for from, to := range map[net.Conn]net.Conn{near: far, far: near} {
		go func() {
			_, _ = io.Copy(gated{to, l}, from) // how a connection ends is of no interest
			over <- struct{}{}
		}()
	}
	select {
	case <-over:
	case <-l.ctx.Done():
	}
}

// gated is one direction of a connection.
type gated struct {
	io.Writer
	link *Link
}

// Write implements io.Writer.
func (g gated) Write(p []byte) (int, error) {
	g.link.wait()
	return g.Writer.Write(p)
}
