package proxy_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netparts/netparts/proxy"
)

// Datagrams of every size come through as they were, both ways, and are counted.
func TestPacketSizes(t *testing.T) {
	for _, network := range []string{"udp4", "udp6"} {
		t.Run(network, func(t *testing.T) {
			s := &proxy.PacketServer{Dial: packetTo(packetEcho(t, network))}
			reports := reportPackets(s)
			addr := packetServe(t, s, packetListen(t, network))
			client := packetListen(t, network)
			sizes := []int{0, 1, 1200, 1472, 1473, 9000, 0, 65507}
			total := 0
			for _, n := range sizes {
				packetWantEcho(t, client, addr, string(random(n)))
				total += n
			}
			want := proxy.PacketStats{
				Datagrams: proxy.Stats{ToUpstream: int64(len(sizes)), ToClient: int64(len(sizes))},
				Bytes:     proxy.Stats{ToUpstream: int64(total), ToClient: int64(total)},
			}
			packetShutdown(t, s)
			r := reports.next(t)
			if r.PacketStats != want || r.Client.String() != client.LocalAddr().String() || r.Upstream == nil || r.Err != nil || r.Duration <= 0 {
				t.Errorf("report %+v, want %+v", r, want)
			}
			if got := s.Stats(); got != (proxy.PacketServerStats{Total: 1, PacketStats: want}) {
				t.Errorf("Stats = %+v, want %+v", got, want)
			}
		})
	}
}

// Bursts of many clients keep their boundaries and their order, and each client has an
// upstream socket of its own.
func TestPacketBursts(t *testing.T) {
	const clients, each, window = 5, 320, 4
	s := &proxy.PacketServer{Dial: packetTo(packetEcho(t, "udp4"))}
	addr := packetServe(t, s, packetListen(t, "udp4"))
	sizes := []int{8, 8, 8, 100, 1472, 1472, 1472, 20, 9000, 11}
	var all sync.WaitGroup
	for c := range clients {
		client := packetListen(t, "udp4")
		message := func(i int) string {
			b := bytes.Clone(random(sizes[(c+i)%len(sizes)]))
			binary.BigEndian.PutUint32(b, uint32(c))
			binary.BigEndian.PutUint32(b[4:], uint32(i))
			return string(b)
		}
		all.Go(func() {
			b := make([]byte, 10_000)
			for i := 0; i < each; i += window {
				for k := range window {
					if _, err := client.WriteTo([]byte(message(i+k)), addr); err != nil {
						t.Error(err)
						return
					}
				}
				for k := range window {
					n, _, err := client.ReadFrom(b)
					if want := message(i + k); err != nil || string(b[:n]) != want {
						t.Errorf("client %d: datagram %d is %d bytes, %v, want %d", c, i+k, n, err, len(want))
						return
					}
				}
			}
		})
	}
	all.Wait()
	packetUntil(t, "all are counted", func() bool {
		return s.Stats().Datagrams == (proxy.Stats{ToUpstream: clients * each, ToClient: clients * each})
	})
	if got := s.Stats(); got.Active != clients || got.Total != clients || got.Dropped != 0 {
		t.Errorf("Stats = %+v", got)
	}
}

// What a stranger sends to the upstream socket of a session does not reach the client.
func TestPacketStranger(t *testing.T) {
	upstream := packetListen(t, "udp4")
	s := &proxy.PacketServer{Dial: packetTo(upstream.LocalAddr())}
	addr := packetServe(t, s, packetListen(t, "udp4"))
	client, stranger := packetListen(t, "udp4"), packetListen(t, "udp4")
	packetSend(t, client, addr, "question")
	session := packetWant(t, upstream, "question")
	packetSend(t, stranger, session, "forged")
	packetSend(t, upstream, session, "answer")
	packetWant(t, client, "answer")
}

// Dial learns who asks, and gets nothing else to work with. RoundRobin works.
func TestPacketDial(t *testing.T) {
	first, second := packetListen(t, "udp4"), packetListen(t, "udp4")
	next := proxy.RoundRobin(packetTo(first.LocalAddr()), packetTo(second.LocalAddr()))
	var seen atomic.Value
	s := &proxy.PacketServer{Dial: func(ctx context.Context, client net.Conn) (net.Conn, error) {
		seen.Store(client.RemoteAddr().String() + " asks " + client.LocalAddr().String())
		_, read := client.Read(nil)
		_, write := client.Write([]byte("no"))
		for _, err := range []error{
			read, write, client.Close(), client.SetDeadline(time.Now()),
			client.SetReadDeadline(time.Now()), client.SetWriteDeadline(time.Now()),
		} {
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("the client's connection: %v, want %v", err, errors.ErrUnsupported)
			}
		}
		return next(ctx, client)
	}}
	addr := packetServe(t, s, packetListen(t, "udp4"))
	for _, upstream := range []net.PacketConn{first, second, first} {
		client := packetListen(t, "udp4")
		packetSend(t, client, addr, "for the next")
		packetWant(t, upstream, "for the next")
		if got, want := seen.Load(), client.LocalAddr().String()+" asks "+addr.String(); got != want {
			t.Errorf("Dial saw that %v, want %v", got, want)
		}
	}
}

// An upstream that does not listen loses datagrams, not the session: it answers when it
// is there, to the same socket.
func TestPacketUpstreamThatComesBack(t *testing.T) {
	upstream := packetListen(t, "udp4")
	s := &proxy.PacketServer{Dial: packetTo(upstream.LocalAddr())}
	reports := reportPackets(s)
	addr := packetServe(t, s, packetListen(t, "udp4"))
	client := packetListen(t, "udp4")
	packetSend(t, client, addr, "before")
	session := packetWant(t, upstream, "before")
	upstream.Close()
	for i := range int64(20) {
		packetSend(t, client, addr, "to nobody")
		packetUntil(t, "it is sent or lost", func() bool {
			stats := s.Stats()
			return stats.Datagrams.ToUpstream+stats.Dropped == 2+i
		})
	}
	upstream = packetListenAt(t, "udp4", upstream.LocalAddr().String())
	packetSend(t, client, addr, "after")
	if from := packetWant(t, upstream, "after"); from.String() != session.String() {
		t.Errorf("from %v, before from %v", from, session)
	}
	packetSend(t, upstream, session, "answer")
	packetWant(t, client, "answer")
	select {
	case r := <-reports.ended:
		t.Errorf("a session has ended: %+v", r)
	default:
	}
}

// A proxy whose upstream it is itself does not go round in circles.
func TestPacketOwnUpstream(t *testing.T) {
	pc := packetListen(t, "udp4")
	s := &proxy.PacketServer{Dial: packetTo(pc.LocalAddr())}
	addr := packetServe(t, s, pc)
	client := packetListen(t, "udp4")
	for i := range int64(3) {
		packetSend(t, client, addr, "round")
		packetUntil(t, "it is dropped", func() bool { return s.Stats().Dropped == i+1 })
	}
	packetUntil(t, "they are counted", func() bool { return s.Stats().Datagrams.ToUpstream == 3 })
	if got := s.Stats(); got.Total != 1 || got.Dropped != 3 {
		t.Errorf("Stats = %+v, want one session", got)
	}
}

// Nor do two that have each other for an upstream, but for MaxSessions.
func TestPacketMutualUpstreams(t *testing.T) {
	const most = 10
	sockets := [2]net.PacketConn{packetListen(t, "udp4"), packetListen(t, "udp4")}
	var servers [2]proxy.PacketServer
	for i := range servers {
		servers[i].Dial = packetTo(sockets[1-i].LocalAddr())
		servers[i].MaxSessions = most
		packetServe(t, &servers[i], sockets[i])
	}
	client := packetListen(t, "udp4")
	packetSend(t, client, sockets[0].LocalAddr(), "round")
	packetUntil(t, "it is dropped", func() bool { return servers[0].Stats().Dropped == 1 })
	for i := range servers {
		packetUntil(t, "all rounds are counted", func() bool { return servers[i].Stats().Datagrams.ToUpstream == most })
		if got := servers[i].Stats(); got.Active != most {
			t.Errorf("server %d: Stats = %+v", i, got)
		}
	}
}

// What seems to come from the proxy's own address would be answered to it.
func TestPacketFromItself(t *testing.T) {
	for _, network := range []string{"udp4", "udp6"} {
		pc := packetListen(t, network)
		packetSend(t, pc, pc.LocalAddr(), "forged")
		s := &proxy.PacketServer{Dial: packetTo(packetEcho(t, network)), MaxSessions: 1}
		addr := packetServe(t, s, pc)
		packetWantEcho(t, packetListen(t, network), addr, "ping")
		if got := s.Stats(); got.Dropped != 1 || got.Total != 1 {
			t.Errorf("Stats = %+v, want one session", got)
		}
	}
}

// Replies leave from the listening socket for a client of its family, of a socket for
// both.
func TestPacketDualStack(t *testing.T) {
	s := &proxy.PacketServer{Dial: packetTo(packetEcho(t, "udp4"))}
	addr := packetServe(t, s, packetListenAt(t, "udp", "[::]:0")).(*net.UDPAddr)
	for _, host := range []string{"127.0.0.1", "::1"} {
		conn, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: net.ParseIP(host), Port: addr.Port})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("to " + host)); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(packetPatience)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 100)
		if n, err := conn.Read(b); err != nil || string(b[:n]) != "to "+host {
			t.Errorf("read %q, %v", b[:n], err)
		}
	}
}

// What ListenAndServe can do, and what it cannot.
func TestPacketListenAndServe(t *testing.T) {
	s := &proxy.PacketServer{Dial: packetTo(packetEcho(t, "udp4"))}
	if s.Addr() != nil {
		t.Errorf("Addr = %v before it listens", s.Addr())
	}
	listening := make(chan net.Addr, 1)
	s.Listening = func(a net.Addr) { listening <- a }
	served := make(chan error, 1)
	go func() { served <- s.ListenAndServe("udp", "127.0.0.1:0") }()
	addr := <-listening
	packetWantEcho(t, packetListen(t, "udp4"), addr, "ping")
	if got := s.Addr(); got.String() != addr.String() {
		t.Errorf("Addr = %v, want %v", got, addr)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; err != proxy.ErrServerClosed {
		t.Errorf("ListenAndServe = %v", err)
	}
	if err := s.ListenAndServe("udp", "127.0.0.1:0"); err != proxy.ErrServerClosed {
		t.Errorf("ListenAndServe after Close = %v", err)
	}
	if err := s.Serve(packetListen(t, "udp4")); err != proxy.ErrServerClosed {
		t.Errorf("Serve after Close = %v", err)
	}
	for _, tt := range []struct{ network, address string }{{"tcp", "127.0.0.1:0"}, {"udp", "nowhere"}, {"unixgram", "/no/such/folder"}} {
		err := new(proxy.PacketServer).ListenAndServe(tt.network, tt.address)
		if _, ok := errors.AsType[*net.OpError](err); !ok {
			t.Errorf("ListenAndServe(%q, %q) = %v", tt.network, tt.address, err)
		}
	}
}

// A socket that somebody else closes ends Serve and its sessions.
func TestPacketSocketThatFails(t *testing.T) {
	s := &proxy.PacketServer{Dial: packetTo(packetEcho(t, "udp4"))}
	reports := reportPackets(s)
	pc := packetListen(t, "udp4")
	served := make(chan error, 1)
	addr := pc.LocalAddr()
	go func() { served <- s.Serve(pc) }()
	packetWantEcho(t, packetListen(t, "udp4"), addr, "ping")
	pc.Close()
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve = %v", err)
	}
	side, ok := errors.AsType[*proxy.SideError](reports.next(t).Err)
	if !ok || side.Side != proxy.Client || !errors.Is(side, net.ErrClosed) {
		t.Errorf("reported %v", side)
	}
}

// A stream cannot be an upstream, nor what is connected to nobody.
func TestPacketUpstreamThatIsNone(t *testing.T) {
	stream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for want, dial := range map[string]proxy.DialFunc{
		"no network of datagrams": packetTo(stream.Addr()),
		"not connected": func(context.Context, net.Conn) (net.Conn, error) {
			return net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		},
		"no connection and no error": func(context.Context, net.Conn) (net.Conn, error) { return nil, nil },
		"panic in Dial: ouch":        func(context.Context, net.Conn) (net.Conn, error) { panic("ouch") },
	} {
		s := &proxy.PacketServer{Dial: dial}
		reports := reportPackets(s)
		addr := packetServe(t, s, packetListen(t, "udp4"))
		packetSend(t, packetListen(t, "udp4"), addr, "ping")
		r := reports.next(t)
		if r.Err == nil || !strings.Contains(r.Err.Error(), want) || r.Upstream != nil || r.Dropped != 1 {
			t.Errorf("report %+v, want an error that says %q", r, want)
		}
	}
}

// A Report that panics is logged, and the server goes on.
func TestPacketHookPanics(t *testing.T) {
	var log journalOfPackets
	s := &proxy.PacketServer{
		Dial: packetTo(packetEcho(t, "udp4")), MaxSessions: 1, IdleTimeout: time.Millisecond,
		Report: func(proxy.PacketReport) { panic("ouch") },
		Logger: log.logger(),
	}
	addr := packetServe(t, s, packetListen(t, "udp4"))
	for range 3 {
		before := s.Stats().Total
		packetSend(t, packetListen(t, "udp4"), addr, "ping")
		packetUntil(t, "its session has ended", func() bool {
			stats := s.Stats()
			return stats.Total > before && stats.Active == 0
		})
	}
	packetUntil(t, "that is logged", func() bool { return strings.Count(log.String(), "panic in Report: ouch") == 3 })
}

// Shutdown frees the address when the answer that was on its way has arrived.
func TestPacketShutdownOfUDP(t *testing.T) {
	upstream := packetListen(t, "udp4")
	s := &proxy.PacketServer{Dial: packetTo(upstream.LocalAddr())}
	addr := packetServe(t, s, packetListen(t, "udp4"))
	client := packetListen(t, "udp4")
	packetSend(t, client, addr, "question")
	session := packetWant(t, upstream, "question")
	done := make(chan struct{})
	go func() {
		defer close(done)
		packetShutdown(t, s)
	}()
	packetUntil(t, "nothing is served any more", func() bool {
		return s.ListenAndServe("udp", "nowhere") == proxy.ErrServerClosed
	})
	packetSend(t, upstream, session, "answer")
	packetWant(t, client, "answer")
	<-done
	packetListenAt(t, "udp4", addr.String())
}

// A connected socket is told that its one client is gone, and serves it when it is back.
func TestPacketConnectedSocket(t *testing.T) {
	client := packetListen(t, "udp4")
	conn, err := net.Dial("udp4", client.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	if _, err := conn.Write([]byte("to nobody")); err != nil { // what the next read learns
		t.Fatal(err)
	}
	client = packetListenAt(t, "udp4", client.LocalAddr().String())
	s := &proxy.PacketServer{Dial: packetTo(packetEcho(t, "udp4"))}
	addr := packetServe(t, s, conn.(*net.UDPConn))
	packetWantEcho(t, client, addr, "back")
}
