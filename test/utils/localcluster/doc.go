// Package localcluster runs a small Kubernetes control plane on this machine: etcd, kube-apiserver
// and kube-controller-manager, each a process of its own.
//
// It owns those processes, their ports, certificates and files, and removes all of them again, even
// if the program that started them is killed. Every process can be stopped, killed, paused and
// restarted on its own, which the fault tests need and envtest does not offer. Process runs any
// other binary the same way, such as bin/manager.
//
// It must not depend on netbaseline's API, policies or controllers, install objects of its own into
// the cluster, write outside its directory, or listen anywhere but on 127.0.0.1. It does not
// survive power loss: etcd runs without fsync. It needs a Unix system, and only on Linux do the
// processes end with the program that started them.
package localcluster
