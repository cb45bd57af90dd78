package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/netparts/netparts/housework"
)

func endedContexts(ctx context.Context, s housework.Store) error {
	want := todo("Mop floors", "Clean dishes")
	if err := wantAdd(ctx, s, 1, "id", want); err != nil {
		return err
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	expired, cancel := context.WithDeadline(ctx, time.Now().Add(-time.Second))
	defer cancel()
	for _, ended := range []context.Context{cancelled, expired} {
		_, err := s.Add(ended, "", todo("Mow the lawn"))
		if !errors.Is(err, ended.Err()) {
			return fmt.Errorf("Add(ended, \"\") = %w; want an error that matches %q", orNil(err), ended.Err())
		}
		_, err = s.Add(ended, "new", todo("Mow the lawn"))
		if !errors.Is(err, ended.Err()) {
			return fmt.Errorf("Add(ended, \"new\") = %w; want an error that matches %q", orNil(err), ended.Err())
		}
		if err := s.Complete(ended, 1); !errors.Is(err, ended.Err()) {
			return fmt.Errorf("Complete(ended, 1) = %w; want an error that matches %q", orNil(err), ended.Err())
		}
		if _, err := s.List(ended, 1, 1); !errors.Is(err, ended.Err()) {
			return fmt.Errorf("List(ended, 1, 1) = %w; want an error that matches %q", orNil(err), ended.Err())
		}
	}
	if err := wantList(ctx, s, want); err != nil {
		return fmt.Errorf("after calls whose context had ended: %w", err)
	}
	// The id is free.
	return wantAdd(ctx, s, 3, "new", todo("Dust shelves"))
}

// contextsThatEnd leave open whether the change was made. Trying again with the
// same id settles it, and a Complete that is acknowledged was made.
func contextsThatEnd(ctx context.Context, s housework.Store) error {
	all, cancelAll := context.WithCancel(ctx)
	defer cancelAll()
	numbers := make([]int, 48)
	completed := make([]bool, len(numbers))
	request := func(i int) (id string, chores []housework.Chore) {
		id = fmt.Sprint("request ", i)
		return id, batch(id, i%3+1)
	}
	err := parallel(writers, func(w int) error {
		for i := w; i < len(numbers); i += writers {
			c, cancel := context.WithCancel(all)
			defer cancel()
			if i%2 == 1 {
				go cancel() // at some time during the call
			}
			id, chores := request(i)
			first, err := s.Add(c, id, chores)
			if err == nil {
				numbers[i] = first
				err = s.Complete(c, first)
				completed[i] = err == nil
			}
			if err != nil && (c.Err() == nil || !errors.Is(err, context.Canceled)) {
				return fmt.Errorf("with a context that ends meanwhile: %w", err)
			}
			if i == len(numbers)/2 {
				cancelAll()
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	list, err := settle(ctx, s, numbers, request)
	if err != nil {
		return err
	}
	for i, n := range numbers {
		if completed[i] && !list[n-1].Complete {
			return fmt.Errorf("chore %d is not done, although Complete has said so", n)
		}
	}
	return nil
}

// settle tries all requests again, those that were acknowledged as well, and expects
// each of them once in the list, which it returns.
func settle(ctx context.Context, s housework.Store, numbers []int, request func(int) (string, []housework.Chore)) ([]housework.Chore, error) {
	acks := make([]ack, len(numbers))
	for i, number := range numbers {
		id, chores := request(i)
		first, err := s.Add(ctx, id, chores)
		if err != nil {
			return nil, fmt.Errorf("again: Add(%q): %w", id, err)
		}
		if number != 0 && first != number {
			return nil, fmt.Errorf("again: Add(%q) = %d, and was %d", id, first, number)
		}
		acks[i] = ack{first, chores}
	}
	list, err := readAll(ctx, s, large)
	if err != nil {
		return nil, err
	}
	var j journal
	slices.SortFunc(acks, func(a, b ack) int { return a.first - b.first })
	j[0] = acks
	return list, j.check(list)
}
