package echo_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"github.com/netparts/netparts/echo"
	"github.com/netparts/netparts/internal/memnet"
)

// sizes makes lengths of a fuzzer's bytes, small ones mostly.
func sizes(plan []byte) []int {
	var list []int
	for _, b := range plan[:min(len(plan), 64)] {
		n := int(b & 0x0f)
		list = append(list, n<<(b>>4)) // up to 15 times 32 KiB
	}
	return list
}

// FuzzStream sends chunks of any sizes, reads in any others, and half-closes.
func FuzzStream(f *testing.F) {
	f.Add([]byte{}, []byte{})                        // an end without bytes
	f.Add([]byte{0x01}, []byte{0x01})                // one byte
	f.Add([]byte{0x0f, 0x52, 0x51}, []byte{0x01})    // the small buffer's length, in single bytes
	f.Add([]byte{0xa1, 0xa1}, []byte{0xf1})          // around the window
	f.Add([]byte{0xe4, 0x03, 0xef}, []byte{0xe1, 0}) // more than the window
	f.Fuzz(func(t *testing.T, writes, reads []byte) {
		var chunks [][]byte
		total := 0
		for _, n := range sizes(writes) {
			if total+n > 1<<20 {
				break
			}
			chunks = append(chunks, pattern(total + n)[total:])
			total += n
		}
		synctest.Test(t, func(t *testing.T) {
			var server echo.Server
			client, conn := memnet.Pipe()
			ended := serveConn(t.Context(), &server, conn)
			go func() {
				for _, chunk := range chunks {
					if _, err := client.Write(chunk); err != nil {
						t.Error(err)
					}
				}
				if err := client.CloseWrite(); err != nil {
					t.Error(err)
				}
			}()
			got, err := readChunks(client, sizes(reads))
			if err != nil || !bytes.Equal(got, pattern(total)) {
				t.Errorf("%d bytes came back, %v, want %d", len(got), err, total)
			}
			must(t, <-ended)
			must(t, client.Close())
		})
	})
}

// readChunks reads to the end, by reads of the given sizes first.
func readChunks(r io.Reader, sizes []int) ([]byte, error) {
	var got []byte
	for _, n := range sizes {
		b := make([]byte, max(n, 1))
		n, err := r.Read(b)
		got = append(got, b[:n]...)
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
	}
	rest, err := io.ReadAll(r)
	return append(got, rest...), err
}

// FuzzPackets sends datagrams of any sizes, from peers of any ports, and of each
// the answer is what the rule says.
func FuzzPackets(f *testing.F) {
	f.Add([]byte{}, uint16(50000))
	f.Add([]byte{0, 1, 0xff, 0}, uint16(1024)) // empty ones, and one that is too long
	f.Add([]byte{0x11}, uint16(7))             // the port of the echo service
	f.Add([]byte{0x11}, uint16(1023))
	f.Add([]byte{0x11, 0xc7}, uint16(7007)) // the server's own port
	f.Fuzz(func(t *testing.T, plan []byte, port uint16) {
		if port == 0 {
			return // any port
		}
		synctest.Test(t, func(t *testing.T) {
			var network memnet.Network
			var server echo.Server
			addr, served := packetsInMemory(t, &server, &network, "192.0.2.1:7007")
			peer := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 2), Port: int(port)}
			conn := client(t, &network, peer.String())
			var want []string
			for _, n := range sizes(plan) {
				message := pattern(min(n, 65507))
				_, err := conn.WriteTo(message, addr)
				must(t, err)
				synctest.Wait()
				if port >= 1024 && port != 7007 {
					want = append(want, string(message))
				}
				// Read now, before the queue is full.
				if len(want) > 0 {
					wantFrom(t, conn, want[len(want)-1], addr)
				}
			}
			marker := client(t, &network, "192.0.2.3:50000")
			_, err := marker.WriteTo([]byte("marker"), conn.LocalAddr())
			must(t, err)
			wantFrom(t, conn, "marker", marker.LocalAddr())
			must(t, server.Close())
			if err := <-served; err != echo.ErrServerClosed {
				t.Errorf("ServePacket: %v", err)
			}
		})
	})
}
