package serve_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/internal/serve"
)

func TestPanicInAHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := start(t, serve.Config{
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Handle: func(_ context.Context, conn net.Conn) {
				line := make([]byte, 5)
				io.ReadFull(conn, line)
				if string(line) == "panic" {
					panic("handler\nbroke")
				}
				conn.Write(line)
			},
		})
		for _, send := range []string{"panic", "hello"} {
			c := s.dial("192.0.2.1:7")
			if _, err := c.Write([]byte(send)); err != nil {
				t.Error(err)
			}
			got, err := io.ReadAll(c)
			if want := strings.TrimPrefix(send, "panic"); err != nil || string(got) != want {
				t.Errorf("after %q read %q, %v, want %q", send, got, err, want)
			}
			c.Close()
		}
		s.shutdown()
		for _, want := range []string{`level=ERROR msg="panic in handler"`, "remote=127.0.0.1:", `panic="handler\nbroke"`, "panic_test.go"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the report lacks %q:\n%s", want, log.String())
			}
		}
		if n := strings.Count(log.String(), "\n"); n != 1 {
			t.Errorf("%d lines logged, want 1", n)
		}
	})
}

func TestGoexitInAHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, serve.Config{Handle: func(context.Context, net.Conn) { runtime.Goexit() }})
		c := s.dial("192.0.2.1:7")
		if _, err := io.ReadAll(c); err != nil {
			t.Errorf("the connection was not closed: %v", err)
		}
		s.shutdown()
	})
}

func TestServeConnPassesAPanicOn(t *testing.T) {
	var g serve.Group
	a, b := memnet.Pipe()
	func() {
		defer func() {
			if got := recover(); got != "broke" {
				t.Errorf("recovered %v, want broke", got)
			}
		}()
		_ = g.ServeConn(t.Context(), a, serve.Config{Handle: func(context.Context, net.Conn) { panic("broke") }})
	}()
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection was left open: %v", err)
	}
	if err := g.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// A connection that panics when it is closed costs itself, not its place nor the
// server.
func TestPanicInClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newServer(t)
		l := s.bind("192.0.2.1:7")
		s.serveOn(panickingListener{l}, serve.Config{
			MaxConns: 1,
			Handle:   untilClosed,
			Logger:   slog.New(slog.NewTextHandler(&log, nil)),
		})
		for range 3 {
			s.dial("192.0.2.1:7").CloseWrite()
		}
		synctest.Wait()
		s.shutdown()
		if n := strings.Count(log.String(), `panic="cannot close"`); n != 3 {
			t.Errorf("%d panics reported, want 3:\n%s", n, log.String())
		}
	})
}

type panickingListener struct{ net.Listener }

func (p panickingListener) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return panickingConn{c}, nil
}

type panickingConn struct{ net.Conn }

func (panickingConn) Close() error         { panic("cannot close") }
func (panickingConn) RemoteAddr() net.Addr { return nil }
