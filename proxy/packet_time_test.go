package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/proxy"
)

// A memoryUpstream is a connected packet connection of a network in memory.
type memoryUpstream struct {
	*memnet.PacketConn
	remote net.Addr
}

func (u memoryUpstream) RemoteAddr() net.Addr { return u.remote }

func (u memoryUpstream) Write(b []byte) (int, error) { return u.WriteTo(b, u.remote) }

func (u memoryUpstream) Read(b []byte) (int, error) {
	for {
		n, from, err := u.ReadFrom(b)
		if err != nil || from.String() == u.remote.String() {
			return n, err
		}
	}
}

// A memoryRig is a server on a network in memory, whose Dial makes memoryUpstreams.
type memoryRig struct {
	network  memnet.Network
	server   proxy.PacketServer
	reports  *packetReports
	addr     net.Addr
	upstream *memnet.PacketConn
	served   chan error
	dials    atomic.Int64
	closed   bool
}

// packetsInMemory runs f in a bubble, with a server and an upstream that is there to be
// read.
func packetsInMemory(t *testing.T, s func(r *memoryRig), f func(t *testing.T, r *memoryRig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &memoryRig{served: make(chan error, 1)}
		r.upstream = r.listen(t, "192.0.2.9:9")
		r.server.Dial = r.dial
		r.reports = reportPackets(&r.server)
		s(r)
		pc := r.listen(t, "192.0.2.1:53")
		r.addr = pc.LocalAddr()
		go func() { r.served <- r.server.Serve(pc) }()
		f(t, r)
		if !r.closed {
			r.close(t)
		}
	})
}

func (r *memoryRig) dial(context.Context, net.Conn) (net.Conn, error) {
	r.dials.Add(1)
	pc, err := r.network.ListenPacket("udp", "192.0.2.1:0")
	if err != nil {
		return nil, err
	}
	return memoryUpstream{pc, r.upstream.LocalAddr()}, nil
}

func (r *memoryRig) listen(t *testing.T, address string) *memnet.PacketConn {
	t.Helper()
	pc, err := r.network.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc
}

// close ends the server at once.
func (r *memoryRig) close(t *testing.T) {
	t.Helper()
	r.closed = true
	begin := time.Now()
	if err := r.server.Close(); err != nil {
		t.Error(err)
	}
	packetShutdown(t, &r.server)
	if err := <-r.served; err != proxy.ErrServerClosed {
		t.Errorf("Serve = %v", err)
	}
	if took := time.Since(begin); took != 0 {
		t.Errorf("Close took %v", took)
	}
}

// wantNoPacket checks that nothing has come by now.
func wantNoPacket(t *testing.T, pc net.PacketConn) {
	t.Helper()
	synctest.Wait()
	if err := pc.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, from, err := pc.ReadFrom(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %q from %v, %v, want nothing", b[:n], from, err)
	}
	if err := pc.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
}

// A session ends when nothing has passed for IdleTimeout, to the instant, and a
// datagram of either direction keeps it.
func TestPacketIdle(t *testing.T) {
	for _, tt := range []struct{ set, want time.Duration }{
		{0, 5 * time.Minute}, {time.Second, time.Second}, {-1, 0},
	} {
		packetsInMemory(t, func(r *memoryRig) { r.server.IdleTimeout = tt.set }, func(t *testing.T, r *memoryRig) {
			client := r.listen(t, "192.0.2.2:2222")
			packetSend(t, client, r.addr, "begin")
			session := packetWant(t, r.upstream, "begin")
			almost := tt.want - time.Nanosecond
			if tt.want == 0 {
				almost = 1000 * time.Hour
			}
			for range 5 {
				time.Sleep(almost)
				packetSend(t, client, r.addr, "question")
				packetWant(t, r.upstream, "question")
			}
			for range 5 {
				time.Sleep(almost)
				packetSend(t, r.upstream, session, "answer")
				packetWant(t, client, "answer")
			}
			time.Sleep(almost)
			synctest.Wait()
			if got := r.server.Stats().Active; got != 1 {
				t.Fatalf("%d sessions before the time", got)
			}
			if tt.want == 0 {
				return
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if report := r.reports.next(t); report.Err != nil || report.Duration != 10*almost+tt.want || report.Datagrams.ToClient != 5 {
				t.Errorf("report %+v", report)
			}
			// Its upstream socket is closed, and the address may be a client's.
			reborn := r.listen(t, session.String())
			packetSend(t, reborn, r.addr, "reborn")
			packetWant(t, r.upstream, "reborn")
			packetSend(t, client, r.addr, "again")
			if from := packetWant(t, r.upstream, "again"); from.String() == session.String() {
				t.Errorf("from %v again", from)
			}
		})
	}
}

// At the limit other clients get no session, and the end of one makes room.
func TestPacketMaxSessions(t *testing.T) {
	for _, tt := range []struct{ set, want int }{{0, 1024}, {3, 3}, {-1, 1500}} {
		packetsInMemory(t, func(r *memoryRig) { r.server.MaxSessions = tt.set }, func(t *testing.T, r *memoryRig) {
			for i := range 1500 {
				packetSend(t, r.listen(t, fmt.Sprintf("192.0.2.2:%d", 2000+i)), r.addr, "hello")
			}
			synctest.Wait()
			want := proxy.PacketServerStats{Active: tt.want, Total: int64(tt.want)}
			want.Datagrams.ToUpstream = int64(tt.want)
			want.Bytes.ToUpstream = 5 * int64(tt.want)
			want.Dropped = int64(1500 - tt.want)
			if got := r.server.Stats(); got != want {
				t.Errorf("Stats = %+v, want %+v", got, want)
			}
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			packetSend(t, r.listen(t, "192.0.2.2:1"), r.addr, "hello")
			synctest.Wait()
			if got := r.server.Stats(); got.Active != 1 || got.Total != want.Total+1 {
				t.Errorf("Stats = %+v after the end of all", got)
			}
		})
	}
}

// The dial of one client delays no other one, and what it sends meanwhile arrives in
// order after it, as far as there is room.
func TestPacketSlowDial(t *testing.T) {
	packetsInMemory(t, func(r *memoryRig) {
		r.server.Dial = func(ctx context.Context, client net.Conn) (net.Conn, error) {
			if strings.HasPrefix(client.RemoteAddr().String(), "192.0.2.2:") {
				time.Sleep(9 * time.Second)
			}
			return r.dial(ctx, client)
		}
	}, func(t *testing.T, r *memoryRig) {
		slow, other, large := r.listen(t, "192.0.2.2:0"), r.listen(t, "192.0.2.3:0"), r.listen(t, "192.0.2.2:1")
		for i := range 100 {
			packetSend(t, slow, r.addr, fmt.Sprint(i))
		}
		for _, size := range []int{65507, 1, 40_000, 10_000, 1} {
			packetSend(t, large, r.addr, string(random(size)))
		}
		begin := time.Now()
		packetSend(t, other, r.addr, "meanwhile")
		packetWant(t, r.upstream, "meanwhile")
		if took := time.Since(begin); took != 0 {
			t.Errorf("another one waited for %v", took)
		}
		time.Sleep(9 * time.Second)
		synctest.Wait()
		packetSend(t, slow, r.addr, "and on")
		got := make(map[string][]string)
		b := make([]byte, 1<<16)
		for range 64 + 1 + 3 {
			n, from, err := r.upstream.ReadFrom(b)
			if err != nil {
				t.Fatal(err)
			}
			got[from.String()] = append(got[from.String()], string(b[:n]))
		}
		for _, all := range got {
			if len(all) != 65 && len(all) != 3 {
				t.Fatalf("%d datagrams of one client", len(all))
			}
			for i, message := range all {
				want := fmt.Sprint(i)
				if i == 64 {
					want = "and on"
				}
				if len(all) == 3 {
					want = string(random([]int{65507, 1, 1}[i]))
				}
				if message != want {
					t.Errorf("datagram %d is %.40q, want %.40q", i, message, want)
				}
			}
		}
		wantNoPacket(t, r.upstream)
		if dropped := r.server.Stats().Dropped; dropped != 36+2 {
			t.Errorf("%d dropped, want 38", dropped)
		}
	})
}

// A dial that fails is reported, and not repeated for a second, however much the client
// sends.
func TestPacketFailedDial(t *testing.T) {
	refused := errors.New("refused")
	dials := 0
	packetsInMemory(t, func(r *memoryRig) {
		r.server.MaxSessions = 1
		r.server.Dial = func(context.Context, net.Conn) (net.Conn, error) {
			dials++
			return nil, refused
		}
	}, func(t *testing.T, r *memoryRig) {
		client := r.listen(t, "192.0.2.2:2")
		for second := range 3 {
			for range 100 {
				packetSend(t, client, r.addr, "flood")
				time.Sleep(5 * time.Millisecond)
			}
			synctest.Wait()
			if dials != second+1 {
				t.Errorf("%d dials in second %d", dials, second)
			}
			if report := r.reports.next(t); !errors.Is(report.Err, refused) || report.Upstream != nil {
				t.Errorf("report %+v", report)
			}
			time.Sleep(500 * time.Millisecond)
		}
		if got := r.server.Stats(); got.Dropped != 300 || got.Active != 0 || got.Total != 3 {
			t.Errorf("Stats = %+v", got)
		}
	})
}

// A dial is given up after DialTimeout, and when the server is closed.
func TestPacketDialTimeout(t *testing.T) {
	for _, tt := range []struct{ set, want time.Duration }{{0, 10 * time.Second}, {time.Minute, time.Minute}, {-1, time.Hour}} {
		packetsInMemory(t, func(r *memoryRig) {
			r.server.DialTimeout = tt.set
			r.server.IdleTimeout = time.Second // which is about what passes, and no dial
			r.server.Dial = func(ctx context.Context, _ net.Conn) (net.Conn, error) {
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}
		}, func(t *testing.T, r *memoryRig) {
			packetSend(t, r.listen(t, "192.0.2.2:2"), r.addr, "ping")
			time.Sleep(tt.want - time.Nanosecond)
			synctest.Wait()
			if got := r.server.Stats().Active; got != 1 {
				t.Errorf("%d sessions before the time", got)
			}
			want := context.DeadlineExceeded
			if tt.set < 0 {
				want = proxy.ErrServerClosed
				if err := r.server.Close(); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if report := r.reports.next(t); !errors.Is(report.Err, want) {
				t.Errorf("report %+v, want %v", report, want)
			}
		})
	}
}

// Shutdown takes no more from clients, and what upstreams send goes to them until they
// are silent.
func TestPacketShutdown(t *testing.T) {
	packetsInMemory(t, func(*memoryRig) {}, func(t *testing.T, r *memoryRig) {
		asking, answered := r.listen(t, "192.0.2.2:2"), r.listen(t, "192.0.2.2:3")
		for _, client := range []net.PacketConn{answered, asking, answered} {
			packetSend(t, client, r.addr, "question")
			packetSend(t, r.upstream, packetWant(t, r.upstream, "question"), "answer")
			packetWant(t, client, "answer")
		}
		packetSend(t, asking, r.addr, "question")
		session := packetWant(t, r.upstream, "question")
		done := make(chan error, 1)
		begin := time.Now()
		go func() { done <- r.server.Shutdown(t.Context()) }()
		synctest.Wait()
		packetSend(t, asking, r.addr, "still in time")
		packetWant(t, r.upstream, "still in time")
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		packetSend(t, asking, r.addr, "too late")
		if got := r.server.Stats().Active; got != 1 {
			t.Errorf("%d sessions, want the one that waits for an answer", got)
		}
		wantNoPacket(t, r.upstream)
		time.Sleep(900 * time.Millisecond)
		for range 100 {
			packetSend(t, r.upstream, session, "answer")
			packetWant(t, asking, "answer")
			time.Sleep(9 * time.Millisecond)
		}
		if err := <-done; err != nil {
			t.Errorf("Shutdown = %v", err)
		}
		// It looks once in 10 ms, and the last answer was 9 ms ago.
		if took := time.Since(begin); took < 1811*time.Millisecond || took > 1830*time.Millisecond {
			t.Errorf("Shutdown took %v", took)
		}
		for range 2 {
			if report := r.reports.next(t); report.Err != nil {
				t.Errorf("report %+v", report)
			}
		}
	})
}

// An answer that never comes is waited for for a second.
func TestPacketShutdownUnanswered(t *testing.T) {
	packetsInMemory(t, func(*memoryRig) {}, func(t *testing.T, r *memoryRig) {
		packetSend(t, r.listen(t, "192.0.2.2:2"), r.addr, "question")
		packetWant(t, r.upstream, "question")
		begin := time.Now()
		packetShutdown(t, &r.server)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("Shutdown took %v", took)
		}
	})
}

// If the context of Shutdown ends first, the sessions go on until Close.
func TestPacketShutdownThatIsCutShort(t *testing.T) {
	packetsInMemory(t, func(*memoryRig) {}, func(t *testing.T, r *memoryRig) {
		client := r.listen(t, "192.0.2.2:2")
		packetSend(t, client, r.addr, "question")
		session := packetWant(t, r.upstream, "question")
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := r.server.Shutdown(ctx); err != context.DeadlineExceeded {
			t.Errorf("Shutdown = %v", err)
		}
		packetSend(t, r.upstream, session, "answer")
		packetWant(t, client, "answer")
		r.close(t)
		if report := r.reports.next(t); report.Err != proxy.ErrServerClosed || report.Datagrams.ToClient != 1 {
			t.Errorf("report %+v", report)
		}
	})
}

// A stuckUpstream takes nothing, until it is closed.
type stuckUpstream struct {
	memoryUpstream
	closed chan struct{}
}

func (u stuckUpstream) Write([]byte) (int, error) {
	<-u.closed
	return 0, net.ErrClosed
}

func (u stuckUpstream) Close() error {
	close(u.closed)
	return u.memoryUpstream.Close()
}

// An upstream that takes nothing stops nobody, and its session is idle.
func TestPacketStuckUpstream(t *testing.T) {
	packetsInMemory(t, func(r *memoryRig) {
		r.server.IdleTimeout = time.Minute
		r.server.Dial = func(ctx context.Context, client net.Conn) (net.Conn, error) {
			conn, err := r.dial(ctx, client)
			if err == nil && client.RemoteAddr().String() == "192.0.2.2:2" {
				conn = stuckUpstream{conn.(memoryUpstream), make(chan struct{})}
			}
			return conn, err
		}
	}, func(t *testing.T, r *memoryRig) {
		stuck, other := r.listen(t, "192.0.2.2:2"), r.listen(t, "192.0.2.2:3")
		for range 200 {
			packetSend(t, stuck, r.addr, "flood")
		}
		for range 20 {
			time.Sleep(9 * time.Second)
			packetSend(t, other, r.addr, "meanwhile")
			packetWant(t, r.upstream, "meanwhile")
			if r.server.Stats().Active == 2 {
				packetSend(t, stuck, r.addr, "flood")
			}
		}
		if report := r.reports.next(t); report.Err != nil || report.Duration != time.Minute || report.Datagrams.ToUpstream != 0 || report.Dropped != 206 {
			t.Errorf("report %+v", report)
		}
	})
}

// Silence begins when there is an upstream, not before.
func TestPacketIdleAfterSlowDial(t *testing.T) {
	packetsInMemory(t, func(r *memoryRig) {
		r.server.IdleTimeout = time.Second
		r.server.Dial = func(ctx context.Context, client net.Conn) (net.Conn, error) {
			time.Sleep(9500 * time.Millisecond)
			conn, err := r.dial(ctx, client)
			return stuckUpstream{conn.(memoryUpstream), make(chan struct{})}, err
		}
	}, func(t *testing.T, r *memoryRig) {
		packetSend(t, r.listen(t, "192.0.2.2:2"), r.addr, "ping")
		if report := r.reports.next(t); report.Err != nil || report.Duration != 10500*time.Millisecond {
			t.Errorf("report %+v", report)
		}
	})
}
