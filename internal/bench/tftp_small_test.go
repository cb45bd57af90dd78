//go:build linux

package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"
)

// BenchmarkTFTPSmallFiles reads files of 1 KiB, each from a new socket, with the
// same client for all servers, which does as little as can be.
func BenchmarkTFTPSmallFiles(b *testing.B) {
	for _, workers := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			c := newContest(b, 1<<10, nil, kindOurs, kindSingle, kindPin, kindPack)
			for b.Loop() {
				o := order{Do: "load", Workers: workers, Count: of(10000, 256)}
				c.round(b, o, func(a answer) float64 { return float64(len(a.Took)) / a.All.Seconds() })
			}
			c.report(b, "transfers/s", "transfer", time.Microsecond, 1, 1)
		})
	}
}

const (
	// smallTime is how long a small transfer may last.
	smallTime = 5 * time.Second

	// askTime is when the request is sent again. A port that was given back may be
	// used anew before the server has seen the last ACK from it, and the same
	// request looks like one that came twice then.
	askTime = time.Second
)

func getSmall(addr string, file []byte) error {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	defer conn.Close()
	request := []byte("\x00\x01file\x00octet\x00")
	for began := time.Now(); ; {
		if _, err := conn.WriteToUDPAddrPort(request, netip.MustParseAddrPort(addr)); err != nil {
			return err
		}
		err := takeSmall(conn, file)
		if err != errSilent || time.Since(began) > smallTime {
			return err
		}
	}
}

var errSilent = errors.New("nothing comes")

// takeSmall takes the blocks. Those that a server sends again, or sends to a client
// that had this port before, are left out.
func takeSmall(conn *net.UDPConn, file []byte) error {
	if err := conn.SetDeadline(time.Now().Add(askTime)); err != nil {
		return err
	}
	var server netip.AddrPort
	b := make([]byte, 600)
	for rest, block := file, byte(1); ; {
		n, peer, err := conn.ReadFromUDPAddrPort(b)
		if block == 1 && errors.Is(err, os.ErrDeadlineExceeded) {
			return errSilent
		}
		if err != nil {
			return err
		}
		if n < 4 || b[1] != 3 {
			return fmt.Errorf("got %q instead of block %d", b[:min(n, 50)], block)
		}
		if block == 1 {
			server = peer
			if err := conn.SetDeadline(time.Now().Add(smallTime)); err != nil {
				return err
			}
		}
		if peer != server || b[3] != block {
			continue
		}
		if !bytes.HasPrefix(rest, b[4:n]) {
			return fmt.Errorf("block %d differs", block)
		}
		rest = rest[n-4:]
		if _, err := conn.WriteToUDPAddrPort([]byte{0, 4, 0, block}, peer); err != nil {
			return err
		}
		block++
		if n < 516 && len(rest) > 0 {
			return fmt.Errorf("%d bytes are missing", len(rest))
		}
		if n < 516 {
			return nil
		}
	}
}

// BenchmarkTFTPOpenTransfers shows what a transfer costs whose client has fallen
// silent.
func BenchmarkTFTPOpenTransfers(b *testing.B) {
	count := of(1000, 100)
	for _, s := range []struct{ block, window int }{{512, 1}, {8192, 1}, {1428, 16}, {1428, 64}} {
		b.Run(fmt.Sprintf("%dx%d", s.block, s.window), func(b *testing.B) {
			var goroutines, heap, inUse, stacks []float64
			for b.Loop() {
				server, client := startServer(b, kindOurs, 8<<20), startClient(b) // fresh
				before := server.keeps(b)
				client.tell(b, order{
					Do: "open", Addrs: []string{server.addr}, Count: count, Block: s.block, Window: s.window,
				})
				u := server.keeps(b)
				client.tell(b, order{Do: "drop"})
				n := float64(count)
				goroutines = append(goroutines, float64(u.Goroutines-before.Goroutines)/n)
				heap = append(heap, (float64(u.Heap)-float64(before.Heap))/n)
				inUse = append(inUse, (float64(u.HeapInuse)-float64(before.HeapInuse))/n)
				stacks = append(stacks, (float64(u.Stacks)-float64(before.Stacks))/n)
			}
			b.ReportMetric(median(goroutines), "goroutines")
			b.ReportMetric(median(heap), "heap-B")
			b.ReportMetric(median(inUse), "heap-in-use-B")
			b.ReportMetric(median(stacks), "stack-B")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkTFTPGreedyRequest asks for the largest of windows and blocks, which must
// not make a server allocate for all of it.
func BenchmarkTFTPGreedyRequest(b *testing.B) {
	for _, kind := range []string{kindOurs, kindSingle, kindStream} {
		b.Run(kind, func(b *testing.B) {
			var allocated, heap, sys []float64
			for b.Loop() {
				server, client := startServer(b, kind, 8<<20), startClient(b)
				before := server.keeps(b)
				client.tell(b, order{
					Do: "open", Addrs: []string{server.addr}, Count: 1, Block: 65464, Window: 65535,
				})
				u := server.keeps(b)
				client.tell(b, order{Do: "drop"})
				allocated = append(allocated, float64(u.Bytes-before.Bytes))
				heap = append(heap, float64(u.Heap)-float64(before.Heap))
				sys = append(sys, float64(u.HeapSys)-float64(before.HeapSys))
			}
			b.ReportMetric(median(allocated), "allocated-B")
			b.ReportMetric(median(heap), "heap-B")
			b.ReportMetric(median(sys), "heap-sys-B")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// openTransfers begins transfers, and leaves them when the first block has come.
func (c *child) openTransfers(o *order) error {
	request := []byte("\x00\x01file\x00octet\x00blksize\x00" + strconv.Itoa(o.Block) + "\x00")
	request = append(request, "windowsize\x00"+strconv.Itoa(o.Window)+"\x00"...)
	for range o.Count {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return err
		}
		c.open = append(c.open, conn)
		if err := conn.SetDeadline(time.Now().Add(smallTime)); err != nil {
			return err
		}
		if _, err := conn.WriteToUDPAddrPort(request, netip.MustParseAddrPort(o.Addrs[0])); err != nil {
			return err
		}
		if err := acceptOptions(conn); err != nil {
			return err
		}
	}
	return nil
}

func acceptOptions(conn *net.UDPConn) error {
	var b [1 << 16]byte
	n, peer, err := conn.ReadFromUDPAddrPort(b[:])
	if err != nil {
		return err
	}
	if n < 2 || b[1] != 6 {
		return fmt.Errorf("got %q instead of an OACK", b[:n])
	}
	if _, err := conn.WriteToUDPAddrPort([]byte{0, 4, 0, 0}, peer); err != nil {
		return err
	}
	n, _, err = conn.ReadFromUDPAddrPort(b[:])
	if err == nil && (n < 4 || b[1] != 3 || b[3] != 1) {
		err = fmt.Errorf("got %q instead of block 1", b[:min(n, 50)])
	}
	return err
}

// dropTransfers ends the open transfers by an ERROR to where their blocks come from.
func (c *child) dropTransfers() error {
	var errs []error
	var b [1 << 16]byte
	for _, conn := range c.open {
		_, peer, err := conn.ReadFromUDPAddrPort(b[:])
		if err == nil { // the block was sent again
			_, err = conn.WriteToUDPAddrPort([]byte("\x00\x05\x00\x00enough\x00"), peer)
		}
		errs = append(errs, err, conn.Close())
	}
	c.open = nil
	return errors.Join(errs...)
}
