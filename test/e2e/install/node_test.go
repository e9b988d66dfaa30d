package install_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/localcluster"
)

// node stands in for scheduler and kubelet, which the local control plane does not have: every pod
// of the operator becomes a process, with the pod's arguments and the pod's service account, and
// its readiness is reported; a pod that is deleted is ended, and then gone. So a Deployment rolls
// out, hands over and ends as it does in a cluster.
type node struct {
	t       *testing.T
	program string
	pods    map[types.UID]*running
	err     error
}

// running is a pod's process.
type running struct {
	*localcluster.Process
	probes string
}

// images are those that the node can pull. All of them contain the same program.
var images = []string{"registry.example.com/netbaseline:dev", "registry.example.com/netbaseline:next"}

// startNode runs a node until the test ends.
func startNode(t *testing.T) {
	t.Helper()
	n := &node{t: t, program: mustBuild(t).program, pods: map[types.UID]*running{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = wait.PollUntilContextCancel(ctx, interval, true, func(ctx context.Context) (bool, error) {
			n.err = n.sync(ctx)
			return false, nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() && n.err != nil {
			t.Logf("the node: %v", n.err)
		}
		for _, pod := range n.pods {
			if err := pod.Stop(); err != nil {
				t.Error(err)
			}
		}
	})
}

func (n *node) sync(ctx context.Context) error {
	pods, err := operatorPods(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for i := range pods {
		errs = append(errs, client.IgnoreNotFound(n.tend(ctx, &pods[i])))
	}
	return errors.Join(errs...)
}

// tend brings one pod one step further.
func (n *node) tend(ctx context.Context, pod *corev1.Pod) error {
	process := n.pods[pod.UID]
	switch {
	case pod.DeletionTimestamp != nil:
		return n.end(ctx, pod, process)
	case pod.Spec.NodeName == "":
		target := corev1.ObjectReference{Kind: "Node", Name: "here"}
		return admin.SubResource("binding").Create(ctx, pod, &corev1.Binding{Target: target})
	case !slices.Contains(images, pod.Spec.Containers[0].Image):
		return fmt.Errorf("pod %s: image %s cannot be pulled", pod.Name, pod.Spec.Containers[0].Image)
	case process == nil:
		return n.start(ctx, pod)
	case process.PID() == 0:
		return process.Restart(ctx) // it has crashed
	case isReady(pod):
		return nil
	}
	if err := answers("http://" + process.probes + "/readyz"); err != nil {
		return err
	}
	pod.Status.Phase = corev1.PodRunning
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}
	return admin.Status().Update(ctx, pod)
}

func (n *node) start(ctx context.Context, pod *corev1.Pod) error {
	path, err := cluster.ServiceAccountKubeconfig(ctx, pod.Namespace, pod.Spec.ServiceAccountName)
	if err != nil {
		return err
	}
	// A copy: the file is written again for the next pod.
	kubeconfig := filepath.Join(n.t.TempDir(), "kubeconfig")
	content, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(kubeconfig, content, 0o600)
	}
	if err != nil {
		return err
	}
	arguments, probes, err := listenFreely(ctx, pod.Spec.Containers[0].Args)
	if err != nil {
		return err
	}
	process := localcluster.NewProcess(pod.Name, n.program, arguments, []string{"KUBECONFIG=" + kubeconfig, "POD_NAMESPACE=" + pod.Namespace},
		filepath.Join(workplace, pod.Name+".log"))
	if err := process.Start(ctx); err != nil {
		return err
	}
	n.pods[pod.UID] = &running{Process: process, probes: probes}
	return nil
}

func (n *node) end(ctx context.Context, pod *corev1.Pod, process *running) error {
	if process != nil {
		if err := process.Stop(); err != nil {
			return err
		}
		delete(n.pods, pod.UID)
	}
	return admin.Delete(ctx, pod, client.GracePeriodSeconds(0), client.Preconditions{UID: &pod.UID})
}

func isReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(condition corev1.PodCondition) bool {
		return condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue
	})
}

// operatorPods are the pods of the operator, also those that are ending.
func operatorPods(ctx context.Context) ([]corev1.Pod, error) {
	pods := &corev1.PodList{}
	err := admin.List(ctx, pods, client.InNamespace(harness.OperatorNamespace), client.MatchingLabels{"control-plane": "controller-manager"})
	return pods.Items, err
}

// listenFreely has a manager listen on free ports of this machine, and returns the address of
// its probes.
func listenFreely(ctx context.Context, arguments []string) (replaced []string, probes string, err error) {
	replaced = slices.Clone(arguments)
	for _, flag := range []string{"--metrics-bind-address=", "--health-probe-bind-address="} {
		at := slices.IndexFunc(replaced, func(argument string) bool { return strings.HasPrefix(argument, flag) })
		if at < 0 {
			return nil, "", fmt.Errorf("no %s in %q", flag, arguments)
		}
		if probes, err = harness.FreeAddress(ctx); err != nil {
			return nil, "", err
		}
		replaced[at] = flag + probes
	}
	return replaced, probes, nil
}

func operatorKubeconfig(t *testing.T, g Gomega) string {
	path, err := cluster.ServiceAccountKubeconfig(t.Context(), harness.OperatorNamespace, harness.OperatorServiceAccount)
	g.Expect(err).NotTo(HaveOccurred())
	return path
}

// removeAll takes away whatever a test has installed, in whatever state.
func removeAll(t *testing.T, g Gomega) {
	ctx := context.WithoutCancel(t.Context())
	_, err := shell(ctx, kustomize+"config/default | kubectl delete --ignore-not-found --wait=false -f -\n"+
		"for cnb in $(kubectl get cnb --output name 2>/dev/null || true); do\n"+
		`kubectl patch $cnb --type=merge -p '{"metadata":{"finalizers":null}}' || true`+"\ndone\n"+
		"kubectl delete networkpolicies --all-namespaces --selector policy.netbaseline.dev/baseline")
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(left).WithArguments(ctx).Should(BeEmpty())
}

// left is what there is of netbaseline in the cluster.
func left(ctx context.Context) ([]string, error) {
	output, err := shell(ctx, "kubectl get clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings "+
		"--selector app.kubernetes.io/name=netbaseline --output name\n"+
		"kubectl get clusterrole/netbaseline-manager-role crd/"+harness.CRDName+" namespace/"+harness.OperatorNamespace+" --ignore-not-found --output name\n"+
		"kubectl get networkpolicies --all-namespaces --selector policy.netbaseline.dev/baseline --output name")
	return strings.Fields(output), err
}
