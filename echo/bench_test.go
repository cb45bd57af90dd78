package echo_test

import (
	"io"
	"testing"
	"time"

	"github.com/netparts/netparts/echo"
)

// BenchmarkStream sends and reads chunks of 64 KiB without pausing.
func BenchmarkStream(b *testing.B) {
	const chunk = 64 << 10
	for _, network := range []string{"tcp", "unix"} {
		b.Run(network, func(b *testing.B) {
			var server echo.Server
			conn := dial(b, network, listen(b, &server, network))
			must(b, conn.SetDeadline(time.Time{}))
			b.SetBytes(chunk)
			b.ReportAllocs()
			written := make(chan error, 1)
			n := make(chan int64, 1)
			go func() {
				count, err := io.Copy(io.Discard, conn)
				n <- count
				written <- err
			}()
			sent := int64(0)
			message := pattern(chunk)
			for b.Loop() {
				if _, err := conn.Write(message); err != nil {
					b.Fatal(err)
				}
				sent += chunk
			}
			must(b, conn.CloseWrite())
			if got := <-n; got != sent {
				b.Errorf("%d bytes came back of %d", got, sent)
			}
			must(b, <-written)
		})
	}
}

// BenchmarkPing sends one byte and waits for it.
func BenchmarkPing(b *testing.B) {
	for _, network := range []string{"tcp", "unix"} {
		b.Run(network, func(b *testing.B) {
			var server echo.Server
			conn := dial(b, network, listen(b, &server, network))
			must(b, conn.SetDeadline(time.Time{}))
			b.ReportAllocs()
			message := make([]byte, 1)
			for b.Loop() {
				if _, err := conn.Write(message); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(conn, message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkUDP sends one datagram at a time and waits for it.
func BenchmarkUDP(b *testing.B) {
	const size = 1200
	var server echo.Server
	conn := dialPacket(b, "udp", listenPacket(b, &server, "udp", "127.0.0.1:0").String())
	must(b, conn.SetDeadline(time.Time{}))
	b.SetBytes(size)
	b.ReportAllocs()
	message, answer := pattern(size), make([]byte, size+1)
	for b.Loop() {
		if _, err := conn.Write(message); err != nil {
			b.Fatal(err)
		}
		if n, err := conn.Read(answer); n != size || err != nil {
			b.Fatalf("Read = %d, %v", n, err)
		}
	}
}
