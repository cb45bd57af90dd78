package proxy_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/proxy"
)

// A headerRig is a HeaderListener in a network in memory.
type headerRig struct {
	*proxy.HeaderListener
	t       *testing.T
	network *memnet.Network

	mu     sync.Mutex
	logged []error // in their order
}

// newHeaderRig returns a rig whose policy holds for all. It is made in a bubble.
func newHeaderRig(t *testing.T, policy proxy.HeaderPolicy) *headerRig {
	t.Helper()
	r := &headerRig{t: t, network: new(memnet.Network)}
	l, err := r.network.Listen("tcp", "192.0.2.250:80")
	if err != nil {
		t.Fatal(err)
	}
	r.HeaderListener = &proxy.HeaderListener{
		Listener: l,
		Policy:   func(net.Addr) proxy.HeaderPolicy { return policy },
		Timeout:  5 * time.Second,
		Logger:   slog.New(refusals{slog.DiscardHandler, r}),
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// refusals is a log of which the rig keeps the errors.
type refusals struct {
	slog.Handler
	rig *headerRig
}

func (refusals) Enabled(context.Context, slog.Level) bool { return true }

func (l refusals) Handle(_ context.Context, record slog.Record) error {
	l.rig.mu.Lock()
	defer l.rig.mu.Unlock()
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "error" {
			l.rig.logged = append(l.rig.logged, errors.New(a.Value.String()))
		}
		return true
	})
	return nil
}

// refused returns the errors of the connections that were refused so far.
func (r *headerRig) refused() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.logged)
}

// dial returns a new client.
func (r *headerRig) dial() *memnet.Conn {
	r.t.Helper()
	c, err := r.network.Dial("tcp", "192.0.2.250:80")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

// accept starts Accept and returns where its connections are.
func (r *headerRig) accept() <-chan net.Conn {
	conns := make(chan net.Conn, 100)
	go func() {
		for {
			c, err := r.Accept()
			if err != nil {
				return
			}
			conns <- c
		}
	}()
	return conns
}

// What a connection begins with decides by the policy whether it is accepted, and
// what is read from it.
func TestHeaderPolicies(t *testing.T) {
	const (
		none, required = proxy.HeaderNone, proxy.HeaderRequired
		optional       = proxy.HeaderOptional
		refused        = proxy.HeaderRefused
		v1             = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"
		v2             = sig + "\x21\x11\x00\x0c" + wire4
	)
	for _, tt := range []struct {
		policy     proxy.HeaderPolicy
		sent, want string
		err        string // in the log, or empty
	}{
		{none, v1 + "payload", v1 + "payload", ""},
		{none, "", "", ""},
		{required, v1 + "payload", "payload", ""},
		{required, v2 + "payload", "payload", ""},
		{required, v1 + v1, v1, ""},
		{required, v2, "", ""},
		{required, "payload", "", "proxy: no PROXY header"},
		{required, "", "", "proxy: client: unexpected EOF"},
		{required, "PRO", "", "proxy: client: unexpected EOF"},
		{required, v2[:20], "", "proxy: client: unexpected EOF"},
		{optional, v1 + "payload", "payload", ""},
		{optional, v2 + "payload", "payload", ""},
		{optional, "payload", "payload", ""},
		{optional, "", "", ""},
		{optional, "\r\n", "\r\n", ""},
		{optional, "PROX", "PROX", ""},
		{optional, v2[:11], v2[:11], ""},
		{optional, v2[:12], "", "proxy: client: unexpected EOF"},
		{optional, "PROXY ", "", "proxy: client: unexpected EOF"},
		{optional, "PROXY TCP5 \r\n", "", "proxy: malformed PROXY header: protocol is none of TCP4, TCP6 and UNKNOWN"},
		{refused, "payload", "payload", ""},
		{refused, "", "", ""},
		{refused, "\r\n", "\r\n", ""},
		{refused, v1 + "payload", "", "proxy: PROXY header from a source that may send none"},
		{refused, v2, "", "proxy: PROXY header from a source that may send none"},
		{refused, v2[:20], "", "proxy: client: unexpected EOF"},
	} {
		t.Run("", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHeaderRig(t, tt.policy)
				conns := r.accept()
				c := r.dial()
				for i := range len(tt.sent) { // each byte alone
					if _, err := io.WriteString(c, tt.sent[i:i+1]); err != nil && tt.err == "" {
						t.Error(err)
					}
					synctest.Wait()
				}
				if err := c.CloseWrite(); err != nil && tt.err == "" {
					t.Error(err)
				}
				synctest.Wait()
				if tt.err != "" {
					if len(conns) != 0 || len(r.refused()) != 1 || r.refused()[0].Error() != tt.err {
						t.Fatalf("policy %d, %q: %d accepted, log %v, want %q", tt.policy, tt.sent, len(conns), r.refused(), tt.err)
					}
					if _, err := c.Read(make([]byte, 1)); err == nil {
						t.Error("the connection is open")
					}
					return
				}
				if len(conns) != 1 || len(r.refused()) != 0 {
					t.Fatalf("policy %d, %q: %d accepted, log %v", tt.policy, tt.sent, len(conns), r.refused())
				}
				accepted := <-conns
				defer accepted.Close()
				time.Sleep(time.Minute) // the deadline is gone
				if got, err := io.ReadAll(accepted); err != nil || string(got) != tt.want {
					t.Errorf("policy %d, %q: read %q, %v, want %q", tt.policy, tt.sent, got, err, tt.want)
				}
			})
		})
	}
}

// Every header is understood in one write and byte by byte, with the payload at its
// heels, and a connection that has one has its addresses at once.
func TestHeadersOnConnections(t *testing.T) {
	for _, tt := range headers {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHeaderRig(t, proxy.HeaderRequired)
				conns := r.accept()
				for _, piece := range []int{1, 7, len(tt.wire) - 1, len(tt.wire) + 3, 10000} {
					c := r.dial()
					for rest := tt.wire + "payload"; rest != ""; rest = rest[min(piece, len(rest)):] {
						send(t, c, rest[:min(piece, len(rest))])
						synctest.Wait()
					}
					synctest.Wait()
					if len(conns) != 1 {
						t.Fatalf("in pieces of %d: not accepted, log %v", piece, r.refused())
					}
					accepted := <-conns
					want := proxy.NewHeader(2, c.LocalAddr(), c.RemoteAddr()) // of the connection
					if tt.want.Network != "" {
						want = tt.want
					}
					if got := proxy.NewHeader(2, accepted.RemoteAddr(), accepted.LocalAddr()); got.Network != want.Network ||
						got.Source != want.Source || got.Destination != want.Destination ||
						got.SourcePath != want.SourcePath || got.DestinationPath != want.DestinationPath {
						t.Errorf("in pieces of %d: addresses %+v, want %+v", piece, got, want)
					}
					h, ok := proxy.HeaderOf(accepted)
					if !ok || h.Version != tt.want.Version || h.Local != tt.want.Local || string(h.Extra) != string(tt.want.Extra) {
						t.Errorf("in pieces of %d: HeaderOf = %+v, %v, want %+v", piece, h, ok, tt.want)
					}
					got := make([]byte, len("payload"))
					if _, err := io.ReadFull(accepted, got); err != nil || string(got) != "payload" {
						t.Errorf("in pieces of %d: read %q, %v", piece, got, err)
					}
					// The deadline is gone.
					time.Sleep(time.Minute)
					send(t, c, "x")
					if _, err := accepted.Read(got); err != nil {
						t.Errorf("a minute later: %v", err)
					}
					accepted.Close()
				}
			})
		})
	}
}

// The longest headers are taken, and one that is longer is refused as soon as that
// is known.
func TestLongHeadersOnConnections(t *testing.T) {
	long := func(n int) string { // a header of version 2 with n bytes
		n -= 16
		return sig + "\x20\x00" + string([]byte{byte(n >> 8), byte(n)}) + strings.Repeat("\x00", n)
	}
	for _, tt := range []struct {
		name, sent string
		ok         bool
	}{
		{"107 bytes", "PROXY UNKNOWN " + strings.Repeat("x", 91) + "\r\n", true},
		{"no end in 107 bytes", "PROXY UNKNOWN " + strings.Repeat("x", 93), false},
		{"256 bytes", long(256), true},
		{"257 bytes", long(257), true},
		{"4096 bytes", long(4096), true},
		{"4097 bytes are told", long(4097)[:16], false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHeaderRig(t, proxy.HeaderRequired)
				conns := r.accept()
				begin := time.Now()
				send(t, r.dial(), tt.sent)
				synctest.Wait()
				if ok := len(conns) == 1; ok != tt.ok || ok == (len(r.refused()) == 1) || time.Since(begin) != 0 {
					t.Errorf("accepted: %v, log %v, want %v", ok, r.refused(), tt.ok)
				}
				for len(conns) > 0 {
					(<-conns).Close()
				}
			})
		})
	}
}

// The time for a header is for all of it, and what is no header by then is payload
// where it may be.
func TestSlowHeaderTimesOut(t *testing.T) {
	for _, tt := range []struct {
		policy   proxy.HeaderPolicy
		sent     string
		accepted bool
	}{
		{proxy.HeaderRequired, "", false},
		{proxy.HeaderRequired, "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", false},
		{proxy.HeaderOptional, "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", false},
		{proxy.HeaderRefused, "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", false},
		{proxy.HeaderOptional, "", true},
		{proxy.HeaderRefused, "", true},
		{proxy.HeaderOptional, "\r\n\r", true},
	} {
		t.Run("", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHeaderRig(t, tt.policy)
				conns := r.accept()
				c := r.dial()
				go func() { // a byte in half a second: it would take 22 of them
					for i := range len(tt.sent) {
						if _, err := io.WriteString(c, tt.sent[i:i+1]); err != nil {
							return
						}
						time.Sleep(500*time.Millisecond + 1)
					}
				}()
				time.Sleep(5*time.Second - 1)
				synctest.Wait()
				if len(conns) != 0 || len(r.refused()) != 0 {
					t.Fatalf("before the time is over: %d accepted, log %v", len(conns), r.refused())
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				if !tt.accepted {
					if want := "proxy: client: "; len(conns) != 0 || len(r.refused()) != 1 || !strings.HasPrefix(r.refused()[0].Error(), want) ||
						!strings.Contains(r.refused()[0].Error(), os.ErrDeadlineExceeded.Error()) {
						t.Errorf("%d accepted, log %v", len(conns), r.refused())
					}
					time.Sleep(time.Minute) // until the sender notices
					return
				}
				if len(conns) != 1 {
					t.Fatalf("not accepted, log %v", r.refused())
				}
				accepted := <-conns
				defer accepted.Close()
				time.Sleep(time.Minute) // the deadline is gone
				send(t, c, "payload")
				want := tt.sent + "payload"
				got := make([]byte, len(want))
				if _, err := io.ReadFull(accepted, got); err != nil || string(got) != want {
					t.Errorf("read %q, %v, want %q", got, err, want)
				}
			})
		})
	}
}

// What came before the peer closed a net.Pipe, which has no deadlines then, is not lost.
func TestHeaderBeforeClosedPipe(t *testing.T) {
	for _, sent := range []string{headerLine + "payload", "payload"} {
		client, conn := net.Pipe()
		go func() {
			_, _ = io.WriteString(client, sent) // which the other end sees
			client.Close()
		}()
		l := &proxy.HeaderListener{
			Listener: newListOf(closesAfterRead{conn, client}),
			Policy:   policyOf(proxy.HeaderOptional),
		}
		l.Logger = slog.New(closing{slog.DiscardHandler, l.Listener})
		accepted, err := l.Accept()
		if err != nil {
			t.Fatalf("%q is refused", sent)
		}
		if got, err := io.ReadAll(accepted); err != nil || string(got) != "payload" {
			t.Errorf("read %q, %v", got, err)
		}
		accepted.Close()
		l.Close()
	}
}

// A closesAfterRead has its peer closed by the first Read.
type closesAfterRead struct {
	net.Conn
	peer net.Conn
}

func (c closesAfterRead) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.peer.Close()
	return n, err
}

// HeaderOf finds nothing where nothing is, however often that is wrapped.
func TestHeaderOfOthers(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	var endless wrapsItself
	endless.Conn = a
	for _, c := range []net.Conn{nil, a, proxy.Prepend(a, []byte("x")), &endless, wrapsNothing{a}} {
		if h, ok := proxy.HeaderOf(c); ok || h != nil {
			t.Errorf("HeaderOf(%T) = %v", c, h)
		}
	}
}

type wrapsItself struct{ net.Conn }

func (c *wrapsItself) NetConn() net.Conn { return c }

type wrapsNothing struct{ net.Conn }

func (wrapsNothing) NetConn() net.Conn { return nil }

// However the bytes of a connection come, what is taken for a header is what
// ParseHeader takes, and all else is left to be read.
func FuzzHeaderConn(f *testing.F) {
	for _, h := range headers {
		f.Add([]byte(h.wire+"payload"), uint8(5))
	}
	f.Add([]byte("PROX"), uint8(1))
	f.Add([]byte("GET / HTTP/1.1\r\n"), uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		h, n, parseErr := proxy.ParseHeader(b)
		client, conn := net.Pipe()
		go func() {
			defer client.Close()
			for rest := b; len(rest) > 0; {
				n, err := client.Write(rest[:min(1+int(piece), len(rest))])
				if rest = rest[n:]; err != nil {
					return
				}
			}
		}()
		l := &proxy.HeaderListener{
			Listener: newListOf(conn),
			Policy:   func(net.Addr) proxy.HeaderPolicy { return proxy.HeaderOptional },
		}
		l.Logger = slog.New(closing{slog.DiscardHandler, l.Listener})
		defer l.Close()
		accepted, err := l.Accept()
		if err != nil { // it has been refused
			if parseErr == nil || parseErr == proxy.ErrNoHeader {
				t.Fatalf("%q is refused", b)
			}
			return
		}
		defer accepted.Close()
		got, err := io.ReadAll(accepted)
		if taken, ok := proxy.HeaderOf(accepted); ok != (parseErr == nil) || ok && taken.Source != h.Source {
			t.Fatalf("HeaderOf = %+v, want %+v", taken, h)
		}
		if err != nil || string(got) != string(b[n:]) {
			t.Fatalf("read %q, %v, want %q", got, err, b[n:])
		}
	})
}

// A listOf is a listener that has some connections.
type listOf struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newListOf(conns ...net.Conn) *listOf {
	l := &listOf{conns: make(chan net.Conn, len(conns)), closed: make(chan struct{})}
	for _, c := range conns {
		l.conns <- c
	}
	return l
}

func (l *listOf) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listOf) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listOf) Addr() net.Addr { return &net.TCPAddr{} }

// closing is a log that closes a listener at the first record.
type closing struct {
	slog.Handler
	l net.Listener
}

func (closing) Enabled(context.Context, slog.Level) bool { return true }

func (c closing) Handle(context.Context, slog.Record) error { return c.l.Close() }
