package localcluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestProcessesEndWithTheirOwner kills a program that runs a cluster; the next Start removes what
// it could not.
func TestProcessesEndWithTheirOwner(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), ownerVariable+"=1")
	owner.Stderr = os.Stderr
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = owner.Process.Kill(), owner.Wait() })
	var owned ownedCluster
	if err := json.NewDecoder(out).Decode(&owned); err != nil {
		t.Fatalf("the owner did not start its cluster: %v", err)
	}
	for _, pid := range owned.PIDs {
		if !isAlive(pid) {
			t.Fatalf("process %d does not run", pid)
		}
	}

	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait() // always an error: killed
	eventually(t, "the end of the orphans", func(context.Context) error {
		for _, pid := range owned.PIDs {
			if isAlive(pid) {
				return fmt.Errorf("process %d is alive", pid)
			}
		}
		return nil
	})
	wantEntries(t, temporary, filepath.Base(owned.Dir))
	sweep(temporary)
	wantEntries(t, temporary)
}
