package schema_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/choices"
	"github.com/netbaseline/netbaseline/test/utils/specs"
)

var (
	seed  = flag.Uint64("schema.seed", rand.Uint64(), "seed of the random specs; a failure prints it")
	tries = flag.Int("schema.specs", 300, "how many random specs that the API server accepts are tried")
)

// Whatever the API server accepts can be carried out, and is stored as it was rendered. If it were
// not, the operator would find a difference after each of its writes and never come to rest.
func TestWhateverIsAcceptedRendersToPoliciesThatAreStoredUnchanged(t *testing.T) {
	t.Parallel()
	const workers = 4
	var accepted, refused, probed atomic.Int64
	for worker := range workers {
		t.Run(fmt.Sprintf("worker %d", worker), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(*seed, uint64(worker)))
			prober := newProber()
			for range *tries / workers {
				baseline := nextAccepted(t, random, &refused)
				accepted.Add(1)
				checkAccepted(t, random, prober, baseline)
				if t.Failed() {
					document, _ := yaml.Marshal(baseline.Spec)
					t.Fatalf("-schema.seed %d repeats this, with the spec:\n%s", *seed, document)
				}
			}
			probed.Add(int64(len(prober.seen)))
		})
	}
	t.Cleanup(func() {
		t.Logf("seed %d: %d specs accepted, %d refused, %d policies offered", *seed, accepted.Load(), refused.Load(), probed.Load())
		if !t.Failed() && accepted.Load() < int64(*tries/workers*workers) {
			t.Errorf("only %d specs were tried", accepted.Load())
		}
	})
}

// nextAccepted makes specs until the API server accepts one: the generator tries its bounds, and
// sometimes more.
func nextAccepted(t *testing.T, random *rand.Rand, refused *atomic.Int64) *v1alpha1.ClusterNetworkBaseline {
	t.Helper()
	for range 100 {
		document := generator(random).Document("environment")
		baseline := &unstructured.Unstructured{}
		if err := baseline.UnmarshalJSON(document); err != nil {
			t.Fatalf("seed %d: %v\n%s", *seed, err, document)
		}
		switch err := admit(t, baseline); {
		case err == nil:
			return typed(t, baseline)
		case !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err):
			t.Fatalf("seed %d: not refused but failed: %v\n%s", *seed, err, document)
		}
		refused.Add(1)
	}
	t.Fatalf("seed %d: nothing that the generator makes is accepted", *seed)
	return nil
}

// generator makes one baseline, or what goes with it, of random choices.
func generator(random *rand.Rand) specs.Generator {
	input := make([]byte, 4_000) // enough for most lists to be as long as they may be
	for i := range input {
		input[i] = byte(random.UintN(256))
	}
	return specs.Generator{Source: choices.From(input)}
}

func checkAccepted(t *testing.T, random *rand.Rand, prober *prober, baseline *v1alpha1.ClusterNetworkBaseline) {
	t.Helper()
	if errs := policy.Validate(baseline); len(errs) > 0 {
		t.Errorf("accepted by the API server and not by the operator: %s", policy.Explain(errs))
	}
	key := string(baseline.Spec.EnvironmentIsolation.LabelKey)
	namespaces := []policy.Namespace{
		{},
		{Labels: map[string]string{key: ""}},
		{Labels: map[string]string{key: repeat(63), "kubernetes.io/metadata.name": metav1.NamespaceDefault}},
		generator(random).Namespace(key),
	}
	for _, namespace := range namespaces {
		if namespace.Name = metav1.NamespaceDefault; specs.Possible(namespace) {
			prober.probe(t, baseline, namespace.Labels)
		}
	}
}

// prober offers rendered policies to the API server, each one once.
type prober struct{ seen map[string]bool }

func newProber() *prober { return &prober{seen: map[string]bool{}} }

func (p *prober) probe(t *testing.T, baseline *v1alpha1.ClusterNetworkBaseline, labels map[string]string) {
	t.Helper()
	rendered := policy.Render(baseline, policy.Namespace{Name: metav1.NamespaceDefault, Labels: labels})
	if len(rendered) == 0 {
		t.Error("renders to nothing: a governed namespace would be open")
	}
	for _, desired := range rendered {
		id := fmt.Sprintf("%s %s %x", baseline.Name, desired.Policy.Name, desired.Hash)
		if p.seen[id] {
			continue
		}
		p.seen[id] = true
		if got := policy.HashSpec(&desired.Policy.Spec); got != desired.Hash {
			t.Errorf("%s: its own hash is another", desired.Policy.Name)
		}
		stored := desired.Policy.DeepCopy()
		if err := admin.Create(t.Context(), stored, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict)); err != nil {
			t.Errorf("%s is refused: %v", desired.Policy.Name, err)
			continue
		}
		if policy.HashSpec(&stored.Spec) != desired.Hash {
			t.Errorf("%s is not stored as rendered, so the operator would write it again and again (-rendered +stored):\n%s",
				desired.Policy.Name, cmp.Diff(desired.Policy.Spec, stored.Spec))
		}
		if !maps.Equal(stored.Labels, desired.Policy.Labels) || !policy.MetadataIntact(stored) {
			t.Errorf("%s: its metadata is not stored as rendered: %v %v", desired.Policy.Name, stored.Labels, stored.Annotations)
		}
		if !slices.Contains(policy.Names, stored.Name) {
			t.Errorf("%s is no name of ours", stored.Name)
		}
	}
}
