package localcluster

import (
	"net"
	"strconv"
	"syscall"
)

// sysProcAttr makes the kernel kill the child when the thread that started it ends, and keeps a
// terminal's Ctrl-C away from it, so that its owner decides the order in which processes end.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// reservePort claims a port among all programs that use this package on the machine. An abstract
// socket leaves no file, and the kernel releases it when its owner dies.
func reservePort(port int) (release func(), err error) {
	listener, err := net.Listen("unix", "@netbaseline-local-port-"+strconv.Itoa(port))
	if err != nil {
		return nil, err
	}
	return func() { _ = listener.Close() }, nil
}
