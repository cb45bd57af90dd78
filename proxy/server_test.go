package proxy_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/proxy"
)

func TestListenAndServe(t *testing.T) {
	for _, network := range []string{"tcp", "tcp4", "tcp6", "unix"} {
		t.Run(network, func(t *testing.T) {
			upstream := echoServer(t, "tcp")
			address := "127.0.0.1:0"
			switch network {
			case "tcp6":
				address = "[::1]:0"
			case "unix":
				address = t.TempDir() + "/s"
			}
			listening := make(chan net.Addr, 1)
			server := &proxy.Server{
				Dial:      proxy.To("tcp", upstream.Addr),
				Listening: func(a net.Addr) { listening <- a },
			}
			run(t, server, func() error { return server.ListenAndServe(network, address) })
			addr := <-listening
			c := dial(t, addr)
			ping(t, c)
			if got := server.Addr(); got.String() != addr.String() {
				t.Errorf("Addr = %v, want %v", got, addr)
			}
			must(t, c.Close())
			shutDown(t, server)
			if _, err := os.Lstat(address); network == "unix" && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the file of the socket is left: %v", err)
			}
			if err := server.ListenAndServe(network, address); err != proxy.ErrServerClosed {
				t.Errorf("ListenAndServe after Shutdown: %v", err)
			}
		})
	}
	server := &proxy.Server{Dial: proxy.To("tcp", "127.0.0.1:1")}
	if err := server.ListenAndServe("udp", "127.0.0.1:0"); !errors.As(err, new(net.UnknownNetworkError)) {
		t.Errorf("ListenAndServe of UDP: %v", err)
	}
	if err := server.ListenAndServe("tcp", "127.0.0.1:http:x"); err == nil {
		t.Error("ListenAndServe of a wrong address succeeded")
	}
}

// A dial that fails resets the client at once.
func TestDialFails(t *testing.T) {
	reports := make(chan proxy.Report, 1)
	cause := errors.New("no upstream today")
	server := &proxy.Server{
		Dial:   func(context.Context, net.Conn) (net.Conn, error) { return nil, cause },
		Report: func(r proxy.Report) { reports <- r },
	}
	wantReset(t, serve(t, server, "tcp"))
	r := <-reports
	if !errors.Is(r.Err, cause) || r.Upstream != nil || r.Client == nil {
		t.Errorf("Report = %+v", r)
	}
}

// blocking is a dial that goes on until its context ends.
func blocking(ctx context.Context, _ net.Conn) (net.Conn, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// A client that resets its connection cancels the dial for it; one that ends its stream
// does not.
func TestClientThatGoesCancelsDial(t *testing.T) {
	dialing := make(chan struct{}, 1)
	reports := make(chan proxy.Report, 1)
	upstream := echoServer(t, "tcp")
	proceed := make(chan struct{})
	server := &proxy.Server{
		DialTimeout: -1,
		Dial: func(ctx context.Context, client net.Conn) (net.Conn, error) {
			dialing <- struct{}{}
			select {
			case <-proceed:
				return proxy.To("tcp", upstream.Addr)(ctx, client)
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		},
		Report: func(r proxy.Report) { reports <- r },
	}
	addr := serve(t, server, "tcp")

	c := dial(t, addr)
	send(t, c, random(1000)) // which are not read
	<-dialing
	reset(t, c)
	wantSide(t, (<-reports).Err, proxy.Client, syscall.ECONNRESET)

	c = dial(t, addr)
	send(t, c, "ping")
	closeWrite(t, c)
	<-dialing
	// Longer than it takes until the client is watched.
	select {
	case r := <-reports:
		t.Fatalf("the end of the stream ended the dial: %v", r.Err)
	case <-time.After(50 * time.Millisecond):
	}
	close(proceed)
	receiveEnd(t, c, []byte("ping"), nil)
	if r := <-reports; r.Err != nil || r.ToUpstream != 4 || r.ToClient != 4 {
		t.Errorf("Report = %+v", r)
	}
}

func TestDialTimeout(t *testing.T) {
	reports := make(chan proxy.Report, 1)
	server := &proxy.Server{
		DialTimeout: 20 * time.Millisecond, Dial: blocking,
		Report: func(r proxy.Report) { reports <- r },
	}
	wantReset(t, serve(t, server, "tcp"))
	if r := <-reports; !errors.Is(r.Err, context.DeadlineExceeded) || r.Duration < 20*time.Millisecond {
		t.Errorf("Report = %+v", r)
	}
}

// Close ends dials and pairs, and waits for none.
func TestClose(t *testing.T) {
	upstream := echoServer(t, "tcp")
	reports := make(chan proxy.Report, 2)
	var dials atomic.Int64
	server := &proxy.Server{
		Dial: func(ctx context.Context, client net.Conn) (net.Conn, error) {
			if dials.Add(1) > 1 {
				return blocking(ctx, client)
			}
			return proxy.To("tcp", upstream.Addr)(ctx, client)
		},
		Report: func(r proxy.Report) { reports <- r },
	}
	addr := serve(t, server, "tcp")
	open := dial(t, addr)
	ping(t, open)
	waiting := dial(t, addr)
	until(t, func() bool { return dials.Load() == 2 }, "dialing")
	must(t, server.Close())
	receiveEnd(t, open, nil, syscall.ECONNRESET)
	receiveEnd(t, waiting, nil, syscall.ECONNRESET)
	for range 2 {
		if r := <-reports; !errors.Is(r.Err, proxy.ErrServerClosed) {
			t.Errorf("Report = %+v, want %v", r, proxy.ErrServerClosed)
		}
	}
}

// Shutdown lets what is in flight arrive, and waits for it.
func TestShutdownDelivers(t *testing.T) {
	upstream := echoServer(t, "tcp")
	server := &proxy.Server{Dial: proxy.To("tcp", upstream.Addr)}
	addr := serve(t, server, "tcp")
	c := dial(t, addr)
	ping(t, c)
	done := make(chan error, 1)
	go func() { done <- server.Shutdown(t.Context()) }()
	until(t, func() bool {
		late, err := net.Dial("tcp", addr.String())
		if err == nil {
			late.Close()
		}
		return err != nil
	}, "not listening")
	b := random(16 << 20)
	go func() {
		send(t, c, b)
		closeWrite(t, c)
	}()
	receiveEnd(t, c, b, nil)
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// A Shutdown whose time is over leaves the pairs to Close.
func TestShutdownInTime(t *testing.T) {
	upstream := echoServer(t, "tcp")
	server := &proxy.Server{Dial: proxy.To("tcp", upstream.Addr)}
	c := dial(t, serve(t, server, "tcp"))
	ping(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	ping(t, c)
}

func TestServeConn(t *testing.T) {
	upstream := echoServer(t, "tcp")
	server := &proxy.Server{Dial: proxy.To("tcp", upstream.Addr)}
	cause := errors.New("the cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	for _, tt := range []struct {
		name string
		end  func(c net.Conn)
		want error
	}{
		{"end of the stream", func(c net.Conn) { closeWrite(t, c) }, nil},
		{"context", func(net.Conn) { cancel(cause) }, cause},
	} {
		near, relayed := join(t, "tcp")
		served := make(chan error, 1)
		go func() { served <- server.ServeConn(ctx, relayed) }()
		ping(t, near)
		tt.end(near)
		if err := <-served; err != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	shutDown(t, server)
	_, relayed := join(t, "tcp")
	if err := server.ServeConn(t.Context(), relayed); err != proxy.ErrServerClosed {
		t.Errorf("ServeConn after Shutdown: %v", err)
	}
}

// At MaxConns further clients wait.
func TestMaxConns(t *testing.T) {
	upstream := echoServer(t, "tcp")
	server := &proxy.Server{Dial: proxy.To("tcp", upstream.Addr), MaxConns: 2}
	addr := serve(t, server, "tcp")
	first, second, third := dial(t, addr), dial(t, addr), dial(t, addr)
	ping(t, first)
	ping(t, second)
	send(t, third, "ping")
	must(t, third.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	if _, err := third.Read(make([]byte, 4)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the third client: %v", err)
	}
	must(t, third.SetReadDeadline(time.Now().Add(patience)))
	must(t, second.Close())
	receive(t, third, []byte("ping"))
	ping(t, first)
	if n := upstream.conns.Load(); n != 3 {
		t.Errorf("%d connections to the upstream", n)
	}
}

// Connections that are opened in a burst are all served.
func TestBurst(t *testing.T) {
	upstream := echoServer(t, "unix")
	server := &proxy.Server{Dial: proxy.To("unix", upstream.Addr), MaxConns: 200}
	addr := serve(t, server, "tcp")
	const conns = 10_000
	churn(t, addr, conns, 2000, func(_ int, c *net.TCPConn) {
		ping(t, c)
		c.Close()
	})
	until(t, func() bool { return server.Stats().Active == 0 }, "ended")
	want := proxy.ServerStats{Total: conns, Stats: proxy.Stats{ToUpstream: 4 * conns, ToClient: 4 * conns}}
	if got := server.Stats(); got != want {
		t.Errorf("Stats = %+v, want %+v", got, want)
	}
}

// Figures count while a pair is open.
func TestServerStats(t *testing.T) {
	upstream := echoServer(t, "tcp")
	server := &proxy.Server{Dial: proxy.To("tcp", upstream.Addr)}
	addr := serve(t, server, "tcp")
	open := dial(t, addr)
	for _, total := range []int64{1, 2} {
		c := open
		if total == 2 {
			c = dial(t, addr)
		}
		ping(t, c)
		want := proxy.ServerStats{Active: int(total), Total: total, Stats: proxy.Stats{ToUpstream: 4 * total, ToClient: 4 * total}}
		until(t, func() bool { return server.Stats() == want }, "counted")
	}
	must(t, open.Close())
	want := proxy.ServerStats{Active: 1, Total: 2, Stats: proxy.Stats{ToUpstream: 8, ToClient: 8}}
	until(t, func() bool { return server.Stats() == want }, "one has ended")
}

// A hook that panics costs its own connection at most, and is told in a record.
func TestPanicsOfHooks(t *testing.T) {
	for _, hook := range []string{"Dial", "Header", "Tap", "Report", "connection"} {
		t.Run(hook, func(t *testing.T) {
			upstream := echoServer(t, "tcp")
			var log lockedBuffer
			var wrong atomic.Bool
			wrong.Store(true)
			fail := func(name string) {
				if name == hook && wrong.Load() {
					panic("of the hook")
				}
			}
			ended := make(chan error, 1)
			server := &proxy.Server{
				Dial: func(ctx context.Context, client net.Conn) (net.Conn, error) {
					fail("Dial")
					c, err := proxy.To("tcp", upstream.Addr)(ctx, client)
					if hook == "connection" && wrong.Load() {
						c = panicking{c}
					}
					return c, err
				},
				Header: func(net.Addr) proxy.HeaderPolicy { fail("Header"); return proxy.HeaderNone },
				Tap: func(net.Conn) func(proxy.Direction, []byte) {
					fail("Tap")
					return nil
				},
				Report: func(r proxy.Report) { ended <- r.Err; fail("Report") },
				Logger: logger(&log),
			}
			addr := serve(t, server, "tcp")
			if hook == "Report" {
				c := dial(t, addr)
				closeWrite(t, c)
				receiveEnd(t, c, nil, nil)
			} else {
				wantReset(t, addr)
			}
			err := <-ended
			until(t, func() bool { return strings.Contains(log.String(), "of the hook") || hook == "connection" }, "logged")
			if (err == nil) != (hook == "Report") {
				t.Errorf("Report: %v", err)
			}
			wrong.Store(false)
			ping(t, dial(t, addr))
			until(t, func() bool { return server.Stats().Active == 1 }, "counted")
			if got := log.String(); strings.Count(got, "stack=") != 1 {
				t.Errorf("logged:\n%s", got)
			}
		})
	}
}
