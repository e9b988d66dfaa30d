package install_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// page is docs/install.md: its commands by the heading they stand under.
type page struct {
	blocks map[string][]string
	unread map[string]bool
}

func readPage(t *testing.T) *page {
	t.Helper()
	p := &page{blocks: map[string][]string{}, unread: map[string]bool{}}
	for _, block := range commandsIn(t, harness.RepositoryPath("docs/install.md")) {
		p.unread[fmt.Sprintf("%s, block %d", block.Heading, len(p.blocks[block.Heading]))] = true
		p.blocks[block.Heading] = append(p.blocks[block.Heading], block.Text)
	}
	return p
}

// follow runs a block of the page.
func (p *page) follow(t *testing.T, heading string, block int) {
	t.Helper()
	if block >= len(p.blocks[heading]) {
		t.Fatalf("docs/install.md has no block %d under %q", block, heading)
	}
	delete(p.unread, fmt.Sprintf("%s, block %d", heading, block))
	mustRun(t, p.blocks[heading][block])
}

// version is what tells a policy that was touched from one that was not.
type version struct {
	UID             types.UID
	ResourceVersion string
}

// policies are those that belong to baselines.
func policies(ctx context.Context) (map[string]version, error) {
	list := &networkingv1.NetworkPolicyList{}
	err := admin.List(ctx, list, client.HasLabels{v1alpha1.BaselineLabel})
	found := map[string]version{}
	for _, policy := range list.Items {
		found[policy.Namespace+"/"+policy.Name] = version{policy.UID, policy.ResourceVersion}
	}
	return found, err
}

func TestTheInstallPageIsTrue(t *testing.T) {
	p := readPage(t)
	startNode(t)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"environment": "production"}}}
	if err := admin.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	stories := []struct {
		name string
		tell func(*testing.T, Gomega, *page)
	}{
		{"with Helm, from the first day to the last", helmStory},
		{"with Helm, and the CRD goes with the release", helmWithoutKeepStory},
		{"with kustomize, from the first day to the last", kustomizeStory},
		{"from one file, and the CRD goes first", fileStory},
		{"from kustomize to Helm, and the namespace goes first", moveStory},
	}
	told := 0
	for _, story := range stories {
		passed := t.Run(story.name, func(t *testing.T) {
			told++
			g := NewWithT(t)
			g.SetDefaultEventuallyTimeout(patience)
			g.SetDefaultEventuallyPollingInterval(interval)
			// Also after a failure, so that the next story can begin.
			t.Cleanup(func() {
				if t.Failed() {
					removeAll(t, g)
				}
			})
			story.tell(t, g, p)
		})
		if !passed {
			t.FailNow()
		}
	}
	if told < len(stories) {
		return // only some were asked for
	}
	for _, block := range slices.Sorted(maps.Keys(p.unread)) {
		t.Errorf("this block was never run: %s", block)
	}
}

func helmStory(t *testing.T, g Gomega, p *page) {
	p.follow(t, "Install with Helm", 0)
	p.follow(t, "Install with Helm", 1)
	expectPods(t, g, "dev", 2)
	_, err := shell(t.Context(), "helm install second charts/netbaseline --namespace second --create-namespace")
	g.Expect(err).To(MatchError(ContainSubstring("invalid ownership metadata")), "a second release")

	expectNotesToBePasted(t, g)
	before := firstBaseline(t, g, p)
	expectUntouched := func() {
		g.Expect(policies(t.Context())).To(Equal(before))
	}
	p.follow(t, "Upgrade", 0)
	expectPods(t, g, "next", 2)
	expectUntouched()

	// A version that does not start.
	mustRun(t, "helm upgrade netbaseline charts/netbaseline --namespace netbaseline-system --set image.repository=registry.example.com/netbaseline --set image.tag=broken")
	g.Eventually(operatorPods).WithArguments(t.Context()).Should(ContainElement(HaveField("Spec.Containers", ContainElement(HaveField("Image", HaveSuffix(":broken"))))))
	before = expectRepair(t, g, before)
	p.follow(t, "Roll back", 0)
	expectPods(t, g, "next", 2)
	expectUntouched()

	p.follow(t, "The operator first", 0)
	expectPods(t, g, "", 0)
	expectUntouched()
	g.Expect(mustRun(t, "kubectl get cnb --output name")).To(ContainSubstring("/default"), "with crds.keep, baselines stay")
	mustRun(t, "kubectl delete networkpolicy --namespace shop "+v1alpha1.DefaultDenyName)
	p.follow(t, "Install with Helm", 0)
	g.Eventually(policies).WithArguments(t.Context()).Should(HaveLen(len(before)), "installed again, it carries on")
	after, err := policies(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	const repaired = "shop/" + v1alpha1.DefaultDenyName
	g.Expect(after[repaired].UID).NotTo(Equal(before[repaired].UID))
	delete(before, repaired)
	delete(after, repaired)
	g.Expect(after).To(Equal(before), "and touches nothing else")

	p.follow(t, "The baselines first", 0)
	g.Expect(policies(t.Context())).To(BeEmpty(), "the command returns when they are gone")
	p.follow(t, "The baselines first", 1)
	g.Eventually(left).WithArguments(t.Context()).Should(BeEmpty())
}

func helmWithoutKeepStory(t *testing.T, g Gomega, p *page) {
	mustRun(t, strings.Replace(p.blocks["Install with Helm"][0], "--set image.tag=dev", "--set image.tag=dev --set crds.keep=false", 1))
	before := firstBaseline(t, g, p)
	mustRun(t, "helm uninstall netbaseline --namespace netbaseline-system")
	expectPods(t, g, "", 0)
	expectBaselinesToGo(t, g, p)
	g.Expect(policies(t.Context())).To(Equal(before), "fail closed")
	p.follow(t, "The operator first", 3)
	mustRun(t, "kubectl delete namespace netbaseline-system")
	g.Eventually(left).WithArguments(t.Context()).Should(BeEmpty())
}

func kustomizeStory(t *testing.T, g Gomega, p *page) {
	p.follow(t, "Install with kustomize", 0)
	expectPods(t, g, "dev", 2)
	before := firstBaseline(t, g, p)
	p.follow(t, "Upgrade", 1)
	expectPods(t, g, "next", 2)
	g.Expect(policies(t.Context())).To(Equal(before))
	p.follow(t, "Roll back", 1)
	expectPods(t, g, "dev", 2)
	g.Expect(policies(t.Context())).To(Equal(before))
	p.follow(t, "The baselines first", 2)
	g.Eventually(left).WithArguments(t.Context()).Should(BeEmpty())
}

func fileStory(t *testing.T, g Gomega, p *page) {
	p.follow(t, "Install from one file", 0)
	expectPods(t, g, "dev", 2)
	before := firstBaseline(t, g, p)

	p.follow(t, "The CustomResourceDefinition first", 0)
	g.Eventually(shell).WithArguments(t.Context(), "kubectl get crd/"+harness.CRDName+" --ignore-not-found").Should(BeEmpty(), "the operator lets the baselines go")
	g.Expect(policies(t.Context())).To(Equal(before))
	expectPods(t, g, "dev", 2)
	p.follow(t, "The CustomResourceDefinition first", 1)
	g.Expect(firstBaseline(t, g, p)).To(Equal(before), "the same baseline takes over its policies where they are")
	expectRepair(t, g, before)
	before, err := policies(t.Context())
	g.Expect(err).NotTo(HaveOccurred())

	p.follow(t, "Everything together", 0)
	expectPods(t, g, "", 0)
	expectBaselinesToGo(t, g, p)
	g.Expect(policies(t.Context())).To(Equal(before), "fail closed")
	p.follow(t, "The operator first", 3)
	g.Eventually(left).WithArguments(t.Context()).Should(BeEmpty())
}

func moveStory(t *testing.T, g Gomega, p *page) {
	p.follow(t, "Install with kustomize", 0)
	before := firstBaseline(t, g, p)
	pods, err := operatorPods(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	p.follow(t, "From kustomize to Helm", 0)
	g.Expect(policies(t.Context())).To(Equal(before))
	same, err := operatorPods(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(names(same)).To(ConsistOf(names(pods)), "the running pods stay")
	p.follow(t, "From kustomize to Helm", 1)
	expectPods(t, g, "next", 2)
	g.Expect(policies(t.Context())).To(Equal(before))

	p.follow(t, "The operator first", 1)
	expectPods(t, g, "", 0)
	g.Expect(policies(t.Context())).To(Equal(before), "fail closed")
	p.follow(t, "The operator first", 2)
	g.Expect(mustRun(t, "kubectl get cnb --output name")).To(BeEmpty())
	g.Expect(policies(t.Context())).To(Equal(before), "fail closed")
	p.follow(t, "The operator first", 3)
	removeAll(t, g) // cluster roles and CRD, which the page's order leaves for the next installation
}

// firstBaseline follows the page from Audit to Enforce and returns the policies that come of it.
func firstBaseline(t *testing.T, g Gomega, p *page) map[string]version {
	already, err := policies(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	p.follow(t, "A first baseline", 0)
	g.Expect(policies(t.Context())).To(Equal(already), "in Audit mode nothing is written")
	p.follow(t, "A first baseline", 1)
	found, err := policies(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	for _, name := range []string{v1alpha1.AllowDNSName, v1alpha1.DefaultDenyName, v1alpha1.EnvironmentIsolationName} {
		g.Expect(found).To(HaveKey("shop/" + name))
	}
	return found
}

// expectNotesToBePasted pastes what the notes of the release end with.
func expectNotesToBePasted(t *testing.T, g Gomega) {
	notes := mustRun(t, "helm get notes netbaseline --namespace netbaseline-system")
	at := strings.Index(notes, "kubectl apply -f - <<'EOF'")
	g.Expect(at).To(BeNumerically(">", 0), notes)
	mustRun(t, notes[at:])
	mustRun(t, "kubectl wait --for=condition=Accepted --timeout=60s cnb/default")
	baseline := &v1alpha1.ClusterNetworkBaseline{}
	g.Expect(admin.Get(t.Context(), client.ObjectKey{Name: "default"}, baseline)).To(Succeed())
	g.Expect(baseline.Spec.Mode).To(Equal(v1alpha1.ModeAudit))
	g.Expect(policies(t.Context())).To(BeEmpty())
}

// expectPods waits until these pods are there, all ready and with the image, and no others.
func expectPods(t *testing.T, g Gomega, tag string, count int) {
	t.Helper()
	g.Eventually(func() error {
		pods, err := operatorPods(t.Context())
		if err != nil {
			return err
		}
		if len(pods) != count {
			return fmt.Errorf("there are %d pods, want %d", len(pods), count)
		}
		for i := range pods {
			if image := pods[i].Spec.Containers[0].Image; !isReady(&pods[i]) || !strings.HasSuffix(image, ":"+tag) {
				return fmt.Errorf("pod %s with the image %s is not ready or not the one wanted", pods[i].Name, image)
			}
		}
		return nil
	}).Should(Succeed())
}

// expectRepair deletes a policy, which a running operator restores, and returns the policies
// afterwards.
func expectRepair(t *testing.T, g Gomega, before map[string]version) map[string]version {
	const name = "shop/" + v1alpha1.DefaultDenyName
	mustRun(t, "kubectl delete networkpolicy --namespace shop "+v1alpha1.DefaultDenyName)
	g.Eventually(policies).WithArguments(t.Context()).Should(And(HaveLen(len(before)), Not(HaveKeyWithValue(name, before[name]))))
	after, err := policies(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	return after
}

// expectBaselinesToGo lets the baselines go that wait for an operator, if there are any, as the
// page says; then the CustomResourceDefinition, which is being deleted, goes too.
func expectBaselinesToGo(t *testing.T, g Gomega, p *page) {
	crds := &apiextensionsv1.CustomResourceDefinitionList{}
	g.Expect(admin.List(t.Context(), crds)).To(Succeed())
	if len(crds.Items) > 0 {
		g.Expect(crds.Items[0].DeletionTimestamp).NotTo(BeNil())
		p.follow(t, "The operator first", 2)
	}
	g.Eventually(shell).WithArguments(t.Context(), "kubectl get crd/"+harness.CRDName+" --ignore-not-found").Should(BeEmpty())
}

func names(pods []corev1.Pod) (names []string) {
	for i := range pods {
		names = append(names, pods[i].Name)
	}
	return names
}
