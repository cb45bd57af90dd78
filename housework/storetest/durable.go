package storetest

import (
	"context"
	"fmt"
	"slices"

	"github.com/netparts/netparts/housework"
)

func openedAgain(ctx context.Context, open func() housework.Store) error {
	s := open()
	if err := wantList(ctx, s, nil); err != nil {
		return err
	}
	if err := closeStore(s); err != nil {
		return err
	}
	s = open()
	if err := wantList(ctx, s, nil); err != nil {
		return fmt.Errorf("a list that was opened and closed: %w", err)
	}
	want := slices.Concat(batch("a", 20), done("b"), batch("c", 3))
	if err := wantAdd(ctx, s, 1, "", want[:20]); err != nil {
		return err
	}
	if err := wantAdd(ctx, s, 21, "id", want[20:]); err != nil {
		return err
	}
	if err := s.Complete(ctx, 3, 24); err != nil {
		return err
	}
	want[2].Complete, want[23].Complete = true, true
	if err := closeStore(s); err != nil {
		return err
	}
	s = open()
	if err := wantList(ctx, s, want); err != nil {
		return fmt.Errorf("opened again: %w", err)
	}
	return closeStore(s)
}

// openedOften makes one change each time that it is open.
func openedOften(ctx context.Context, open func() housework.Store) error {
	var want []housework.Chore
	for i := range 6 {
		s := open()
		if i%3 == 2 {
			if err := s.Complete(ctx, i); err != nil {
				return err
			}
			want[i-1].Complete = true
		} else {
			chores := batch(fmt.Sprint("time ", i), i+1)
			if err := wantAdd(ctx, s, len(want)+1, "", chores); err != nil {
				return fmt.Errorf("opened %d times: %w", i+1, err)
			}
			want = append(want, chores...)
		}
		if err := closeStore(s); err != nil {
			return err
		}
	}
	s := open()
	if err := wantList(ctx, s, want); err != nil {
		return err
	}
	return closeStore(s)
}

func requestsOpenedAgain(ctx context.Context, open func() housework.Store) error {
	one, two := batch("one", 1), batch("two", 5)
	for i := range 3 {
		s := open()
		if err := wantAdd(ctx, s, 1, "one", one); err != nil {
			return fmt.Errorf("opened %d times: %w", i+1, err)
		}
		if err := wantAdd(ctx, s, 2, "two", two); err != nil {
			return fmt.Errorf("opened %d times: %w", i+1, err)
		}
		for _, others := range [][]housework.Chore{one, two[:4], two[1:], append(two, one...)} {
			if err := wantRefused(ctx, s, housework.ErrRequestIDUsed, "two", others); err != nil {
				return fmt.Errorf("opened %d times: %w", i+1, err)
			}
		}
		// With the next one the store has something to write down.
		if err := wantAdd(ctx, s, 7+i, "", todo("more")); err != nil {
			return fmt.Errorf("opened %d times: %w", i+1, err)
		}
		if err := s.Complete(ctx, 1, 3); err != nil {
			return err
		}
		if err := closeStore(s); err != nil {
			return err
		}
	}
	return nil
}

// openedTwice: each sees what the other has changed.
func openedTwice(ctx context.Context, open func() housework.Store) error {
	a := open()
	want := todo("of a")
	if err := wantAdd(ctx, a, 1, "", want); err != nil {
		return err
	}
	b := open()
	if err := wantList(ctx, b, want); err != nil {
		return fmt.Errorf("the second: %w", err)
	}
	if err := wantAdd(ctx, b, 2, "", todo("of b")); err != nil {
		return fmt.Errorf("the second: %w", err)
	}
	if err := a.Complete(ctx, 2); err != nil {
		return fmt.Errorf("the first: %w", err)
	}
	want = append(want, done("of b")...)
	if err := wantList(ctx, b, want); err != nil {
		return fmt.Errorf("the second, after Complete by the first: %w", err)
	}
	if err := b.Complete(ctx, 1); err != nil {
		return fmt.Errorf("the second: %w", err)
	}
	want[0].Complete = true
	if err := wantList(ctx, a, want); err != nil {
		return fmt.Errorf("the first, after Complete by the second: %w", err)
	}
	if err := closeStore(a); err != nil {
		return err
	}
	// The second has not been closed with it.
	if err := wantAdd(ctx, b, 3, "", todo("of b alone")); err != nil {
		return fmt.Errorf("the second, after the first was closed: %w", err)
	}
	return closeStore(b)
}

func requestsByTwo(ctx context.Context, open func() housework.Store) error {
	stores := []housework.Store{open(), open()}
	var want []housework.Chore
	for round := range 3 {
		id := fmt.Sprint("round ", round)
		chores := batch(id, 3)
		err := parallel(writers, func(i int) error {
			return wantAdd(ctx, stores[i%2], len(want)+1, id, chores)
		})
		if err != nil {
			return err
		}
		want = append(want, chores...)
		// Something else of one of them comes between.
		if err := wantAdd(ctx, stores[round%2], len(want)+1, "", todo(id)); err != nil {
			return err
		}
		want = append(want, todo(id)...)
	}
	for _, s := range stores {
		if err := wantRefused(ctx, s, housework.ErrRequestIDUsed, "round 1", todo("others")); err != nil {
			return err
		}
		if err := wantList(ctx, s, want); err != nil {
			return err
		}
		if err := closeStore(s); err != nil {
			return err
		}
	}
	return nil
}

func writersOfTwo(ctx context.Context, open func() housework.Store) error {
	stores := []housework.Store{open(), open()}
	var j journal
	err := parallel(writers, func(i int) error {
		s := stores[i%2]
		return j.write(ctx, s, i, func(first int) error { return s.Complete(ctx, first) })
	})
	if err != nil {
		return err
	}
	for _, s := range append(stores, open()) {
		list, err := readAll(ctx, s, large)
		if err != nil {
			return err
		}
		if err := j.check(list); err != nil {
			return err
		}
		if err := j.checkDone(list); err != nil {
			return err
		}
		if err := closeStore(s); err != nil {
			return err
		}
	}
	return nil
}

// closedWhileWriting keeps what was acknowledged. What was not may be there as
// well; the same request settles it.
func closedWhileWriting(ctx context.Context, open func() housework.Store) error {
	s := open()
	var last [writers]int // how often it was called
	var numbers [writers][]int
	err := use(ctx, s, func(i, k int) error {
		last[i] = k + 1
		first, err := s.Add(ctx, fmt.Sprintf("%d.%d", i, k), batch(fmt.Sprintf("%d.%d", i, k), 2))
		if err == nil {
			numbers[i] = append(numbers[i], first)
		}
		return err
	})
	if err != nil {
		return err
	}
	// All requests, with the numbers as far as they are known.
	var all []int
	var names []string
	for i := range last {
		for k := range last[i] {
			number := 0
			if k < len(numbers[i]) {
				number = numbers[i][k]
			}
			all = append(all, number)
			names = append(names, fmt.Sprintf("%d.%d", i, k))
		}
	}
	s = open()
	_, err = settle(ctx, s, all, func(i int) (string, []housework.Chore) { return names[i], batch(names[i], 2) })
	if err != nil {
		return fmt.Errorf("opened again: %w", err)
	}
	return closeStore(s)
}
