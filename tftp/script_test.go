package tftp_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/tftp"
)

type script struct {
	t       *testing.T
	network *memnet.Network
	main    *memnet.PacketConn // where requests arrive
	conn    *memnet.PacketConn // of the transfer
	client  net.Addr
}

func newScript(t *testing.T) (*tftp.Client, *script) {
	t.Helper()
	p := newPath(nil, nil, nil)
	s := &script{t: t, network: &p.net}
	s.main = s.listen(serverAddr.String())
	s.conn = s.listen("192.0.2.1:2000")
	return p.client, s
}

func (s *script) listen(addr string) *memnet.PacketConn {
	s.t.Helper()
	conn, err := s.network.ListenPacket("udp", addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

func (s *script) receive(conn *memnet.PacketConn, within time.Duration) string {
	s.t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		s.t.Fatal(err)
	}
	b := make([]byte, 70_000)
	n, from, err := conn.ReadFrom(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "nothing"
	}
	if err != nil {
		s.t.Fatal(err)
	}
	if conn == s.main {
		s.client = from
	}
	packet, err := tftp.Parse(b[:n])
	if err != nil {
		s.t.Fatal(err)
	}
	return describe(packet)
}

func describe(packet tftp.Packet) string {
	switch p := packet.(type) {
	case *tftp.ReadReq:
		return fmt.Sprint("RRQ ", p.Name, " ", p.Mode, " ", p.Options)
	case *tftp.WriteReq:
		return fmt.Sprint("WRQ ", p.Name, " ", p.Mode, " ", p.Options)
	case *tftp.Data:
		return fmt.Sprintf("DATA %d of %d", p.Block, len(p.Payload))
	case *tftp.Ack:
		return fmt.Sprint("ACK ", p.Block)
	case *tftp.Error:
		return fmt.Sprintf("ERROR %d %s", p.Code, p.Message)
	}
	return fmt.Sprint("OACK ", packet.(*tftp.OptionAck).Options)
}

func (s *script) expect(conn *memnet.PacketConn, want string) {
	s.t.Helper()
	if got := s.receive(conn, time.Hour); got != want {
		s.t.Fatalf("received %q, want %q", got, want)
	}
}

func (s *script) send(conn *memnet.PacketConn, packets ...tftp.Packet) {
	s.t.Helper()
	for _, p := range packets {
		b, err := p.AppendBinary(nil)
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := conn.WriteTo(b, s.client); err != nil {
			s.t.Fatal(err)
		}
	}
}

func data(block uint16, n int) *tftp.Data {
	return &tftp.Data{Block: block, Payload: bytes.Repeat([]byte{byte(block)}, n)}
}

func oack(options ...string) *tftp.OptionAck {
	o := new(tftp.OptionAck)
	for i := 0; i < len(options); i += 2 {
		o.Options = append(o.Options, tftp.Option{Name: options[i], Value: options[i+1]})
	}
	return o
}

type get struct {
	out   bytes.Buffer
	stats *tftp.Stats
	err   error
	done  chan struct{}
}

func startGet(t *testing.T, c *tftp.Client) *get {
	g := &get{done: make(chan struct{})}
	go func() {
		defer close(g.done)
		g.stats, g.err = c.Get(t.Context(), "file", &g.out)
	}()
	return g
}

const defaultRead = "RRQ file octet [{blksize 1428} {windowsize 16} {tsize 0}]"
