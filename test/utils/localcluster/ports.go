package localcluster

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

const (
	loopback = "127.0.0.1"

	// Below Linux' ephemeral range, so that no outgoing connection takes a port while its process
	// restarts.
	firstPort, lastPort = 20000, 32767

	portAttempts = 1000
)

// portSet is what one cluster has reserved, from choice until Stop: a killed process finds its port
// still free.
type portSet struct {
	once     sync.Once
	releases []func()
}

// reserve returns n free ports of 127.0.0.1.
func (s *portSet) reserve(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range portAttempts {
		if len(ports) == n {
			return ports, nil
		}
		// At random, so that clusters starting together rarely try the same one.
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		release, err := reservePort(port)
		if err != nil {
			continue
		}
		if !isFree(port) {
			release()
			continue
		}
		s.releases = append(s.releases, release)
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("no %d free ports between %d and %d on %s", n, firstPort, lastPort, loopback)
}

// release may be called more than once.
func (s *portSet) release() {
	s.once.Do(func() {
		for _, release := range s.releases {
			release()
		}
	})
}

func isFree(port int) bool {
	listener, err := net.Listen("tcp", address(port))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

func address(port int) string {
	return net.JoinHostPort(loopback, strconv.Itoa(port))
}
