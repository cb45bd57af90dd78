package echo_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/echo"
	"github.com/netparts/netparts/internal/memnet"
)

// A client that connects and does not begin the handshake is cut after ten
// seconds, or after the idle timeout if that is shorter.
func TestSilentTLSClient(t *testing.T) {
	serverTLS, _ := certificate()
	for _, tt := range []struct{ idle, want time.Duration }{
		{0, 10 * time.Second}, {-1, 10 * time.Second}, {time.Minute, 10 * time.Second}, {time.Second, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			var log journal
			server := echo.Server{IdleTimeout: tt.idle, Logger: slog.New(&log)}
			client, conn := memnet.Pipe()
			begin := time.Now()
			ended := serveConn(t.Context(), &server, tls.Server(conn, serverTLS))
			// Its first byte does not help it.
			_, err := client.Write([]byte{0x16})
			must(t, err)
			if got, err := io.ReadAll(client); len(got) > 0 && err == nil {
				t.Errorf("read %q, %v", got, err)
			}
			if after := time.Since(begin); after != tt.want {
				t.Errorf("with IdleTimeout %v cut after %v, want %v", tt.idle, after, tt.want)
			}
			must(t, <-ended)
			if records := log.all(); len(records) != 1 || records[0]["error"] != context.DeadlineExceeded.Error() {
				t.Errorf("logged %v", records)
			}
			client.Close()
		})
	}
}

// After the handshake the idle timeout counts.
func TestIdleTimeoutOfTLS(t *testing.T) {
	serverTLS, clientTLS := certificate()
	synctest.Test(t, func(t *testing.T) {
		server := echo.Server{IdleTimeout: time.Minute}
		inner, conn := memnet.Pipe()
		ended := serveConn(t.Context(), &server, tls.Server(conn, serverTLS))
		client := tls.Client(inner, clientTLS)
		must(t, client.Handshake())
		begin := time.Now()
		for range 3 {
			time.Sleep(59 * time.Second)
			wantEcho(t, client, "ping")
		}
		wantEnd(t, client) // a clean one
		if after, want := time.Since(begin), 3*59*time.Second+time.Minute; after != want {
			t.Errorf("cut after %v, want %v", after, want)
		}
		must(t, <-ended)
		must(t, inner.Close())
	})
}

// Bytes that are no TLS end the connection, and no other.
func TestPlainClientOfTLS(t *testing.T) {
	var log journal
	server := echo.Server{Logger: slog.New(&log)}
	addr := listen(t, &server, "tls")
	other := dial(t, "tls", addr)
	plain := dial(t, "tcp", addr)
	_, err := plain.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
	must(t, err)
	if got, err := io.ReadAll(plain); err != nil && len(got) > 100 {
		t.Errorf("read %q, %v", got, err)
	}
	wantEcho(t, other, "ping")
	shutDown(t, &server)
	failed := 0
	for _, r := range log.all() {
		if r["error"] != nil {
			failed++
		}
	}
	if records := log.all(); len(records) != 2 || failed != 1 {
		t.Errorf("logged %v", records)
	}
}

// A client of which the connection breaks in the middle of a record, or right
// after one, is not taken for one that has ended.
func TestVanishedTLSClient(t *testing.T) {
	serverTLS, clientTLS := certificate()
	for _, rest := range []string{"", "\x17\x03\x03\x01\x00half a record"} {
		synctest.Test(t, func(t *testing.T) {
			var log journal
			server := echo.Server{Logger: slog.New(&log)}
			inner, conn := memnet.Pipe()
			ended := serveConn(t.Context(), &server, tls.Server(conn, serverTLS))
			client := tls.Client(inner, clientTLS)
			wantEcho(t, client, "ping")
			_, err := io.WriteString(inner, rest)
			must(t, err)
			must(t, inner.SetLinger(0))
			must(t, inner.Close())
			must(t, <-ended)
			if records := log.all(); len(records) != 1 || records[0]["error"] == nil || records[0]["bytes"] != int64(4) {
				t.Errorf("logged %v", records)
			}
		})
	}
}

// What a TLS client has sent comes back, also if Shutdown begins before it reads,
// and the end is that of TLS, so that the client can tell it from a break.
func TestShutdownOfTLSInTheMiddle(t *testing.T) {
	serverTLS, clientTLS := certificate()
	synctest.Test(t, func(t *testing.T) {
		var server echo.Server
		inner, conn := memnet.Pipe()
		ended := serveConn(t.Context(), &server, tls.Server(conn, serverTLS))
		client := tls.Client(inner, clientTLS)
		sent := pattern(100_000)
		_, err := client.Write(sent)
		must(t, err)
		synctest.Wait()
		stopped := make(chan error, 1)
		go func() { stopped <- server.Shutdown(t.Context()) }()
		synctest.Wait()
		wantRead(t, client, string(sent))
		wantEnd(t, client)
		must(t, <-stopped)
		must(t, <-ended)
		must(t, inner.Close())
	})
}

// Close does not wait for a client to take the farewell of TLS.
func TestCloseOfTLSWithAClientThatDoesNotRead(t *testing.T) {
	serverTLS, clientTLS := certificate()
	synctest.Test(t, func(t *testing.T) {
		var server echo.Server
		inner, conn := memnet.Pipe()
		ended := serveConn(t.Context(), &server, tls.Server(conn, serverTLS))
		client := tls.Client(inner, clientTLS)
		_, err := client.Write(pattern(100_000))
		must(t, err)
		synctest.Wait()
		begin := time.Now()
		must(t, server.Close())
		if err := <-ended; err != echo.ErrServerClosed {
			t.Errorf("ServeConn: %v, want %v", err, echo.ErrServerClosed)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("Close took %v", took)
		}
		must(t, inner.Close())
	})
}

// ListenAndServe takes the configuration from the server.
func TestListenAndServeTLS(t *testing.T) {
	serverTLS, clientTLS := certificate()
	server := echo.Server{TLSConfig: serverTLS}
	addr := listenAndServe(t, &server, "tls", "127.0.0.1:0")
	conn, err := tls.Dial("tcp", addr.String(), clientTLS)
	wantWholeEcho(t, soon(t, conn, err), pattern(100_000))

	var none echo.Server
	if err := none.ListenAndServe("tls", "127.0.0.1:0"); err == nil || errors.Is(err, net.ErrClosed) {
		t.Errorf("without a certificate: %v", err)
	}
}

// TLS needs a stream and nothing else of what is below it: over a Unix socket the same server
// echoes the same bytes.
func TestTLSOverAnyStream(t *testing.T) {
	serverTLS, clientTLS := certificate()
	for _, network := range []string{"tcp", "unix"} {
		l, err := tls.Listen(network, address(t, network), serverTLS)
		must(t, err)
		var server echo.Server
		run(t, &server, func() error { return server.Serve(l) })
		conn, err := tls.Dial(network, l.Addr().String(), clientTLS)
		wantWholeEcho(t, soon(t, conn, err), pattern(100_000))
	}
}
