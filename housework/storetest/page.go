package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/netparts/netparts/housework"
)

func pages(ctx context.Context, s housework.Store) error {
	want := slices.Concat(batch("a", 10), batch("b", 1), batch("c", 9))
	for _, b := range [][]housework.Chore{want[:10], want[10:11], want[11:]} {
		if _, err := s.Add(ctx, "", b); err != nil {
			return err
		}
	}
	for _, limit := range []int{1, 7, len(want) - 1, len(want), len(want) + 1, math.MaxInt32, math.MaxInt} {
		got, err := readAll(ctx, s, limit)
		if err != nil {
			return err
		}
		if err := compare(got, want); err != nil {
			return fmt.Errorf("by pages of %d: %w", limit, err)
		}
	}
	for first := 1; first <= len(want); first += 3 {
		page, err := s.List(ctx, first, 4)
		if err != nil {
			return fmt.Errorf("List(%d, 4): %w", first, err)
		}
		if len(page) == 0 || len(page) > 4 {
			return fmt.Errorf("List(%d, 4) returns %d chores", first, len(page))
		}
		for i := range page {
			if !same(page[i], want[first-1+i]) {
				return fmt.Errorf("List(%d, 4)[%d] is %s; want %s", first, i, show(page[i]), show(want[first-1+i]))
			}
		}
	}
	for _, first := range []int{len(want) + 1, len(want) + 2, math.MaxInt32, math.MaxInt} {
		for _, limit := range []int{1, 7, math.MaxInt} {
			if page, err := s.List(ctx, first, limit); len(page) != 0 || err != nil {
				return fmt.Errorf("List(%d, %d) of %d chores = %s, %w; want none", first, limit, len(want), brief(page), orNil(err))
			}
		}
	}
	return nil
}

func invalidPages(ctx context.Context, s housework.Store) error {
	for range 2 { // of an empty list, and of one that is not
		for _, page := range [][2]int{
			{0, 1}, {-1, 1}, {math.MinInt, 1}, {1, 0}, {1, -1}, {1, math.MinInt}, {0, 0}, {2, 0}, {0, 10}, {-1, 3},
		} {
			if chores, err := s.List(ctx, page[0], page[1]); !errors.Is(err, housework.ErrInvalid) {
				return fmt.Errorf("List(%d, %d) = %s, %w; want an error that matches ErrInvalid", page[0], page[1], brief(chores), orNil(err))
			}
		}
		if _, err := s.Add(ctx, "", todo("a")); err != nil {
			return err
		}
	}
	return nil
}

// pagesAreCopies: what the caller does to one changes nothing, and nothing changes
// it.
func pagesAreCopies(ctx context.Context, s housework.Store) error {
	want := todo("a", "b", "c", "d")
	if err := wantAdd(ctx, s, 1, "", want); err != nil {
		return err
	}
	page, err := s.List(ctx, 1, 2)
	if err != nil {
		return err
	}
	kept := slices.Clone(page)
	if err := s.Complete(ctx, 1, 2); err != nil {
		return err
	}
	if err := wantAdd(ctx, s, 5, "", todo("e")); err != nil {
		return err
	}
	if !slices.Equal(page, kept) {
		return fmt.Errorf("a page changed with the list: it is %s, and was %s", brief(page), brief(kept))
	}
	for i := range page {
		page[i] = housework.Chore{Description: "changed by the caller"}
	}
	// Nor is what comes behind the page the list's.
	page = page[:cap(page)]
	for i := range page {
		page[i] = housework.Chore{Description: "changed by the caller"}
	}
	if err := wantList(ctx, s, slices.Concat(done("a", "b"), todo("c", "d", "e"))); err != nil {
		return fmt.Errorf("after the caller changed a page: %w", err)
	}
	return nil
}
