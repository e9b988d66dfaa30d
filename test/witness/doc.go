// Package witness judges netbaseline by its history. It follows etcd from the first revision on, in which all kinds of object have one
// total order and no cache is between, and holds every single revision against the invariants that docs/reliability.md promises.
//
// It judges what policies do, with an evaluator and a model of its own, and not what they are called. It imports nothing of what
// netbaseline decides with: neither internal/policy nor internal/governance. The API server must store JSON: see StorageArgs.
package witness
