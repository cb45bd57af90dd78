package tftp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/tftp"
)

// A guest is a client of a server under test that does what a test says.
type guest struct {
	t    *testing.T
	conn *memnet.PacketConn
	peer net.Addr // where the last packet came from
}

// withServer runs f in a bubble with a server on its network, once with a port for
// each transfer and once with one for all.
func withServer(t *testing.T, f func(t *testing.T, p *path)) {
	for _, single := range []bool{false, true} {
		name := "ports"
		if single {
			name = "single port"
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPath(nil, nil, new(store))
				p.server.SinglePort = single
				f(t, p)
			})
		})
	}
}

// guest opens a socket on port of another host.
func (p *path) guest(t *testing.T, port uint16) *guest {
	t.Helper()
	addr := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.2"), port)
	conn, err := p.net.ListenPacket("udp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &guest{t: t, conn: conn}
}

// request sends b to the port for requests.
func (g *guest) request(b string) {
	g.t.Helper()
	if _, err := g.conn.WriteTo([]byte(b), net.UDPAddrFromAddrPort(serverAddr)); err != nil {
		g.t.Fatal(err)
	}
}

// raw sends b to where the last packet came from.
func (g *guest) raw(b string) {
	g.t.Helper()
	if _, err := g.conn.WriteTo([]byte(b), g.peer); err != nil {
		g.t.Fatal(err)
	}
}

func (g *guest) send(packets ...tftp.Packet) {
	g.t.Helper()
	for _, p := range packets {
		b, err := p.AppendBinary(nil)
		if err != nil {
			g.t.Fatal(err)
		}
		g.raw(string(b))
	}
}

func (g *guest) ack(block uint16) {
	g.t.Helper()
	g.send(&tftp.Ack{Block: block})
}

// next returns the next packet, or "nothing" if none comes in time.
func (g *guest) next(within time.Duration) string {
	g.t.Helper()
	if err := g.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		g.t.Fatal(err)
	}
	b := make([]byte, 70_000)
	n, from, err := g.conn.ReadFrom(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "nothing"
	}
	if err != nil {
		g.t.Fatal(err)
	}
	packet, err := tftp.Parse(b[:n])
	if err != nil {
		g.t.Fatal(err)
	}
	g.peer = from
	return describe(packet)
}

// expect fails the test unless the next packets are these, soon.
func (g *guest) expect(want ...string) {
	g.t.Helper()
	for _, w := range want {
		if got := g.next(10 * time.Millisecond); got != w {
			g.t.Fatalf("received %q, want %q", got, w)
		}
	}
}

// count returns how many packets come within a time.
func (g *guest) count(within time.Duration) (n int) {
	for end := time.Now().Add(within); g.next(time.Until(end)) != "nothing"; n++ {
	}
	return n
}

// serves makes the server answer every read with b.
func (p *path) serves(b []byte) { p.server.Open = tftp.Payload(b) }

// servesStream makes it answer with something that can be read only once.
func (p *path) servesStream(r func() io.Reader) {
	p.server.Open = func(context.Context, *tftp.Request) (io.ReadCloser, error) { return stream{r()}, nil }
}

const (
	read  = "\x00\x01file\x00octet\x00"
	write = "\x00\x02file\x00octet\x00"
)
