package serve_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/internal/serve"
)

// packetConn returns a packet connection of a network in memory.
func packetConn(t *testing.T) *memnet.PacketConn {
	t.Helper()
	var n memnet.Network
	pc, err := n.ListenPacket("udp", "192.0.2.1:7")
	if err != nil {
		t.Fatal(err)
	}
	return pc
}

// reading is a step that reads.
func reading(pc net.PacketConn) func() error {
	return func() error {
		_, _, err := pc.ReadFrom(make([]byte, 1))
		return err
	}
}

func TestServePacketEnds(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name string
		end  func(t *testing.T, g *serve.Group, pc net.PacketConn)
		step func(pc net.PacketConn) func() error
		want error
	}{
		{"Shutdown", func(t *testing.T, g *serve.Group, _ net.PacketConn) {
			if err := g.Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		}, reading, errServerClosed},
		{"Close", func(t *testing.T, g *serve.Group, _ net.PacketConn) {
			if err := g.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}, reading, errServerClosed},
		{"its connection closed", func(_ *testing.T, _ *serve.Group, pc net.PacketConn) { pc.Close() }, reading, net.ErrClosed},
		{"its connection's deadline", func(_ *testing.T, _ *serve.Group, pc net.PacketConn) {
			pc.SetReadDeadline(time.Now())
		}, reading, os.ErrDeadlineExceeded},
		{"an error", func(*testing.T, *serve.Group, net.PacketConn) {}, func(net.PacketConn) func() error {
			return func() error { return broken }
		}, broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var g serve.Group
				pc := packetConn(t)
				served := make(chan error, 1)
				go func() {
					served <- g.ServePacket(pc, serve.Config{Closed: errServerClosed}, tt.step(pc))
				}()
				synctest.Wait()
				tt.end(t, &g, pc)
				if err := <-served; !errors.Is(err, tt.want) {
					t.Errorf("ServePacket = %v, want %v", err, tt.want)
				}
				if _, _, err := pc.ReadFrom(nil); !errors.Is(err, net.ErrClosed) {
					t.Errorf("the connection is open: %v", err)
				}
			})
		})
	}
}

// Shutdown waits for the step that is under way, and returns when the connection is
// closed.
func TestShutdownWaitsForAStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g serve.Group
		pc := packetConn(t)
		release := make(chan struct{})
		go g.ServePacket(pc, serve.Config{Closed: errServerClosed}, func() error {
			<-release
			return nil
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown = %v while a step ran", err)
		}
		close(release)
		if err := g.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if _, _, err := pc.ReadFrom(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the connection is open: %v", err)
		}
	})
}

func TestServePacketAfterClose(t *testing.T) {
	var g serve.Group
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	pc := packetConn(t)
	if err := g.ServePacket(pc, serve.Config{Closed: errServerClosed}, reading(pc)); err != errServerClosed {
		t.Errorf("ServePacket = %v", err)
	}
	if _, _, err := pc.ReadFrom(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection is open: %v", err)
	}
}

// stubborn has no deadlines.
type stubborn struct{ net.PacketConn }

func (stubborn) SetReadDeadline(time.Time) error { return errors.ErrUnsupported }

func TestShutdownOfAConnectionWithoutDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g serve.Group
		pc := stubborn{packetConn(t)}
		go g.ServePacket(pc, serve.Config{Closed: errServerClosed}, reading(pc))
		synctest.Wait()
		if err := g.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

func TestPassingReadErrorsAreWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g serve.Group
		var log strings.Builder
		pc := packetConn(t)
		begin, calls := time.Now(), 0
		err := g.ServePacket(pc, serve.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func() error {
			if calls++; calls <= 3 {
				return &net.OpError{Op: "read", Err: syscall.ENOBUFS}
			}
			return io.EOF
		})
		if took := time.Since(begin); err != io.EOF || took != 35*time.Millisecond {
			t.Errorf("ServePacket = %v after %v, want %v after 5, 10 and 20 ms", err, took, io.EOF)
		}
		if n := strings.Count(log.String(), "reading packets fails"); n != 1 {
			t.Errorf("%d records, want 1:\n%s", n, &log)
		}
	})
}

// The address is that of what listens first, and of the next when that has ended.
func TestAddr(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g serve.Group
		var n memnet.Network
		if a := g.Addr(); a != nil {
			t.Errorf("Addr before = %v", a)
		}
		l, err := n.Listen("tcp", "192.0.2.1:80")
		if err != nil {
			t.Fatal(err)
		}
		go g.Serve(l, serve.Config{})
		synctest.Wait()
		pc := packetConn(t)
		go g.ServePacket(pc, serve.Config{}, reading(pc))
		synctest.Wait()
		if a := g.Addr().String(); a != "192.0.2.1:80" {
			t.Errorf("Addr = %v", a)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Shutdown wakes handlers that read, if they are of the kind that expects it.
func TestShutdownWakesReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, serve.Config{WakeReaders: true, Handle: func(_ context.Context, conn net.Conn) {
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Read: %v", err)
			}
		}})
		c := s.dial("192.0.2.1:7")
		defer c.Close()
		synctest.Wait()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		s.wantServed(errServerClosed)
	})
}
