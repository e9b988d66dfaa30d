//go:build !linux

package localcluster

import "syscall"

// sysProcAttr cannot tie the child's lifetime to ours here: after a crash it has to be killed by
// hand.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// reservePort claims nothing here: two programs that start a cluster in the same instant may choose
// the same port.
func reservePort(int) (release func(), err error) {
	return func() {}, nil
}
