package proxy_test

import (
	"net"
	"testing"
	"time"

	"github.com/netparts/netparts/proxy"
)

// BenchmarkPacketServer sends a window of datagrams through the proxy to a server that
// echoes, and waits for them.
func BenchmarkPacketServer(b *testing.B) {
	for _, bb := range []struct {
		name   string
		window int
	}{{"one", 1}, {"window", 16}} {
		b.Run(bb.name, func(b *testing.B) {
			const size = 1200
			s := &proxy.PacketServer{Dial: packetTo(packetEcho(b, "udp4"))}
			addr := packetServe(b, s, packetListen(b, "udp4"))
			client, err := net.Dial("udp4", addr.String())
			if err != nil {
				b.Fatal(err)
			}
			defer client.Close()
			if err := client.SetDeadline(time.Now().Add(10 * time.Minute)); err != nil {
				b.Fatal(err)
			}
			message, answer := random(size), make([]byte, size+1)
			b.SetBytes(int64(size * bb.window))
			b.ReportAllocs()
			for b.Loop() {
				for range bb.window {
					if _, err := client.Write(message); err != nil {
						b.Fatal(err)
					}
				}
				for range bb.window {
					if n, err := client.Read(answer); n != size || err != nil {
						b.Fatalf("Read = %d, %v", n, err)
					}
				}
			}
		})
	}
}
