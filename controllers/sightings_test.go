package controllers

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestASightingIsTakenOnce(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		act      func(*sightings)
		want     time.Time
		wantSeen bool
	}{
		"never seen":             {act: func(*sightings) {}},
		"seen":                   {act: func(s *sightings) { s.add("shop", noon) }, want: noon, wantSeen: true},
		"another was seen":       {act: func(s *sightings) { s.add("other", noon) }},
		"seen and dropped":       {act: func(s *sightings) { s.add("shop", noon); s.drop("shop") }},
		"another was dropped":    {act: func(s *sightings) { s.add("shop", noon); s.drop("other") }, want: noon, wantSeen: true},
		"seen and taken":         {act: func(s *sightings) { s.add("shop", noon); s.take("shop") }},
		"gone and created again": {act: func(s *sightings) { s.add("shop", noon); s.add("shop", noon.Add(time.Hour)) }, want: noon.Add(time.Hour), wantSeen: true},
		"taken and seen again":   {act: func(s *sightings) { s.add("shop", noon); s.take("shop"); s.add("shop", noon.Add(1)) }, want: noon.Add(1), wantSeen: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSightings()
			test.act(s)
			if got, seen := s.take("shop"); seen != test.wantSeen || !got.Equal(test.want) {
				t.Errorf("got %s, seen %t; want %s, %t", got, seen, test.want, test.wantSeen)
			}
			if _, seen := s.take("shop"); seen {
				t.Error("taken, and still there")
			}
		})
	}
}

func TestSightingsAreSafeForManyWorkers(t *testing.T) {
	t.Parallel()
	s := newSightings()
	var workers sync.WaitGroup
	for worker := range 8 {
		workers.Go(func() {
			for i := range 200 {
				name := fmt.Sprintf("n%d-%d", worker, i)
				s.add(name, noon)
				if _, seen := s.take(name); !seen {
					t.Errorf("%s was lost", name)
				}
				s.drop(name)
			}
		})
	}
	workers.Wait()
	if len(s.times) != 0 {
		t.Errorf("%d sightings are left", len(s.times))
	}
}
