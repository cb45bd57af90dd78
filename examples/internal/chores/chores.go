// Package chores holds what the programs housework and maid have in common: what their
// arguments mean and what they print, so that a list looks the same wherever it is kept.
package chores

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netparts/netparts/housework"
)

// A Command is what the arguments of a program ask for. The zero value shows the list.
type Command struct {
	added    []housework.Chore
	complete []int

	// tooLarge is a number to complete that no int holds, and so no list.
	tooLarge string
}

// Do changes the list if the command asks for that, and writes the list then, or
// nothing if it has no chores.
func (c *Command) Do(ctx context.Context, store housework.Store, nothing string, stdout io.Writer) error {
	if err := c.change(ctx, store); err != nil {
		return err
	}
	return list(ctx, store, nothing, stdout)
}

// change makes the change, all of it or none.
func (c *Command) change(ctx context.Context, store housework.Store) error {
	var err error
	switch {
	case c.tooLarge != "":
		return fmt.Errorf("chore %s not found", c.tooLarge)
	case len(c.complete) > 0:
		err = store.Complete(ctx, c.complete...)
	case len(c.added) > 0:
		_, err = store.Add(ctx, "", c.added)
	}
	lost := status.Code(err) == codes.Unavailable // on the way there, or on the way back
	if lost || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w; the list may have been changed", Explain(err))
	}
	return Explain(err)
}

// list writes one line for each chore. Nothing is collected, so that a list may be longer
// than what memory holds.
func list(ctx context.Context, store housework.Store, nothing string, stdout io.Writer) error {
	w := bufio.NewWriter(stdout)
	number := 0
	for chore, err := range housework.All(ctx, store) {
		if err != nil {
			return errors.Join(w.Flush(), Explain(err))
		}
		if number++; number == 1 {
			fmt.Fprintln(w, "#\t[X]\tDescription") // Flush tells the errors of w
		}
		mark := " "
		if chore.Complete {
			mark = "X"
		}
		if _, err := fmt.Fprintf(w, "%d\t[%s]\t%s\n", number, mark, Printable(chore.Description)); err != nil {
			return err // nobody reads on
		}
	}
	if number == 0 {
		fmt.Fprintln(w, nothing)
	}
	return w.Flush()
}

// Explain says in a user's words that a chore was not found, or that the context of a run
// has ended. Other errors it returns as they are.
func Explain(err error) error {
	chore, ok := errors.AsType[*housework.ChoreError](err)
	switch {
	case ok && errors.Is(err, housework.ErrNotFound):
		return fmt.Errorf("chore %d not found", chore.Number)
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted")
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time")
	}
	return err
}
