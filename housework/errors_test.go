package housework_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/netparts/netparts/housework"
)

func TestChoreErrorText(t *testing.T) {
	for _, tt := range []struct {
		err  housework.ChoreError
		want string
	}{
		{housework.ChoreError{Number: 7, Err: housework.ErrNotFound}, "housework: chore 7: not found"},
		{housework.ChoreError{Number: -1, Err: fmt.Errorf("%w: why", housework.ErrInvalid)}, "housework: chore -1: invalid: why"},
		{housework.ChoreError{Number: 1, Err: errors.New("from elsewhere")}, "housework: chore 1: from elsewhere"},
		{housework.ChoreError{Number: 2}, "housework: chore 2"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("Error() = %q, want %q", got, tt.want)
		}
	}
}

func TestChoreErrorMatchesItsCause(t *testing.T) {
	var err error = &housework.ChoreError{Number: 7, Err: housework.ErrNotFound}
	if !errors.Is(err, housework.ErrNotFound) || errors.Is(err, housework.ErrInvalid) {
		t.Errorf("%v matches ErrNotFound: %t, ErrInvalid: %t", err, errors.Is(err, housework.ErrNotFound), errors.Is(err, housework.ErrInvalid))
	}
}

func TestErrClosedIsThatOfFiles(t *testing.T) {
	if !errors.Is(housework.ErrClosed, fs.ErrClosed) {
		t.Error("ErrClosed does not match fs.ErrClosed")
	}
}
