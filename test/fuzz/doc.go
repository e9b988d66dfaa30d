// Package fuzz holds fuzz targets whose judge is the API server's own code: a baseline that it
// admits must render to NetworkPolicies that it admits and stores unchanged, and no change that a
// tenant makes to such a policy may keep the operator from restoring it.
package fuzz
