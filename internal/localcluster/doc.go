// Package localcluster runs a small Kubernetes control plane on this machine: etcd, kube-apiserver and
// kube-controller-manager, each a process of its own.
//
// It owns those processes, their ports, certificates and files, and removes all of them again, also when
// the program that started them is killed. Every process can be stopped, killed, paused and restarted on its
// own, which is what the fault tests need and what envtest does not offer. Process runs any other binary the
// same way, such as bin/manager.
//
// It must not know anything about netbaseline's API, policies or controllers, install objects of its own into the
// cluster, write outside its directory, or listen anywhere but on 127.0.0.1. It makes no promise about power
// loss: etcd runs without fsync. It needs a Unix system, and on Linux alone do the processes die with their owner.
package localcluster
