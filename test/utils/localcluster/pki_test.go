package localcluster

import (
	"path/filepath"
	"testing"
)

func TestCertificatesOutliveTheirCluster(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	first, err := ensurePKI(dir)
	if err != nil {
		t.Fatal(err)
	}
	authority, serviceAccountKey := readTestFile(t, first.caCert()), readTestFile(t, first.serviceAccountKey())
	second, err := ensurePKI(dir)
	if err != nil {
		t.Fatal(err)
	}
	if readTestFile(t, second.caCert()) != authority || readTestFile(t, second.serviceAccountKey()) != serviceAccountKey {
		t.Error("certificates or keys were replaced: tokens of the last time would be refused")
	}
	if _, err := second.clientTLS(); err != nil {
		t.Error(err)
	}
}

func TestPortsAreDistinctUntilReleased(t *testing.T) {
	var first, second portSet
	a, err := first.reserve(50)
	if err != nil {
		t.Fatal(err)
	}
	b, err := second.reserve(50)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, port := range append(a, b...) {
		if seen[port] {
			t.Errorf("port %d was given twice", port)
		}
		seen[port] = true
	}
	first.release()
	first.release()
	second.release()
}
