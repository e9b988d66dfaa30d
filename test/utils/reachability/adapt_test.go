package reachability

import (
	"math/rand/v2"
	"testing"

	"github.com/mattfenwick/cyclonus/pkg/kube"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// After adaptation cyclonus must select exactly what Kubernetes' own code selects.
func TestAdaptedSelectorsSelectWhatKubernetesSelects(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	matched, corrected := 0, 0
	for range 20_000 {
		selector, set := randomSelector(random), randomLabels(random)
		authority, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil {
			t.Fatal(err)
		}
		want := authority.Matches(labels.Set(set))
		adapted := selector.DeepCopy()
		adaptSelector(adapted)
		if got := kube.IsLabelsMatchLabelSelector(adaptLabels(set), *adapted); got != want {
			t.Fatalf("seed %d: %v selects %v: got %t, want %t", seed, metav1.FormatLabelSelector(selector), set, got, want)
		}
		if want {
			matched++
		}
		if kube.IsLabelsMatchLabelSelector(set, *selector) != want {
			corrected++
		}
	}
	if matched < 1000 || corrected < 100 {
		t.Errorf("seed %d: %d matches and %d corrections: too few to show anything", seed, matched, corrected)
	}
}

func randomSelector(random *rand.Rand) *metav1.LabelSelector {
	selector := &metav1.LabelSelector{MatchLabels: randomLabels(random)}
	for range random.IntN(3) {
		requirement := metav1.LabelSelectorRequirement{Key: pick(random, "a", "b")}
		switch random.IntN(4) {
		case 0:
			requirement.Operator, requirement.Values = metav1.LabelSelectorOpIn, []string{pick(random, "", "1"), "2"}
		case 1:
			requirement.Operator, requirement.Values = metav1.LabelSelectorOpNotIn, []string{pick(random, "", "1"), "2"}
		case 2:
			requirement.Operator = metav1.LabelSelectorOpExists
		default:
			requirement.Operator = metav1.LabelSelectorOpDoesNotExist
		}
		selector.MatchExpressions = append(selector.MatchExpressions, requirement)
	}
	return selector
}

func randomLabels(random *rand.Rand) map[string]string {
	set := map[string]string{}
	for _, key := range []string{"a", "b"} {
		if random.IntN(2) == 0 {
			set[key] = pick(random, "", "1", "2")
		}
	}
	return set
}

func pick[T any](random *rand.Rand, choices ...T) T { return choices[random.IntN(len(choices))] }
