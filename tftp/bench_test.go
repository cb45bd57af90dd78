package tftp_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/netparts/netparts/tftp"
)

// A file of 4 MiB over loopback, both sides in this process. Side by side with
// other libraries, each side in a process of its own, is internal/bench.
func BenchmarkGet(b *testing.B) {
	file := random(4 << 20)
	for _, size := range []struct{ block, window int }{{512, 1}, {1428, 1}, {512, 64}, {1428, 16}, {1428, 64}, {8192, 64}} {
		for _, single := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dx%d,single=%v", size.block, size.window, single), func(b *testing.B) {
				addr, stop := start(&tftp.Server{Open: tftp.Payload(file), SinglePort: single})
				defer stop()
				c := &tftp.Client{Addr: addr, BlockSize: size.block, WindowSize: size.window}
				b.ReportAllocs()
				b.SetBytes(int64(len(file)))
				blocks := int64(0)
				for b.Loop() {
					stats, err := c.Get(b.Context(), "file", io.Discard)
					if err != nil || stats.Bytes != int64(len(file)) {
						b.Fatalf("Get = %+v, %v", stats, err)
					}
					blocks += stats.Blocks
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(blocks), "ns/block")
				if err := c.Close(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// A file of 1 KiB with as little of a client as can be, so that the figures are
// those of the server.
func BenchmarkSmallFile(b *testing.B) {
	for _, single := range []bool{false, true} {
		b.Run(fmt.Sprintf("single=%v", single), func(b *testing.B) {
			addr, stop := start(&tftp.Server{Open: tftp.Payload(random(1024)), SinglePort: single})
			defer stop()
			// A port is used again only when its last transfer is long over.
			var conns [64]*net.UDPConn
			for i := range conns {
				var err error
				if conns[i], err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
					b.Fatal(err)
				}
				defer conns[i].Close()
			}
			server := netip.MustParseAddrPort(addr)
			request := []byte("\x00\x01file\x00octet\x00")
			buf := make([]byte, 1000)
			ack := make([]byte, 4)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				conn := conns[i%len(conns)]
				if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
					b.Fatal(err)
				}
				if _, err := conn.WriteToUDPAddrPort(request, server); err != nil {
					b.Fatal(err)
				}
				for want := uint16(1); want <= 3; want++ {
					n, from, err := conn.ReadFromUDPAddrPort(buf)
					if err != nil || n < 4 || binary.BigEndian.Uint16(buf[2:]) != want {
						b.Fatalf("read %q, %v, want block %d", buf[:n], err, want)
					}
					binary.BigEndian.PutUint16(ack, uint16(tftp.OpAck))
					copy(ack[2:], buf[2:4])
					if _, err := conn.WriteToUDPAddrPort(ack, from); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
