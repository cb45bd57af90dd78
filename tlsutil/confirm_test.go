package tlsutil_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/leak"
	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/tlsutil"
)

// A pairing is a connection of a client and what the server does with its end.
type pairing struct {
	conn *tls.Conn
	end  func() // waits for the server
}

// serve connects a client, and lets the server do something after its handshake.
func serve(t testing.TB, client, server *tls.Config, do func(*tls.Conn)) pairing {
	t.Helper()
	a, b := memnet.Pipe()
	conn := tls.Client(a, client)
	var served sync.WaitGroup
	served.Go(func() {
		s := tls.Server(b, server)
		defer s.Close()
		if s.Handshake() == nil {
			do(s)
		}
	})
	return pairing{conn, func() {
		conn.Close()
		served.Wait()
	}}
}

// silent waits until the client closes.
func silent(s *tls.Conn) { _, _ = io.Copy(io.Discard, s) }

// speaks sends something at once.
func speaks(s *tls.Conn) {
	_, _ = io.WriteString(s, "welcome")
	silent(s)
}

// Each certificate that a server refuses is refused in Confirm, with the reason.
func TestConfirmRefused(t *testing.T) {
	for _, tt := range certificates {
		if tt.judge == nil {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			p := newParties(t)
			cert := tt.make(t, p.ca, x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth)
			client := mutualClient.config(t, &tlsutil.Material{Certificate: cert, Roots: p.ca.Pool()}, dialed)
			peer := serve(t, client, mutualServer.config(t, p.server, nil), speaks)
			defer peer.end()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			conn, err := tlsutil.Confirm(ctx, peer.conn)
			if conn != nil {
				t.Error("Confirm returned a connection")
			}
			remote(tt.alert).check(t, "client", err)
		})
	}
	p := newParties(t)
	peer := serve(t, plainClient.config(t, p.client, dialed), mutualServer.config(t, p.server, nil), speaks)
	defer peer.end()
	_, err := tlsutil.Confirm(t.Context(), peer.conn)
	remote(tlsutil.ErrNoClientCert).check(t, "client", err)
}

// The client that refuses the server learns it from the handshake.
func TestConfirmRefuses(t *testing.T) {
	p, other := newParties(t), newParties(t)
	peer := serve(t, mutualClient.config(t, other.client, dialed), mutualServer.config(t, p.server, nil), speaks)
	defer peer.end()
	_, err := tlsutil.Confirm(t.Context(), peer.conn)
	local(tlsutil.ErrUnknownAuthority).check(t, "client", err)
}

// The byte for which Confirm has waited is not lost.
func TestConfirmKeepsTheFirstByte(t *testing.T) {
	p := newParties(t)
	synctest.Test(t, func(t *testing.T) {
		p := newParties(t)
		peer := serve(t, mutualClient.config(t, p.client, dialed), mutualServer.config(t, p.server, nil), speaks)
		defer peer.end()
		must(t, peer.conn.Handshake()) // done before
		conn, err := tlsutil.Confirm(t.Context(), peer.conn)
		must(t, err)
		time.Sleep(time.Hour) // no deadline is left
		if n, err := conn.Read(nil); n != 0 || err != nil {
			t.Errorf("Read(nil) = %d, %v", n, err)
		}
		got := make([]byte, len("welcome"))
		if n, err := io.ReadFull(conn, got); err != nil || string(got) != "welcome" {
			t.Errorf("read %q, %v", got[:n], err)
		}
	})
	// By several goroutines: each byte comes once.
	peer := serve(t, mutualClient.config(t, p.client, dialed), mutualServer.config(t, p.server, nil), speaks)
	defer peer.end()
	must(t, peer.conn.SetDeadline(time.Now().Add(patience)))
	conn, err := tlsutil.Confirm(t.Context(), peer.conn)
	must(t, err)
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	bytes := make(chan byte, len("welcome"))
	var wg sync.WaitGroup
	for range len("welcome") {
		wg.Go(func() {
			var b [1]byte
			if _, err := io.ReadFull(conn, b[:]); err != nil {
				t.Error(err)
			}
			bytes <- b[0]
		})
	}
	wg.Wait()
	close(bytes)
	var got []byte
	for b := range bytes {
		got = append(got, b)
	}
	for _, c := range "welcom" {
		if strings.Count(string(got), string(c)) != strings.Count("welcome", string(c)) {
			t.Errorf("the bytes are %q", got)
		}
	}
}

// A server that says nothing has not refused when the context ends. The connection is as it
// was.
func TestConfirmSilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParties(t)
		peer := serve(t, mutualClient.config(t, p.client, dialed), mutualServer.config(t, p.server, nil), func(s *tls.Conn) {
			b := make([]byte, 1)
			if _, err := io.ReadFull(s, b); err == nil {
				_, _ = s.Write(b)
			}
			silent(s)
		})
		defer peer.end()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin := time.Now()
		conn, err := tlsutil.Confirm(ctx, peer.conn)
		if err != nil || conn == nil || time.Since(begin) != 3*time.Second {
			t.Fatalf("after %v: %v, %v", time.Since(begin), conn, err)
		}
		// The context that has ended does not end a second one at once with an error.
		if conn, err = tlsutil.Confirm(ctx, peer.conn); err != nil {
			t.Errorf("again: %v", err)
		}
		time.Sleep(time.Hour)
		_, err = conn.Write([]byte{9})
		must(t, err)
		b := make([]byte, 1)
		if _, err := io.ReadFull(conn, b); err != nil || b[0] != 9 {
			t.Errorf("read %v, %v", b, err)
		}
	})
}

// A deadline of the caller's that passes is no word of the server's.
func TestConfirmDeadlineOfTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParties(t)
		peer := serve(t, mutualClient.config(t, p.client, dialed), mutualServer.config(t, p.server, nil), silent)
		defer peer.end()
		must(t, peer.conn.SetReadDeadline(time.Now().Add(time.Second)))
		conn, err := tlsutil.Confirm(t.Context(), peer.conn)
		if conn != nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v, %v, want the deadline", conn, err)
		}
	})
}

// With TLS 1.2 the server has judged during the handshake, so that nothing is waited for.
func TestConfirmTLS12(t *testing.T) {
	p := newParties(t)
	plain := plainClient.config(t, p.client, dialed)
	plain.MaxVersion = tls.VersionTLS12
	peer := serve(t, plain, plainServer.config(t, p.server, nil), silent)
	defer peer.end()
	conn, err := tlsutil.Confirm(t.Context(), peer.conn)
	if err != nil || conn != net.Conn(peer.conn) {
		t.Errorf("%v, %v, want the connection itself", conn, err)
	}

	// A server of others, which speaks TLS 1.2 and requires certificates.
	server := &tls.Config{MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{p.server.Certificate}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: p.ca.Pool()}
	for _, ok := range []bool{true, false} {
		m := p.client
		if !ok {
			m = &tlsutil.Material{Certificate: forge(t, nil, nil), Roots: p.ca.Pool()}
		}
		client := mutualClient.config(t, m, dialed)
		client.MinVersion = tls.VersionTLS12
		peer := serve(t, client, server, silent)
		defer peer.end()
		_, err := tlsutil.Confirm(t.Context(), peer.conn)
		if ok {
			must(t, err)
		} else {
			remote(tlsutil.ErrUnknownAuthority).check(t, "client", err)
		}
	}
}

// A server that closes has said nothing about the certificate: with an alert that tells
// the end, or without.
func TestConfirmClosed(t *testing.T) {
	p := newParties(t)
	for name, do := range map[string]func(*tls.Conn){
		"with an alert":    func(s *tls.Conn) { s.Close() },
		"without an alert": func(s *tls.Conn) { s.NetConn().Close() },
	} {
		peer := serve(t, mutualClient.config(t, p.client, dialed), mutualServer.config(t, p.server, nil), do)
		must(t, peer.conn.SetDeadline(time.Now().Add(patience)))
		conn, err := tlsutil.Confirm(t.Context(), peer.conn)
		if conn != nil || err != io.ErrUnexpectedEOF {
			t.Errorf("%s: %v, %v, want %v", name, conn, err, io.ErrUnexpectedEOF)
		}
		peer.end()
	}
}

// A context that ends during the handshake ends it.
func TestConfirmHandshakeThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParties(t)
		a, b := memnet.Pipe()
		defer b.Close()
		conn := tls.Client(a, mutualClient.config(t, p.client, dialed))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if c, err := tlsutil.Confirm(ctx, conn); c != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, %v", c, err)
		}
	})
}

// An error leaves the connection open, and nothing behind.
func TestConfirmLeavesNothing(t *testing.T) {
	p := newParties(t)
	_, before := leak.InUse()
	for range 20 {
		peer := serve(t, plainClient.config(t, p.client, dialed), mutualServer.config(t, p.server, nil), speaks)
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := tlsutil.Confirm(ctx, peer.conn); err == nil {
			t.Error("accepted")
		}
		if err := peer.conn.NetConn().SetDeadline(time.Time{}); err != nil {
			t.Errorf("the connection is not open: %v", err)
		}
		cancel()
		peer.end()

		peer = serve(t, mutualClient.config(t, p.client, dialed), mutualServer.config(t, p.server, nil), speaks)
		ctx, cancel = context.WithCancel(t.Context())
		if _, err := tlsutil.Confirm(ctx, peer.conn); err != nil {
			t.Error(err)
		}
		cancel()
		peer.end()
	}
	if _, after := leak.InUse(); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}

// A slowConn is slow in setting a deadline that has passed, which shows whether it is waited
// for.
type slowConn struct{ net.Conn }

func (c slowConn) SetReadDeadline(when time.Time) error {
	if err := c.Conn.SetReadDeadline(when); err != nil || when.IsZero() {
		return err
	}
	time.Sleep(time.Second)
	return c.Conn.SetReadDeadline(when)
}

// The deadline that ends the Read is not set after it was taken away.
func TestConfirmTakesItsDeadlineAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParties(t)
		a, b := memnet.Pipe()
		server := tls.Server(b, mutualServer.config(t, p.server, nil))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			if server.Handshake() == nil {
				time.Sleep(time.Minute)
				_, _ = server.Write([]byte{7})
			}
		}()
		conn, err := tlsutil.Confirm(ctx, tls.Client(slowConn{a}, mutualClient.config(t, p.client, dialed)))
		must(t, err)
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Errorf("Read after Confirm: %v", err)
		}
		a.Close()
		b.Close()
	})
}
