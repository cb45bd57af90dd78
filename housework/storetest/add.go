package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/netparts/netparts/housework"
)

func emptyList(ctx context.Context, s housework.Store) error {
	return wantList(ctx, s, nil)
}

func order(ctx context.Context, s housework.Store) error {
	var want []housework.Chore
	for i, chores := range [][]housework.Chore{
		todo("Mop floors"),
		todo("Clean dishes", "Mow the lawn", "Dust shelves"),
		done("Water plants"),
		todo("Mop floors"), // again: it is another one
		{{Description: "Iron"}, {Description: "Cook", Complete: true}, {Description: "Iron"}},
		batch("Many", 100),
	} {
		if err := wantAdd(ctx, s, len(want)+1, "", chores); err != nil {
			return err
		}
		want = append(want, chores...)
		if err := wantList(ctx, s, want); err != nil {
			return fmt.Errorf("after %d adds: %w", i+1, err)
		}
	}
	return nil
}

// texts are kept to the byte.
func texts(ctx context.Context, s housework.Store) error {
	chores := todo(
		"x", " ", "\x00", "  Dust,  all rooms\t", "a\r\nb\n", "\n", `"quotes" and \ 'more'`,
		"<b>&amp;</b>", "null", "0", "[]", "Fenster putzen: süß, 掃除, 🧹", "e\u0301 is not \u00e9",
		"\u2028\u2029\u0085\u00a0\ufeff", "\ufffd", "\U0010ffff", "\x1b[31mred\x7f", "../../etc",
		strings.Repeat("x", housework.MaxDescription), strings.Repeat("é", housework.MaxDescription/2),
	)
	if err := wantAdd(ctx, s, 1, "", chores); err != nil {
		return err
	}
	return wantList(ctx, s, chores)
}

func addNothing(ctx context.Context, s housework.Store) error {
	add := func(want int) error {
		return errors.Join(
			wantAdd(ctx, s, want, "", nil),
			wantAdd(ctx, s, want, "", []housework.Chore{}),
			wantAdd(ctx, s, want, "nothing", nil),
		)
	}
	if err := add(1); err != nil {
		return err
	}
	chores := todo("Mop floors", "Clean dishes")
	if err := wantAdd(ctx, s, 1, "something", chores); err != nil {
		return err
	}
	if err := add(3); err != nil {
		return err
	}
	// Also when the id is one that was used, and one that came with nothing is free.
	if err := wantAdd(ctx, s, 3, "something", nil); err != nil {
		return err
	}
	if err := wantAdd(ctx, s, 3, "nothing", chores); err != nil {
		return fmt.Errorf("after an add of nothing with the same id: %w", err)
	}
	return wantList(ctx, s, slices.Concat(chores, chores))
}

// callersSlice is what was given to Add: the store neither changes nor keeps it.
func callersSlice(ctx context.Context, s housework.Store) error {
	given := todo("Mop floors", "Clean dishes")
	given[1].RequestID = "of the caller"
	kept := slices.Clone(given)
	if err := wantAdd(ctx, s, 1, "id", given); err != nil {
		return err
	}
	if err := s.Complete(ctx, 2); err != nil {
		return err
	}
	if !slices.Equal(given, kept) {
		return fmt.Errorf("the caller's slice was changed: it is %+v, and was %+v", given, kept)
	}
	given[0] = housework.Chore{Complete: true, Description: "changed"}
	given[1] = given[0]
	kept[1].Complete = true
	if err := wantList(ctx, s, kept); err != nil {
		return fmt.Errorf("after the caller changed the slice: %w", err)
	}
	// The same array again, as one does who adds in a loop.
	copy(given, todo("Mow the lawn", "Dust shelves"))
	if err := wantAdd(ctx, s, 3, "", given[:1]); err != nil {
		return err
	}
	return wantList(ctx, s, append(kept, todo("Mow the lawn")...))
}

func invalidAdds(ctx context.Context, s housework.Store) error {
	before := todo("Mop floors")
	if err := wantAdd(ctx, s, 1, "", before); err != nil {
		return err
	}
	long := strings.Repeat("x", housework.MaxDescription+1)
	for _, text := range []string{"", long, strings.Repeat("é", housework.MaxDescription/2) + "x", "\xff", "Mop \xc3", "\xed\xa0\x80"} {
		for place := range 3 { // first, in the middle, last
			chores := todo("a", "b", "c")
			chores[place].Description = text
			id := fmt.Sprintf("invalid %d", place)
			_, err := s.Add(ctx, id, chores)
			if e, ok := errors.AsType[*housework.ChoreError](err); !ok || !errors.Is(err, housework.ErrInvalid) || e.Number != place+1 {
				return fmt.Errorf("Add(%s) = %w; want a *ChoreError about chore %d that matches ErrInvalid", brief(chores), orNil(err), place+1)
			}
		}
	}
	for _, id := range []string{strings.Repeat("i", housework.MaxRequestID+1), "\n", "tab\t", "\x00", "\x7f", "é", "\xff"} {
		if err := wantRefused(ctx, s, housework.ErrInvalid, id, todo("a")); err != nil {
			return err
		}
	}
	if err := wantList(ctx, s, before); err != nil {
		return fmt.Errorf("after invalid adds: %w", err)
	}
	// The ids of what was refused are free.
	return wantAdd(ctx, s, 2, "invalid 0", todo("a"))
}
