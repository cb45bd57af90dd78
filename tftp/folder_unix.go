//go:build unix

package tftp

import (
	"errors"
	"syscall"
)

// nonblocking keeps the opening of a FIFO from waiting for its writer.
const nonblocking = syscall.O_NONBLOCK

// noLinks reports whether a filesystem has no hard links.
func noLinks(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPERM)
}
