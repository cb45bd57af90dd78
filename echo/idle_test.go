package echo_test

import (
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/echo"
	"github.com/netparts/netparts/internal/memnet"
)

// pipes are connections that block without sockets.
var pipes = []struct {
	name string
	make func() (client, conn net.Conn)
}{
	{"memnet", func() (net.Conn, net.Conn) { return memnet.Pipe() }},
	{"net.Pipe", net.Pipe},
}

// eachPipe runs f in bubbles, with both ends of a connection.
func eachPipe(t *testing.T, f func(t *testing.T, client, conn net.Conn)) {
	t.Helper()
	for _, tt := range pipes {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, conn := tt.make()
				defer client.Close()
				f(t, client, conn)
			})
		})
	}
}

// A silent client is cut exactly after the idle timeout, which is an hour if
// nothing is said.
func TestIdleTimeout(t *testing.T) {
	for _, tt := range []struct{ set, want time.Duration }{
		{0, time.Hour}, {time.Minute, time.Minute}, {time.Nanosecond, time.Nanosecond},
	} {
		eachPipe(t, func(t *testing.T, client, conn net.Conn) {
			var log journal
			server := echo.Server{IdleTimeout: tt.set, Logger: slog.New(&log)}
			begin := time.Now()
			ended := serveConn(t.Context(), &server, conn)
			wantEnd(t, client)
			if after := time.Since(begin); after != tt.want {
				t.Errorf("cut after %v, want %v", after, tt.want)
			}
			if err := <-ended; err != nil {
				t.Errorf("ServeConn: %v", err)
			}
			if records := log.all(); len(records) != 1 || records[0]["error"] != "idle" || records[0]["duration"] != tt.want {
				t.Errorf("logged %v", records)
			}
		})
	}
}

// What arrives postpones the end, however often.
func TestActivityPostponesTheTimeout(t *testing.T) {
	eachPipe(t, func(t *testing.T, client, conn net.Conn) {
		server := echo.Server{IdleTimeout: time.Minute}
		begin := time.Now()
		ended := serveConn(t.Context(), &server, conn)
		for range 100 {
			time.Sleep(59 * time.Second) // of the bubble
			wantEcho(t, client, "ping")
		}
		wantEnd(t, client)
		if after, want := time.Since(begin), 100*59*time.Second+time.Minute; after != want {
			t.Errorf("cut after %v, want %v", after, want)
		}
		must(t, <-ended)
	})
}

func TestNoIdleTimeout(t *testing.T) {
	eachPipe(t, func(t *testing.T, client, conn net.Conn) {
		server := echo.Server{IdleTimeout: -1}
		ended := serveConn(t.Context(), &server, conn)
		for range 3 {
			time.Sleep(10000 * time.Hour)
			wantEcho(t, client, "ping")
		}
		must(t, server.Shutdown(t.Context()))
		wantEnd(t, client)
		must(t, <-ended)
	})
}

// A client that does not read is cut as one that is silent.
func TestUnreadEcho(t *testing.T) {
	eachPipe(t, func(t *testing.T, client, conn net.Conn) {
		var log journal
		server := echo.Server{IdleTimeout: time.Minute, Logger: slog.New(&log)}
		ended := serveConn(t.Context(), &server, conn)
		time.Sleep(30 * time.Second)
		begin := time.Now()
		if n, err := client.Write(pattern(1 << 20)); err == nil {
			t.Errorf("Write = %d, without an error", n)
		}
		if after := time.Since(begin); after != time.Minute {
			t.Errorf("cut after %v, want a minute", after)
		}
		must(t, <-ended)
		if records := log.all(); len(records) != 1 || records[0]["error"] != "idle" {
			t.Errorf("logged %v", records)
		}
	})
}

// Without a limit a client may read when it likes.
func TestUnreadEchoWithoutTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, conn := memnet.Pipe()
		server := echo.Server{IdleTimeout: -1}
		ended := serveConn(t.Context(), &server, conn)
		sent := pattern(1 << 20)
		go func() {
			if _, err := client.Write(sent); err != nil {
				t.Error(err)
			}
		}()
		time.Sleep(10000 * time.Hour)
		wantRead(t, client, string(sent))
		must(t, client.Close())
		must(t, <-ended)
	})
}

// A watched is a connection that counts read deadlines in the past.
type watched struct {
	net.Conn
	past atomic.Int64
}

func (w *watched) SetReadDeadline(d time.Time) error {
	if d.Before(time.Now()) && w.past.Add(1) > 100 {
		w.Conn.Close()
		return errors.New("the deadline is always in the past")
	}
	return w.Conn.SetReadDeadline(d)
}

// The longest timeout there is does not wrap into the past, where the server
// would go round and round.
func TestLongestIdleTimeout(t *testing.T) {
	eachPipe(t, func(t *testing.T, client, inner net.Conn) {
		conn := &watched{Conn: inner}
		server := echo.Server{IdleTimeout: math.MaxInt64}
		ended := serveConn(t.Context(), &server, conn)
		begin := time.Now()
		time.Sleep(time.Minute)
		wantEcho(t, client, "ping")
		// This wakes the server, as a deadline does.
		must(t, inner.SetReadDeadline(begin))
		synctest.Wait()
		if n := conn.past.Load(); n != 0 {
			t.Errorf("%d deadlines in the past", n)
		}
		wantEcho(t, client, "ping")
		must(t, client.Close())
		must(t, <-ended)
	})
}

// A stubborn is a connection whose deadlines cannot be set, or not any more.
type stubborn struct {
	net.Conn
	works int // times that it still does
}

func (s *stubborn) SetReadDeadline(d time.Time) error {
	if s.works--; s.works < 0 {
		return syscall.EINVAL
	}
	return s.Conn.SetReadDeadline(d)
}

// Where there are no deadlines a silent client could stay for ever, so it is not
// served.
func TestConnectionWithoutDeadlines(t *testing.T) {
	for works := range 2 {
		eachPipe(t, func(t *testing.T, client, conn net.Conn) {
			var log journal
			server := echo.Server{IdleTimeout: time.Minute, Logger: slog.New(&log)}
			ended := serveConn(t.Context(), &server, &stubborn{conn, works})
			if works > 0 {
				time.Sleep(time.Second)
				wantEcho(t, client, "ping")
			}
			if _, err := client.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("Read: %v, want EOF", err)
			}
			must(t, <-ended)
			if records := log.all(); len(records) != 1 || records[0]["error"] != syscall.EINVAL.Error() {
				t.Errorf("logged %v", records)
			}
		})
	}
}
