package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/netparts/netparts/housework"
)

func complete(ctx context.Context, s housework.Store) error {
	want := batch("chore", 9)
	if err := wantAdd(ctx, s, 1, "", want); err != nil {
		return err
	}
	for _, numbers := range [][]int{
		{2},
		{2}, // done already
		{1, 9},
		{},           // none
		{4, 4},       // the same twice
		{7, 2, 6, 7}, // in any order, some of them done
	} {
		if err := s.Complete(ctx, numbers...); err != nil {
			return fmt.Errorf("Complete(%d): %w", numbers, err)
		}
		for _, n := range numbers {
			want[n-1].Complete = true
		}
		if err := wantList(ctx, s, want); err != nil {
			return fmt.Errorf("after Complete(%d): %w", numbers, err)
		}
	}
	if err := wantAdd(ctx, s, 10, "", todo("one more")); err != nil {
		return err
	}
	return wantList(ctx, s, append(want, todo("one more")...))
}

func completeUnknown(ctx context.Context, s housework.Store) error {
	if err := wantUnknown(ctx, s, 1, 1); err != nil {
		return fmt.Errorf("empty list: %w", err)
	}
	if err := s.Complete(ctx); err != nil {
		return fmt.Errorf("empty list: Complete(): %w", err)
	}
	want := todo("a", "b", "c")
	if err := wantAdd(ctx, s, 1, "", want); err != nil {
		return err
	}
	for _, n := range []int{
		0, -1, 4, 5, 1000, math.MinInt32, math.MaxInt32, math.MinInt, math.MaxInt,
		math.MaxInt - math.MaxUint32 + 1, // is 1 if cut to 32 bits, and on 32 bits itself unknown
	} {
		for _, numbers := range [][]int{{n}, {n, 1, 2}, {1, n, 2}, {1, 2, n}, {n, n}} {
			if err := wantUnknown(ctx, s, n, numbers...); err != nil {
				return err
			}
		}
	}
	if err := wantList(ctx, s, want); err != nil {
		return fmt.Errorf("after Complete of unknown numbers: %w", err)
	}
	return nil
}

// wantUnknown expects that no chore has the number n, one of numbers.
func wantUnknown(ctx context.Context, s housework.Store, n int, numbers ...int) error {
	err := s.Complete(ctx, numbers...)
	e, ok := errors.AsType[*housework.ChoreError](err)
	if !ok || !errors.Is(err, housework.ErrNotFound) || e.Number != n {
		return fmt.Errorf("Complete(%d) = %w; want a *ChoreError about %d that matches ErrNotFound", numbers, orNil(err), n)
	}
	return nil
}
