// Package witness judges netbaseline by its history. It follows etcd from the first revision on,
// where all kinds of object have one total order and no cache is in between, and checks every
// single revision against the invariants that docs/reliability.md promises.
//
// It judges the effect of policies, with an evaluator and a model of its own, and not their names.
// It shares no logic with netbaseline: it imports neither internal/policy nor internal/governance.
// The API server must store JSON: see StorageArgs.
package witness
