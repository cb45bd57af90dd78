package sockets_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
)

// What the accept loop of accept_test.go does when something goes wrong, in bubbles, where
// its pauses cost nothing and are exact.

// A troubledListener fails as often as it has failures, of which nil is a success, and then
// works. The last stays, if stuck.
type troubledListener struct {
	net.Listener
	failures []error
	stuck    bool
	calls    int
}

func (l *troubledListener) Accept() (net.Conn, error) {
	l.calls++
	if len(l.failures) == 0 {
		return l.Listener.Accept()
	}
	err := l.failures[0]
	if len(l.failures) > 1 || !l.stuck {
		l.failures = l.failures[1:]
	}
	if err == nil {
		return l.Listener.Accept()
	}
	return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: os.NewSyscallError("accept4", err)}
}

// memListener returns a network in memory, for bubbles, and a listener of it.
func memListener(t *testing.T) (*memnet.Network, *memnet.Listener) {
	t.Helper()
	network := new(memnet.Network)
	l, err := network.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return network, l
}

// Three errors that pass delay a client by 5, 10 and 20 milliseconds, and it is served.
func TestAcceptGoesOnAfterErrorsThatPass(t *testing.T) {
	for _, passing := range acceptPasses {
		synctest.Test(t, func(t *testing.T) {
			network, l := memListener(t)
			troubled := &troubledListener{Listener: l, failures: []error{passing, passing, passing}}
			ctx, stop := context.WithCancel(t.Context())
			served := make(chan error)
			begin := time.Now()
			go func() { served <- serve(ctx, troubled, greet) }()

			conn, err := network.DialContext(ctx, "tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			answer, err := ask(conn, "world")
			if answer != "hello, world\n" || err != nil {
				t.Errorf("after %v: %q, %v", passing, answer, err)
			}
			if got := time.Since(begin); got != 35*time.Millisecond {
				t.Errorf("after %v the answer came in %v, want 35ms", passing, got)
			}
			stop()
			if err := <-served; err != context.Canceled {
				t.Errorf("serve: %v, want %v", err, context.Canceled)
			}
		})
	}
}

// After a success the pauses begin anew: 5 and 10 milliseconds before the first client, and
// 5 before the second.
func TestAcceptForgetsErrorsThatPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, l := memListener(t)
		passing := acceptPasses[0]
		troubled := &troubledListener{Listener: l, failures: []error{passing, passing, nil, passing}}
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error)
		begin := time.Now()
		go func() { served <- serve(ctx, troubled, greet) }()
		for _, want := range []time.Duration{15 * time.Millisecond, 20 * time.Millisecond} {
			conn, err := network.DialContext(ctx, "tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := ask(conn, "world"); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(begin); got != want {
				t.Errorf("the answer came after %v, want %v", got, want)
			}
		}
		stop()
		<-served
	})
}

// While errors last the pauses grow to a second, and ctx ends them.
func TestAcceptPausesEndWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l := memListener(t)
		troubled := &troubledListener{Listener: l, failures: acceptPasses[:1], stuck: true}
		ctx, stop := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer stop()
		begin := time.Now()
		if err := serve(ctx, troubled, greet); err != context.DeadlineExceeded {
			t.Errorf("serve: %v, want %v", err, context.DeadlineExceeded)
		}
		if got := time.Since(begin); got != 3500*time.Millisecond {
			t.Errorf("serve ended after %v, want 3.5s", got)
		}
		if troubled.calls != 11 { // 8 pauses from 5 ms to 640 ms, then 2 of a second, and a cut one
			t.Errorf("%d calls of Accept, want 11", troubled.calls)
		}
	})
}

// Other errors end the server: new clients are refused, and who is being served is served
// to the end.
func TestAcceptEndsByOtherErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, l := memListener(t)
		lasting := errors.New("the disk is full")
		troubled := &troubledListener{Listener: l, failures: []error{nil, lasting}, stuck: true}
		served := make(chan error, 1)
		handled := false
		go func() {
			served <- serve(t.Context(), troubled, func(conn net.Conn) {
				_, err := io.Copy(io.Discard, conn) // to the end of the stream
				handled = err == nil
			})
		}()
		conn, err := network.DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(served) != 0 {
			t.Error("serve ended before its handler")
		}
		if late, err := network.DialContext(t.Context(), "tcp", l.Addr().String()); err == nil {
			t.Error("a client connected to a server that has ended")
			late.Close()
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-served; !errors.Is(err, lasting) || !handled {
			t.Errorf("serve: %v, want %v; handled to the end: %v", err, lasting, handled)
		}
	})
}

// The end of ctx closes the connections, so that handlers that wait for clients end.
func TestAcceptEndsHandlersWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, l := memListener(t)
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error)
		go func() {
			served <- serve(ctx, l, func(conn net.Conn) {
				if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
					t.Errorf("the handler's Read: %v, want %v", err, net.ErrClosed)
				}
			})
		}()
		conn, err := network.DialContext(ctx, "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		synctest.Wait()
		stop()
		<-served
		if n, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the client's Read: %d, %v, want EOF", n, err)
		}
	})
}
