//go:build unix

package proxy_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/proxy"
)

// Datagrams pass between UDP and Unix sockets, whichever is on which side.
func TestPacketNetworks(t *testing.T) {
	for _, tt := range []struct{ client, upstream string }{
		{"udp4", "unixgram"}, {"unixgram", "udp4"}, {"unixgram", "unixgram"}, {"udp6", "udp4"},
	} {
		t.Run(tt.client+" to "+tt.upstream, func(t *testing.T) {
			s := &proxy.PacketServer{Dial: packetTo(packetEcho(t, tt.upstream))}
			reports := reportPackets(s)
			addr := packetServe(t, s, packetListen(t, tt.client))
			a, b := packetListen(t, tt.client), packetListen(t, tt.client)
			sizes := []int{1, 1024, 2000}
			if runtime.GOOS == "linux" { // the others send less, and nothing that is empty
				sizes = append(sizes, 0, 65507, 0)
				if tt.client == "unixgram" && tt.upstream == "unixgram" {
					sizes = append(sizes, 65536, 150_000, 200_000)
				}
			}
			for _, n := range sizes {
				packetWantEcho(t, a, addr, string(random(n)))
				packetWantEcho(t, b, addr, string(random(n)))
			}
			packetShutdown(t, s)
			for range 2 {
				r := reports.next(t)
				if r.Datagrams != (proxy.Stats{ToUpstream: int64(len(sizes)), ToClient: int64(len(sizes))}) || r.Dropped != 0 || r.Err != nil {
					t.Errorf("report %+v, want %d datagrams", r, len(sizes))
				}
				if r.Client.String() != a.LocalAddr().String() && r.Client.String() != b.LocalAddr().String() {
					t.Errorf("report of %v", r.Client)
				}
			}
		})
	}
}

// Nobody can answer a sender that is not bound.
func TestPacketUnboundSender(t *testing.T) {
	s := &proxy.PacketServer{Dial: packetTo(packetEcho(t, "unixgram"))}
	addr := packetServe(t, s, packetListen(t, "unixgram"))
	unbound, err := net.Dial("unixgram", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer unbound.Close()
	if _, err := unbound.Write([]byte("anybody there?")); err != nil {
		t.Fatal(err)
	}
	packetWantEcho(t, packetListen(t, "unixgram"), addr, "ping")
	if got := s.Stats(); got.Dropped != 1 || got.Total != 1 {
		t.Errorf("Stats = %+v", got)
	}
}

// A client that does not read, and one that is gone, keep nobody waiting.
func TestPacketDeafClient(t *testing.T) {
	const (
		flood     = 500
		meanwhile = 20
		others    = 2 + meanwhile // of the one that is gone, and of the other one
		toOthers  = 1 + meanwhile // of these, what is answered for certain
	)
	s := &proxy.PacketServer{Dial: packetTo(packetEcho(t, "unixgram"))}
	addr := packetServe(t, s, packetListen(t, "unixgram"))
	deaf, gone, other := packetListen(t, "unixgram"), packetListen(t, "unixgram"), packetListen(t, "unixgram")
	packetWantEcho(t, gone, addr, "ping")
	packetSend(t, gone, addr, "never mind")
	gone.Close()
	for range flood {
		packetSend(t, deaf, addr, "flood")
	}
	begin := time.Now()
	for range meanwhile {
		packetWantEcho(t, other, addr, "meanwhile")
	}
	if took := time.Since(begin); took > packetPatience/2 {
		t.Errorf("the other one waited for %v", took)
	}
	// All that is lost for it is counted, once it is given up. Then nothing is under
	// way any more.
	packetUntil(t, "the flood is lost", func() bool {
		got := s.Stats()
		return got.Dropped > flood/2 && got.Dropped+got.Datagrams.ToClient == flood+others
	})
	// It is answered when it reads again.
	for range s.Stats().Datagrams.ToClient - toOthers {
		if err := deaf.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := deaf.ReadFrom(make([]byte, 100)); err != nil {
			break
		}
	}
	if err := deaf.SetReadDeadline(time.Now().Add(packetPatience)); err != nil {
		t.Fatal(err)
	}
	packetWantEcho(t, deaf, addr, "now I listen")
}

// A client that reads a little later than the answers come gets all of them, though
// Linux keeps no more than 10 for it. The machine may be busy for longer than that is
// waited for, but not each time.
func TestPacketLateClient(t *testing.T) {
	const burst = 50
	s := &proxy.PacketServer{Dial: packetTo(packetEcho(t, "udp4"))}
	addr := packetServe(t, s, packetListen(t, "unixgram"))
	for begin := time.Now(); ; {
		client := packetListen(t, "unixgram")
		before := s.Stats()
		for range burst {
			packetSend(t, client, addr, "ping")
		}
		packetUntil(t, "an answer has come", func() bool { return s.Stats().Datagrams.ToClient > before.Datagrams.ToClient })
		if err := client.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		n := 0
		for n < burst {
			if _, _, err := client.ReadFrom(make([]byte, 100)); err != nil {
				break
			}
			n++
		}
		if n == burst {
			return
		}
		if time.Since(begin) > packetPatience/2 {
			t.Fatalf("some of %d answers are lost each time", burst)
		}
	}
}

// An upstream that does not read keeps no other client waiting, and ends with the
// server.
func TestPacketDeafUpstream(t *testing.T) {
	deaf, echo := packetListen(t, "unixgram"), packetEcho(t, "unixgram")
	first := proxy.RoundRobin(packetTo(deaf.LocalAddr()), packetTo(echo))
	s := &proxy.PacketServer{Dial: first}
	reports := reportPackets(s)
	addr := packetServe(t, s, packetListen(t, "udp4"))
	stuck, other := packetListen(t, "udp4"), packetListen(t, "udp4")
	packetSend(t, stuck, addr, "ping")
	packetUntil(t, "it has an upstream", func() bool { return s.Stats().Datagrams.ToUpstream == 1 })
	for range 200 { // which has room in the proxy's socket
		packetSend(t, stuck, addr, "flood")
	}
	for range 20 {
		packetWantEcho(t, other, addr, "meanwhile")
	}
	if got := s.Stats(); got.Dropped == 0 {
		t.Errorf("Stats = %+v, want some dropped", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if r := reports.next(t); r.Err != proxy.ErrServerClosed {
			t.Errorf("report %+v", r)
		}
	}
}

// A Unix socket that is replaced by another is found again.
func TestPacketReplacedUpstream(t *testing.T) {
	old := packetListen(t, "unixgram")
	path := old.LocalAddr().String()
	s := &proxy.PacketServer{Dial: proxy.To("unixgram", path), IdleTimeout: -1}
	reports := reportPackets(s)
	addr := packetServe(t, s, packetListen(t, "udp4"))
	client := packetListen(t, "udp4")
	packetSend(t, client, addr, "to the old one")
	packetWant(t, old, "to the old one")
	old.Close()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	packetSend(t, client, addr, "to nobody")
	side, ok := errors.AsType[*proxy.SideError](reports.next(t).Err)
	if !ok || side.Side != proxy.Upstream {
		t.Errorf("the session ended by %v", side)
	}
	replaced := packetListenAt(t, "unixgram", path)
	for begin := time.Now(); ; { // what comes within a second of the first is dropped
		packetSend(t, client, addr, "to the new one")
		if err := replaced.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		_, _, err := replaced.ReadFrom(make([]byte, 100))
		if err == nil {
			break
		}
		if time.Since(begin) > packetPatience {
			t.Fatal(err)
		}
	}
}

// A proxy does not answer itself, nor the sockets that it uses for its sessions.
func TestPacketOwnUnixUpstream(t *testing.T) {
	pc := packetListen(t, "unixgram")
	packetSend(t, pc, pc.LocalAddr(), "to myself")
	s := &proxy.PacketServer{Dial: packetTo(pc.LocalAddr())}
	addr := packetServe(t, s, pc)
	packetSend(t, packetListen(t, "unixgram"), addr, "round")
	packetUntil(t, "both are dropped", func() bool { return s.Stats().Dropped == 2 })
	if got := s.Stats(); got.Total != 1 {
		t.Errorf("Stats = %+v, want one session", got)
	}
}

// The socket file that ListenAndServe makes is removed.
func TestPacketSocketFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listening := make(chan net.Addr, 1)
	s := &proxy.PacketServer{Dial: packetTo(packetEcho(t, "udp4")), Listening: func(a net.Addr) { listening <- a }}
	served := make(chan error, 1)
	go func() { served <- s.ListenAndServe("unixgram", path) }()
	packetWantEcho(t, packetListen(t, "unixgram"), <-listening, "ping")
	packetShutdown(t, s)
	if err := <-served; err != proxy.ErrServerClosed {
		t.Errorf("ListenAndServe = %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket file: %v", err)
	}
}

// Where the kernel makes up no names the upstream socket has a file, which is removed.
func TestPacketBoundUpstream(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	echo := packetEcho(t, "unixgram")
	s := &proxy.PacketServer{Dial: func(ctx context.Context, _ net.Conn) (net.Conn, error) {
		return proxy.DialBound(ctx, echo.String())
	}}
	addr := packetServe(t, s, packetListen(t, "udp4"))
	client := packetListen(t, "udp4")
	packetWantEcho(t, client, addr, "ping")
	packetWantEcho(t, client, addr, "pong")
	if got := packetFiles(t, os.TempDir()); got != 1 {
		t.Errorf("%d folders, want 1", got)
	}
	packetShutdown(t, s)
	if got := packetFiles(t, os.TempDir()); got != 0 {
		t.Errorf("%d folders are left", got)
	}
	if _, err := proxy.DialBound(t.Context(), "/no/such/socket"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("DialBound = %v", err)
	}
	if got := packetFiles(t, os.TempDir()); got != 0 {
		t.Errorf("%d folders are left after a dial that failed", got)
	}
}

// packetFiles returns how many entries a folder has.
func packetFiles(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
