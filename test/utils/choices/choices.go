// Package choices turns the input of a fuzz target into the choices of a generator, so that the
// fuzzing engine, which knows nothing but bytes, mutates what the generator makes. It decides
// nothing itself: the same bytes are always the same choices.
package choices

import "math/rand/v2"

// Examples returns so many inputs of up to 400 bytes, the same ones every time: seeds that show a
// generator's variety also to a plain `go test`, and that the fuzzing engine begins with. The first
// is empty, and so stands for all the first choices.
func Examples(n int) [][]byte {
	random := rand.New(rand.NewPCG(1, 1))
	inputs := make([][]byte, n)
	for i := 1; i < n; i++ {
		inputs[i] = make([]byte, 1+random.IntN(400))
		for j := range inputs[i] {
			inputs[i][j] = byte(random.IntN(256))
		}
	}
	return inputs
}

// Source reads choices from bytes. When the bytes are spent every choice is the first one, so that
// generators end.
type Source struct{ rest []byte }

// From returns a source of the choices in an input.
func From(input []byte) *Source { return &Source{rest: input} }

// IntN chooses a number from 0 to n-1. Up to 256 of them take one byte of the input, so that a
// mutation changes one choice and leaves the others alone; more take two.
func (s *Source) IntN(n int) int {
	if n <= 1 {
		return 0
	}
	choice := s.next()
	if n > 256 {
		choice = choice<<8 | s.next()
	}
	return choice % n
}

func (s *Source) next() int {
	if len(s.rest) == 0 {
		return 0
	}
	first := s.rest[0]
	s.rest = s.rest[1:]
	return int(first)
}

// OneIn chooses yes once in n times, and never when the bytes are spent.
func (s *Source) OneIn(n int) bool { return s.IntN(n) == n-1 }

// Text takes a text of at most so many bytes from the input as it is, whatever they are.
func (s *Source) Text(longest int) string {
	n := min(s.IntN(longest+1), len(s.rest))
	text := string(s.rest[:n])
	s.rest = s.rest[n:]
	return text
}

// Shuffle puts n items into an order; swap exchanges two of them.
func (s *Source) Shuffle(n int, swap func(i, j int)) {
	for i := range n {
		swap(i, i+s.IntN(n-i))
	}
}

// Pick chooses one of several values; the first when the bytes are spent.
func Pick[T any](s *Source, values ...T) T { return values[s.IntN(len(values))] }
