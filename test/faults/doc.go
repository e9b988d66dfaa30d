// Package faults injects faults between the manager and the API server: calls that fail before or after they took effect, managers
// that die between two calls, watches that lag, break or expire. Its tests, behind the build tag faults, run whole managers through
// them and have the history judged by the witness: make test-faults, make test-faults-long.
package faults
