package serve_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/internal/serve"
)

func TestShutdownAtTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, serve.Config{MaxConns: 1, Handle: untilClosed})
		c := s.dial("192.0.2.1:7")
		synctest.Wait() // Serve waits for room, not in Accept
		done := make(chan error)
		go func() { done <- s.Shutdown(t.Context()) }()
		s.wantServed(errServerClosed)
		c.Close()
		if err := <-done; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

func TestShutdownWithAnEndedContextLeavesConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, serve.Config{Handle: func(_ context.Context, conn net.Conn) { io.Copy(conn, conn) }})
		c := s.dial("192.0.2.1:7")
		defer c.Close()
		echo := func() {
			t.Helper()
			got := make([]byte, 4)
			if _, err := c.Write([]byte("ping")); err != nil {
				t.Error(err)
			}
			if _, err := io.ReadFull(c, got); err != nil || string(got) != "ping" {
				t.Errorf("echo is %q, %v", got, err)
			}
		}
		echo()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Shutdown(ctx); err != context.Canceled {
			t.Errorf("Shutdown: %v, want %v", err, context.Canceled)
		}
		s.wantServed(errServerClosed)
		echo() // still there

		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("second Shutdown: %v, want %v", err, context.DeadlineExceeded)
		}
		echo()

		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("Close left the connection open")
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown after Close: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

// When nothing is open, an ended context is no reason to report one.
func TestShutdownOfAnIdleServerWithAnEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		var g serve.Group
		if err := g.Shutdown(ctx); err != nil {
			t.Fatalf("Shutdown: %v", err)
		}
	}
}

func TestServeAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, end := range map[string]func(*serve.Group) error{
			"Close":    (*serve.Group).Close,
			"Shutdown": func(g *serve.Group) error { return g.Shutdown(t.Context()) },
		} {
			s := newServer(t)
			if err := end(&s.Group); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			l := s.bind("192.0.2.1:7")
			s.serveOn(l, serve.Config{Handle: untilClosed})
			s.wantServed(errServerClosed)
			if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("after %s, Serve left its listener open: %v", name, err)
			}
			a, b := memnet.Pipe()
			err := s.ServeConn(t.Context(), a, serve.Config{Handle: untilClosed, Closed: errServerClosed})
			if err != errServerClosed {
				t.Errorf("ServeConn after %s: %v, want %v", name, err, errServerClosed)
			}
			if _, err := b.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("after %s, ServeConn left its connection open: %v", name, err)
			}
		}
	})
}

func TestContextOfAHandler(t *testing.T) {
	tests := []struct {
		name string
		end  func(*server, *memnet.Conn)
		want error // the cause of the context
	}{
		{"Close", func(s *server, _ *memnet.Conn) { s.Close() }, errServerClosed},
		{"end of the connection", func(_ *server, c *memnet.Conn) { c.Close() }, context.Canceled},
		{"Shutdown", func(s *server, c *memnet.Conn) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			s.Shutdown(ctx)
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				contexts := make(chan context.Context, 1)
				s := start(t, serve.Config{Handle: func(ctx context.Context, conn net.Conn) {
					contexts <- ctx
					untilClosed(ctx, conn)
				}})
				c := s.dial("192.0.2.1:7")
				ctx := <-contexts
				tt.end(s, c)
				synctest.Wait()
				if err := context.Cause(ctx); err != tt.want {
					t.Errorf("cause of the handler's context: %v, want %v", err, tt.want)
				}
				c.Close()
				s.shutdown()
			})
		})
	}
}

// A handler whose peer is idle can end when Shutdown begins.
func TestStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.listen("192.0.2.1:7", serve.Config{Handle: func(ctx context.Context, _ net.Conn) {
			select {
			case <-s.Stopping():
			case <-ctx.Done():
				t.Error("the context ended")
			}
		}})
		c := s.dial("192.0.2.1:7")
		synctest.Wait()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if _, err := io.ReadAll(c); err != nil {
			t.Errorf("connection: %v", err)
		}
		s.wantServed(errServerClosed)
	})
}

// Close does not wait for a TLS peer that does not read: its farewell would
// take five seconds.
func TestCloseOfStalledTLSConnections(t *testing.T) {
	config := &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		l := s.bind("192.0.2.1:7")
		s.serveOn(tls.NewListener(l, config), serve.Config{
			Handle: func(_ context.Context, conn net.Conn) {
				for { // until the peer's window is full, and beyond
					if _, err := conn.Write(make([]byte, 64<<10)); err != nil {
						return
					}
				}
			},
		})
		for range 10 {
			c := s.dial("192.0.2.1:7")
			defer c.Close()
			if err := tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake(); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		begin := time.Now()
		s.Close()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("Close took %v", d)
		}
		s.wantServed(errServerClosed)
	})
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Connections that take their time to close do so side by side.
func TestCloseOfSlowConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g serve.Group
		for range 10 {
			a, b := memnet.Pipe()
			defer b.Close()
			go g.ServeConn(t.Context(), &slowClose{Conn: a}, serve.Config{Closed: errServerClosed, Handle: untilClosed})
		}
		synctest.Wait()
		begin := time.Now()
		g.Close()
		if d := time.Since(begin); d != 5*time.Second {
			t.Errorf("Close took %v, want 5s", d)
		}
		if err := g.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// slowClose is a connection whose Close takes its time.
type slowClose struct{ net.Conn }

func (s *slowClose) Close() error {
	time.Sleep(5 * time.Second)
	return s.Conn.Close()
}

// A wrapper's own Close is called also where what it wraps is closed first.
func TestWrappersAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g serve.Group
		g.Close()
		a, b := memnet.Pipe()
		defer b.Close()
		w := &wrapper{Conn: a}
		if err := g.ServeConn(t.Context(), w, serve.Config{Closed: errServerClosed}); err != errServerClosed {
			t.Errorf("ServeConn: %v, want %v", err, errServerClosed)
		}
		if w.closed == 0 {
			t.Error("Close of the wrapper was not called")
		}
	})
}

type wrapper struct {
	net.Conn
	closed int
}

func (w *wrapper) NetConn() net.Conn { return nil }

func (w *wrapper) Close() error {
	w.closed++
	return w.Conn.Close()
}

// What a listener's Close reports is not lost.
func TestErrorOfTheListenersClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("cannot remove the socket file")
		s := newServer(t)
		l := newFlaky(t, &s.n)
		s.serveOn(&failingClose{Listener: l, err: broken}, serve.Config{Handle: untilClosed})
		synctest.Wait()
		c := s.dial("192.0.2.1:7")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != context.DeadlineExceeded {
			t.Errorf("Shutdown: %v, want %v", err, context.DeadlineExceeded)
		}
		c.Close()
		// Whoever asks later learns of it too.
		if err := s.Shutdown(t.Context()); !errors.Is(err, broken) {
			t.Errorf("second Shutdown: %v, want %v", err, broken)
		}
		if err := s.Close(); !errors.Is(err, broken) {
			t.Errorf("Close: %v, want %v", err, broken)
		}
		s.wantServed(errServerClosed)
	})
}

type failingClose struct {
	net.Listener
	err error
}

func (f *failingClose) Close() error {
	f.Listener.Close()
	return f.err
}

// Many connections come, go and are cut off from all sides at once; the bubble
// ends only when every goroutine has.
func TestNoGoroutineIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := serve.Config{MaxConns: 10, Handle: untilClosed}
		s := start(t, config)
		s.listen("192.0.2.1:8", config)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				address := "192.0.2.1:7"
				if i%2 == 0 {
					address = "192.0.2.1:8"
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				c, err := s.n.DialContext(ctx, "tcp", address)
				if err != nil {
					return // after the end
				}
				time.Sleep(time.Duration(i) * time.Millisecond)
				c.Close()
			})
		}
		time.Sleep(50 * time.Millisecond)
		for range 3 {
			wg.Go(func() { s.Close() })
			wg.Go(func() {
				if err := s.Shutdown(t.Context()); err != nil {
					t.Errorf("Shutdown: %v", err)
				}
			})
		}
		wg.Wait()
		s.wantServed(errServerClosed)
		s.wantServed(errServerClosed)
	})
}
