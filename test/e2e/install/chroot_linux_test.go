package install_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/netbaseline/netbaseline/test/utils/builder"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

const mountedAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// What a container runtime would do with the shipped Deployment and the image: as the image's user,
// in a root directory that holds the program and the mounted service account alone and that cannot
// be written to, with the Deployment's command, arguments and environment.
func TestTheProgramRunsAsNonRootInAnEmptyRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may change the root directory and become another user")
	}
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(patience)
	built := mustBuild(t)
	all := rendered(t, kustomize+"config/default")
	deployment := &appsv1.Deployment{}
	for _, object := range all.only("Deployment") {
		g.Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, deployment)).To(Succeed())
	}
	mustRun(t, kustomize+"config/default | kubectl apply -f -")
	t.Cleanup(func() { removeAll(t, g) })
	mustRun(t, "kubectl wait --for=condition=Established --timeout=60s crd/"+harness.CRDName)

	root := emptyRoot(t, g, built.program)
	container := deployment.Spec.Template.Spec.Containers[0]
	g.Expect(container.Command).To(Equal(built.entrypoint))
	arguments, probes, err := listenFreely(t.Context(), container.Args)
	g.Expect(err).NotTo(HaveOccurred())
	host, port, err := net.SplitHostPort(strings.TrimPrefix(cluster.Config().Host, "https://"))
	g.Expect(err).NotTo(HaveOccurred())

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	command := exec.CommandContext(ctx, built.entrypoint[0], arguments...)
	command.Dir = "/"
	command.Env = []string{"KUBERNETES_SERVICE_HOST=" + host, "KUBERNETES_SERVICE_PORT=" + port, "POD_NAMESPACE=" + deployment.Namespace}
	command.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: credential(g, built.user), Pdeathsig: syscall.SIGKILL}
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	log := &bytes.Buffer{}
	command.Stdout, command.Stderr = log, log
	g.Expect(command.Start()).To(Succeed())
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what it said:\n%s", log)
		}
	})

	g.Eventually(func() error { return answers("http://" + probes + "/readyz") }).Should(Succeed())
	owner, err := os.Stat(fmt.Sprintf("/proc/%d", command.Process.Pid))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(fmt.Sprint(owner.Sys().(*syscall.Stat_t).Uid)).To(Equal("65532"))
	g.Expect(admin.Create(t.Context(), builder.Baseline("default").Obj())).To(Succeed())
	mustRun(t, "kubectl wait --for=condition=Ready --timeout=60s cnb/default")
	mustRun(t, "kubectl delete cnb --all --timeout=60s")
	cancel()
	g.Expect(<-ended).To(Or(Succeed(), MatchError(context.Canceled)), "asked to end, it ends in order")
}

// emptyRoot makes a root directory that belongs to root, with the program and what the kubelet
// mounts.
func emptyRoot(t *testing.T, g Gomega, program string) string {
	root := t.TempDir()
	config, err := clientcmd.LoadFromFile(operatorKubeconfig(t, g))
	g.Expect(err).NotTo(HaveOccurred())
	current := config.Contexts[config.CurrentContext]
	content, err := os.ReadFile(program)
	g.Expect(err).NotTo(HaveOccurred())
	for name, text := range map[string][]byte{
		"/manager":                    content,
		mountedAccount + "/token":     []byte(config.AuthInfos[current.AuthInfo].Token),
		mountedAccount + "/ca.crt":    config.Clusters[current.Cluster].CertificateAuthorityData,
		mountedAccount + "/namespace": []byte(current.Namespace),
	} {
		path := filepath.Join(root, name)
		g.Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
		g.Expect(os.WriteFile(path, text, 0o755)).To(Succeed())
	}
	// The directories above are private to root; the new root is entered before the user changes.
	g.Expect(os.Chmod(root, 0o755)).To(Succeed())
	return root
}

func credential(g Gomega, user string) *syscall.Credential {
	uid, gid, _ := strings.Cut(user, ":")
	id, err := strconv.ParseUint(uid, 10, 32)
	g.Expect(err).NotTo(HaveOccurred(), "a name would have to be looked up, and could not be shown to be anybody but root")
	group, err := strconv.ParseUint(gid, 10, 32)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect([]uint64{id, group}).NotTo(ContainElement(uint64(0)))
	return &syscall.Credential{Uid: uint32(id), Gid: uint32(group)}
}

func answers(url string) error {
	client := &http.Client{Timeout: patience}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // not read
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}
