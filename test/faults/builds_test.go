//go:build faults

package faults_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netbaseline/netbaseline/test/faults/witness"
	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

// otherBuilds are netbaselines that render the DNS policy differently, each by a change of
// internal/policy/dns.go.
var otherBuilds = map[string]*strings.Replacer{
	"the same in another order": strings.NewReplacer(
		"import (", "import (\n\t\"slices\"", "range static.Ports {", "range slices.Backward(static.Ports) {"),
	"one peer more": strings.NewReplacer(
		"\tfor i := range static.Peers {", "\trule.To = append(rule.To, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: \"192.0.2.1/32\"}})\n\tfor i := range static.Peers {"),
	"one port fewer": strings.NewReplacer("range static.Ports {", "range static.Ports[1:] {"),
}

// Two builds of netbaseline that render differently write at the same time, without leader
// election: there is no hole, and after a few writes to each policy they stop overwriting each
// other.
func TestTwoBuildsAtOnce(t *testing.T) {
	// Both restore what the other wrote, once without reading it and three times each after that,
	// and both write at the start.
	const mostUpdates = 10
	for name, changes := range otherBuilds {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			o, other := start(t, newTransport()), startProgram(t, build(t, "internal/policy/dns.go", changes))
			s.since = caughtUp(t)
			enforce(t, s)
			eventually(t, func() string {
				if counts := s.counts(t); len(counts) < 9 {
					return "not all policies have been written"
				}
				return ""
			})
			eventually(t, func() string {
				if s.updates(t) == 0 {
					return "the builds agree: nothing is shown"
				}
				return ""
			})
			expectPeace(t, s, 5*time.Second)
			for policy, count := range s.counts(t) {
				if count.Creates != 1 || count.Deletes > 0 || count.Updates > mostUpdates {
					t.Errorf("%s: %+v, want one create and at most %d updates", policy, count, mostUpdates)
				}
			}
			must(t, other.Stop())
			o.giveUp()
			judge.Look(func(j *witness.Judge) {
				for _, namespace := range s.namespaces {
					if holes := j.Holes(namespace, time.Now()); len(holes) > 0 {
						t.Errorf("%s was open for %v", namespace, holes)
					}
				}
			})
			expectNoViolation(t, 0)
			s.free(t)
		})
	}
}

// updates is how often policies of a site were updated.
func (s *site) updates(t *testing.T) (updates int) {
	t.Helper()
	for _, count := range s.counts(t) {
		updates += count.Updates
	}
	return updates
}

// expectPeace waits until the policies of a site have not been written for a while.
func expectPeace(t *testing.T, s *site, duration time.Duration) {
	t.Helper()
	before, since := s.counts(t), time.Now()
	eventually(t, func() string {
		now := s.counts(t)
		for policy, count := range now {
			if count != before[policy] {
				before, since = now, time.Now()
			}
		}
		if time.Since(since) < duration {
			return "policies are still written"
		}
		return ""
	})
}

// build builds a manager in which one file is changed.
func build(t *testing.T, file string, changes *strings.Replacer) string {
	t.Helper()
	folder, original := t.TempDir(), harness.RepositoryPath(file)
	source, err := os.ReadFile(original)
	must(t, err)
	changed := changes.Replace(string(source))
	if changed == string(source) {
		t.Fatalf("the change does not fit %s any more", file)
	}
	replacement, overlay, program := filepath.Join(folder, "changed.go"), filepath.Join(folder, "overlay.json"), filepath.Join(folder, "manager")
	must(t, os.WriteFile(replacement, []byte(changed), 0o600))
	list, err := json.Marshal(map[string]map[string]string{"Replace": {original: replacement}})
	must(t, err)
	must(t, os.WriteFile(overlay, list, 0o600))
	command := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "-o", program, "./cmd/manager")
	command.Dir = harness.RepositoryPath(".")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, output)
	}
	return program
}

// startProgram starts a manager as a process without leader election. It runs as an administrator,
// so that the witness can tell what it writes from what the operator does.
func startProgram(t *testing.T, path string) *localcluster.Process {
	t.Helper()
	process := localcluster.NewProcess("another build", path, []string{"--metrics-bind-address=0", "--health-probe-bind-address=0"},
		append(os.Environ(), "KUBECONFIG="+env.Cluster.KubeconfigPath()), filepath.Join(t.TempDir(), "manager.log"))
	must(t, process.Start(t.Context()))
	t.Cleanup(func() { _ = process.Stop() })
	return process
}
