package dns_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/netparts/netparts/examples/dns"
)

// dialTCP connects to a server, for a while.
func dialTCP(t *testing.T, server string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// One connection takes many questions, in whatever pieces they come.
func TestServeTCP(t *testing.T) {
	server, end := start(long().Answer)
	defer end()
	dialTCP(t, server) // and ask nothing, which does not keep others from it
	conn := dialTCP(t, server)
	if err := conn.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
		t.Fatal(err)
	}
	query := ask(t, "long.garden.example.", dnsmessage.TypeTXT, nil)
	two := append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
	two = append(two, two...)
	for _, part := range [][]byte{two[:1], two[1:7], two[7:]} {
		if _, err := conn.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, b); err != nil {
			t.Fatal(err)
		}
		if got, want := describe(t, b), "0 authoritative, records 40 0 0"; got != want {
			t.Errorf("the answer is %s, want %s", got, want)
		}
	}
}

// A message that is too long for a question, or none, ends its connection, and no other.
func TestServeTCPCloses(t *testing.T) {
	server, end := start(garden.Answer)
	defer end()
	for _, sent := range []string{"\xff\xff", "\x00\x00", "\x00\x01x", "\x00\x0c\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
		conn := dialTCP(t, server)
		if _, err := conn.Write([]byte(sent)); err != nil {
			t.Fatal(err)
		}
		// Less than a connection may be idle.
		if err := conn.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after %x: Read = %d, %v, want the end", sent, n, err)
		}
	}
	if _, err := dns.SOA(t.Context(), server, "garden.example."); err != nil {
		t.Error(err)
	}
}

// The end of the context ends what is open, connections that wait for a question included.
func TestServeEnds(t *testing.T) {
	server, end := start(garden.Answer)
	conn := dialTCP(t, server)
	end()
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read = %d, %v, want the end", n, err)
	}
	if conn, err := net.Dial("tcp", server); err == nil {
		conn.Close()
		t.Error("the server still listens")
	}
}

// When one of the two fails, the other ends as well.
func TestServeFails(t *testing.T) {
	failed := errors.New("failed")
	for _, tt := range []struct {
		name string
		fail func(net.PacketConn, net.Listener) (net.PacketConn, net.Listener)
	}{
		{"TCP", func(p net.PacketConn, l net.Listener) (net.PacketConn, net.Listener) {
			return p, failingListener{l, failed}
		}},
		{"UDP", func(p net.PacketConn, l net.Listener) (net.PacketConn, net.Listener) {
			return failingPackets{p, failed}, l
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			packets, streams, err := listen()
			if err != nil {
				t.Fatal(err)
			}
			failingPackets, failingStreams := tt.fail(packets, streams)
			if err := dns.Serve(t.Context(), garden.Answer, failingPackets, failingStreams); !errors.Is(err, failed) {
				t.Errorf("Serve: %v, want %v", err, failed)
			}
			if _, _, err := packets.ReadFrom(nil); !errors.Is(err, net.ErrClosed) {
				t.Errorf("ReadFrom: %v, want %v", err, net.ErrClosed)
			}
			if _, err := streams.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Accept: %v, want %v", err, net.ErrClosed)
			}
		})
	}
}

type failingListener struct {
	net.Listener
	err error
}

func (f failingListener) Accept() (net.Conn, error) { return nil, f.err }

type failingPackets struct {
	net.PacketConn
	err error
}

func (f failingPackets) ReadFrom([]byte) (int, net.Addr, error) { return 0, nil, f.err }
