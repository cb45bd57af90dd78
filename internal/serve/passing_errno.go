//go:build unix || windows

package serve

import (
	"errors"
	"slices"
	"syscall"
)

// passes reports whether an error of Accept is of the kind that goes away: the
// peer was gone already, or something was used up that others give back, or
// the listener itself calls the error temporary. A deadline that was set on the
// listener does not go away.
func passes(err error) bool {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return slices.Contains(passing, errno)
	}
	temporary, ok := errors.AsType[interface {
		error
		Temporary() bool
		Timeout() bool
	}](err)
	return ok && temporary.Temporary() && !temporary.Timeout()
}
