package housework

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// Why a Store did not do what it was asked to. Errors that say more match these.
var (
	// ErrNotFound: no chore has this number.
	ErrNotFound = errors.New("housework: not found")
	// ErrInvalid: what was given cannot be a chore or a request.
	ErrInvalid = errors.New("housework: invalid")
	// ErrTooMany: more chores than one call may add.
	ErrTooMany = errors.New("housework: too many chores at once")
	// ErrFull: the list can hold no more chores.
	ErrFull = errors.New("housework: list is full")
	// ErrRequestIDUsed: the request id was used before, for other chores.
	ErrRequestIDUsed = errors.New("housework: request id was used for other chores")
	// ErrConflict: others changed the list at the same time. Nothing was changed; try
	// again.
	ErrConflict = errors.New("housework: list was changed at the same time")
	// ErrClosed: the Store was closed. It matches fs.ErrClosed.
	ErrClosed = fmt.Errorf("housework: store is closed: %w", fs.ErrClosed)
)

// A ChoreError is an error about one chore.
type ChoreError struct {
	// Number is the number of the chore; where chores are added or written, it is its
	// place among those, from 1.
	Number int

	// Err says what is wrong with it. It matches ErrNotFound or ErrInvalid.
	Err error
}

// Error implements error.
func (e *ChoreError) Error() string {
	text := "housework: chore " + strconv.Itoa(e.Number)
	if e.Err == nil {
		return text
	}
	// Err is mostly an error of this package, whose name stands there already.
	return text + ": " + strings.TrimPrefix(e.Err.Error(), "housework: ")
}

// Unwrap returns e.Err.
func (e *ChoreError) Unwrap() error { return e.Err }
