// Package fuzz holds fuzz targets whose judge is the API server's own code: what it admits as a baseline must render to
// NetworkPolicies that it admits and stores unchanged, and whatever somebody has made of such a policy must not keep the operator
// from putting it right.
package fuzz
