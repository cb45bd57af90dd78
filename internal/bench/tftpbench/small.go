//go:build linux

package tftpbench

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
)

// inTransfers is the scale of small files.
var inTransfers = lab.NewScale("transfers/s", "µs", 1, 1e6)

const (
	serverMallocs = "server allocations"
	serverBytes   = "server bytes allocated"
)

const aboutSmall = "The client is the same for all servers, and does as little as can be; each file is compared."

// smallFiles reads files of 1 KiB, each from a new socket.
func smallFiles(workers int) lab.Case {
	c := smallCase(workers, 2000)
	c.Name = fmt.Sprintf("files of 1 KiB, %d at once", workers)
	c.About = "Reads 2,000 files of two blocks of 512, each from a new socket. " + aboutSmall
	c.Metrics = append(c.Metrics, lab.Metric{Name: serverMallocs, Best: lab.Low}, lab.Metric{Name: serverBytes, Best: lab.Low})
	if workers > 1 {
		c.Targets = []lab.Target{
			{
				Metric: inTransfers.Rate, Than: kindPin, AtLeast: 1.5,
				Reason: "The client uses a processor of its own, so that the rate tells less of the server than its CPU time.",
			},
			{Metric: serverMallocs, AtMost: 25},
			{Metric: serverBytes, AtMost: 2048},
		}
	}
	c.Targets = append(c.Targets, singlePort(inTransfers.Rate,
		"Half of its time in the profile goes into sending from a socket that is not connected, for which the kernel looks up the way each time; "+
			"with a port for each transfer that is a third, and opening the sockets takes what is saved. Its transfers read from the one socket in turn."))
	return c
}

// smallCase is at least so many transfers a round.
func smallCase(workers, count int) lab.Case {
	return lab.Case{
		Sides:   lab.Sides(lab.Ours, kindSingle, kindPin, kindPack),
		Metrics: inTransfers.Metrics(),
		Run: func(t *lab.T) {
			c := newContest(t, inTransfers, order{
				Do: "load", Size: 1 << 10, Workers: workers, Count: max(workers, lab.Of(t, count, 2*together)), Limit: smallTime,
			})
			if t.HasMetric(serverMallocs) {
				c.mallocs, c.bytes = serverMallocs, serverBytes
			}
			c.Each(c.many) // to warm up
			c.run(c.many)
		},
	}
}

const (
	// smallTime is how long a small transfer may last. Where very many begin at once,
	// packets are lost for want of a buffer, and are sent again.
	smallTime = 20 * time.Second

	// askTime is when the last packet is sent again. A port that was given back may be
	// used anew before the server has seen the last ACK from it, and the same
	// request looks like one that came twice then.
	askTime = time.Second
)

// tries is how often one packet is sent before the client begins anew. A server that has many
// requests from one address without an answer sends the first block to each only once.
const tries = 3

func getSmall(o *order) error {
	conn, err := listen()
	if err != nil {
		return err
	}
	s := small{conn: conn}
	s.begin(o)
	err = s.send()
	for end := time.Now().Add(o.Limit); err == nil && s.block > 0; {
		err = s.receive()
		if errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(end) {
			if s.sent >= tries {
				s.begin(o)
			}
			err = s.send()
		}
	}
	return errors.Join(err, conn.Close())
}

// A small is a client that reads a small file.
type small struct {
	conn  *net.UDPConn
	rest  []byte // of the file
	block byte   // that comes next; 0 at the end
	last  []byte // packet that was sent
	sent  int    // how often
	to    netip.AddrPort
	data  [600]byte
}

func (s *small) begin(o *order) {
	s.rest, s.block, s.sent = lab.Content(o.Size), 1, 0
	s.last, s.to = []byte("\x00\x01file\x00octet\x00"), netip.MustParseAddrPort(o.Addrs[0])
}

// send sends the last packet, maybe again.
func (s *small) send() error {
	s.sent++
	if err := s.conn.SetReadDeadline(time.Now().Add(askTime)); err != nil {
		return err
	}
	_, err := s.conn.WriteToUDPAddrPort(s.last, s.to)
	return err
}

// receive takes one packet. What a server sends again, or sends to a client that had this
// port before, is left out.
func (s *small) receive() error {
	n, peer, err := s.conn.ReadFromUDPAddrPort(s.data[:])
	if err != nil {
		return err
	}
	b := s.data[:n]
	if n < 4 || b[1] != 3 {
		return fmt.Errorf("got %q instead of block %d", b[:min(n, 50)], s.block)
	}
	if b[3] != s.block || s.block > 1 && peer != s.to {
		return nil
	}
	if !bytes.HasPrefix(s.rest, b[4:]) {
		return fmt.Errorf("block %d differs", s.block)
	}
	s.rest = s.rest[n-4:]
	s.last, s.sent, s.to = []byte{0, 4, 0, s.block}, 1, peer
	if _, err := s.conn.WriteToUDPAddrPort(s.last, s.to); err != nil {
		return err
	}
	s.block++
	switch {
	case n == len(s.data) || n < 516 && len(s.rest) > 0:
		return fmt.Errorf("%d bytes are missing", len(s.rest))
	case n < 516:
		s.block = 0
	}
	return nil
}

// smallGrowth reads small files by more and more clients at once.
func smallGrowth() lab.Growth {
	return lab.Growth{
		Name: "small files at once",
		About: "Reads files of 1 KiB with so many clients at once, at least 2,000 files a round; the CPU time of the server is that of one file. " +
			"What finds no room in the buffer of a server's socket is sent again after a second. " + aboutSmall,
		Axis:   "clients",
		Points: lab.Powers[:4], // with more the one client takes most of both processors
		Case:   func(n int) lab.Case { return smallCase(n, 2000) },
	}
}
