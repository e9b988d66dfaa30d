package localcluster

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// modulePath is the module whose root holds bin/k8s.
	modulePath = "github.com/netbaseline/netbaseline"

	defaultStartTimeout = 2 * time.Minute

	etcdBinary              = "etcd"
	apiServerBinary         = "kube-apiserver"
	controllerManagerBinary = "kube-controller-manager"
	kubectlBinary           = "kubectl"
)

// Options configure how a Cluster is started. The zero value is a cluster in a temporary directory.
type Options struct {
	// BinDir holds etcd, kube-apiserver, kube-controller-manager and kubectl. Default:
	// $KUBEBUILDER_ASSETS if it holds all of them, else bin/k8s in the root of the netbaseline
	// module around the working directory.
	BinDir string

	// Dir keeps data, certificates, logs and kubeconfigs. Default: a fresh temporary directory,
	// which Stop removes. A directory given here is created if need be and never removed; starting
	// again in it finds the objects, the certificate authority and the service account key of the
	// last time, on new ports.
	Dir string

	// AuditReads adds get, list and watch requests to the audit log. Default: only requests that
	// write.
	AuditReads bool

	// AuditReadsOf adds those of some users only, such as system:serviceaccount:default:default.
	AuditReadsOf []string

	// APIServerArgs and ControllerManagerArgs are flags added after our own. Of a flag given twice
	// the last wins, except that lists, such as --controllers, grow.
	APIServerArgs         []string
	ControllerManagerArgs []string

	// StartTimeout bounds Start as a whole. Default: 2 minutes, for busy machines; an idle one
	// needs seconds.
	StartTimeout time.Duration
}

// withDefaults returns a copy whose BinDir is known to hold every binary.
func (o Options) withDefaults() (Options, error) {
	binDir, err := findBinDir(o.BinDir)
	if err != nil {
		return Options{}, err
	}
	if o.BinDir, err = filepath.Abs(binDir); err != nil {
		return Options{}, fmt.Errorf("absolute path of %s: %w", binDir, err)
	}
	if o.StartTimeout == 0 {
		o.StartTimeout = defaultStartTimeout
	}
	return o, nil
}

// findBinDir returns the first directory that holds every binary, or an error that lists what each
// one lacks.
func findBinDir(explicit string) (string, error) {
	candidates, err := binDirCandidates(explicit)
	if err != nil {
		return "", err
	}
	var problems []string
	for _, dir := range candidates {
		missing := missingBinaries(dir)
		if len(missing) == 0 {
			return dir, nil
		}
		problems = append(problems, fmt.Sprintf("%s lacks %s", dir, strings.Join(missing, ", ")))
	}
	return "", fmt.Errorf("control plane binaries not found (%s): run `make control-plane`", strings.Join(problems, "; "))
}

func binDirCandidates(explicit string) ([]string, error) {
	if explicit != "" {
		return []string{explicit}, nil
	}
	var candidates []string
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		candidates = append(candidates, assets)
	}
	root, err := moduleRoot()
	switch {
	case err == nil:
		return append(candidates, filepath.Join(root, "bin", "k8s")), nil
	case len(candidates) > 0:
		return candidates, nil
	default:
		return nil, fmt.Errorf("looking for the control plane binaries: %w: set KUBEBUILDER_ASSETS or Options.BinDir", err)
	}
}

func missingBinaries(dir string) []string {
	var missing []string
	for _, name := range []string{etcdBinary, apiServerBinary, controllerManagerBinary, kubectlBinary} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			missing = append(missing, name)
		}
	}
	return missing
}

// moduleRoot walks up from the working directory. Nested modules, such as test/controlplane, are
// skipped.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for start := dir; ; dir = filepath.Dir(dir) {
		if declaresModule(filepath.Join(dir, "go.mod")) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod of %s at or above %s", modulePath, start)
		}
	}
}

func declaresModule(goMod string) bool {
	file, err := os.Open(goMod)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }() // only read
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if strings.TrimSpace(lines.Text()) == "module "+modulePath {
			return true
		}
	}
	return false
}
