package echo_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/echo"
	"github.com/netparts/netparts/internal/memnet"
)

// inMemory serves on a network in memory, and returns how to dial it and what
// Serve returns.
func inMemory(t *testing.T, server *echo.Server) (dial func() *memnet.Conn, served <-chan error) {
	t.Helper()
	var network memnet.Network
	l, err := network.Listen("tcp", "192.0.2.1:7")
	must(t, err)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	return func() *memnet.Conn {
		t.Helper()
		conn, err := network.Dial("tcp", "192.0.2.1:7")
		must(t, err)
		return conn
	}, ended
}

// Shutdown does not wait for clients that say nothing.
func TestShutdownOfIdleConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var server echo.Server
		dial, served := inMemory(t, &server)
		var clients []*memnet.Conn
		for i := range 10 {
			clients = append(clients, dial())
			if i%2 == 0 {
				wantEcho(t, clients[i], "ping")
			}
		}
		synctest.Wait()
		begin := time.Now()
		must(t, server.Shutdown(t.Context()))
		if took := time.Since(begin); took > 100*time.Millisecond {
			t.Errorf("Shutdown took %v", took)
		}
		if err := <-served; err != echo.ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
		for _, c := range clients {
			wantEnd(t, c)
		}
		must(t, server.Shutdown(t.Context())) // again, there is nothing to do
		must(t, server.Close())
	})
}

// A late is a connection where Shutdown comes when it has just been accepted.
type late struct {
	net.Conn
	came     atomic.Bool
	shutDown func()
}

func (l *late) SetReadDeadline(d time.Time) error {
	if !l.came.Swap(true) {
		l.shutDown()
	}
	return l.Conn.SetReadDeadline(d)
}

// Shutdown wakes the readers by a deadline in the past. One that is about to set a
// deadline of its own does not overwrite that.
func TestShutdownAtTheFirstDeadline(t *testing.T) {
	eachPipe(t, func(t *testing.T, client, inner net.Conn) {
		var server echo.Server
		stopped := make(chan error, 1)
		conn := &late{Conn: inner, shutDown: func() {
			go func() { stopped <- server.Shutdown(t.Context()) }()
			time.Sleep(time.Second) // of the bubble: Shutdown waits for this connection
		}}
		begin := time.Now()
		ended := serveConn(t.Context(), &server, conn)
		must(t, <-stopped)
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("Shutdown waited %v for an idle connection", took)
		}
		wantEnd(t, client)
		must(t, <-ended)
	})
}

// What a client has sent comes back, also if Shutdown begins before it reads.
func TestShutdownInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, n := range []int{1, 10_000, 64 << 10, 100_000, 128 << 10} {
			var server echo.Server
			dial, served := inMemory(t, &server)
			client := dial()
			sent := pattern(n)
			_, err := client.Write(sent)
			must(t, err)
			synctest.Wait() // the server waits for the client to read
			stopped := make(chan error, 1)
			go func() { stopped <- server.Shutdown(t.Context()) }()
			synctest.Wait()
			got, err := io.ReadAll(client)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d of %d bytes came back, %v", len(got), n, err)
			}
			must(t, <-stopped)
			if err := <-served; err != echo.ErrServerClosed {
				t.Errorf("Serve: %v", err)
			}
		}
	})
}

// The same with sockets, where the kernel holds more.
func TestShutdownOfSocketsInTheMiddle(t *testing.T) {
	for _, network := range streams {
		t.Run(network, func(t *testing.T) {
			var server echo.Server
			conn := dial(t, network, listen(t, &server, network))
			wantEcho(t, conn, "ping")
			sent := pattern(200_000)
			_, err := conn.Write(sent)
			must(t, err)
			stopped := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				stopped <- server.Shutdown(ctx)
			}()
			got, err := io.ReadAll(conn)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d of %d bytes came back, %v", len(got), len(sent), err)
			}
			must(t, <-stopped)
		})
	}
}

// sendUntilFull writes from b until the server takes no more, because its own room
// is full, and returns how much it took.
func sendUntilFull(t *testing.T, conn net.Conn, b []byte) int {
	t.Helper()
	sent := 0
	for {
		must(t, conn.SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
		n, err := conn.Write(b[sent:])
		sent += n
		switch {
		case err == nil:
			t.Fatalf("the server took %d bytes and echoed none that was read", len(b))
		case n == 0 && errors.Is(err, os.ErrDeadlineExceeded):
			return sent
		case !errors.Is(err, os.ErrDeadlineExceeded):
			t.Fatal(err)
		}
	}
}

// What was waiting in all the buffers between is echoed too, each byte once.
func TestShutdownWithFullBuffers(t *testing.T) {
	all := pattern(64 << 20)
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			var server echo.Server
			conn := dial(t, network, listen(t, &server, network))
			wantEcho(t, conn, "ping")
			n := sendUntilFull(t, conn, all)
			stopped := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				stopped <- server.Shutdown(ctx)
			}()
			got, err := io.ReadAll(conn)
			if err != nil || !bytes.Equal(got, all[:n]) {
				t.Errorf("%d of %d bytes came back, %v", len(got), n, err)
			}
			must(t, <-stopped)
		})
	}
}

// A client that does not read keeps Shutdown waiting until its context ends, and
// then Close is what ends it.
func TestShutdownWithAnEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var server echo.Server
		dial, served := inMemory(t, &server)
		client := dial()
		_, err := client.Write(pattern(100_000))
		must(t, err)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range 2 {
			if err := server.Shutdown(ctx); err != context.DeadlineExceeded {
				t.Errorf("Shutdown: %v, want %v", err, context.DeadlineExceeded)
			}
		}
		if err := <-served; err != echo.ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
		must(t, server.Close())
		must(t, server.Close())
		must(t, server.Shutdown(t.Context()))
		if _, err := io.ReadAll(client); err == nil {
			t.Error("Close gave the client a clean end in the middle")
		}
	})
}

func TestCloseEndsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var server echo.Server
		dial, served := inMemory(t, &server)
		idle, busy := dial(), dial()
		wantEcho(t, idle, "ping")
		_, err := busy.Write(pattern(100_000))
		must(t, err)
		synctest.Wait()
		begin := time.Now()
		must(t, server.Close())
		must(t, server.Shutdown(t.Context()))
		if took := time.Since(begin); took != 0 {
			t.Errorf("Close took %v", took)
		}
		if err := <-served; err != echo.ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
		wantEnd(t, idle)
	})
}

// A closed is what a server that has stopped is given.
type closed struct {
	net.Listener
	net.PacketConn
	net.Conn
	times int
}

func (c *closed) Close() error                     { c.times++; return nil }
func (c *closed) Addr() net.Addr                   { return &net.UDPAddr{} }
func (c *closed) LocalAddr() net.Addr              { return &net.UDPAddr{} }
func (c *closed) RemoteAddr() net.Addr             { return &net.UDPAddr{} }
func (c *closed) SetDeadline(time.Time) error      { return nil }
func (c *closed) Read([]byte) (int, error)         { return 0, errors.New("read from") }
func (c *closed) Write([]byte) (int, error)        { return 0, errors.New("written to") }
func (c *closed) Accept() (net.Conn, error)        { return nil, errors.New("accepted from") }
func (c *closed) SetReadDeadline(time.Time) error  { return nil }
func (c *closed) SetWriteDeadline(time.Time) error { return nil }

func (c *closed) ReadFrom([]byte) (int, net.Addr, error) { return 0, nil, errors.New("read from") }
func (c *closed) WriteTo([]byte, net.Addr) (int, error)  { return 0, errors.New("written to") }

// A server that has stopped closes what it is given.
func TestServeAfterTheEnd(t *testing.T) {
	for name, end := range map[string]func(*echo.Server) error{
		"Close":    (*echo.Server).Close,
		"Shutdown": func(s *echo.Server) error { return s.Shutdown(t.Context()) },
	} {
		var server echo.Server
		must(t, end(&server))
		for method, serve := range map[string]func(*closed) error{
			"Serve":       func(c *closed) error { return server.Serve(c) },
			"ServePacket": func(c *closed) error { return server.ServePacket(c) },
			"ServeConn":   func(c *closed) error { return server.ServeConn(t.Context(), c) },
		} {
			var c closed
			if err := serve(&c); err != echo.ErrServerClosed || c.times == 0 {
				t.Errorf("%s after %s: %v, and Close was called %d times", method, name, err, c.times)
			}
		}
		if err := server.ListenAndServe("tcp", "127.0.0.1:0"); err != echo.ErrServerClosed {
			t.Errorf("ListenAndServe after %s: %v", name, err)
		}
	}
}

func TestServeConnContext(t *testing.T) {
	cause := errors.New("enough")
	eachPipe(t, func(t *testing.T, client, conn net.Conn) {
		var server echo.Server
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := serveConn(ctx, &server, conn)
		wantEcho(t, client, "ping")
		cancel(cause)
		if err := <-ended; err != cause {
			t.Errorf("ServeConn: %v, want %v", err, cause)
		}
		wantEnd(t, client)
	})
	eachPipe(t, func(t *testing.T, client, conn net.Conn) {
		var server echo.Server
		ended := serveConn(t.Context(), &server, conn)
		wantEcho(t, client, "ping")
		must(t, server.Close())
		if err := <-ended; err != echo.ErrServerClosed {
			t.Errorf("ServeConn: %v, want %v", err, echo.ErrServerClosed)
		}
	})
}
