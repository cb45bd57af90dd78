package proxy_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/leak"
	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/proxy"
)

const headerLine = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"

// Up to MaxPending clients that send no header delay no other. At the limit the
// others wait, for no longer than those have.
func TestSlowHeadersDelayNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHeaderRig(t, proxy.HeaderRequired)
		r.MaxPending = 3
		conns := r.accept()
		r.dial()
		r.dial()
		for range 10 { // the last place is enough for them
			send(t, r.dial(), headerLine)
			synctest.Wait()
			if len(conns) != 1 {
				t.Fatalf("%d connections beside two slow ones, want 1", len(conns))
			}
			(<-conns).Close()
		}
		r.dial()
		send(t, r.dial(), headerLine)
		time.Sleep(5*time.Second - 1)
		synctest.Wait()
		if len(conns) != 0 {
			t.Error("a connection beyond MaxPending")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if len(conns) != 1 || len(r.refused()) != 3 {
			t.Fatalf("%d connections, log %v, want 1 and 3 that came too late", len(conns), r.refused())
		}
		(<-conns).Close()
	})
}

// Connections that nobody accepts are pending too.
func TestPendingWaitForAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHeaderRig(t, proxy.HeaderRequired)
		var asked atomic.Int64
		r.Policy = func(net.Addr) proxy.HeaderPolicy {
			asked.Add(1)
			return proxy.HeaderRequired
		}
		r.MaxPending = 2
		for range 5 {
			send(t, r.dial(), headerLine)
		}
		first, err := r.Accept()
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := asked.Load(); n != 3 {
			t.Errorf("%d connections taken, want one that was accepted and two", n)
		}
		time.Sleep(time.Hour) // that no time-out holds for
		for range 4 {
			c, err := r.Accept()
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
		first.Close()
	})
}

// Close ends Accept, resets what waits for its header or for Accept, and leaves what
// has been accepted.
func TestHeaderListenerClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHeaderRig(t, proxy.HeaderRequired)
		served := r.dial()
		send(t, served, headerLine)
		accepted, err := r.Accept()
		if err != nil {
			t.Fatal(err)
		}
		half, ready := r.dial(), r.dial()
		send(t, half, headerLine[:20])
		send(t, ready, headerLine)
		synctest.Wait()
		begin := time.Now()
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("Close took %v", d)
		}
		for _, c := range []net.Conn{half, ready} {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("what was pending: %v, want %v", err, syscall.ECONNRESET)
			}
		}
		send(t, served, "x")
		if n, err := accepted.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("what was accepted: %d, %v", n, err)
		}
		accepted.Close()
		for range 2 {
			if c, err := r.Accept(); c != nil || !errors.Is(err, net.ErrClosed) {
				t.Errorf("Accept after Close: %v, %v", c, err)
			}
		}
		if err := r.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Close again: %v, want that of the listener", err)
		}
		if len(r.refused()) != 0 {
			t.Errorf("log of what Close has ended: %v", r.refused())
		}
	})
}

// Close wakes Accept, and needs none before.
func TestHeaderListenerCloseWakesAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHeaderRig(t, proxy.HeaderRequired)
		woken := make(chan error)
		go func() {
			_, err := r.Accept()
			woken <- err
		}()
		synctest.Wait()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := <-woken; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: %v, want %v", err, net.ErrClosed)
		}
		unused := newHeaderRig(t, proxy.HeaderRequired)
		if err := unused.Close(); err != nil {
			t.Error(err)
		}
		if _, err := unused.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close: %v, want %v", err, net.ErrClosed)
		}
	})
}

// A failing listener fails with some errors before it accepts.
type failing struct {
	net.Listener
	errs chan error
}

func (l failing) Accept() (net.Conn, error) {
	select {
	case err := <-l.errs:
		return nil, err
	default:
		return l.Listener.Accept()
	}
}

// Errors of accepting pass through, and connections come after them.
func TestHeaderListenerAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHeaderRig(t, proxy.HeaderRequired)
		r.MaxPending = 1
		l := failing{r.Listener, make(chan error, 2)}
		l.errs <- syscall.EMFILE
		l.errs <- syscall.ENOBUFS
		r.Listener = l
		for _, want := range []error{syscall.EMFILE, syscall.ENOBUFS} {
			if c, err := r.Accept(); c != nil || err != want {
				t.Fatalf("Accept = %v, %v, want %v", c, err, want)
			}
		}
		send(t, r.dial(), headerLine)
		c, err := r.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	})
}

// A panic of Policy, or none, ends the connection that it was asked for, and no other.
func TestPolicyPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHeaderRig(t, proxy.HeaderRequired)
		var asked atomic.Int64
		r.Policy = func(net.Addr) proxy.HeaderPolicy {
			if asked.Add(1) == 1 {
				panic("no policy")
			}
			return proxy.HeaderRequired
		}
		conns := r.accept()
		first := r.dial()
		if _, err := first.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Read: %v, want %v", err, syscall.ECONNRESET)
		}
		send(t, r.dial(), headerLine)
		synctest.Wait()
		if len(conns) != 1 || len(r.refused()) != 1 || r.refused()[0].Error() != "proxy: panic in Policy: no policy" {
			t.Fatalf("%d connections, log %v", len(conns), r.refused())
		}
		(<-conns).Close()
	})
}

// A client that sends a part of a header and resets its connection is none, and is
// told from one that is silent.
func TestHeaderCutByReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, policy := range []proxy.HeaderPolicy{proxy.HeaderRequired, proxy.HeaderOptional, proxy.HeaderRefused} {
			for _, part := range []string{"", "PRO", headerLine[:20]} {
				r := newHeaderRig(t, policy)
				conns := r.accept()
				c := r.dial()
				send(t, c, part)
				synctest.Wait()
				if err := c.SetLinger(0); err != nil {
					t.Fatal(err)
				}
				c.Close()
				synctest.Wait()
				if len(conns) != 0 || len(r.refused()) != 1 || !strings.Contains(r.refused()[0].Error(), syscall.ECONNRESET.Error()) {
					t.Errorf("policy %d, %q: %d accepted, log %v", policy, part, len(conns), r.refused())
				}
				r.Close()
			}
		}
	})
}

// TLS behind a header, over real sockets.
func TestTLSBehindHeader(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := tls.NewListener(&proxy.HeaderListener{
		Listener: inner,
		Policy:   func(net.Addr) proxy.HeaderPolicy { return proxy.HeaderRequired },
	}, serverTLS)
	defer l.Close()
	raw, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if err := raw.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		send(t, raw, headerLine)
		client := tls.Client(raw, clientTLS)
		_, err := io.WriteString(client, "payload")
		sent <- errors.Join(err, client.CloseWrite())
	}()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	if got := accepted.RemoteAddr().String(); got != v4a.String() {
		t.Errorf("RemoteAddr = %s, want %v", got, v4a)
	}
	if h, ok := proxy.HeaderOf(accepted); !ok || h.Destination != v4b {
		t.Errorf("HeaderOf = %+v, %v", h, ok)
	}
	got, err := io.ReadAll(accepted)
	if err != nil || string(got) != "payload" {
		t.Errorf("read %q, %v", got, err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// Nothing is left of connections that came to nothing, over real sockets.
func TestHeaderListenerLeavesNothing(t *testing.T) {
	_, before := leak.InUse()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &proxy.HeaderListener{
		Listener: inner,
		Policy:   func(net.Addr) proxy.HeaderPolicy { return proxy.HeaderRequired },
	}
	accepted := make(chan net.Conn, 100)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	for i := range 60 {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		switch i % 3 {
		case 0:
			send(t, c, headerLine)
			(<-accepted).Close()
		case 1:
			send(t, c, headerLine[:10]) // and then silence, until Close
		case 2:
			send(t, c, "GET / HTTP/1.1\r\n\r\n")
			if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Error("a connection without a header is open")
			}
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	<-ended
	after := 0
	for range 100 { // one that is done may not have gone yet
		if _, after = leak.InUse(); after <= before {
			return
		}
	}
	t.Errorf("%d goroutines, %d before", after, before)
}

// A connection with no address of its peer is logged as well.
func TestRefusalWithoutAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHeaderRig(t, proxy.HeaderRequired)
		r.Listener.Close()
		peer, conn := memnet.Pipe()
		r.Listener = newListOf(nameless{conn})
		conns := r.accept()
		send(t, peer, "x")
		synctest.Wait()
		if len(conns) != 0 || len(r.refused()) != 1 {
			t.Errorf("%d accepted, log %v", len(conns), r.refused())
		}
	})
}

type nameless struct{ net.Conn }

func (nameless) RemoteAddr() net.Addr { return nil }
