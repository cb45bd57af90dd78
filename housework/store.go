package housework

import (
	"context"
	"fmt"
	"iter"
)

// A Store keeps a list of chores. Its methods may be called by several goroutines.
//
// A method whose context has ended before it begins does nothing, and returns an
// error that matches the context's. If the context ends later, the change may have
// been made although the method returns such an error; with a request id it is safe
// to try again.
//
// After Close the methods return errors that match [ErrClosed].
type Store interface {
	// Add adds chores at the end of the list, all or none, in their order, and
	// returns the number of the first of them. It does not keep the slice. A chore may
	// be complete already. Without chores it changes nothing, keeps no request id, and
	// returns the number that the next would get.
	//
	// If requestID is not empty and the store has seen it with the same descriptions,
	// nothing is added, and the number is that of the first time. With other
	// descriptions the error is ErrRequestIDUsed. Whether the chores are done does not
	// matter for that. Other errors match ErrInvalid (see [ValidateAdd]), ErrTooMany,
	// ErrFull or ErrConflict.
	Add(ctx context.Context, requestID string, chores []Chore) (first int, err error)

	// Complete marks chores as done, all or none. One that is done stays so. A number
	// that no chore has is a *ChoreError that matches ErrNotFound.
	Complete(ctx context.Context, numbers ...int) error

	// List returns chores in their order, beginning with number first, and at most limit
	// of them; the store may return fewer, but none only if there are no more. The slice is
	// the caller's. A first that is less than 1, or a limit that is, is an error
	// that matches ErrInvalid.
	List(ctx context.Context, first, limit int) ([]Chore, error)

	// Close waits for what is being done, and releases what the store has open. Only
	// the first call does something; the others return nil.
	Close() error
}

// pageSize is how many chores All asks for at once.
const pageSize = 1000

// All returns the chores of a store in their order, so that the nth has the number n. It
// asks for a page when it has handed out the one before, and shows what was changed
// until then. An error comes beside a chore without a description, and ends it.
func All(ctx context.Context, s Store) iter.Seq2[Chore, error] {
	return func(yield func(Chore, error) bool) {
		for first := 1; ; {
			page, err := s.List(ctx, first, pageSize)
			if err != nil {
				yield(Chore{}, err)
				return
			}
			for _, c := range page {
				if !yield(c, nil) {
					return
				}
			}
			if len(page) == 0 {
				return
			}
			first += len(page)
		}
	}
}

// validatePage returns what every Store refuses in a List.
func validatePage(first, limit int) error {
	if first < 1 {
		return fmt.Errorf("%w: page that begins with chore %d", ErrInvalid, first)
	}
	if limit < 1 {
		return fmt.Errorf("%w: page of %d chores", ErrInvalid, limit)
	}
	return nil
}
