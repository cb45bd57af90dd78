package proxy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/proxy"
)

// A service is an upstream.
type service struct {
	Addr  string
	conns atomic.Int64 // accepted
	open  atomic.Int64
}

// serviceOf starts a service that handles each connection, and closes it then.
func serviceOf(t testing.TB, network string, handle func(net.Conn)) *service {
	t.Helper()
	l := listen(t, network)
	s := &service{Addr: l.Addr().String()}
	var running sync.WaitGroup
	var mu sync.Mutex
	open := make(map[net.Conn]bool)
	running.Go(func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue // out of descriptors
			}
			s.conns.Add(1)
			s.open.Add(1)
			mu.Lock()
			open[c] = true
			mu.Unlock()
			running.Go(func() {
				handle(c)
				c.Close()
				s.open.Add(-1)
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return s
}

// echoServer starts a service that echoes.
func echoServer(t testing.TB, network string) *service {
	t.Helper()
	return serviceOf(t, network, func(c net.Conn) { _, _ = io.Copy(c, c) })
}

// run calls a method of server that serves, and checks at the end of the test that it
// ends with ErrServerClosed.
func run(t testing.TB, server *proxy.Server, serve func() error) {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- serve() }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		shutDown(t, server)
		if err := <-served; err != proxy.ErrServerClosed {
			t.Errorf("served: %v, want %v", err, proxy.ErrServerClosed)
		}
	})
}

// serve makes server listen, and returns where.
func serve(t testing.TB, server *proxy.Server, network string) net.Addr {
	t.Helper()
	l := listen(t, network)
	run(t, server, func() error { return server.Serve(l) })
	return l.Addr()
}

func shutDown(t testing.TB, server *proxy.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func logger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// dial connects a client.
func dial(t testing.TB, addr net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial(addr.Network(), addr.String())
	must(t, err)
	t.Cleanup(func() { c.Close() })
	must(t, c.SetDeadline(time.Now().Add(patience)))
	return c
}

// wantReset connects a client that is reset at once, which connecting may tell already.
func wantReset(t testing.TB, addr net.Addr) {
	t.Helper()
	c, err := net.Dial(addr.Network(), addr.String())
	if err == nil {
		defer c.Close()
		must(t, c.SetDeadline(time.Now().Add(patience)))
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client got %v, want a reset", err)
	}
}

// ping sees whether an echo is at the other end.
func ping(t testing.TB, c net.Conn) {
	t.Helper()
	send(t, c, "ping")
	receive(t, c, []byte("ping"))
}

// churn opens connections to addr, some at a time, and hands them to use.
func churn(t *testing.T, addr net.Addr, conns, atOnce int, use func(i int, c *net.TCPConn)) {
	t.Helper()
	var next atomic.Int64
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for i := int(next.Add(1)); i <= conns; i = int(next.Add(1)) {
				c, err := net.Dial(addr.Network(), addr.String())
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.SetDeadline(time.Now().Add(patience))
				use(i, c.(*net.TCPConn))
			}
		})
	}
	workers.Wait()
}

// A lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
