package choices_test

import (
	"slices"
	"testing"

	"github.com/netbaseline/netbaseline/test/utils/choices"
)

func TestTheBytesAreTheChoices(t *testing.T) {
	t.Parallel()
	s := choices.From([]byte{7, 1, 2, 3, 'a', 0xff, 'c', 2})
	if got := s.IntN(5); got != 2 {
		t.Errorf("one of 5 is %d, want 7 modulo 5", got)
	}
	if got := s.IntN(1000); got != 258 {
		t.Errorf("one of 1000 is %d, want the number in two bytes", got)
	}
	if got := s.Text(10); got != "a\xffc" {
		t.Errorf("the text is %q, want as many bytes as the one before them says", got)
	}
	if !s.OneIn(3) {
		t.Error("one in 3 is no, want yes for the last of 3 choices")
	}
}

func TestWhenTheBytesAreSpentEveryChoiceIsTheFirst(t *testing.T) {
	t.Parallel()
	s := choices.From(nil)
	if s.IntN(1000) != 0 || s.OneIn(2) || s.Text(5) != "" || choices.Pick(s, "first", "second") != "first" {
		t.Error("a choice was made from nothing")
	}
}

func TestShuffleReachesEveryOrder(t *testing.T) {
	t.Parallel()
	orders := map[[3]int]bool{}
	for i := range byte(3) {
		for j := range byte(2) {
			items := [3]int{1, 2, 3}
			choices.From([]byte{i, j}).Shuffle(3, func(i, j int) { items[i], items[j] = items[j], items[i] })
			sorted := items
			slices.Sort(sorted[:])
			if sorted != [3]int{1, 2, 3} {
				t.Errorf("%v is no order of the three", items)
			}
			orders[items] = true
		}
	}
	if len(orders) != 6 {
		t.Errorf("%d orders of three, want all 6", len(orders))
	}
}

func TestExamplesAreTheSameEveryTime(t *testing.T) {
	t.Parallel()
	one, two := choices.Examples(300), choices.Examples(200)
	if !slices.EqualFunc(one[:200], two, slices.Equal) {
		t.Error("the examples differ")
	}
	if len(one) != 300 || len(one[0]) != 0 || len(one[1]) == 0 {
		t.Errorf("%d examples, the first of %d bytes, want 300 and none", len(one), len(one[0]))
	}
}
