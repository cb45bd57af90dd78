package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/netparts/netparts/housework"
)

// A request is what a disk remembers of one.
type request struct {
	first  int
	chores []housework.Chore
}

// A shared list is what stays when a faulty store is closed.
type shared struct {
	mu       sync.Mutex
	chores   []housework.Chore
	requests map[string]request
}

// A faulty store has one fault, which its name says; without a name it has none.
type faulty struct {
	*shared
	fault     string
	closed    bool
	closing   bool
	completed int // how often
	lists     int
	old       []housework.Chore // what the list was
	kept      []housework.Chore // a slice of a caller
}

func newFaulty(fault string) housework.Store { return disk(fault)() }

// disk returns a function that opens stores on the same list.
func disk(fault string) func() housework.Store {
	list := &shared{requests: make(map[string]request)}
	return func() housework.Store {
		list.mu.Lock()
		defer list.mu.Unlock()
		s := &faulty{shared: list, fault: fault}
		if s.has("opens a copy") {
			s.shared = &shared{chores: slices.Clone(list.chores), requests: maps.Clone(list.requests)}
		}
		if s.has("opens without requests") {
			clear(list.requests)
		}
		if s.has("opens without what is done") {
			for i := range list.chores {
				list.chores[i].Complete = false
			}
		}
		if s.has("opens with a chore more") && len(list.chores) == 0 {
			list.chores = []housework.Chore{{Description: "Read the manual"}}
		}
		for id, r := range list.requests {
			if s.has("opens with requests cut") {
				list.requests[id] = request{r.first, r.chores[:1]}
			}
		}
		return s
	}
}

func (s *faulty) has(fault string) bool { return s.fault == fault }

// pause lets others have the lock for a while.
func (s *faulty) pause() {
	s.mu.Unlock()
	for range 50 {
		runtime.Gosched()
	}
	s.mu.Lock()
}

func (s *faulty) usable(ctx context.Context) error {
	if s.closed {
		return housework.ErrClosed
	}
	return ctx.Err()
}

var errGone = errors.New("connection is gone")

func (s *faulty) Add(ctx context.Context, id string, given []housework.Chore) (int, error) {
	if err := s.validate(id, given); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	chores := slices.Clone(given)
	next := len(s.chores) + 1
	if len(given) == 0 && s.has("adds nothing when closed") {
		return next, nil
	}
	if err := s.usable(ctx); err != nil && !(s.has("adds although the context has ended") && !s.closed) {
		if s.has("adds, and says that the context has ended") && !s.closed {
			s.chores = append(s.chores, chores...)
		}
		if !s.has("adds when closed") || !s.closed {
			return 0, err
		}
	}
	if len(given) == 0 && !s.has("remembers adds of nothing") {
		if s.has("numbers adds of nothing with 0") {
			next = 0
		}
		return next, nil
	}
	if first, ok, err := s.again(id, given); ok || err != nil {
		return first, err
	}
	if s.has("is called a second time meanwhile") || s.has("forgets calls whose context ends") || s.has("fails when closed meanwhile") {
		s.pause()
		next = len(s.chores) + 1
		if s.closed && s.has("fails when closed meanwhile") {
			return 0, errGone
		}
	}
	return s.add(ctx, id, next, given, chores)
}

// validate is what ValidateAdd does, with a fault.
func (s *faulty) validate(id string, given []housework.Chore) error {
	chores := slices.Clone(given)
	for i := range chores {
		d := &chores[i].Description
		if s.has("takes any text") ||
			s.has("takes empty descriptions") && *d == "" ||
			s.has("takes a byte too much") && len(*d) == housework.MaxDescription+1 ||
			s.has("takes what is not UTF-8") {
			*d = "valid"
		}
		if s.has("takes a byte less") && len(*d) == housework.MaxDescription {
			*d = ""
		}
	}
	if s.has("takes any id") {
		id = ""
	}
	err := housework.ValidateAdd(id, chores)
	if e, ok := errors.AsType[*housework.ChoreError](err); ok {
		if s.has("numbers invalid chores from 0") {
			e.Number--
		}
		if s.has("adds up to the invalid chore") {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.chores = append(s.chores, given[:e.Number-1]...)
		}
		if s.has("remembers invalid adds") {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.requests[id] = request{1, nil}
		}
	}
	return err
}

// again returns what a request was answered before.
func (s *faulty) again(id string, given []housework.Chore) (first int, ok bool, err error) {
	id = s.key(id, given)
	r, ok := s.requests[id]
	if id == "" || !ok || s.has("ignores ids") {
		return 0, false, nil
	}
	equal := func(a, b housework.Chore) bool {
		switch {
		case s.has("compares counts only"):
			return true
		case s.has("compares also what is done"):
			return a.Description == b.Description && a.Complete == b.Complete
		case s.has("compares without case"):
			return strings.EqualFold(a.Description, b.Description)
		}
		return a.Description == b.Description
	}
	n := min(len(r.chores), len(given))
	switch {
	case s.has("does not compare"):
		return r.first, true, nil
	case s.has("takes parts of requests") && slices.EqualFunc(r.chores[:n], given, equal),
		s.has("takes requests that go on") && slices.EqualFunc(r.chores, given[:n], equal),
		slices.EqualFunc(r.chores, given, equal):
		if s.has("tells the next number when asked again") {
			return len(s.chores) + 1, true, nil
		}
		if s.has("takes back what is done when asked again") {
			s.chores[r.first-1].Complete = false
		}
		return r.first, true, nil
	case s.has("compares joined texts") && joined(r.chores) == joined(given):
		return r.first, true, nil
	}
	return 0, false, housework.ErrRequestIDUsed
}

func joined(chores []housework.Chore) (text string) {
	for _, c := range chores {
		text += c.Description
	}
	return text
}

func (s *faulty) key(id string, given []housework.Chore) string {
	switch {
	case s.has("knows ids without case"):
		return strings.ToLower(id)
	case s.has("cuts ids"):
		return id[:min(len(id), housework.MaxRequestID-1)]
	case s.has("trims ids"):
		return strings.TrimSpace(id)
	case s.has("uses ids of chores") && len(given) > 0 && given[0].RequestID != "":
		return given[0].RequestID
	}
	return id
}

func (s *faulty) add(ctx context.Context, id string, next int, given, chores []housework.Chore) (int, error) {
	for i := range chores {
		if s.has("adds as not done") {
			chores[i].Complete = false
		}
		if s.has("trims texts") {
			chores[i].Description = strings.TrimSpace(chores[i].Description)
		}
		if s.has("marks the caller's chores") {
			given[i].RequestID = id
		}
	}
	if s.has("reverses") {
		slices.Reverse(chores)
	}
	if s.has("loses what comes fifth") && next > 4 {
		return next, nil
	}
	if s.has("adds one by one") {
		for _, c := range chores {
			s.chores = append(s.chores, c)
			s.pause()
		}
	} else {
		s.chores = append(s.chores, chores...)
	}
	if s.has("keeps the caller's slice") {
		s.kept = given
	}
	if s.has("remembers the last request only") {
		clear(s.requests)
	}
	s.requests[s.key(id, given)] = request{next, chores}
	if s.has("forgets calls whose context ends") && ctx.Err() != nil {
		delete(s.requests, id)
		return 0, ctx.Err()
	}
	if s.has("numbers from 0") {
		next--
	}
	if s.has("numbers the last") {
		next = len(s.chores)
	}
	return next, nil
}

func (s *faulty) Complete(ctx context.Context, numbers ...int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(numbers) == 0 && s.has("completes nothing when closed") {
		return nil
	}
	if err := s.usable(ctx); err != nil && !(s.has("completes although the context has ended") && !s.closed) {
		return err
	}
	if len(numbers) == 0 && s.has("has no chore 0 where nothing is completed") {
		return &housework.ChoreError{Number: 0, Err: housework.ErrNotFound}
	}
	list := s.chores
	if s.has("completes a copy") {
		list = slices.Clone(s.chores)
		s.pause()
	}
	if s.has("lists what was") {
		s.pause()
	}
	before := slices.Clone(list)
	for i, n := range numbers {
		if s.has("cuts numbers") {
			n = int(int32(n))
		}
		if n == 0 && s.has("completes 0") || n == len(list)+1 && s.has("completes the next") || n > len(list) && s.has("completes what is beyond") {
			continue
		}
		if n < 1 || n > len(list) {
			if !s.has("completes up to the unknown one") {
				copy(list, before)
			}
			if s.has("says which place is unknown") {
				n = i + 1
			}
			if s.has("does not say which is unknown") {
				return housework.ErrNotFound
			}
			return &housework.ChoreError{Number: n, Err: housework.ErrNotFound}
		}
		if list[n-1].Complete && s.has("refuses what is done") {
			return fmt.Errorf("chore %d is done", n)
		}
		list[n-1].Complete = !list[n-1].Complete || !s.has("toggles")
		if s.has("completes the first of several") {
			break
		}
	}
	s.chores = list
	if s.completed++; s.completed%3 == 0 && s.has("loses what is completed third") {
		s.chores = before
	}
	return nil
}

func (s *faulty) List(ctx context.Context, first, limit int) ([]housework.Chore, error) {
	if first < 1 && s.has("lists from 0") {
		first = 1
	}
	if limit < 1 && s.has("has a default for limit") {
		limit = 10
	}
	if first < 1 || limit < 1 {
		return nil, housework.ErrInvalid
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil && !(s.has("lists although the context has ended") && !s.closed) {
		return nil, err
	}
	copy(s.chores, s.kept)
	list := s.chores
	if s.has("lists what was") {
		s.pause() // so that others change the list between, also on one processor
	}
	if s.lists++; s.lists%8 == 1 {
		s.old = slices.Clone(list)
	} else if s.lists%8 > 4 && s.has("lists what was") {
		list = s.old
	}
	if s.has("computes the end") && first+limit < first {
		panic("slice bounds out of range")
	}
	if first > len(list) {
		if s.has("has no pages beyond the end") && first > len(list)+1 {
			return nil, housework.ErrInvalid
		}
		return nil, nil
	}
	rest := list[first-1:]
	n := min(limit, len(rest))
	switch {
	case s.has("has one chore more on pages"):
		n = min(n+1, len(rest))
	case s.has("has no short pages") && n < limit && first > 1:
		n = 0
	case s.has("overlaps pages") && first > 1:
		rest = list[first-2:]
	case s.has("lists its own slice"):
		return rest[:n], nil
	case s.has("lists its own slice for once"):
		return slices.Clip(rest[:n]), nil
	}
	return slices.Clone(rest[:n]), nil
}

func (s *faulty) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.has("is closed once") && s.closed {
		return housework.ErrClosed
	}
	if s.has("closes slowly") {
		if s.closing && !s.closed {
			return errGone
		}
		s.closing = true
		s.pause()
	}
	if s.has("panics when closed again") && s.closed {
		panic("close of closed store")
	}
	if s.has("loses the last add when closed") && !s.closed {
		s.chores = s.chores[:max(0, len(s.chores)-1)]
	}
	s.closed = !s.has("stays open")
	return nil
}
