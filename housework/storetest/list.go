package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/netparts/netparts/housework"
)

// large is the limit for those who want what there is.
const large = 1000

// todo returns chores that are not done.
func todo(descriptions ...string) []housework.Chore {
	chores := make([]housework.Chore, len(descriptions))
	for i, d := range descriptions {
		chores[i].Description = d
	}
	return chores
}

// done returns chores that are.
func done(descriptions ...string) []housework.Chore {
	chores := todo(descriptions...)
	for i := range chores {
		chores[i].Complete = true
	}
	return chores
}

// batch returns n chores with descriptions that begin with prefix.
func batch(prefix string, n int) []housework.Chore {
	chores := make([]housework.Chore, n)
	for i := range chores {
		chores[i].Description = fmt.Sprintf("%s, %d of %d", prefix, i+1, n)
	}
	return chores
}

// wantAdd adds chores and expects the number of the first.
func wantAdd(ctx context.Context, s housework.Store, want int, id string, chores []housework.Chore) error {
	first, err := s.Add(ctx, id, chores)
	if err != nil || first != want {
		return fmt.Errorf("Add(%q, %s) = %d, %w; want %d", id, brief(chores), first, orNil(err), want)
	}
	return nil
}

// wantRefused expects an error of Add that matches target.
func wantRefused(ctx context.Context, s housework.Store, target error, id string, chores []housework.Chore) error {
	first, err := s.Add(ctx, id, chores)
	if !errors.Is(err, target) {
		return fmt.Errorf("Add(%q, %s) = %d, %w; want an error that matches %q", id, brief(chores), first, orNil(err), target)
	}
	return nil
}

// wantList expects exactly these chores. Whether the store tells the ids of the
// requests is up to it.
func wantList(ctx context.Context, s housework.Store, want []housework.Chore) error {
	got, err := readAll(ctx, s, large)
	if err != nil {
		return err
	}
	return compare(got, want)
}

func compare(got, want []housework.Chore) error {
	for i := range min(len(got), len(want)) {
		if !same(got[i], want[i]) {
			return fmt.Errorf("chore %d is %s; want %s", i+1, show(got[i]), show(want[i]))
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("the list has %d chores, want %d: %s", len(got), len(want), brief(got))
	}
	return nil
}

// readAll reads the list by pages.
func readAll(ctx context.Context, s housework.Store, limit int) ([]housework.Chore, error) {
	var all []housework.Chore
	for {
		page, err := s.List(ctx, len(all)+1, limit)
		if err != nil {
			return nil, fmt.Errorf("List(%d, %d): %w", len(all)+1, limit, err)
		}
		if len(page) > limit {
			return nil, fmt.Errorf("List(%d, %d) returns %d chores", len(all)+1, limit, len(page))
		}
		if len(page) == 0 {
			return all, nil
		}
		all = append(all, page...)
	}
}

func same(a, b housework.Chore) bool {
	return a.Description == b.Description && a.Complete == b.Complete
}

func show(c housework.Chore) string {
	if c.Complete {
		return fmt.Sprintf("%.40q, done", c.Description)
	}
	return fmt.Sprintf("%.40q", c.Description)
}

// brief returns the first of many chores.
func brief(chores []housework.Chore) string {
	var texts []string
	for i, c := range chores {
		if i == 5 {
			texts = append(texts, fmt.Sprintf("... %d in all", len(chores)))
			break
		}
		texts = append(texts, show(c))
	}
	return "[" + strings.Join(texts, "; ") + "]"
}

// orNil makes of no error something that %w prints as one would read it.
func orNil(err error) error {
	if err == nil {
		return errNone
	}
	return err
}

var errNone = errors.New("nil")
