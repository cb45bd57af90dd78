package housework_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/netparts/netparts/housework"
)

// A modelPager has pages of its own size, as a server does, and calls a function
// before each.
type modelPager struct {
	housework.Store
	size   int
	before func(first int) error
}

func (p *modelPager) List(ctx context.Context, first, limit int) ([]housework.Chore, error) {
	if err := p.before(first); err != nil {
		return nil, err
	}
	return p.Store.List(ctx, first, min(limit, p.size))
}

func modelList(t *testing.T, n int) *housework.MemoryStore {
	t.Helper()
	chores := make([]housework.Chore, n)
	for i := range chores {
		chores[i].Description = fmt.Sprint("chore ", i+1)
	}
	s := new(housework.MemoryStore)
	if _, err := s.Add(t.Context(), "", chores); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAll(t *testing.T) {
	for _, n := range []int{0, 1, 999, 1000, 1001, 2500} {
		for _, size := range []int{1, 7, 1000, 5000} {
			if n*10 > size*10_000 {
				continue
			}
			s := &modelPager{modelList(t, n), size, func(int) error { return nil }}
			number := 0
			for c, err := range housework.All(t.Context(), s) {
				if err != nil {
					t.Fatal(err)
				}
				number++
				if want := fmt.Sprint("chore ", number); c.Description != want {
					t.Fatalf("chore %d of %d is %q, want %q", number, n, c.Description, want)
				}
			}
			if number != n {
				t.Errorf("%d chores of %d, by pages of %d", number, n, size)
			}
		}
	}
}

// What was changed in a page that has not been read is shown.
func TestAllShowsChanges(t *testing.T) {
	memory := modelList(t, 4)
	ctx := t.Context()
	changed := false
	s := &modelPager{memory, 2, func(first int) error {
		if first != 3 || changed {
			return nil
		}
		changed = true
		if _, err := memory.Add(ctx, "", modelChores("new")); err != nil {
			return err
		}
		return memory.Complete(ctx, 1, 4)
	}}
	var got []string
	for c, err := range housework.All(ctx, s) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %t", c.Description, c.Complete))
	}
	want := []string{"chore 1 false", "chore 2 false", "chore 3 false", "chore 4 true", "new false"}
	if !slices.Equal(got, want) {
		t.Errorf("All = %q, want %q", got, want)
	}
}

func TestAllEndsWithAnError(t *testing.T) {
	cause := errors.New("disk on fire")
	s := &modelPager{modelList(t, 10), 3, func(first int) error {
		if first > 3 {
			return cause
		}
		return nil
	}}
	var errs []error
	for c, err := range housework.All(t.Context(), s) {
		if err != nil && c != (housework.Chore{}) {
			t.Errorf("%v comes with the chore %+v", err, c)
		}
		errs = append(errs, err)
	}
	if want := []error{nil, nil, nil, cause}; !slices.Equal(errs, want) {
		t.Errorf("errors %v, want %v", errs, want)
	}
}

// Who has seen enough asks for no more pages.
func TestAllStops(t *testing.T) {
	var asked []int
	s := &modelPager{modelList(t, 10), 3, func(first int) error {
		asked = append(asked, first)
		return nil
	}}
	n := 0
	for range housework.All(t.Context(), s) {
		if n++; n == 6 {
			break
		}
	}
	if want := []int{1, 4}; !slices.Equal(asked, want) {
		t.Errorf("asked for pages from %d, want %d", asked, want)
	}
}

// Each use of the iterator begins again.
func TestAllTwice(t *testing.T) {
	all := housework.All(t.Context(), modelList(t, 3))
	for range 2 {
		n := 0
		for range all {
			n++
		}
		if n != 3 {
			t.Errorf("%d chores, want 3", n)
		}
	}
}

func TestAllOfEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	for _, err := range housework.All(ctx, &modelPager{modelList(t, 9), 2, func(int) error { return nil }}) {
		if n++; n == 2 {
			cancel()
		}
		if n <= 2 && err != nil || n == 3 && !errors.Is(err, context.Canceled) {
			t.Errorf("step %d: %v", n, err)
		}
	}
	cancel()
	if n != 3 {
		t.Errorf("%d steps, want 3", n)
	}
}
