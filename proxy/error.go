package proxy

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
)

// A Side is one of the two ends of a pair.
type Side int

// The sides.
const (
	Client   Side = iota // who connected
	Upstream             // who is connected to
)

// String returns "client" or "upstream".
func (s Side) String() string {
	if s == Upstream {
		return "upstream"
	}
	return "client"
}

// A SideError says which side has failed, and how: by a reset, for which
// errors.Is(err, syscall.ECONNRESET) or syscall.EPIPE holds, or otherwise.
type SideError struct {
	Side Side  // that failed
	Err  error // how
}

// Error implements error.
func (e *SideError) Error() string { return "proxy: " + e.Side.String() + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *SideError) Unwrap() error { return e.Err }

// A timeout is an error that is os.ErrDeadlineExceeded.
type timeout string

// Error implements error.
func (t timeout) Error() string { return string(t) }

// Timeout implements [net.Error].
func (timeout) Timeout() bool { return true }

// Temporary implements [net.Error].
func (timeout) Temporary() bool { return true }

// Unwrap returns [os.ErrDeadlineExceeded].
func (timeout) Unwrap() error { return os.ErrDeadlineExceeded }

// What ends a pair by time. Both are os.ErrDeadlineExceeded for errors.Is.
var (
	// ErrIdle ends a pair after IdleTimeout.
	ErrIdle error = timeout("proxy: idle for too long")

	// ErrHalfClosed ends a pair after HalfCloseTimeout.
	ErrHalfClosed error = timeout("proxy: half-closed for too long")
)

// errMessages is what a side is refused for.
var errMessages = fmt.Errorf("a connection of messages, not a stream: %w", errors.ErrUnsupported)

// errPanic stops a pair one of whose connections has panicked.
var errPanic = errors.New("proxy: panic")

// A panicError is a panic of a hook, or of a connection.
type panicError struct {
	hook  string
	cause any
	stack []byte
}

func newPanicError(hook string, cause any) *panicError {
	return &panicError{hook, cause, debug.Stack()}
}

// Error implements error.
func (e *panicError) Error() string { return fmt.Sprintf("proxy: panic in %s: %v", e.hook, e.cause) }

// safely calls f, and makes an error of a panic of the hook that it calls.
func safely(hook string, f func()) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = newPanicError(hook, cause)
		}
	}()
	f()
	return nil
}
