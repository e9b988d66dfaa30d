package governance_test

import (
	"strings"
	"testing"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/governance"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

func TestCandidate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		baseline             *builder.BaselineBuilder
		wantRejection        string // part of it; empty: accepted
		wantDeleting         bool
		wantEnforces         bool
		wantFinalizerInPlace bool
	}{
		"an enforcing baseline": {baseline: enforcing("a"), wantEnforces: true, wantFinalizerInPlace: true},
		"a fresh baseline waits for its finalizer": {
			baseline: builder.Baseline("a"), wantEnforces: true,
		},
		"one that retains needs none": {
			baseline: builder.Baseline("a").DeletionPolicy(v1alpha1.DeletionPolicyRetain), wantEnforces: true, wantFinalizerInPlace: true,
		},
		"one in Audit does not enforce": {baseline: builder.Baseline("a").Mode(v1alpha1.ModeAudit)},
		"one of an unknown mode may want to, and is not accepted": {
			baseline: enforcing("a").Mode("Warn"), wantRejection: `spec.mode: Unsupported value: "Warn"`, wantEnforces: true, wantFinalizerInPlace: true,
		},
		"one that is being deleted does not enforce any more": {
			baseline: enforcing("a").Deleting(), wantDeleting: true, wantFinalizerInPlace: true,
		},
		"one with several mistakes is rejected with the first and the number of the others": {
			baseline: enforcing("a").Mode("Warn").Scope("SameTeam"), wantRejection: "(and 1 more)", wantEnforces: true, wantFinalizerInPlace: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			candidate := governance.NewCandidate(test.baseline.Obj())
			if !strings.Contains(candidate.Rejection, test.wantRejection) || candidate.Accepted() != (test.wantRejection == "") {
				t.Errorf("accepted %t, rejection %q, want %q", candidate.Accepted(), candidate.Rejection, test.wantRejection)
			}
			if candidate.Deleting() != test.wantDeleting {
				t.Errorf("deleting %t, want %t", candidate.Deleting(), test.wantDeleting)
			}
			if candidate.Enforces() != test.wantEnforces {
				t.Errorf("enforces %t, want %t", candidate.Enforces(), test.wantEnforces)
			}
			if candidate.FinalizerInPlace() != test.wantFinalizerInPlace {
				t.Errorf("finalizer in place %t, want %t", candidate.FinalizerInPlace(), test.wantFinalizerInPlace)
			}
		})
	}
}
