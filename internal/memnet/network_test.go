package memnet_test

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
)

func TestListenAndDial(t *testing.T) {
	var n memnet.Network
	l, err := n.Listen("tcp", "192.0.2.1:80")
	must(t, err)
	if got := l.Addr().String(); got != "192.0.2.1:80" {
		t.Errorf("Addr = %s", got)
	}
	c, err := n.Dial("tcp", "192.0.2.1:80")
	must(t, err)
	s, err := l.Accept()
	must(t, err)
	if c.LocalAddr().String() != s.RemoteAddr().String() || c.RemoteAddr().String() != s.LocalAddr().String() {
		t.Errorf("addresses do not match: %v %v, %v %v", c.LocalAddr(), c.RemoteAddr(), s.LocalAddr(), s.RemoteAddr())
	}
	if _, ok := s.RemoteAddr().(*net.TCPAddr); !ok {
		t.Errorf("RemoteAddr is a %T", s.RemoteAddr())
	}
	free, err := n.Listen("tcp", ":0")
	must(t, err)
	if port := free.Addr().(*net.TCPAddr).Port; port < 49152 {
		t.Errorf("free port is %d", port)
	}
	for _, tt := range []struct {
		name, network, address string
		want                   error
	}{
		{"taken address", "tcp", "192.0.2.1:80", syscall.EADDRINUSE},
		{"unknown network", "unix", "/tmp/x", net.UnknownNetworkError("unix")},
		{"no address", "tcp", "localhost:80", nil},
		{"wildcard", "tcp", "0.0.0.0:80", nil},
	} {
		if _, err := n.Listen(tt.network, tt.address); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: Listen: %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := n.Dial("tcp", "192.0.2.1:81"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Dial to nobody: %v, want %v", err, syscall.ECONNREFUSED)
	}
	if _, err := n.Dial("tcp", "[::ffff:192.0.2.1]:80"); err != nil {
		t.Errorf("Dial of the mapped address: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, address := range []string{"192.0.2.1:80", "192.0.2.1:81"} {
		if c, err := n.DialContext(ended, "tcp", address); c != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("Dial of %s with an ended context = %v, %v, want nil, %v", address, c, err, context.Canceled)
		}
	}
	must(t, l.Close())
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v, want %v", err, net.ErrClosed)
	}
	if _, err := n.Dial("tcp", "192.0.2.1:80"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Dial after Close: %v, want %v", err, syscall.ECONNREFUSED)
	}
	if _, err := n.Listen("tcp", "192.0.2.1:80"); err != nil {
		t.Errorf("Listen again: %v", err)
	}
}

func TestCloseEndsAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network
		l, err := n.Listen("tcp", "[2001:db8::1]:80")
		must(t, err)
		go func() {
			time.Sleep(time.Minute)
			l.Close()
		}()
		start := time.Now()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) || time.Since(start) != time.Minute {
			t.Errorf("Accept: %v after %v", err, time.Since(start))
		}
	})
}

func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network
		l, err := n.Listen("tcp", "192.0.2.1:80")
		must(t, err)
		var waiting []net.Conn
		var last error
		for range 1000 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			c, err := n.DialContext(ctx, "tcp", "192.0.2.1:80")
			cancel()
			if last = err; err != nil {
				break
			}
			waiting = append(waiting, c)
		}
		if !errors.Is(last, context.DeadlineExceeded) || len(waiting) != 128 {
			t.Errorf("%d connections, then %v, want 128 and %v", len(waiting), last, context.DeadlineExceeded)
		}
		dialed := make(chan error)
		go func() {
			_, err := n.Dial("tcp", "192.0.2.1:80")
			dialed <- err
		}()
		synctest.Wait()
		if _, err := l.Accept(); err != nil {
			t.Error(err)
		}
		if err := <-dialed; err != nil {
			t.Errorf("Dial when there is room again: %v", err)
		}
		go func() {
			_, err := n.Dial("tcp", "192.0.2.1:80")
			dialed <- err
		}()
		synctest.Wait()
		must(t, l.Close())
		if err := <-dialed; !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial while the listener closes: %v, want %v", err, syscall.ECONNREFUSED)
		}
		if _, err := waiting[1].Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("connection that was never accepted: %v, want %v", err, syscall.ECONNRESET)
		}
	})
}
