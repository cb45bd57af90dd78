package serve_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/internal/serve"
)

var errServerClosed = errors.New("test: server closed")

// A server is a Group that serves in the background.
type server struct {
	serve.Group
	t      *testing.T
	n      memnet.Network
	served chan error

	accepted atomic.Int64
}

// A counter counts what its listener accepts.
type counter struct {
	net.Listener
	accepted *atomic.Int64
}

func (c counter) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.accepted.Add(1)
	}
	return conn, err
}

// start serves config on address. The test must end the server.
func start(t *testing.T, config serve.Config) *server {
	t.Helper()
	s := newServer(t)
	s.listen("192.0.2.1:7", config)
	return s
}

func newServer(t *testing.T) *server {
	return &server{t: t, served: make(chan error, 10)}
}

// bind returns a listener that nobody serves yet.
func (s *server) bind(address string) net.Listener {
	s.t.Helper()
	l, err := s.n.Listen("tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

func (s *server) listen(address string, config serve.Config) {
	s.t.Helper()
	s.serveOn(s.bind(address), config)
}

func (s *server) serveOn(l net.Listener, config serve.Config) {
	config.Closed = errServerClosed
	go func() { s.served <- s.Serve(counter{l, &s.accepted}, config) }()
}

func (s *server) dial(address string) *memnet.Conn {
	s.t.Helper()
	c, err := s.n.Dial("tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// shutdown ends a server with one Serve call, and waits for both.
func (s *server) shutdown() {
	s.t.Helper()
	if err := s.Shutdown(s.t.Context()); err != nil {
		s.t.Errorf("Shutdown: %v", err)
	}
	s.wantServed(errServerClosed)
}

// wantServed waits for Serve and checks what it returned.
func (s *server) wantServed(want error) {
	s.t.Helper()
	if err := <-s.served; !errors.Is(err, want) {
		s.t.Errorf("Serve: %v, want %v", err, want)
	}
}

// untilClosed is a handler that waits for the end of the connection.
func untilClosed(_ context.Context, conn net.Conn) {
	io.Copy(io.Discard, conn)
}

func TestServeHandlesConnectionsAndClosesThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, serve.Config{Handle: func(_ context.Context, conn net.Conn) {
			io.WriteString(conn, "hello")
		}})
		for range 3 {
			c := s.dial("192.0.2.1:7")
			if got, err := io.ReadAll(c); err != nil || string(got) != "hello" {
				t.Errorf("read %q, %v", got, err)
			}
			c.Close()
		}
		s.shutdown()
		if _, err := s.n.Dial("tcp", "192.0.2.1:7"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial after Shutdown: %v, want %v", err, syscall.ECONNREFUSED)
		}
	})
}

func TestMaxConnsStopsAcceptingAndResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var handled, open, most int
		s := start(t, serve.Config{
			MaxConns: 2,
			Handle: func(ctx context.Context, conn net.Conn) {
				mu.Lock()
				handled++
				open++
				most = max(most, open)
				mu.Unlock()
				untilClosed(ctx, conn)
				mu.Lock()
				open--
				mu.Unlock()
			},
		})
		count := func(want int) {
			t.Helper()
			synctest.Wait()
			// One listener accepts no more than it may have handled.
			if got := int(s.accepted.Load()); got != want {
				t.Errorf("%d connections accepted, want %d", got, want)
			}
			mu.Lock()
			defer mu.Unlock()
			if handled != want {
				t.Errorf("%d connections handled, want %d", handled, want)
			}
		}
		var conns []*memnet.Conn
		for range 5 {
			conns = append(conns, s.dial("192.0.2.1:7"))
		}
		count(2)
		conns[0].Close()
		count(3)
		conns[1].Close()
		conns[2].Close()
		count(5)
		for _, c := range conns[3:] {
			c.Close()
		}
		synctest.Wait()
		s.shutdown()
		if most != 2 {
			t.Errorf("%d connections were open at once, want 2", most)
		}
	})
}

func TestNegativeMaxConnsIsNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, serve.Config{MaxConns: -1, Handle: untilClosed})
		c := s.dial("192.0.2.1:7")
		synctest.Wait()
		if n := s.accepted.Load(); n != 1 {
			t.Errorf("%d connections accepted, want 1", n)
		}
		c.Close()
		s.shutdown()
	})
}

// A connection that the caller brings is counted and not delayed.
func TestServeConnAtTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := serve.Config{MaxConns: 1, Handle: untilClosed, Closed: errServerClosed}
		s := start(t, config)
		first := s.dial("192.0.2.1:7")
		synctest.Wait()
		a, b := memnet.Pipe()
		b.Close()
		if err := s.ServeConn(t.Context(), a, config); err != nil {
			t.Errorf("ServeConn: %v", err)
		}
		first.Close()
		s.shutdown()
	})
}

// The limit is of the server, however many listeners it has.
func TestMaxConnsAcrossListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		open, most := 0, 0
		config := serve.Config{MaxConns: 3, Handle: func(_ context.Context, conn net.Conn) {
			mu.Lock()
			open++
			most = max(most, open)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			open--
			mu.Unlock()
		}}
		s := start(t, config)
		s.listen("192.0.2.1:8", config)
		s.listen("192.0.2.1:9", config)
		var conns []*memnet.Conn
		for range 20 {
			for _, address := range []string{"192.0.2.1:7", "192.0.2.1:8", "192.0.2.1:9"} {
				conns = append(conns, s.dial(address))
			}
		}
		for _, c := range conns {
			if _, err := io.ReadAll(c); err != nil {
				t.Errorf("connection was not served: %v", err)
			}
			c.Close()
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		for range 3 {
			s.wantServed(errServerClosed)
		}
		if most != 3 {
			t.Errorf("%d connections were handled at once, want 3", most)
		}
	})
}

// A connection whose type cannot be compared is tracked all the same.
type incomparable struct {
	net.Conn
	_ []byte
}

func TestServeConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g serve.Group
		config := serve.Config{Closed: errServerClosed, Handle: untilClosed}
		serveConn := func(ctx context.Context) (peer *memnet.Conn, result chan error) {
			a, b := memnet.Pipe()
			result = make(chan error)
			go func() { result <- g.ServeConn(ctx, incomparable{Conn: a}, config) }()
			synctest.Wait()
			return b, result
		}

		b, result := serveConn(t.Context())
		b.Close()
		if err := <-result; err != nil {
			t.Errorf("after the peer's close: %v", err)
		}

		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		b, result = serveConn(ctx)
		cancel(cause)
		if err := <-result; err != cause {
			t.Errorf("after the context's end: %v, want %v", err, cause)
		}
		if _, err := b.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the connection was left open: %v", err)
		}

		// A context that has ended already is as good as no connection.
		config.Handle = func(context.Context, net.Conn) { t.Error("handled") }
		b, result = serveConn(ctx)
		if err := <-result; err != cause {
			t.Errorf("with an ended context: %v, want %v", err, cause)
		}
		if _, err := b.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the connection was left open: %v", err)
		}

		config.Handle = untilClosed
		_, result = serveConn(t.Context())
		g.Close()
		if err := <-result; err != errServerClosed {
			t.Errorf("after Close: %v, want %v", err, errServerClosed)
		}
	})
}
