package metricsserver

import (
	"net"
	"sync"
)

// Limit immediately closes each connection beyond a number, before TLS or HTTP have spent anything
// on it. netutil.LimitListener would keep it waiting instead, and the scraper would get a timeout
// instead of an error.
func Limit(listener net.Listener, atOnce int) net.Listener {
	return &limited{Listener: listener, places: make(chan struct{}, atOnce)}
}

type limited struct {
	net.Listener
	places chan struct{}
}

// Accept returns the next connection within the limit.
func (l *limited) Accept() (net.Conn, error) {
	for {
		connection, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.places <- struct{}{}:
			return &placed{Conn: connection, leave: sync.OnceFunc(func() { <-l.places })}, nil
		default:
			_ = connection.Close() // nothing has been read from it or sent on it
		}
	}
}

// placed is a connection that frees its place when it is closed.
type placed struct {
	net.Conn
	leave func()
}

func (c *placed) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
