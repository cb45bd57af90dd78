package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/netparts/netparts/housework"
)

func requestAgain(ctx context.Context, s housework.Store) error {
	first, others := todo("Mop floors"), todo("Clean dishes", "Mow the lawn")
	for range 2 {
		if err := wantAdd(ctx, s, 1, "one", first); err != nil {
			return err
		}
	}
	if err := wantAdd(ctx, s, 2, "", others); err != nil {
		return err
	}
	if err := wantAdd(ctx, s, 4, "two", first); err != nil {
		return fmt.Errorf("with another id: %w", err)
	}
	if err := wantAdd(ctx, s, 1, "one", first); err != nil {
		return fmt.Errorf("after other adds: %w", err)
	}
	// Whether chores are done is nothing of which a request would be told again.
	if err := s.Complete(ctx, 1); err != nil {
		return err
	}
	if err := wantAdd(ctx, s, 1, "one", first); err != nil {
		return fmt.Errorf("after Complete: %w", err)
	}
	if err := wantAdd(ctx, s, 4, "two", done("Mop floors")); err != nil {
		return fmt.Errorf("as a chore that is done: %w", err)
	}
	// Without an id each call adds.
	if err := wantAdd(ctx, s, 5, "", first); err != nil {
		return err
	}
	return wantList(ctx, s, slices.Concat(done("Mop floors"), others, first, first))
}

func requestForOthers(ctx context.Context, s housework.Store) error {
	chores := todo("a", "b", "c")
	if err := wantAdd(ctx, s, 1, "id", chores); err != nil {
		return err
	}
	// What follows looks as if the request went on.
	if err := wantAdd(ctx, s, 4, "", todo("d")); err != nil {
		return err
	}
	if err := wantAdd(ctx, s, 5, "next", todo("e")); err != nil {
		return err
	}
	for _, others := range [][]housework.Chore{
		todo("x", "b", "c"), todo("a", "b", "x"), todo("a", "c", "b"), todo("A", "b", "c"),
		todo("a"), todo("a", "b"), todo("b", "c"), // parts of it
		todo("a", "b", "c", "d"), todo("a", "b", "c", "d", "e"), todo("a", "b", "c", "c"), batch("x", 20),
		todo("abc"), todo("ab", "c", "d"),
	} {
		if err := wantRefused(ctx, s, housework.ErrRequestIDUsed, "id", others); err != nil {
			return err
		}
	}
	// This one was the last that was added.
	if err := wantRefused(ctx, s, housework.ErrRequestIDUsed, "next", todo("e", "f")); err != nil {
		return err
	}
	if err := wantAdd(ctx, s, 1, "id", chores); err != nil {
		return fmt.Errorf("after others with its id: %w", err)
	}
	return wantList(ctx, s, todo("a", "b", "c", "d", "e"))
}

func requestOfSeveral(ctx context.Context, s housework.Store) error {
	var want []housework.Chore
	requests := make([][]housework.Chore, 5)
	for i := range requests {
		requests[i] = batch(fmt.Sprint("request ", i), 10*i+1)
	}
	requests[3][7] = requests[3][2]                               // two of the same
	requests = append(requests, requests[1][:3], requests[1][3:]) // other requests for the same
	numbers := make([]int, len(requests))
	for i, chores := range requests {
		numbers[i] = len(want) + 1
		if err := wantAdd(ctx, s, numbers[i], fmt.Sprint("id ", i), chores); err != nil {
			return err
		}
		want = append(want, chores...)
	}
	for i, chores := range slices.Backward(requests) {
		if err := wantAdd(ctx, s, numbers[i], fmt.Sprint("id ", i), chores); err != nil {
			return fmt.Errorf("again: %w", err)
		}
	}
	return wantList(ctx, s, want)
}

// requestNames may be any printable ASCII, and are what they are: no paths, no
// patterns, no prefixes.
func requestNames(ctx context.Context, s housework.Store) error {
	var printable []byte
	for c := byte(' '); c <= '~'; c++ {
		printable = append(printable, c)
	}
	names := []string{
		"a", "A", "a ", " a", "aa", " ", "0", "/", "a/", "../a", "a/b", ".", "%61", "*", "a*", `\`, `"`, "{}", "null",
		string(printable[:housework.MaxRequestID]), string(printable[len(printable)-housework.MaxRequestID:]),
		strings.Repeat("a", housework.MaxRequestID), strings.Repeat("a", housework.MaxRequestID-1),
	}
	for round := range 2 {
		for i, name := range names {
			if err := wantAdd(ctx, s, i+1, name, todo("the same")); err != nil {
				return fmt.Errorf("round %d: %w", round+1, err)
			}
		}
	}
	return nil
}

func requestAtOnce(ctx context.Context, s housework.Store) error {
	const rounds, size = 4, 3
	var want []housework.Chore
	for round := range rounds {
		id := fmt.Sprint("round ", round)
		chores := batch(id, size)
		err := parallel(16, func(int) error {
			return wantAdd(ctx, s, round*size+1, id, chores)
		})
		if err != nil {
			return err
		}
		want = append(want, chores...)
	}
	return wantList(ctx, s, want)
}

// idsOfChores that callers put there do not count.
func idsOfChores(ctx context.Context, s housework.Store) error {
	with := func(id string) []housework.Chore {
		return []housework.Chore{{Description: "Mop floors", RequestID: id}}
	}
	for i, add := range []struct {
		id, put string
		want    int
	}{
		{"", "a", 1},
		{"a", "b", 2},
		{"b", "", 3},
		{"a", "", 2}, // again
		{"a", "c", 2},
		{"c", "a", 4},
		{"", "", 5},
	} {
		if err := wantAdd(ctx, s, add.want, add.id, with(add.put)); err != nil {
			return fmt.Errorf("add %d, of a chore that has the id %q: %w", i+1, add.put, err)
		}
	}
	return nil
}
