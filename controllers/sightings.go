package controllers

import (
	"sync"
	"time"
)

// sightings remembers when namespaces were first seen that are not protected yet.
type sightings struct {
	mu    sync.Mutex
	times map[string]time.Time
}

func newSightings() *sightings { return &sightings{times: map[string]time.Time{}} }

func (s *sightings) add(namespace string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times[namespace] = at
}

// awaiting says whether a namespace is new and not protected yet.
func (s *sightings) awaiting(namespace string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.times[namespace]
	return ok
}

// take returns when a namespace was first seen and forgets it.
func (s *sightings) take(namespace string) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.times[namespace]
	delete(s.times, namespace)
	if len(s.times) == 0 {
		s.times = map[string]time.Time{} // a map never gives memory back
	}
	return at, ok
}

func (s *sightings) drop(namespace string) { s.take(namespace) }
