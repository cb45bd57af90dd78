package serve_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/internal/serve"
)

// echoLater echoes five bytes in a goroutine of its own.
func echoLater(_ context.Context, conn net.Conn, done func()) {
	go func() {
		defer done()
		line := make([]byte, 5)
		io.ReadFull(conn, line)
		conn.Write(line)
	}()
}

// A connection whose Begin has returned is open, and counts, until done is called.
func TestBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, serve.Config{Begin: echoLater, MaxConns: 1})
		first, second := s.dial("192.0.2.1:7"), s.dial("192.0.2.1:7")
		synctest.Wait()
		first.Write([]byte("hello"))
		if got, err := io.ReadAll(first); err != nil || string(got) != "hello" {
			t.Errorf("read %q, %v", got, err)
		}
		first.Close()
		synctest.Wait() // the second has its turn

		shut := make(chan struct{})
		go func() {
			defer close(shut)
			s.shutdown()
		}()
		synctest.Wait()
		select {
		case <-shut:
			t.Error("Shutdown does not wait for it")
		default:
		}
		second.Write([]byte("later"))
		if got, err := io.ReadAll(second); err != nil || string(got) != "later" {
			t.Errorf("read %q, %v", got, err)
		}
		second.Close()
		<-shut
	})
}

// ServeConn waits for done.
func TestBeginOfServeConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g serve.Group
		near, far := memnet.Pipe()
		served := make(chan error, 1)
		go func() { served <- g.ServeConn(t.Context(), far, serve.Config{Begin: echoLater}) }()
		synctest.Wait()
		if len(served) > 0 {
			t.Error("ServeConn has returned")
		}
		near.Write([]byte("hello"))
		if got, err := io.ReadAll(near); err != nil || string(got) != "hello" {
			t.Errorf("read %q, %v", got, err)
		}
		if err := <-served; err != nil {
			t.Errorf("ServeConn: %v", err)
		}
	})
}

// A panic in Begin ends the connection, and is logged.
func TestPanicInBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := start(t, serve.Config{
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Begin:  func(context.Context, net.Conn, func()) { panic("broke") },
		})
		c := s.dial("192.0.2.1:7")
		if _, err := io.ReadAll(c); err != nil {
			t.Errorf("the connection was not closed: %v", err)
		}
		c.Close()
		s.shutdown()
		if n := strings.Count(log.String(), `msg="panic in handler"`); n != 1 {
			t.Errorf("%d records of it:\n%s", n, log.String())
		}
	})
}
