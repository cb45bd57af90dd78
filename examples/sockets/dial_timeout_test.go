package sockets_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// silence stands for hosts that do not answer: 192.0.2.0/24 is for documentation, and in no
// network (RFC 5737). Where a router says so at once, or answers in their stead, a lesson
// would fail; thus [unanswered] keeps every dial to them from sending anything.
const silence = "192.0.2."

// unanswered is for [net.Dialer.ControlContext], which is called with the socket of each
// attempt before it connects. Usually it sets options. Here it waits like a connect whose
// packets are lost, until the attempt's time is over or somebody cancels the dial.
func unanswered(ctx context.Context, _, address string, _ syscall.RawConn) error {
	if !strings.HasPrefix(address, silence) {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

// A dial without a time-out takes as long as the system tries: minutes, with some systems
// and firewalls. Timeout bounds the whole of a Dialer's work, the resolution of the name
// and all addresses of it included. net.DialTimeout is the short form.
func Example_dialTimeout() {
	dialer := net.Dialer{Timeout: 20 * time.Millisecond, ControlContext: unanswered}
	_, err := dialer.Dial("tcp", silence+"1:80")
	if timeout, ok := errors.AsType[net.Error](err); ok {
		fmt.Println("timed out:", timeout.Timeout())
	}
	fmt.Println("context.DeadlineExceeded:", errors.Is(err, context.DeadlineExceeded))
	fmt.Println("os.ErrDeadlineExceeded, as of a connection:", errors.Is(err, os.ErrDeadlineExceeded))
	// Output:
	// timed out: true
	// context.DeadlineExceeded: true
	// os.ErrDeadlineExceeded, as of a connection: false
}

// In a bubble of testing/synctest time passes when everybody waits, so that five seconds
// cost nothing and are exact. A dial that got as far as connect would leave the bubble; the
// hook keeps it inside.
func TestDialTimeoutIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dialer := net.Dialer{Timeout: 5 * time.Second, ControlContext: unanswered}
		begin := time.Now()
		conn, err := dialer.Dial("tcp", silence+"1:80")
		if err == nil {
			conn.Close()
			t.Fatal("a dial to nobody succeeded")
		}
		if got := time.Since(begin); got != 5*time.Second {
			t.Errorf("the dial took %v, want 5s", got)
		}
	})
}
