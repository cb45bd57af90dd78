package main

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/proxy"
)

// A headed is a header that an upstream received, with what came after it.
type headed struct {
	proxy.Header
	rest string
	err  error
}

// heading returns an upstream that reads a header, and the rest to the end.
func heading(t *testing.T) (to string, received <-chan headed) {
	all := make(chan headed, 10)
	to = upstream(t, "tcp", "127.0.0.1:0", func(conn net.Conn) {
		b, err := io.ReadAll(conn)
		if err != nil {
			all <- headed{err: err}
			return
		}
		h, n, err := proxy.ParseHeader(b)
		all <- headed{h, string(b[n:]), err}
	})
	return to, all
}

// next returns what the upstream received.
func next(t *testing.T, received <-chan headed) headed {
	t.Helper()
	select {
	case h := <-received:
		return h
	case <-time.After(limit):
		t.Fatal("the upstream received nothing")
		panic("unreachable")
	}
}

func addrPort(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }

func TestSendProxy(t *testing.T) {
	for flag, version := range versions {
		to, received := heading(t)
		d := startDaemon(t, "-to", to, "-send-proxy", flag)
		conn := dial(t, "tcp", d.Addr)
		write(t, conn, "payload")
		closeWrite(t, conn)
		wantRest(t, conn, "")
		got := next(t, received)
		if version == 0 {
			if !errors.Is(got.err, proxy.ErrNoHeader) || got.rest != "payload" {
				t.Errorf("without the flag the upstream received %+v", got)
			}
		} else if got.err != nil || got.Version != version || got.rest != "payload" ||
			got.Source != addrPort(conn.LocalAddr()) || got.Destination != addrPort(conn.RemoteAddr()) {
			t.Errorf("-send-proxy %s: the upstream received %+v", flag, got)
		}
		d.End(t)
	}
}

// The address of a header goes on to the upstream, into the log and into the tap.
func TestAcceptProxy(t *testing.T) {
	to, received := heading(t)
	d := startDaemon(t, "-to", to, "-send-proxy", "v2", "-v", "-tap", "-",
		"-accept-proxy", "192.0.2.0/24", "-accept-proxy", "127.0.0.0/8")
	conn := dial(t, "tcp", d.Addr)
	write(t, conn, "PROXY TCP4 203.0.113.5 198.51.100.7 56324 443\r\npayload")
	closeWrite(t, conn)
	wantRest(t, conn, "")
	got := next(t, received)
	if got.err != nil || got.rest != "payload" ||
		got.Source.String() != "203.0.113.5:56324" || got.Destination.String() != "198.51.100.7:443" {
		t.Errorf("the upstream received %+v", got)
	}
	d.End(t)
	log := d.Stderr.String()
	if !strings.Contains(log, " client=203.0.113.5:56324 ") || !strings.Contains(log, "1 203.0.113.5:56324> payload\n") {
		t.Errorf("the log is\n%s", log)
	}
}

// Who must send a header and does not is reset, and who must not is not heard.
func TestAcceptProxyIsStrict(t *testing.T) {
	d := startDaemon(t, "-to", upstream(t, "tcp", "127.0.0.1:0", echo), "-accept-proxy", "127.0.0.1/32")
	conn := dial(t, "tcp", d.Addr)
	write(t, conn, "no header")
	wantCut(t, conn)
	d.End(t)
	if log := d.Stderr.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, `error="proxy: no PROXY header"`) {
		t.Errorf("the log is\n%s", log)
	}

	d = startDaemon(t, "-to", upstream(t, "tcp", "127.0.0.1:0", echo), "-accept-proxy", "192.0.2.0/24")
	conn = dial(t, "tcp", d.Addr)
	wantEcho(t, conn, "PROXY TCP4 203.0.113.5 198.51.100.7 56324 443\r\npayload")
	conn.Close()
	d.End(t)
}

// A path in a header is made by others, and must not forge lines.
func TestPathsOfHeadersAreEscaped(t *testing.T) {
	header := proxy.Header{Network: "unix", SourcePath: "/a\nlevel=INFO\x1b[2J", DestinationPath: "/b"}
	b, err := header.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, "-to", upstream(t, "tcp", "127.0.0.1:0", echo), "-v", "-tap", "-", "-accept-proxy", "127.0.0.0/8")
	conn := dial(t, "tcp", d.Addr)
	write(t, conn, string(b))
	wantEcho(t, conn, "ping\x1b")
	closeWrite(t, conn)
	wantRest(t, conn, "")
	d.End(t)
	log := d.Stderr.String()
	if strings.Count(log, "\n") != 3 || strings.ContainsRune(log, '\x1b') {
		t.Errorf("the log is\n%q", log)
	}
	for _, want := range []string{
		`client="/a\nlevel=INFO\x1b[2J" `,
		`1 /a\nlevel=INFO\x1b[2J> ping\x1b` + "\n",
		`1 /a\nlevel=INFO\x1b[2J< ping\x1b` + "\n",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s:\n%q", want, log)
		}
	}
}
