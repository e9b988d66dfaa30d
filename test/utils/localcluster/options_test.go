package localcluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var binaries = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kubectl"}

func TestStartNamesWhatIsMissingAndHowToGetIt(t *testing.T) {
	dir := fakeBinDir(t, "etcd", "kubectl")
	_, err := Start(t.Context(), Options{BinDir: dir})
	if err == nil {
		t.Fatal("Start succeeded without binaries")
	}
	for _, want := range []string{dir, "kube-apiserver", "kube-controller-manager", "`make control-plane`"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not mention %q", err, want)
		}
	}
}

func TestFindBinDir(t *testing.T) {
	complete := fakeBinDir(t, binaries...)
	incomplete := fakeBinDir(t, "etcd", "kube-apiserver", "kubectl")
	root := t.TempDir()
	writeTestFile(t, filepath.Join(root, "go.mod"), "// a comment\nmodule "+modulePath+"\n", 0o600)
	nested := filepath.Join(root, "test", "controlplane")
	fillBinDir(t, filepath.Join(root, "bin", "k8s"), binaries...)
	writeTestFile(t, filepath.Join(nested, "go.mod"), "module "+modulePath+"/test/controlplane\n", 0o600)

	tests := map[string]struct {
		explicit, assets, workingDir string
		want                         string
		wantErr                      bool
	}{
		"an explicit directory comes before KUBEBUILDER_ASSETS": {explicit: complete, assets: "/elsewhere", workingDir: root, want: complete},
		"an explicit directory is not replaced by another":      {explicit: incomplete, assets: complete, workingDir: root, wantErr: true},
		"complete KUBEBUILDER_ASSETS come before bin/k8s":       {assets: complete, workingDir: root, want: complete},
		"KUBEBUILDER_ASSETS outside of the module":              {assets: complete, workingDir: t.TempDir(), want: complete},
		"KUBEBUILDER_ASSETS without a controller manager":       {assets: incomplete, workingDir: root, want: filepath.Join(root, "bin", "k8s")},
		"bin/k8s is found from a nested module":                 {workingDir: nested, want: filepath.Join(root, "bin", "k8s")},
		"no module and no KUBEBUILDER_ASSETS":                   {workingDir: t.TempDir(), wantErr: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBEBUILDER_ASSETS", test.assets)
			t.Chdir(test.workingDir)
			got, err := findBinDir(test.explicit)
			if (err != nil) != test.wantErr {
				t.Fatalf("error %v, want one: %t", err, test.wantErr)
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func fakeBinDir(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	fillBinDir(t, dir, names...)
	return dir
}

func fillBinDir(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		writeTestFile(t, filepath.Join(dir, name), "#!/bin/sh\n", 0o700)
	}
}

func writeTestFile(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}
