package v1alpha1

import (
	"slices"
	"strings"
)

// GetPriority returns the priority, 0 when absent.
func (s *ClusterNetworkBaselineSpec) GetPriority() int32 {
	if s.Priority == nil {
		return 0
	}
	return *s.Priority
}

// Denies reports whether the baseline denies this direction.
func (s *ClusterNetworkBaselineSpec) Denies(direction PolicyType) bool {
	return slices.Contains(s.DefaultDeny.PolicyTypes, direction)
}

// Matches reports whether a namespace of this name fits the pattern.
func (p NamespacePattern) Matches(name string) bool {
	if prefix, ok := strings.CutSuffix(string(p), "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return name == string(p)
}
