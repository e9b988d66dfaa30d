// Package faults injects faults between the manager and the API server: calls that fail before or
// after they took effect, managers that die between two calls, watches that lag, break or expire.
// Its tests, behind the build tag faults, run complete managers under these faults and have the
// witness judge the history: make test-faults, make test-faults-long.
package faults
