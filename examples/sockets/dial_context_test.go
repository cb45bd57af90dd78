package sockets_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// The deadline of a context bounds a dial too, and whatever else is done for the same
// request. When the Dialer has a time-out of its own, the sooner of the two ends the dial,
// and ctx.Err tells which one it was: nil means that there is time left for another host.
func Example_dialContext() {
	for _, tt := range []struct{ dialer, context time.Duration }{
		{dialer: time.Hour, context: 20 * time.Millisecond},
		{dialer: 20 * time.Millisecond, context: time.Hour},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), tt.context)
		dialer := net.Dialer{Timeout: tt.dialer, ControlContext: unanswered}
		_, err := dialer.DialContext(ctx, "tcp", silence+"1:80")
		timeout, ok := errors.AsType[net.Error](err)
		fmt.Println("timed out:", ok && timeout.Timeout(), "- the context:", ctx.Err())
		cancel() // or the context keeps its timer to the end of the hour
	}
	// Output:
	// timed out: true - the context: context deadline exceeded
	// timed out: true - the context: <nil>
}

// A dial begins with what is left: of five seconds two are gone before it, and it takes
// three.
func TestDialContextTakesWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ctx, cancel := context.WithDeadline(t.Context(), begin.Add(5*time.Second))
		defer cancel()
		time.Sleep(2 * time.Second)

		dialer := net.Dialer{ControlContext: unanswered}
		conn, err := dialer.DialContext(ctx, "tcp", silence+"1:80")
		if err == nil {
			conn.Close()
			t.Fatal("a dial to nobody succeeded")
		}
		if ctx.Err() != context.DeadlineExceeded || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("DialContext: %v, want %v", err, context.DeadlineExceeded)
		}
		if got := time.Since(begin); got != 5*time.Second {
			t.Errorf("the dial ended after %v, want 5s", got)
		}
	})
}

// The end of the context ends the dial and nothing later: the connection that came of it
// lives on, and has to be closed.
func TestDialContextLeavesTheConnectionAlone(t *testing.T) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(loopback))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cancel()
	if err := l.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if err := server.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("still here")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, err := server.Read(b); string(b[:n]) != "still here" || err != nil {
		t.Errorf("Read: %q, %v", b[:n], err)
	}
}
