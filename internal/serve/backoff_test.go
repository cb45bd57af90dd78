package serve_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/internal/serve"
)

// A flaky listener fails with the errors of a list, then hands out what its
// inner listener accepts. Being a struct with a slice it cannot be compared.
type flaky struct {
	net.Listener
	errs  []error
	state *flakyState
}

type flakyState struct {
	mu    sync.Mutex
	next  int
	calls []time.Time
}

func (f flaky) Accept() (net.Conn, error) {
	f.state.mu.Lock()
	f.state.calls = append(f.state.calls, time.Now())
	n := f.state.next
	f.state.next++
	f.state.mu.Unlock()
	if n < len(f.errs) {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: f.errs[n]}
	}
	return f.Listener.Accept()
}

// pauses returns the times between the calls of Accept.
func (f flaky) pauses() []time.Duration {
	f.state.mu.Lock()
	defer f.state.mu.Unlock()
	var d []time.Duration
	for i := 1; i < len(f.state.calls); i++ {
		d = append(d, f.state.calls[i].Sub(f.state.calls[i-1]))
	}
	return d
}

func newFlaky(t *testing.T, n *memnet.Network, errs ...error) flaky {
	t.Helper()
	l, err := n.Listen("tcp", "192.0.2.1:7")
	if err != nil {
		t.Fatal(err)
	}
	return flaky{Listener: l, errs: errs, state: new(flakyState)}
}

func TestPassingAcceptErrorsAreWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newServer(t)
		var errs []error
		for i := range 12 {
			errs = append(errs, serve.Passing[i%len(serve.Passing)])
		}
		l := newFlaky(t, &s.n, errs...)
		s.serveOn(l, serve.Config{Handle: untilClosed, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		c := s.dial("192.0.2.1:7")
		if _, err := c.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		c2 := s.dial("192.0.2.1:7") // the first success after a quiet while
		defer c2.Close()
		synctest.Wait()
		want := []time.Duration{5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 1000}
		got := l.pauses()
		if len(got) < len(want) {
			t.Fatalf("pauses %v, want %v", got, want)
		}
		for i, w := range want {
			if got[i] != w*time.Millisecond {
				t.Errorf("pause %d is %v, want %v", i, got[i], w*time.Millisecond)
			}
		}
		c.CloseWrite()
		if _, err := io.ReadAll(c); err != nil {
			t.Errorf("the connection was not served after the errors: %v", err)
		}
		s.Close()
		s.wantServed(errServerClosed)
		if n := strings.Count(log.String(), "accept fails"); n != 1 {
			t.Errorf("%d records of the errors, want 1:\n%s", n, log.String())
		}
		if !strings.Contains(log.String(), `msg="accept works again" errors=12 duration=4.275s`) {
			t.Errorf("no record of the end:\n%s", log.String())
		}
	})
}

func TestBackoffStartsAnewAfterASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		l := newFlaky(t, &s.n, serve.Passing[0], serve.Passing[0])
		s.serveOn(&failThird{flaky: l}, serve.Config{Handle: untilClosed})
		for range 2 {
			c := s.dial("192.0.2.1:7")
			time.Sleep(time.Minute)
			c.Close()
		}
		got := l.pauses() // 5 and 10 ms, a connection, an error, 5 ms
		if got[0] != 5*time.Millisecond || got[1] != 10*time.Millisecond || got[3] != 5*time.Millisecond {
			t.Errorf("pauses %v, want 5ms, 10ms, ..., 5ms", got)
		}
		s.Close()
		s.wantServed(errServerClosed)
	})
}

// failThird fails once more after the first connection.
type failThird struct {
	flaky
	accepted int
}

func (f *failThird) Accept() (net.Conn, error) {
	if f.accepted == 1 {
		f.accepted++
		f.state.mu.Lock()
		f.state.calls = append(f.state.calls, time.Now())
		f.state.mu.Unlock()
		return nil, serve.Passing[0]
	}
	c, err := f.flaky.Accept()
	if err == nil {
		f.accepted++
	}
	return c, err
}

func TestCloseEndsTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		var errs []error
		for range 100 {
			errs = append(errs, serve.Passing[0])
		}
		s.serveOn(newFlaky(t, &s.n, errs...), serve.Config{Handle: untilClosed})
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		begin := time.Now()
		s.Close()
		s.wantServed(errServerClosed)
		if d := time.Since(begin); d != 0 {
			t.Errorf("Serve returned %v after Close", d)
		}
	})
}

func TestPermanentAcceptErrorEndsServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		l := newFlaky(t, &s.n, syscall.EINVAL)
		s.serveOn(l, serve.Config{Handle: untilClosed})
		s.wantServed(syscall.EINVAL)
		if _, err := l.Listener.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the listener was left open: %v", err)
		}
		// The Group itself goes on.
		s.listen("192.0.2.1:8", serve.Config{Handle: untilClosed})
		c := s.dial("192.0.2.1:8")
		c.Close()
		s.shutdown()
	})
}

// A listener that Serve is done with is not the Group's any more.
func TestListenerIsForgottenAfterServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.serveOn(&failingClose{Listener: newFlaky(t, &s.n, syscall.EINVAL), err: errors.New("broken")}, serve.Config{})
		s.wantServed(syscall.EINVAL)
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// Each spell of errors is logged, with its own count.
func TestSecondSpellIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newServer(t)
		l := s.bind("192.0.2.1:7")
		s.serveOn(&everySecond{Listener: l}, serve.Config{
			Handle: func(context.Context, net.Conn) {},
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		for range 3 {
			c := s.dial("192.0.2.1:7")
			c.Close()
			time.Sleep(time.Minute)
		}
		s.Close()
		s.wantServed(errServerClosed)
		if n := strings.Count(log.String(), "accept fails"); n != 3 {
			t.Errorf("%d spells began, want 3:\n%s", n, log.String())
		}
		if n := strings.Count(log.String(), "errors=1 "); n != 2 {
			t.Errorf("%d spells of one error ended, want 2:\n%s", n, log.String())
		}
	})
}

// What a listener itself calls temporary passes too; its deadline does not.
func TestErrorsThatTheListenerCallsTemporary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		l := newFlaky(t, &s.n, temporary{}, temporary{}, temporary{timeout: true})
		s.serveOn(l, serve.Config{Handle: untilClosed})
		s.wantServed(temporary{timeout: true})
		if got := l.pauses(); len(got) != 2 {
			t.Errorf("pauses %v, want two", got)
		}
	})
}

type temporary struct{ timeout bool }

func (temporary) Error() string   { return "a bad header" }
func (temporary) Temporary() bool { return true }
func (t temporary) Timeout() bool { return t.timeout }

// At the limit of descriptors errors and connections alternate; the log must not
// follow.
func TestFlappingErrorsAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newServer(t)
		l := s.bind("192.0.2.1:7")
		s.serveOn(&everySecond{Listener: l}, serve.Config{
			Handle: func(context.Context, net.Conn) {},
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		for range 100 {
			c := s.dial("192.0.2.1:7")
			io.ReadAll(c)
			c.Close()
		}
		s.Close()
		s.wantServed(errServerClosed)
		if n := strings.Count(log.String(), "\n"); n != 1 {
			t.Errorf("%d records, want 1:\n%s", n, log.String())
		}
	})
}

type everySecond struct {
	net.Listener
	calls int
}

func (e *everySecond) Accept() (net.Conn, error) {
	if e.calls++; e.calls%2 == 0 {
		return nil, serve.Passing[0]
	}
	return e.Listener.Accept()
}
