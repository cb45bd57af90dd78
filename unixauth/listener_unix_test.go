//go:build linux || darwin || freebsd

package unixauth_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/netparts/netparts/unixauth"
)

// policy returns the policy of some rules.
func policy(tb testing.TB, rules ...unixauth.Rule) *unixauth.Policy {
	tb.Helper()
	p, err := unixauth.NewPolicy(rules...)
	must(tb, err)
	return p
}

// dial connects to a Unix socket, with a deadline.
func dial(tb testing.TB, addr net.Addr) *net.UnixConn {
	tb.Helper()
	conn, err := net.Dial("unix", addr.String())
	must(tb, err)
	tb.Cleanup(func() { conn.Close() })
	must(tb, conn.SetDeadline(socketDeadline()))
	return conn.(*net.UnixConn)
}

// self reports whether c is of this process.
func self(c unixauth.Cred) bool {
	pid, ok := c.PID()
	return c.String() != unixauth.Cred{}.String() && int(c.UID) == os.Geteuid() && int(c.GID) == os.Getegid() && (!ok || pid == os.Getpid())
}

func TestListener(t *testing.T) {
	inner := listen(t, socketPath(t), unixauth.Options{})
	l := &unixauth.Listener{Listener: inner, Policy: policy(t, unixauth.Self())}
	if l.Addr().String() != inner.Addr().String() {
		t.Errorf("Addr = %v, want %v", l.Addr(), inner.Addr())
	}
	for range 3 {
		client := dial(t, inner.Addr())
		accepted, err := l.Accept()
		must(t, err)
		conn, ok := accepted.(*unixauth.Conn)
		if !ok || !self(conn.Cred()) {
			t.Fatalf("accepted a %T of %v", accepted, conn.Cred())
		}
		must(t, conn.SetDeadline(socketDeadline()))
		_, err = io.WriteString(client, "ping")
		must(t, err)
		must(t, client.CloseWrite())
		if b, err := io.ReadAll(conn); string(b) != "ping" || err != nil {
			t.Errorf("read %q, %v", b, err)
		}
		must(t, conn.Close())
	}
	must(t, l.Close())
	if _, err := os.Lstat(inner.Addr().String()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is left: %v", err)
	}
}

// denials is a Listener that denies, and what came of it.
type denials struct {
	*unixauth.Listener
	log bytes.Buffer // not to be read before it is closed

	mu   sync.Mutex
	errs []error
}

// deny makes a Listener whose Accept nobody returns from.
func deny(t *testing.T, inner net.Listener, p *unixauth.Policy) *denials {
	t.Helper()
	d := new(denials)
	d.Listener = &unixauth.Listener{
		Listener: inner, Policy: p, Message: "denied\n",
		Logger: slog.New(slog.NewTextHandler(&d.log, nil)),
		OnDeny: func(err error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.errs = append(d.errs, err)
		},
	}
	accepted := make(chan error, 1)
	go func() {
		_, err := d.Accept()
		accepted <- err
	}()
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if err := <-accepted; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: %v, want %v", err, net.ErrClosed)
		}
	})
	return d
}

// stranger is a policy that does not allow this process.
func stranger(tb testing.TB) *unixauth.Policy {
	tb.Helper()
	return policy(tb, unixauth.UIDs(uint32(os.Geteuid())+1))
}

// wantDenied checks that a client is told so, and that its connection ends well.
func wantDenied(t *testing.T, client net.Conn) {
	t.Helper()
	if b, err := io.ReadAll(client); string(b) != "denied\n" || err != nil {
		t.Errorf("a denied peer reads %q, %v", b, err)
	}
}

func TestDeniedPeer(t *testing.T) {
	for name, p := range map[string]*unixauth.Policy{"policy": stranger(t), "empty policy": policy(t), "no policy": nil} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, socketPath(t), unixauth.Options{})
			d := deny(t, l, p)
			wantDenied(t, dial(t, l.Addr()))
			must(t, d.Close())
			if len(d.errs) != 1 {
				t.Fatalf("errors %v, want one", d.errs)
			}
			denied, ok := errors.AsType[*unixauth.DeniedError](d.errs[0])
			if !ok || !errors.Is(denied, unixauth.ErrDenied) || !self(denied.Cred) || denied.Err != nil {
				t.Errorf("OnDeny has %v", d.errs[0])
			}
			log := d.log.String()
			if strings.Count(log, "\n") != 1 || !strings.Contains(log, `msg="peer denied" uid=`) || !strings.Contains(log, " gid=") {
				t.Errorf("log %q", log)
			}
		})
	}
}

// A client may write before it reads. Were that left unread, it would have an error instead
// of the message or after it.
func TestDeniedPeerThatWrites(t *testing.T) {
	for name, asks := range map[string]bool{"at once": false, "after a question": true} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, socketPath(t), unixauth.Options{})
			// It has written before the Listener looks at it.
			client := dial(t, l.Addr())
			_, err := client.Write(make([]byte, 100_000))
			must(t, err)
			d := &unixauth.Listener{Listener: l, Policy: stranger(t), Message: "denied\n"}
			if asks {
				d.SetCheck(stranger(t).Check)
			}
			accepted := make(chan error, 1)
			go func() {
				_, err := d.Accept()
				accepted <- err
			}()
			wantDenied(t, client)
			must(t, d.Close())
			<-accepted
		})
	}
}

// The name that a client's socket is bound to is chosen by the client, and is not logged.
func TestDeniedPeerWithName(t *testing.T) {
	l := listen(t, socketPath(t), unixauth.Options{})
	d := deny(t, l, nil)
	forged := t.TempDir() + "/uid=0"
	client, err := net.DialUnix("unix", &net.UnixAddr{Net: "unix", Name: forged}, l.Addr().(*net.UnixAddr))
	must(t, err)
	defer client.Close()
	must(t, client.SetDeadline(socketDeadline()))
	wantDenied(t, client)
	must(t, d.Close())
	if log := d.log.String(); strings.Count(log, "\n") != 1 || strings.Contains(log, forged) {
		t.Errorf("log %q", log)
	}
}

// A connection that is not of a Unix socket is denied, whatever the policy.
func TestDeniedTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	d := deny(t, l, policy(t, unixauth.Everyone()))
	client, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	defer client.Close()
	must(t, client.SetDeadline(socketDeadline()))
	wantDenied(t, client)
	must(t, d.Close())
	if len(d.errs) != 1 || !errors.Is(d.errs[0], unixauth.ErrDenied) || !errors.Is(d.errs[0], unixauth.ErrNoCred) {
		t.Errorf("OnDeny has %v, want one that wraps %v", d.errs, unixauth.ErrNoCred)
	}
	if log := d.log.String(); strings.Contains(log, "uid") || !strings.Contains(log, unixauth.ErrNoCred.Error()) {
		t.Errorf("log %q", log)
	}
}

// Without a message the connection ends, and that is all.
func TestDeniedWithoutAWord(t *testing.T) {
	l := listen(t, socketPath(t), unixauth.Options{})
	silent := &unixauth.Listener{Listener: l}
	accepted := make(chan error, 1)
	go func() {
		_, err := silent.Accept()
		accepted <- err
	}()
	if b, err := io.ReadAll(dial(t, l.Addr())); len(b) > 0 || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
	must(t, silent.Close())
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
}

// What was accepted below and not above is closed.
func TestCloseOfListenerClosesWhatWaits(t *testing.T) {
	inner := listen(t, socketPath(t), unixauth.Options{})
	l := &unixauth.Listener{Listener: inner, Policy: policy(t, unixauth.Self())}
	first, second := dial(t, inner.Addr()), dial(t, inner.Addr())
	conn, err := l.Accept() // it goes on in the background
	must(t, err)
	defer conn.Close()
	must(t, l.Close())
	if _, err := second.Read(make([]byte, 1)); err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection that waits: %v, want its end", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
	// What was handed out is not the listener's any more.
	_, err = io.WriteString(conn, "pong")
	must(t, err)
	b := make([]byte, 4)
	if _, err := io.ReadFull(first, b); string(b) != "pong" || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestCloseOfListenerBeforeAccept(t *testing.T) {
	inner := listen(t, socketPath(t), unixauth.Options{})
	l := &unixauth.Listener{Listener: inner}
	must(t, l.Close())
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	if err := inner.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener below was not closed: %v", err)
	}
}

func TestCredFrom(t *testing.T) {
	inner := listen(t, socketPath(t), unixauth.Options{})
	l := &unixauth.Listener{Listener: inner, Policy: policy(t, unixauth.Self())}
	defer l.Close()
	client := dial(t, inner.Addr())
	conn, err := l.Accept()
	must(t, err)
	defer conn.Close()
	for name, tt := range map[string]struct {
		conn net.Conn
		ok   bool
	}{
		"ours":               {conn, true},
		"one that embeds it": {struct{ *unixauth.Conn }{conn.(*unixauth.Conn)}, true},
		"TLS over ours":      {tls.Server(conn, nil), true},
		"wrapped twice":      {wrapped{wrapped{conn}}, true},
		"the client's end":   {client, false},
		"TLS over another":   {tls.Client(client, nil), false},
		"nil":                {nil, false},
		"a nil one of ours":  {(*unixauth.Conn)(nil), false},
		"a nil one of TLS":   {(*tls.Conn)(nil), false},
		"a wrapper of none":  {wrapped{}, false},
		"one without an end": {endless{}, false},
	} {
		if c, ok := unixauth.CredFrom(tt.conn); ok != tt.ok || ok != self(c) {
			t.Errorf("%s: CredFrom = %v, %t, want %t", name, c, ok, tt.ok)
		}
		ctx := unixauth.ConnContext(t.Context(), tt.conn)
		if c, ok := unixauth.CredFromContext(ctx); ok != tt.ok || ok != self(c) {
			t.Errorf("%s: CredFromContext = %v, %t, want %t", name, c, ok, tt.ok)
		}
	}
}
