package install_test

import (
	"context"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The pods are admitted where PodSecurity enforces `restricted`. That it does enforce it is shown
// by what is not admitted: the same Deployment without one of the things that the level asks for.
func TestPodSecurityRestricted(t *testing.T) {
	container := func(deployment *appsv1.Deployment) *corev1.SecurityContext {
		return deployment.Spec.Template.Spec.Containers[0].SecurityContext
	}
	tests := map[string]struct {
		change func(*appsv1.Deployment)
		says   string
	}{
		"as shipped":              {func(*appsv1.Deployment) {}, ""},
		"as root":                 {func(d *appsv1.Deployment) { d.Spec.Template.Spec.SecurityContext.RunAsNonRoot = nil }, "runAsNonRoot != true"},
		"with every system call":  {func(d *appsv1.Deployment) { d.Spec.Template.Spec.SecurityContext.SeccompProfile = nil }, "seccompProfile"},
		"with privileges to gain": {func(d *appsv1.Deployment) { container(d).AllowPrivilegeEscalation = nil }, "allowPrivilegeEscalation != false"},
		"with capabilities":       {func(d *appsv1.Deployment) { container(d).Capabilities = nil }, "unrestricted capabilities"},
	}
	shipped := rendered(t, strings.Replace(helmTemplate, "netbaseline-system", "restricted", 1))
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(patience)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: "restricted", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	g.Expect(admin.Create(t.Context(), namespace)).To(Succeed())
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		g.Expect(admin.Delete(ctx, namespace)).To(Succeed())
		g.Eventually(func() error {
			return admin.Get(ctx, client.ObjectKeyFromObject(namespace), namespace)
		}).Should(Satisfy(apierrors.IsNotFound))
	})
	install(t, g, shipped.only("ServiceAccount", "ResourceQuota"))

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			g.SetDefaultEventuallyTimeout(patience)
			deployment := &appsv1.Deployment{}
			for _, object := range shipped.only("Deployment") {
				g.Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, deployment)).To(Succeed())
			}
			test.change(deployment)
			g.Expect(admin.Create(t.Context(), deployment)).To(Succeed())
			t.Cleanup(func() {
				ctx := context.WithoutCancel(t.Context())
				g.Expect(admin.Delete(ctx, deployment, client.PropagationPolicy(metav1.DeletePropagationForeground))).To(Succeed())
				g.Eventually(podsOf).WithArguments(ctx, namespace.Name).Should(BeEmpty())
				g.Eventually(func() error {
					return admin.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)
				}).Should(Satisfy(apierrors.IsNotFound))
			})
			if test.says == "" {
				g.Eventually(podsOf).WithArguments(t.Context(), namespace.Name).Should(HaveLen(int(*deployment.Spec.Replicas)))
				g.Expect(refusal(t.Context(), deployment)).To(BeEmpty())
				return
			}
			g.Eventually(refusal).WithArguments(t.Context(), deployment).Should(And(
				ContainSubstring(`violates PodSecurity "restricted:latest"`), ContainSubstring(test.says)))
			g.Expect(podsOf(t.Context(), namespace.Name)).To(BeEmpty())
		})
	}
}

func podsOf(ctx context.Context, namespace string) ([]corev1.Pod, error) {
	pods := &corev1.PodList{}
	err := admin.List(ctx, pods, client.InNamespace(namespace))
	return pods.Items, err
}

// refusal is why a Deployment could not create a pod, if it could not.
func refusal(ctx context.Context, deployment *appsv1.Deployment) (string, error) {
	read := &appsv1.Deployment{}
	err := admin.Get(ctx, client.ObjectKeyFromObject(deployment), read)
	for _, condition := range read.Status.Conditions {
		if condition.Type == appsv1.DeploymentReplicaFailure && condition.Status == corev1.ConditionTrue {
			return condition.Message, err
		}
	}
	return "", err
}
