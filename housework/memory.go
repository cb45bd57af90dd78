package housework

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// defaultMaxChores is how many chores a list may have if nobody says otherwise.
const defaultMaxChores = 1_000_000

// A MemoryStore is a Store that keeps the list in memory. The zero value is an empty
// list. It must not be copied.
type MemoryStore struct {
	// MaxChores is how many chores the list may have. If zero, it is a million. It
	// must not be changed once the store is in use.
	MaxChores int

	mu     sync.Mutex
	closed bool
	chores []Chore
	// requests has the number of the first chore of each request with an id. The
	// others of it follow, and bear the same id.
	requests map[string]int
}

// Add implements [Store].
func (s *MemoryStore) Add(ctx context.Context, requestID string, chores []Chore) (first int, err error) {
	if err := ValidateAdd(requestID, chores); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	next := len(s.chores) + 1
	if len(chores) == 0 {
		return next, nil
	}
	if first, ok := s.requests[requestID]; ok { // "" never is
		if !isRequest(s.chores[first-1:], requestID, chores) {
			return 0, ErrRequestIDUsed
		}
		return first, nil
	}
	if limit := s.maxChores(); len(chores) > limit-len(s.chores) {
		return 0, fmt.Errorf("%w: the limit is %d", ErrFull, limit)
	}
	s.chores = append(s.chores, chores...)
	for i := next - 1; i < len(s.chores); i++ {
		s.chores[i].RequestID = requestID
	}
	if requestID != "" {
		if s.requests == nil {
			s.requests = make(map[string]int)
		}
		s.requests[requestID] = next
	}
	return next, nil
}

// Complete implements [Store].
func (s *MemoryStore) Complete(ctx context.Context, numbers ...int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	for _, n := range numbers {
		if n < 1 || n > len(s.chores) {
			return &ChoreError{Number: n, Err: ErrNotFound}
		}
	}
	for _, n := range numbers {
		s.chores[n-1].Complete = true
	}
	return nil
}

// List implements [Store]. It returns as many chores as there are, up to limit.
func (s *MemoryStore) List(ctx context.Context, first, limit int) ([]Chore, error) {
	if err := validatePage(first, limit); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if first > len(s.chores) {
		return nil, nil
	}
	rest := s.chores[first-1:]
	return slices.Clone(rest[:min(limit, len(rest))]), nil
}

// Close implements [Store]. The list is gone then.
func (s *MemoryStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.chores, s.requests = nil, nil
	return nil
}

// usable returns why nothing can be done, if so. It needs the lock.
func (s *MemoryStore) usable(ctx context.Context) error {
	if s.closed {
		return ErrClosed
	}
	return ctx.Err()
}

func (s *MemoryStore) maxChores() int {
	if s.MaxChores == 0 {
		return defaultMaxChores
	}
	return s.MaxChores
}
