package proxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/proxy"
)

// A headerServer is a server for one client, and both peers.
type headerServer struct {
	*proxy.Server
	client, upstream net.Conn
	reports          chan proxy.Report
	served           chan error
}

// serveOne serves one connection of the given server, whose upstream is a new
// connection.
func serveOne(t *testing.T, ctx context.Context, s *proxy.Server, peer, client net.Conn) *headerServer {
	t.Helper()
	upstream, dialed := memnet.Pipe()
	h := &headerServer{s, peer, upstream, make(chan proxy.Report, 1), make(chan error, 1)}
	s.Report = func(r proxy.Report) { h.reports <- r }
	if s.Dial == nil {
		s.Dial = func(context.Context, net.Conn) (net.Conn, error) { return dialed, nil }
	}
	go func() { h.served <- s.ServeConn(ctx, client) }()
	t.Cleanup(func() {
		peer.Close()
		upstream.Close()
		dialed.Close()
		s.Close()
	})
	return h
}

func policyOf(p proxy.HeaderPolicy) func(net.Addr) proxy.HeaderPolicy {
	return func(net.Addr) proxy.HeaderPolicy { return p }
}

// What a server gets and what its upstream gets, of each version, and what Dial, Tap
// and Report are told.
func TestServerPassesHeaderOn(t *testing.T) {
	for _, tt := range []struct {
		name, sent string
		version    int
		want       string // what the upstream gets, or that of the connection itself
		client     string
	}{
		{"v1 to v1", headerLine, 1, headerLine, v4a.String()},
		{"v1 to v2", headerLine, 2, sig + "\x21\x11\x00\x0c" + wire4, v4a.String()},
		{"v2 to v1", sig + "\x21\x21\x00\x24" + wire6, 1, "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", v6a.String()},
		{"v2 to none", sig + "\x21\x11\x00\x0c" + wire4, 0, "", v4a.String()},
		{"v2 UDP to v1", sig + "\x21\x12\x00\x0c" + wire4, 1, "PROXY UNKNOWN\r\n", v4a.String()},
		{"v2 UDP to v2", sig + "\x21\x12\x00\x0c" + wire4, 2, sig + "\x21\x12\x00\x0c" + wire4, v4a.String()},
		{
			"v2 unix to v2", sig + "\x21\x31\x00\xd8" + paths("/run/a", "\x00name"), 2,
			sig + "\x21\x31\x00\xd8" + paths("/run/a", "\x00name"), "/run/a",
		},
		{"v2 unix to v1", sig + "\x21\x31\x00\xd8" + paths("/run/a", "\x00name"), 1, "PROXY UNKNOWN\r\n", "/run/a"},
		{"TLVs are not passed on", sig + "\x21\x11\x00\x12" + wire4 + "\x02\x00\x03a.b", 2, sig + "\x21\x11\x00\x0c" + wire4, v4a.String()},
		{"an IPv4 client in IPv6", "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6407 56324 443\r\n", 1, headerLine, v4a.String()},
		{"UNKNOWN", "PROXY UNKNOWN\r\n", 1, "PROXY TCP4 192.0.2.9 192.0.2.8 9 8\r\n", "192.0.2.9:9"},
		{"local", sig + "\x20\x11\x00\x0c" + wire4, 1, "PROXY TCP4 192.0.2.9 192.0.2.8 9 8\r\n", "192.0.2.9:9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer, client := memnet.Pipe()
				var tapped string
				s := &proxy.Server{Header: policyOf(proxy.HeaderRequired), SendHeader: tt.version}
				s.Tap = func(client net.Conn) func(proxy.Direction, []byte) {
					if h, ok := proxy.HeaderOf(client); !ok || h == nil {
						t.Error("Tap gets no header")
					}
					tapped = client.RemoteAddr().String()
					return nil
				}
				h := serveOne(t, t.Context(), s, peer, at(client, "192.0.2.9:9", "192.0.2.8:8"))
				send(t, peer, tt.sent+"payload")
				closeWrite(t, peer)
				got, err := io.ReadAll(h.upstream)
				if want := tt.want + "payload"; err != nil || string(got) != want {
					t.Errorf("the upstream got %q, %v, want %q", got, err, want)
				}
				h.upstream.Close()
				r := <-h.reports
				if r.Err != nil || r.Client.String() != tt.client || tapped != tt.client || r.ToUpstream != int64(len("payload")) {
					t.Errorf("Report = %+v, tapped %s, want the client %s", r, tapped, tt.client)
				}
				if err := <-h.served; err != nil {
					t.Errorf("ServeConn: %v", err)
				}
			})
		})
	}
}

// An elsewhere is a connection with other addresses.
type elsewhere struct {
	*memnet.Conn
	remote, local net.Addr
}

func (c elsewhere) RemoteAddr() net.Addr { return c.remote }
func (c elsewhere) LocalAddr() net.Addr  { return c.local }

func at(c *memnet.Conn, remote, local string) net.Conn {
	addr := func(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }
	return elsewhere{c, addr(remote), addr(local)}
}

// The addresses of a connection are sent as a header can tell them.
func TestServerSendsItsOwnHeader(t *testing.T) {
	for _, tt := range []struct {
		name, remote, local string
		version             int
		want                string
	}{
		{"IPv4", "192.0.2.1:56324", "198.51.100.7:443", 1, headerLine},
		{"IPv4 in IPv6", "[::ffff:192.0.2.1]:56324", "[::ffff:198.51.100.7]:443", 1, headerLine},
		{"IPv4 in IPv6, v2", "[::ffff:192.0.2.1]:56324", "[::ffff:198.51.100.7]:443", 2, sig + "\x21\x11\x00\x0c" + wire4},
		{"IPv6", "[2001:db8::1]:1", "[2001:db8::2]:65535", 2, sig + "\x21\x21\x00\x24" + wire6},
		{"zones", "[fe80::1%eth0]:1", "[fe80::2%eth0]:2", 1, "PROXY TCP6 fe80::1 fe80::2 1 2\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer, client := memnet.Pipe()
				h := serveOne(t, t.Context(), &proxy.Server{SendHeader: tt.version}, peer, at(client, tt.remote, tt.local))
				closeWrite(t, peer)
				if got, err := io.ReadAll(h.upstream); err != nil || string(got) != tt.want {
					t.Errorf("the upstream got %q, %v, want %q", got, err, tt.want)
				}
				h.upstream.Close()
				if r := <-h.reports; r.Err != nil || r.ToUpstream != 0 {
					t.Errorf("Report = %+v", r)
				}
			})
		})
	}
}

// Of a client of a Unix socket, version 2 tells the paths and version 1 nothing.
func TestServerSendsHeaderOfUnixClient(t *testing.T) {
	for _, version := range []int{1, 2} {
		folder, err := os.MkdirTemp("", "p") // t.TempDir is too long for a socket on some systems
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(folder)
		path := filepath.Join(folder, "s")
		listener, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		upstream, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &proxy.Server{Dial: proxy.To("tcp", upstream.Addr().String()), SendHeader: version}
		served := make(chan error, 1)
		go func() { served <- s.Serve(listener) }()
		client, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		closeWrite(t, client)
		conn, err := upstream.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		want := "PROXY UNKNOWN\r\n"
		if version == 2 {
			want = sig + "\x21\x31\x00\xd8" + paths("", path)
		}
		if got, err := io.ReadAll(conn); err != nil || string(got) != want {
			t.Errorf("version %d: the upstream got %q, %v, want %q", version, got, err, want)
		}
		for _, c := range []io.Closer{conn, client, upstream, s} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := <-served; err != proxy.ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
	}
}

// Clients whose header is not accepted are reset, with the cause in the Report, and
// no upstream is dialed for them.
func TestServerRefusesHeaders(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy func(net.Addr) proxy.HeaderPolicy
		sent   string
		after  time.Duration
		want   error
	}{
		{"none", policyOf(proxy.HeaderRequired), "GET /", 0, proxy.ErrNoHeader},
		{"one that may not be", policyOf(proxy.HeaderRefused), headerLine, 0, proxy.ErrHeaderRefused},
		{"a malformed one", policyOf(proxy.HeaderOptional), "PROXY TCP4 \r\n", 0, proxy.ErrHeader},
		{"half of one", policyOf(proxy.HeaderRequired), headerLine[:20], 3 * time.Second, os.ErrDeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer, client := memnet.Pipe()
				s := &proxy.Server{Header: tt.policy, HeaderTimeout: 3 * time.Second}
				s.Dial = func(context.Context, net.Conn) (net.Conn, error) {
					t.Error("an upstream is dialed")
					return nil, errors.ErrUnsupported
				}
				h := serveOne(t, t.Context(), s, peer, client)
				send(t, peer, tt.sent)
				r := <-h.reports
				if !errors.Is(r.Err, tt.want) || r.Duration != tt.after || r.Upstream != nil || r.Client.String() != peer.LocalAddr().String() {
					t.Errorf("Report = %+v, want %v after %v", r, tt.want, tt.after)
				}
				if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("Read: %v, want a reset", err)
				}
			})
		})
	}
}

// The time for a header is ten seconds if nobody says otherwise, and the policy is
// asked for each source; a panic there ends the connection.
func TestServerHeaderHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer, client := memnet.Pipe()
		var source net.Addr
		s := &proxy.Server{Header: func(a net.Addr) proxy.HeaderPolicy {
			source = a
			return proxy.HeaderRequired
		}}
		h := serveOne(t, t.Context(), s, peer, client)
		if r := <-h.reports; r.Duration != 10*time.Second || !errors.Is(r.Err, os.ErrDeadlineExceeded) {
			t.Errorf("Report = %+v", r)
		}
		if source == nil || source.String() != peer.LocalAddr().String() {
			t.Errorf("asked for %v, want %v", source, peer.LocalAddr())
		}
		peer, client = memnet.Pipe()
		h = serveOne(t, t.Context(), &proxy.Server{Header: func(net.Addr) proxy.HeaderPolicy { panic("no policy") }}, peer, client)
		if r := <-h.reports; r.Err == nil || r.Err.Error() != "proxy: panic in Header: no policy" {
			t.Errorf("Report = %+v", r)
		}
		if err := <-h.served; err != nil {
			t.Errorf("ServeConn: %v", err)
		}
	})
}

// Close and a context end the wait for a header, and are its cause.
func TestServerEndsWaitForHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("enough")
		for _, want := range []error{cause, proxy.ErrServerClosed} {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			peer, client := memnet.Pipe()
			h := serveOne(t, ctx, &proxy.Server{Header: policyOf(proxy.HeaderRequired)}, peer, client)
			send(t, peer, headerLine[:20])
			synctest.Wait()
			if want == cause {
				cancel(cause)
			} else if err := h.Close(); err != nil {
				t.Error(err)
			}
			if r := <-h.reports; r.Err != want || r.Duration != 0 {
				t.Errorf("Report = %+v, want %v", r, want)
			}
			if err := <-h.served; err != want {
				t.Errorf("ServeConn: %v, want %v", err, want)
			}
			if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("Read: %v, want a reset", err)
			}
		}
	})
}

// An upstream that takes not even the header holds up its client for ten seconds.
func TestServerSendsHeaderToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer, client := memnet.Pipe()
		deaf, dialed := net.Pipe()
		defer deaf.Close()
		s := &proxy.Server{SendHeader: 2, Dial: func(context.Context, net.Conn) (net.Conn, error) { return dialed, nil }}
		h := serveOne(t, t.Context(), s, peer, client)
		r := <-h.reports
		side, ok := errors.AsType[*proxy.SideError](r.Err)
		if !ok || side.Side != proxy.Upstream || !errors.Is(r.Err, os.ErrDeadlineExceeded) || r.Duration != 10*time.Second || r.Upstream != nil {
			t.Errorf("Report = %+v", r)
		}
		if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Read: %v, want a reset", err)
		}
		if _, err := deaf.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the upstream is open: %v", err)
		}
	})
}

// A header that cannot be written ends the connection.
func TestServerSendHeaderOfNoVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer, client := memnet.Pipe()
		h := serveOne(t, t.Context(), &proxy.Server{SendHeader: 3}, peer, client)
		if r := <-h.reports; !errors.Is(r.Err, proxy.ErrHeader) {
			t.Errorf("Report = %+v, want %v", r, proxy.ErrHeader)
		}
		if n, err := h.upstream.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("the upstream read %d bytes, %v", n, err)
		}
	})
}

// A server behind a HeaderListener takes the addresses from it.
func TestServerBehindHeaderListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHeaderRig(t, proxy.HeaderRequired)
		upstream, dialed := memnet.Pipe()
		defer upstream.Close()
		reports := make(chan proxy.Report, 1)
		s := &proxy.Server{
			Dial:       func(context.Context, net.Conn) (net.Conn, error) { return dialed, nil },
			SendHeader: 1,
			Report:     func(r proxy.Report) { reports <- r },
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve(r.HeaderListener) }()
		c := r.dial()
		send(t, c, sig+"\x21\x11\x00\x0c"+wire4+"payload")
		closeWrite(t, c)
		if got, err := io.ReadAll(upstream); err != nil || string(got) != headerLine+"payload" {
			t.Errorf("the upstream got %q, %v", got, err)
		}
		upstream.Close()
		if r := <-reports; r.Err != nil || r.Client.String() != v4a.String() {
			t.Errorf("Report = %+v", r)
		}
		half := r.dial()
		send(t, half, headerLine[:20])
		synctest.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != proxy.ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
		if _, err := half.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Read: %v, want a reset", err)
		}
	})
}
