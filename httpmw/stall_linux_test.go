package httpmw_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/httpmw"
)

// stallOption returns TCP_USER_TIMEOUT of a connection, in milliseconds.
func stallOption(t *testing.T, conn net.Conn) (ms int) {
	t.Helper()
	if c, ok := conn.(*tls.Conn); ok {
		conn = c.NetConn()
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Error(err)
		return
	}
	var optErr error
	if err := raw.Control(func(fd uintptr) { ms, optErr = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, 18) }); err != nil || optErr != nil {
		t.Error(err, optErr)
	}
	return ms
}

func TestServerSetsTheStallTimeout(t *testing.T) {
	for _, secure := range []bool{false, true} {
		srv := httptest.NewUnstartedServer(nil)
		srv.Config = httpmw.NewServer(nil, nil)
		set := srv.Config.ConnContext
		options := make(chan int, 1)
		srv.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
			ctx = set(ctx, conn)
			options <- stallOption(t, conn)
			return ctx
		}
		if secure {
			srv.StartTLS()
		} else {
			srv.Start()
		}
		resp, err := srv.Client().Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		srv.Close()
		if got := <-options; got != 30_000 {
			t.Errorf("TLS %t: TCP_USER_TIMEOUT is %d ms, want 30000", secure, got)
		}
	}
}

// The kernel counts a window that stays shut, not only what is not acknowledged.
func TestStalledClientIsCut(t *testing.T) {
	written := make(chan error, 1)
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = httpmw.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b := make([]byte, 64<<10)
		var err error
		for err == nil {
			_, err = w.Write(b)
		}
		written <- err
	}), nil)
	srv.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		httpmw.CutStalled(conn, 500*time.Millisecond)
		return ctx
	}
	srv.Start()
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, get); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-written: // ETIMEDOUT, or what comes after it if net/http has read that
		t.Log(err)
	case <-time.After(20 * time.Second):
		t.Error("a client that reads nothing is not cut")
	}
}

// What has no such option is served without.
func TestStallTimeoutOfOtherConnections(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	httpmw.CutStalled(a, time.Second)
	a.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	httpmw.CutStalled(conn, time.Second)
}
