package udpio_test

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/internal/udpio"
)

// Messages of all kinds go to peers of their own, by either way.
func TestWriteAll(t *testing.T) {
	for _, portable := range []bool{false, true} {
		server := loopback(t)
		w := udpio.NewWriter(server)
		if portable {
			udpio.OneAtATime(udpio.NewReader(server, udpio.Config{}), w)
		}
		// More than one system call takes; runs and datagrams, empty and odd.
		var ms []udpio.Message
		var readers []*udpio.Reader
		for i := range 70 {
			client := loopback(t)
			r := udpio.NewReader(client, udpio.Config{Size: 65507, Batch: 4, Coalesce: i%2 == 0})
			defer r.Release()
			readers = append(readers, r)
			m := udpio.Message{Data: pattern(i * 100), Size: 1000, To: addrPort(client)}
			switch i % 4 {
			case 1:
				m.Size = 0
			case 2:
				m.From = addrPort(server).Addr()
			case 3:
				m.Size = len(m.Data) + 1
			}
			ms = append(ms, m)
		}
		must(t, w.WriteAll(ms))
		for i, m := range ms {
			size := m.Size
			if size <= 0 || size > len(m.Data) {
				size = max(len(m.Data), 1)
			}
			if len(m.Data) == 0 {
				if got := read(t, readers[i], 1); len(got[0].Data) != 0 {
					t.Errorf("message %d: %d bytes, want an empty datagram", i, len(got[0].Data))
				}
				continue
			}
			must(t, w.Write([]byte("end"), 3, m.To, netip.Addr{}))
			readWhole(t, readers[i], m.Data, size, addrPort(server))
		}
	}
}

// What cannot be sent does not keep the others from it.
func TestWriteAllPassesOverErrors(t *testing.T) {
	server, client := loopback(t), loopback(t)
	w := udpio.NewWriter(server)
	r := udpio.NewReader(client, udpio.Config{Size: 512})
	defer r.Release()
	to := addrPort(client)
	bad := []udpio.Message{
		{Data: pattern(1), To: netip.MustParseAddrPort("[::1]:1024")},                      // of another family
		{Data: pattern(65508), To: to},                                                     // more than a datagram carries
		{Data: pattern(1), To: netip.AddrPort{}},                                           // no address
		{Data: pattern(1), To: to, From: netip.MustParseAddr("192.0.2.1")},                 // not ours
		{Data: pattern(1), To: netip.MustParseAddrPort("[fe80::1%no-such-interface]:102")}, // no zone
	}
	for i, m := range bad {
		good := udpio.Message{Data: pattern(10 + i), To: to}
		ms := []udpio.Message{good, m, good, m}
		err := w.WriteAll(ms)
		if err == nil || ms[0].Err != nil || ms[1].Err == nil || ms[2].Err != nil || ms[3].Err == nil {
			t.Errorf("message %d: %v, of each %v, %v, %v, %v", i, err, ms[0].Err, ms[1].Err, ms[2].Err, ms[3].Err)
		}
		if got := read(t, r, 2); len(got[0].Data) != 10+i || len(got[1].Data) != 10+i {
			t.Errorf("%d and %d bytes arrived, want %d twice", len(got[0].Data), len(got[1].Data), 10+i)
		}
	}
}

// A kernel that does not split gets datagrams.
func TestWriteAllWithoutSplitting(t *testing.T) {
	server, client := loopback(t), loopback(t)
	w := udpio.NewWriter(server)
	w.StopSplitting()
	r := udpio.NewReader(client, udpio.Config{Size: 512, Batch: 8})
	defer r.Release()
	m := udpio.Message{Data: pattern(1000), Size: 300, To: addrPort(client)}
	must(t, w.WriteAll([]udpio.Message{m, m}))
	for i, p := range read(t, r, 8) {
		if want := []int{300, 300, 300, 100}[i%4]; len(p.Data) != want {
			t.Errorf("datagram %d is of %d bytes, want %d", i, len(p.Data), want)
		}
	}
}

func TestWriteAllOfClosedConn(t *testing.T) {
	server, client := loopback(t), loopback(t)
	w := udpio.NewWriter(server)
	ms := []udpio.Message{{Data: pattern(1), To: addrPort(client)}, {Data: pattern(1), To: addrPort(client)}}
	must(t, server.SetWriteDeadline(time.Unix(1, 0)))
	if err := w.WriteAll(ms); !errors.Is(err, os.ErrDeadlineExceeded) || ms[0].Err == nil || ms[1].Err == nil {
		t.Errorf("WriteAll after the deadline: %v, of each %v, %v", err, ms[0].Err, ms[1].Err)
	}
	must(t, server.Close())
	if err := w.WriteAll(ms); !errors.Is(err, net.ErrClosed) || ms[0].Err == nil || ms[1].Err == nil {
		t.Errorf("WriteAll after Close: %v, of each %v, %v", err, ms[0].Err, ms[1].Err)
	}
}

// What one system call reads another one sends, without an allocation.
func TestNextRunEchoes(t *testing.T) {
	server, client := loopback(t), loopback(t)
	r := udpio.NewReader(server, udpio.Config{Size: 65535, Batch: 8, Coalesce: true, Local: true})
	defer r.Release()
	back := udpio.NewReader(client, udpio.Config{Size: 65535, Coalesce: true})
	defer back.Release()
	w, cw := udpio.NewWriter(server), udpio.NewWriter(client)
	answers := make([]udpio.Message, 0, 8)
	round := func() {
		must(t, cw.Write(pattern(3500), 1000, addrPort(server), netip.Addr{}))
		must(t, cw.Write(pattern(10), 10, addrPort(server), netip.Addr{}))
		must(t, r.Read())
		answers = answers[:0]
		for p, size, ok := r.NextRun(); ok; p, size, ok = r.NextRun() {
			answers = append(answers, udpio.Message{Data: p.Data, Size: size, To: p.Peer, From: p.Local})
		}
		must(t, w.WriteAll(answers))
		must(t, back.Read())
		p, size, ok := back.NextRun()
		if !ok || size != 1000 || !bytes.Equal(p.Data, pattern(3500)) {
			t.Fatalf("%d bytes in datagrams of %d came back, %v", len(p.Data), size, ok)
		}
		must(t, back.Read())
		if p, size, ok := back.NextRun(); !ok || size != 10 || len(p.Data) != 10 || back.Buffered() {
			t.Fatalf("%d bytes in datagrams of %d came back, %v", len(p.Data), size, ok)
		}
	}
	round()
	if len(answers) != 2 {
		t.Skip("this kernel does not join datagrams")
	}
	if !raceEnabled {
		if n := testing.AllocsPerRun(100, round); n != 0 {
			t.Errorf("%v allocations a round", n)
		}
	}
}

// A run of datagrams that are longer than Size is cut datagram by datagram.
func TestNextRunCuts(t *testing.T) {
	server, client := loopback(t), loopback(t)
	r := udpio.NewReader(server, udpio.Config{Size: 100, Coalesce: true})
	defer r.Release()
	write(t, udpio.NewWriter(client), pattern(600), 300, addrPort(server))
	for range 2 {
		must(t, r.Read())
		p, size, ok := r.NextRun()
		if !ok || size != 100 || len(p.Data) != 100 || !p.Cut {
			t.Errorf("%d bytes in datagrams of %d, cut %v, %v", len(p.Data), size, p.Cut, ok)
		}
	}
}

// A socket whose buffer is full is waited for.
func TestWriteAllWaitsForRoom(t *testing.T) {
	server, client := loopback(t), loopback(t)
	raw, err := server.SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		must(t, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 1)) // the least there is
	}))
	r := udpio.NewReader(client, udpio.Config{Size: 65507})
	defer r.Release()
	w := udpio.NewWriter(server)
	ms := make([]udpio.Message, 100)
	for i := range ms {
		ms[i] = udpio.Message{Data: pattern(2000), To: addrPort(client)}
	}
	must(t, w.WriteAll(ms))
	for i, p := range read(t, r, 10) {
		if len(p.Data) != 2000 {
			t.Errorf("datagram %d is of %d bytes", i, len(p.Data))
		}
	}
}
