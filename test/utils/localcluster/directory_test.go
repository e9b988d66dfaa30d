package localcluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDirectoryIsUsedByOneClusterOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kept")
	first, err := openDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openDirectory(path); err == nil || !strings.Contains(err.Error(), "is used by the cluster of process") {
		t.Errorf("second owner: %v", err)
	}
	if err := first.release(); err != nil {
		t.Fatal(err)
	}
	second, err := openDirectory(path)
	if err != nil {
		t.Fatalf("after release: %v", err)
	}
	if err := second.release(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("a directory given in Options is gone: %v", err)
	}
}

func TestTemporaryDirectoryIsRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	directory, err := openDirectory("")
	if err != nil {
		t.Fatal(err)
	}
	if err := directory.release(); err != nil {
		t.Fatal(err)
	}
	wantEntries(t, os.TempDir())
}

func TestSweepRemovesOnlyAbandonedTemporaryDirectories(t *testing.T) {
	parent := t.TempDir()
	t.Setenv("TMPDIR", parent)
	alive, err := newTemporaryDirectory()
	if err != nil {
		t.Fatal(err)
	}
	abandoned, err := newTemporaryDirectory()
	if err != nil {
		t.Fatal(err)
	}
	if err := abandoned.lock.Close(); err != nil { // as the kernel does when its owner dies
		t.Fatal(err)
	}
	writeTestFile(t, filepath.Join(abandoned.path, "etcd", "data"), "", 0o600)
	writeTestFile(t, filepath.Join(parent, "netbaseline-local-kept", lockFile), "1\n", 0o600)
	writeTestFile(t, filepath.Join(parent, "netbaseline-local-new", ownerFile+".new"), "1\n", 0o600)

	sweep(parent)

	wantEntries(t, parent, filepath.Base(alive.path), "netbaseline-local-kept", "netbaseline-local-new")
	if err := alive.release(); err != nil {
		t.Fatal(err)
	}
}

// wantEntries fails unless the directory has exactly these entries, in any order.
func wantEntries(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, entry := range entries {
		got[entry.Name()] = true
	}
	for _, name := range want {
		if !got[name] {
			t.Errorf("%s is gone", name)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("%s is left in %s", name, dir)
	}
}
