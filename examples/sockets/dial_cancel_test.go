package sockets_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// errNotWanted is the cause that Example_dialCancel cancels with.
var errNotWanted = errors.New("the user pressed the stop button")

// Cancelling the context ends a dial from another goroutine, long before a time-out. Programs
// hand their dials a context of signal.NotifyContext, so that CTRL-C ends them. The error is
// no time-out, and says that it was canceled; why, only context.Cause knows.
func Example_dialCancel() {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	dialing := make(chan struct{})
	dialer := net.Dialer{
		Timeout: patience,
		ControlContext: func(ctx context.Context, network, address string, c syscall.RawConn) error {
			close(dialing)
			return unanswered(ctx, network, address, c)
		},
	}
	ended := make(chan error)
	go func() {
		_, err := dialer.DialContext(ctx, "tcp", silence+"1:80")
		ended <- err
	}()
	<-dialing
	cancel(errNotWanted)

	err := <-ended
	timeout, ok := errors.AsType[net.Error](err)
	fmt.Println("timed out:", ok && timeout.Timeout())
	fmt.Println("canceled:", errors.Is(err, context.Canceled))
	fmt.Println("because", context.Cause(ctx))
	// Output:
	// timed out: false
	// canceled: true
	// because the user pressed the stop button
}
