package storetest

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/netparts/netparts/housework"
)

// writers is how many write at once, and writes how often each.
const (
	writers = 16
	writes  = 4
)

// An ack is what a writer was told.
type ack struct {
	first  int
	chores []housework.Chore
}

// A journal is what each writer was told, in its order.
type journal [writers][]ack

// write adds batches of one to four chores, as the writer i.
func (j *journal) write(ctx context.Context, s housework.Store, i int, done func(first int) error) error {
	for k := range writes {
		chores := batch(fmt.Sprintf("writer %d, add %d", i, k), (i+k)%4+1)
		first, err := s.Add(ctx, "", chores)
		if err != nil {
			return fmt.Errorf("an add of writer %d: %w", i, err)
		}
		j[i] = append(j[i], ack{first, chores})
		if err := done(first); err != nil {
			return err
		}
	}
	return nil
}

// check compares the list with what the writers were told: each chore is where
// it was said to be, and there are no others.
func (j *journal) check(list []housework.Chore) error {
	taken := make([]bool, len(list))
	for i, acks := range j {
		last := 0
		for _, a := range acks {
			if a.first <= last {
				return fmt.Errorf("the adds of writer %d are out of order: chore %d was the last, and %d comes after it", i, last, a.first)
			}
			for k, c := range a.chores {
				at := a.first + k
				if at > len(list) {
					return fmt.Errorf("chore %d, %s, is lost: the list has %d", at, show(c), len(list))
				}
				if got := list[at-1]; got.Description != c.Description {
					return fmt.Errorf("chore %d is %s; want %s", at, show(got), show(c))
				}
				taken[at-1] = true
				last = at
			}
		}
	}
	for i, ok := range taken {
		if !ok {
			return fmt.Errorf("chore %d, %s, was not acknowledged", i+1, show(list[i]))
		}
	}
	return nil
}

func writersAtOnce(ctx context.Context, s housework.Store) error {
	var j journal
	err := parallel(writers, func(i int) error {
		return j.write(ctx, s, i, func(int) error { return nil })
	})
	if err != nil {
		return err
	}
	list, err := readAll(ctx, s, large)
	if err != nil {
		return err
	}
	return j.check(list)
}

// completersAtOnce add as well: neither undoes what the other does.
func completersAtOnce(ctx context.Context, s housework.Store) error {
	var j journal
	err := parallel(writers, func(i int) error {
		return j.write(ctx, s, i, func(first int) error { return s.Complete(ctx, first) })
	})
	if err != nil {
		return err
	}
	list, err := readAll(ctx, s, large)
	if err != nil {
		return err
	}
	if err := j.check(list); err != nil {
		return err
	}
	return j.checkDone(list)
}

// checkDone expects that the first chore of each add is done, and no other.
func (j *journal) checkDone(list []housework.Chore) error {
	want := make([]bool, len(list))
	for _, acks := range j {
		for _, a := range acks {
			want[a.first-1] = true
		}
	}
	for i, c := range list {
		if c.Complete != want[i] {
			return fmt.Errorf("chore %d is %s; Complete should be %t", i+1, show(c), want[i])
		}
	}
	return nil
}

// readersOfGrowing see lists that were there: none ends within an add, loses a
// chore, or takes back that one is done.
func readersOfGrowing(ctx context.Context, s housework.Store) error {
	const readers, most = 4, 25
	var j journal
	var writing atomic.Int32
	writing.Store(writers)
	return parallel(writers+readers, func(i int) error {
		if i < writers {
			defer writing.Add(-1)
			return j.write(ctx, s, i, func(first int) error { return s.Complete(ctx, first) })
		}
		limit := large
		if i%2 == 1 {
			limit = 50
		}
		var before []housework.Chore
		for range most {
			last := writing.Load() == 0
			list, err := readAll(ctx, s, limit)
			if err != nil {
				return err
			}
			if err := grown(before, list); err != nil {
				return err
			}
			if last {
				break
			}
			before = list
		}
		return nil
	})
}

// grown expects that a list was read later than the one before.
func grown(before, list []housework.Chore) error {
	if len(list) < len(before) {
		return fmt.Errorf("the list has %d chores, and had %d", len(list), len(before))
	}
	for i, c := range before {
		if list[i].Description != c.Description || c.Complete && !list[i].Complete {
			return fmt.Errorf("chore %d is %s, and was %s", i+1, show(list[i]), show(c))
		}
	}
	// The last page came when the list ended there, so that an add ended there.
	if len(list) == 0 {
		return nil
	}
	var writer, add, n, size int
	last := list[len(list)-1].Description
	if _, err := fmt.Sscanf(last, "writer %d, add %d, %d of %d", &writer, &add, &n, &size); err != nil || n != size {
		return fmt.Errorf("the list ends with %q, within an add", last)
	}
	return nil
}
