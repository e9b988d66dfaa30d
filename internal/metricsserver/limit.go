package metricsserver

import (
	"net"
	"sync"
)

// Limit closes each connection beyond a number at once, before TLS or HTTP have spent anything on it. netutil.LimitListener would leave
// it waiting instead, and the scraper behind it with a timeout in place of an error.
func Limit(listener net.Listener, atOnce int) net.Listener {
	return &limited{Listener: listener, places: make(chan struct{}, atOnce)}
}

type limited struct {
	net.Listener
	places chan struct{}
}

// Accept returns the next connection that there is a place for.
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
			_ = connection.Close() // it has sent nothing, and gets nothing
		}
	}
}

// placed is a connection that leaves its place when it is closed.
type placed struct {
	net.Conn
	leave func()
}

func (c *placed) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
