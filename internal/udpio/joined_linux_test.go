package udpio_test

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/internal/netns"
	"github.com/netparts/netparts/internal/udpio"
)

// to makes a message of each of some datagrams, which are told apart by their content.
func to(peer netip.AddrPort, sizes ...int) []udpio.Message {
	var ms []udpio.Message
	for i, n := range sizes {
		ms = append(ms, udpio.Message{Data: numbers[i*10:][:n:n], To: peer})
	}
	return ms
}

// same returns n times a size.
func same(n, size int) []int {
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = size
	}
	return sizes
}

// wantMessages reads what messages are, each once and in order.
func wantMessages(t *testing.T, r *udpio.Reader, ms []udpio.Message) {
	t.Helper()
	for i, p := range read(t, r, len(ms)) {
		if !bytes.Equal(p.Data, ms[i].Data) {
			t.Fatalf("datagram %d of %d has %d bytes: %.20q, want %d: %.20q", i, len(ms), len(p.Data), p.Data, len(ms[i].Data), ms[i].Data)
		}
	}
	if r.Buffered() {
		t.Error("there are more datagrams")
	}
}

// Datagrams in a row to one peer arrive as what they are, whatever their sizes.
func TestDatagramsInARow(t *testing.T) {
	w := udpio.NewWriter(loopback(t))
	for name, sizes := range map[string][]int{
		"two":                    {100, 100},
		"the last is shorter":    {100, 100, 40},
		"one between is shorter": {100, 40, 100, 100},
		"they grow":              {10, 20, 30, 40, 40},
		"empty ones":             {0, 0, 100, 0, 100, 100, 0},
		"more than one message":  same(200, 100),
		"more than 64 KiB":       same(50, 9000),
		"as large as can be":     {65507, 65507, 10, 65507},
		"a byte each":            same(150, 1),
	} {
		t.Run(name, func(t *testing.T) {
			for _, coalesce := range []bool{false, true} {
				client := loopback(t)
				r := udpio.NewReader(client, udpio.Config{Size: 65507, Batch: 4, Coalesce: coalesce})
				defer r.Release()
				ms := to(addrPort(client), sizes...)
				must(t, w.WriteAll(ms))
				wantMessages(t, r, ms)
			}
		})
	}
	if w.Whole() != 0 {
		t.Errorf("not split from %d bytes on", w.Whole())
	}
}

// They are one message to the kernel, and so are they to a socket that takes them so.
func TestDatagramsInARowAreJoined(t *testing.T) {
	server, client := loopback(t), loopback(t)
	r := udpio.NewReader(client, udpio.Config{Size: 65507, Coalesce: true})
	defer r.Release()
	w := udpio.NewWriter(server)
	write(t, w, pattern(200), 100, addrPort(client))
	must(t, r.Read())
	if p, _, _ := r.NextRun(); len(p.Data) != 200 {
		t.Skip("this kernel does not join datagrams")
	}
	must(t, r.Read())
	r.NextRun() // the end
	for range 2 {
		must(t, w.WriteAll(to(addrPort(client), 100, 100, 100, 40, 100)))
		for _, want := range []int{340, 100} {
			must(t, r.Read())
			if p, size, ok := r.NextRun(); !ok || len(p.Data) != want || size != 100 {
				t.Errorf("%d bytes in datagrams of %d, want %d in those of 100", len(p.Data), size, want)
			}
		}
	}
	w.StopSplitting()
	must(t, w.WriteAll(to(addrPort(client), 100, 100)))
	for range 2 {
		must(t, r.Read())
		if p, _, ok := r.NextRun(); !ok || len(p.Data) != 100 {
			t.Errorf("%d bytes at once of what must not be joined", len(p.Data))
		}
	}
}

// A run behind a datagram is split by its own size.
func TestRunBehindADatagram(t *testing.T) {
	server, client := loopback(t), loopback(t)
	r := udpio.NewReader(client, udpio.Config{Size: 1000, Batch: 4})
	defer r.Release()
	ms := to(addrPort(client), 100, 100)
	ms[1].Size = 30
	must(t, udpio.NewWriter(server).WriteAll(ms))
	for i, p := range read(t, r, 5) {
		if want := []int{100, 30, 30, 30, 10}[i]; len(p.Data) != want {
			t.Errorf("datagram %d has %d bytes, want %d", i, len(p.Data), want)
		}
	}
}

// Those between which another one goes elsewhere, or leaves from elsewhere, are apart.
func TestDatagramsOfSeveralPeers(t *testing.T) {
	server := listen(t, "udp4", "0.0.0.0:0")
	port := addrPort(server).Port()
	w := udpio.NewWriter(server)
	var clients [3]*net.UDPConn
	var readers [3]*udpio.Reader
	for i := range clients {
		clients[i] = loopback(t)
		readers[i] = udpio.NewReader(clients[i], udpio.Config{Size: 100, Batch: 8})
		defer readers[i].Release()
	}
	var ms []udpio.Message
	sent := make(map[int][]udpio.Message)
	for i, k := range []int{0, 0, 0, 1, 1, 0, 2, 1, 0, 0, 2, 2} {
		m := udpio.Message{
			Data: numbers[i*10:][:50:50], Size: 50 + i%2, To: addrPort(clients[k]),
			From: netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + i%3/2)}),
		}
		ms = append(ms, m)
		sent[k] = append(sent[k], m)
	}
	must(t, w.WriteAll(ms))
	for k, r := range readers {
		for i, p := range read(t, r, len(sent[k])) {
			m := sent[k][i]
			if from := netip.AddrPortFrom(m.From, port); !bytes.Equal(p.Data, m.Data) || p.Peer != from {
				t.Errorf("datagram %d of client %d is %.20q from %v, want %.20q from %v", i, k, p.Data, p.Peer, m.Data, from)
			}
		}
	}
}

// What the kernel refuses to split goes one by one, which is remembered.
func TestDatagramsInARowWithoutChecksum(t *testing.T) {
	server, client := loopback(t), loopback(t)
	raw, err := server.SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1)
	}))
	must(t, err)
	r := udpio.NewReader(client, udpio.Config{Size: 1000, Batch: 16, Coalesce: true})
	defer r.Release()
	w := udpio.NewWriter(server)
	for _, size := range []int{500, 600, 400} {
		ms := to(addrPort(client), same(100, size)...)
		must(t, w.WriteAll(ms))
		wantMessages(t, r, ms)
		if want := min(size, 500); w.Whole() != want {
			t.Errorf("after datagrams of %d bytes not split from %d bytes on, want %d", size, w.Whole(), want)
		}
	}
}

// What cannot be sent at all is no refusal to split, and each has the error.
func TestErrorOfDatagramsInARow(t *testing.T) {
	server, client := loopback(t), loopback(t)
	r := udpio.NewReader(client, udpio.Config{Size: 1000, Batch: 16})
	defer r.Release()
	for name, m := range map[string]udpio.Message{
		"from elsewhere": {To: addrPort(client), From: netip.MustParseAddr("192.0.2.1")},
		"to port 0":      {To: netip.AddrPortFrom(addrPort(client).Addr(), 0)}, // which is EINVAL, as a refusal is
	} {
		w := udpio.NewWriter(server)
		good := to(addrPort(client), same(4, 100)...)
		bad := to(m.To, same(3, 100)...)
		for i := range bad {
			bad[i].From = m.From
		}
		ms := append(append(append([]udpio.Message{}, good[:2]...), bad...), good[2:]...)
		if err := w.WriteAll(ms); err == nil {
			t.Errorf("%s: there was no error", name)
		}
		for i, m := range ms {
			if isBad := i >= 2 && i < 5; isBad != (m.Err != nil) {
				t.Errorf("%s: message %d: %v", name, i, m.Err)
			}
		}
		wantMessages(t, r, good)
		if w.Whole() != 0 {
			t.Errorf("%s: not split from %d bytes on", name, w.Whole())
		}
	}
}

// Those that are longer than the MTU go one by one, in fragments.
func TestRootDatagramsInARowBeyondMTU(t *testing.T) {
	n := netns.New(t)
	n.SetMTU(t, 1500)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		server, client := n.ListenUDP(t, "udp", address), n.ListenUDP(t, "udp", address)
		must(t, client.SetDeadline(time.Now().Add(10*time.Second)))
		udpio.SetReadBuffer(client, readBuffer)
		r := udpio.NewReader(client, udpio.Config{Size: 8 << 10, Batch: 16})
		defer r.Release()
		w := udpio.NewWriter(server)
		for _, sizes := range [][]int{same(20, 8<<10), same(20, 1400), same(20, 8<<10)} {
			ms := to(addrPort(client), sizes...)
			must(t, w.WriteAll(ms))
			wantMessages(t, r, ms)
			if w.Whole() != 8<<10 {
				t.Errorf("not split from %d bytes on, want %d", w.Whole(), 8<<10)
			}
		}
	}
}
