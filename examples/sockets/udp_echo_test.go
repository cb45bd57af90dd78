package sockets_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
)

// A udpAsker sends requests to one server and waits for their answers. Either may get lost,
// so it sends again; then an answer may come twice or late, so that each request has a
// number of four bytes, which the answer repeats.
type udpAsker struct {
	conn  net.PacketConn
	to    net.Addr
	tries int           // how many times a request is sent
	wait  time.Duration // for the answer to the first; each wait is twice the one before

	last uint32 // request
}

// ask returns the answer to a request. It must be safe to do twice what a request asks for,
// since the server may see it more than once.
func (a *udpAsker) ask(request []byte) ([]byte, error) {
	a.last++
	packet := append(binary.BigEndian.AppendUint32(nil, a.last), request...)
	var err error
	for i := range a.tries {
		if _, err := a.conn.WriteTo(packet, a.to); err != nil {
			return nil, err
		}
		if err := a.conn.SetReadDeadline(time.Now().Add(a.wait << i)); err != nil {
			return nil, err
		}
		var answer []byte
		answer, err = a.read(packet[:4])
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return answer, err
		}
	}
	return nil, fmt.Errorf("no answer to %d packets: %w", a.tries, err)
}

// read returns the next answer from the server that begins with number. What else comes
// does not move the deadline.
func (a *udpAsker) read(number []byte) ([]byte, error) {
	b := make([]byte, 1500)
	for {
		n, from, err := a.conn.ReadFrom(b)
		if err != nil {
			return nil, err
		}
		if answer, ok := bytes.CutPrefix(b[:n], number); ok && from.String() == a.to.String() {
			return answer, nil
		}
	}
}

// udpServe answers each packet with itself until conn is closed. One goroutine serves
// everybody, as there are no connections.
func udpServe(conn net.PacketConn) (wait func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				log.Print(err) // of one sender, which must not end the service of the others
				continue
			}
			if _, err := conn.WriteTo(b[:n], from); err != nil {
				log.Print(err)
			}
		}
	})
	return wg.Wait
}

// UDP does not say that a packet was lost. A client that wants an answer sets a deadline, and
// sends again when that passes. Of the packets of this Example the first request and the
// first answer are lost.
func Example_udpRetry() {
	network := memnet.Network{Rule: func(p memnet.Packet) []memnet.Packet {
		toServer := p.To.Port() == 7
		if p.N == 1 {
			fmt.Println("lost: a request is", toServer)
			return nil
		}
		return []memnet.Packet{p}
	}}
	server, err := network.ListenPacket("udp", "192.0.2.1:7")
	if err != nil {
		log.Fatal(err)
	}
	wait := udpServe(server)
	client, err := network.ListenPacket("udp", "192.0.2.2:0")
	if err != nil {
		log.Fatal(err)
	}
	asker := udpAsker{conn: client, to: server.LocalAddr(), tries: 10, wait: 10 * time.Millisecond}
	answer, err := asker.ask([]byte("ping"))
	fmt.Printf("%s, error: %v\n", answer, err)
	client.Close()
	server.Close()
	wait()
	// Output:
	// lost: a request is true
	// lost: a request is false
	// ping, error: <nil>
}

// udpBubble is a client of a server on a network with the rule, in a bubble of synctest,
// where waiting takes no time and is exact.
func udpBubble(t *testing.T, rule memnet.Rule, f func(*udpAsker)) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.Network{Rule: rule}
		server, err := network.ListenPacket("udp", "192.0.2.1:7")
		if err != nil {
			t.Fatal(err)
		}
		wait := udpServe(server)
		client, err := network.ListenPacket("udp", "192.0.2.2:0")
		if err != nil {
			t.Fatal(err)
		}
		f(&udpAsker{conn: client, to: server.LocalAddr(), tries: 4, wait: time.Second})
		client.Close()
		server.Close()
		wait()
	})
}

// The waits grow, so that a network whose trouble is too many packets has fewer of them.
func TestUDPNoAnswer(t *testing.T) {
	sent := 0
	rule := func(memnet.Packet) []memnet.Packet { sent++; return nil }
	udpBubble(t, rule, func(a *udpAsker) {
		start := time.Now()
		_, err := a.ask([]byte("ping"))
		if took := time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || sent != 4 || took != 15*time.Second {
			t.Errorf("%d packets in %v: %v, want 4 in 15s, and %v", sent, took, err, os.ErrDeadlineExceeded)
		}
	})
}

// Every answer is that to its request, although a third of the packets is lost, another third
// comes twice, and each answer as late as a request may be sent again.
func TestUDPBadNetwork(t *testing.T) {
	rule := memnet.Chain(
		memnet.Drop(memnet.Chance(1, 1./3)),
		memnet.Duplicate(memnet.Chance(2, 1./3)),
		memnet.Delay(memnet.Chance(3, 1./2), 900*time.Millisecond),
	)
	udpBubble(t, rule, func(a *udpAsker) {
		a.tries = 20
		for i := range 200 {
			request := fmt.Appendf(nil, "request %d", i)
			if got, err := a.ask(request); err != nil || !bytes.Equal(got, request) {
				t.Fatalf("the answer to %q is %q, %v", request, got, err)
			}
		}
	})
}

// What is from elsewhere or no answer is no answer, and does not lengthen the wait.
func TestUDPStranger(t *testing.T) {
	fromServer := netip.MustParseAddrPort("192.0.2.1:7")
	forge := func(p memnet.Packet) []memnet.Packet {
		if p.From == fromServer {
			p.From = netip.MustParseAddrPort("192.0.2.66:7")
		}
		return []memnet.Packet{p}
	}
	udpBubble(t, forge, func(a *udpAsker) {
		start := time.Now()
		got, err := a.ask([]byte("ping"))
		if took := time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || took != 15*time.Second {
			t.Errorf("the answer is %q, %v after %v", got, err, took)
		}
	})
}
