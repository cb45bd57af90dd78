package memnet_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
)

var (
	alice = netip.MustParseAddrPort("192.0.2.1:1000")
	bob   = netip.MustParseAddrPort("192.0.2.2:2000")
)

// exchange sends packets "1" to "n" from alice to bob, a second apart, and
// returns what bob reads, each with its second of arrival.
func exchange(t *testing.T, n int, rule memnet.Rule) string {
	t.Helper()
	var got []string
	synctest.Test(t, func(t *testing.T) {
		network := memnet.Network{Rule: rule}
		a, err := network.ListenPacket("udp", alice.String())
		must(t, err)
		defer a.Close()
		b, err := network.ListenPacket("udp", bob.String())
		must(t, err)
		defer b.Close()
		start := time.Now()
		go func() {
			for i := range n {
				if _, err := a.WriteTo(fmt.Append(nil, i+1), b.LocalAddr()); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second)
			}
		}()
		must(t, b.SetReadDeadline(start.Add(time.Hour)))
		for {
			p := make([]byte, 100)
			n, from, err := b.ReadFrom(p)
			if err != nil {
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error(err)
				}
				return
			}
			if from.String() != alice.String() {
				t.Errorf("packet from %v", from)
			}
			got = append(got, fmt.Sprintf("%s@%.1f", p[:n], time.Since(start).Seconds()))
		}
	})
	return strings.Join(got, " ")
}

func TestRules(t *testing.T) {
	tests := []struct {
		name string
		rule memnet.Rule
		want string
	}{
		{"none", nil, "1@0.0 2@1.0 3@2.0 4@3.0"},
		{"drop", memnet.Drop(memnet.Nth(2, 4)), "1@0.0 3@2.0"},
		{"drop all", memnet.Drop(nil), ""},
		{"delay", memnet.Delay(nil, 500*time.Millisecond), "1@0.5 2@1.5 3@2.5 4@3.5"},
		{"overtake", memnet.Delay(memnet.Nth(1), 1500*time.Millisecond), "2@1.0 1@1.5 3@2.0 4@3.0"},
		{"meet at one instant", memnet.Delay(memnet.Nth(1, 2), 2*time.Second), "1@2.0 3@2.0 2@3.0 4@3.0"},
		{
			"delay twice", memnet.Chain(memnet.Delay(nil, time.Second), memnet.Delay(memnet.Nth(2), time.Second)),
			"1@1.0 2@3.0 3@3.0 4@4.0",
		},
		{"duplicate", memnet.Duplicate(memnet.Nth(3)), "1@0.0 2@1.0 3@2.0 3@2.0 4@3.0"},
		{"reorder", memnet.Reorder(memnet.Nth(1, 3)), "2@1.0 1@1.0 4@3.0 3@3.0"},
		{"reorder the last", memnet.Reorder(memnet.Nth(4)), "1@0.0 2@1.0 3@2.0"},
		{"corrupt", memnet.Corrupt(memnet.Nth(1)), "\xce@0.0 2@1.0 3@2.0 4@3.0"},
		{"only from bob", memnet.Drop(memnet.From(bob, nil)), "1@0.0 2@1.0 3@2.0 4@3.0"},
		{"only from alice", memnet.Drop(memnet.From(alice, memnet.Nth(1))), "2@1.0 3@2.0 4@3.0"},
		{
			"chain",
			memnet.Chain(memnet.Duplicate(memnet.Nth(1)), memnet.Delay(nil, time.Second), memnet.Drop(memnet.Nth(2, 3))),
			"1@1.0 1@1.0 4@4.0",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := exchange(t, 4, tt.rule); got != tt.want {
				t.Errorf("arrived %q, want %q", got, tt.want)
			}
		})
	}
}

// The second copy of a duplicate has bytes of its own.
func TestDuplicateAndCorruptOne(t *testing.T) {
	first := true
	once := func(memnet.Packet) bool { was := first; first = false; return was }
	if got := exchange(t, 1, memnet.Chain(memnet.Duplicate(nil), memnet.Corrupt(once))); got != "\xce@0.0 1@0.0" {
		t.Errorf("arrived %q", got)
	}
}

func TestChanceIsReproducible(t *testing.T) {
	half := func() string { return exchange(t, 200, memnet.Drop(memnet.Chance(7, 0.5))) }
	first := half()
	if second := half(); first != second {
		t.Error("equal seeds chose differently")
	}
	if n := len(strings.Fields(first)); n < 60 || n > 140 {
		t.Errorf("%d of 200 packets arrived at a chance of one half", n)
	}
	if other := exchange(t, 200, memnet.Drop(memnet.Chance(8, 0.5))); other == first {
		t.Error("another seed chose equally")
	}
	// Not the order of the calls decides, which two senders do not control.
	m := memnet.Chance(7, 0.5)
	p := memnet.Packet{From: alice, To: bob, N: 1}
	want := m(p)
	for i := range 100 {
		m(memnet.Packet{From: bob, To: alice, N: i})
	}
	if m(p) != want {
		t.Error("a choice depends on those before it")
	}
}

// A packet that arrives at the instant of the deadline comes before it.
func TestPacketAtTheInstantOfADeadline(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			network := memnet.Network{Rule: memnet.Delay(nil, time.Second)}
			a, err := network.ListenPacket("udp", alice.String())
			must(t, err)
			defer a.Close()
			must(t, a.SetReadDeadline(time.Now().Add(time.Second)))
			if _, err := a.WriteTo([]byte("x"), a.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			if n, _, err := a.ReadFrom(make([]byte, 1)); n != 1 || err != nil {
				t.Errorf("ReadFrom = %d, %v", n, err)
			}
			if _, _, err := a.ReadFrom(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("ReadFrom: %v, want %v", err, os.ErrDeadlineExceeded)
			}
		})
	}
}

// What the sender does with its buffer afterwards does not reach the receiver, and
// what the receiver took makes room again.
func TestPacketsAreCopied(t *testing.T) {
	var network memnet.Network
	a, err := network.ListenPacket("udp", alice.String())
	must(t, err)
	defer a.Close()
	p := make([]byte, 60_000)
	for i := range 100 {
		p[0] = byte(i)
		if _, err := a.WriteTo(p, a.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		p[0] = 0xff
		if _, _, err := a.ReadFrom(p); err != nil || p[0] != byte(i) {
			t.Fatalf("packet %d arrived as %d, %v", i, p[0], err)
		}
	}
}

// A Rule may return one packet twice without copying it, and readdress one.
func TestRuleThatRepeatsAndReaddresses(t *testing.T) {
	again := func(p memnet.Packet) []memnet.Packet { return []memnet.Packet{p, p} }
	if got := exchange(t, 1, memnet.Chain(again, memnet.Corrupt(nil))); got != "\xce@0.0 \xce@0.0" {
		t.Errorf("arrived %q", got)
	}
	elsewhere := func(p memnet.Packet) []memnet.Packet { p.To = alice; return []memnet.Packet{p} }
	if got := exchange(t, 2, elsewhere); got != "" {
		t.Errorf("arrived %q, want nothing", got)
	}
}

// Delays of different length arrive by time, whatever the order of sending.
func TestDelaysAreSorted(t *testing.T) {
	delays := map[int]time.Duration{1: 9, 2: 5, 3: 7, 4: 1}
	rule := func(p memnet.Packet) []memnet.Packet {
		p.Delay = delays[p.N] * time.Second
		return []memnet.Packet{p}
	}
	if got, want := exchange(t, 4, rule), "4@4.0 2@6.0 1@9.0 3@9.0"; got != want {
		t.Errorf("arrived %q, want %q", got, want)
	}
}

// Many packets that arrive at one instant keep the order in which they were
// sent.
func TestEqualDelaysKeepTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.Network{Rule: memnet.Delay(nil, time.Second)}
		a, err := network.ListenPacket("udp", alice.String())
		must(t, err)
		defer a.Close()
		for i := range 1000 {
			if _, err := a.WriteTo([]byte{byte(i), byte(i >> 8)}, a.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
		p := make([]byte, 2)
		for i := range 1000 {
			if _, _, err := a.ReadFrom(p); err != nil {
				t.Fatal(err)
			}
			if got := int(p[0]) | int(p[1])<<8; got != i {
				t.Fatalf("packet %d arrived as number %d", got, i)
			}
		}
	})
}

func TestPacketConnEdges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network memnet.Network
		a, err := network.ListenPacket("udp", alice.String())
		must(t, err)
		if _, err := network.ListenPacket("udp", alice.String()); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("second ListenPacket: %v, want %v", err, syscall.EADDRINUSE)
		}
		if _, err := network.ListenPacket("tcp", bob.String()); err == nil {
			t.Error("ListenPacket took tcp")
		}
		mapped := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1000} // 16 bytes long
		if n, err := a.WriteTo([]byte("long"), mapped); n != 4 || err != nil {
			t.Errorf("WriteTo = %d, %v", n, err)
		}
		p := make([]byte, 2)
		if n, _, err := a.ReadFrom(p); n != 2 || err != nil || string(p) != "lo" {
			t.Errorf("short ReadFrom = %d, %q, %v", n, p, err)
		}
		if n, err := a.WriteTo(nil, a.LocalAddr()); n != 0 || err != nil {
			t.Errorf("empty WriteTo = %d, %v", n, err)
		}
		if n, _, err := a.ReadFrom(p); n != 0 || err != nil {
			t.Errorf("ReadFrom of an empty packet = %d, %v", n, err)
		}
		if n, err := a.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(bob)); n != 1 || err != nil {
			t.Errorf("WriteTo nobody = %d, %v, want 1, nil", n, err)
		}
		if _, err := a.WriteTo(make([]byte, 65508), a.LocalAddr()); !errors.Is(err, syscall.EMSGSIZE) {
			t.Errorf("too large: %v, want %v", err, syscall.EMSGSIZE)
		}
		if _, err := a.WriteTo([]byte("x"), nil); err == nil {
			t.Error("WriteTo without an address went through")
		}
		must(t, a.SetDeadline(time.Now().Add(time.Second)))
		if _, _, err := a.ReadFrom(p); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ReadFrom: %v, want %v", err, os.ErrDeadlineExceeded)
		}
		if _, err := a.WriteTo([]byte("x"), a.LocalAddr()); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("WriteTo: %v, want %v", err, os.ErrDeadlineExceeded)
		}
		must(t, a.SetDeadline(time.Time{}))
	})
}

func TestUnreadPacketsAreDroppedAtLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network memnet.Network
		a, err := network.ListenPacket("udp", alice.String())
		must(t, err)
		defer a.Close()
		large := make([]byte, 50_000)
		for range 100 {
			if _, err := a.WriteTo(large, a.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
		must(t, a.SetReadDeadline(time.Now().Add(time.Second)))
		n := 0
		for ; err == nil; n++ {
			_, _, err = a.ReadFrom(large)
		}
		if n-1 != 20 {
			t.Errorf("%d packets of 50,000 bytes fit into 1 MiB, want 20", n-1)
		}
	})
}

func TestClosedPacketConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network memnet.Network
		a, err := network.ListenPacket("udp", alice.String())
		must(t, err)
		p := make([]byte, 2)
		go func() {
			time.Sleep(time.Second)
			a.Close()
		}()
		if _, _, err := a.ReadFrom(p); !errors.Is(err, net.ErrClosed) {
			t.Errorf("ReadFrom while Close: %v, want %v", err, net.ErrClosed)
		}
		for name, err := range map[string]error{
			"Close":            a.Close(),
			"SetReadDeadline":  a.SetReadDeadline(time.Time{}),
			"SetWriteDeadline": a.SetWriteDeadline(time.Time{}),
		} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after Close: %v, want %v", name, err, net.ErrClosed)
			}
		}
		if _, err := a.WriteTo([]byte("x"), a.LocalAddr()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("WriteTo after Close: %v, want %v", err, net.ErrClosed)
		}
		if _, err := network.ListenPacket("udp", alice.String()); err != nil {
			t.Errorf("the address is not free again: %v", err)
		}
	})
}

func TestCorruptAnEmptyPacket(t *testing.T) {
	network := memnet.Network{Rule: memnet.Corrupt(nil)}
	a, err := network.ListenPacket("udp", alice.String())
	must(t, err)
	defer a.Close()
	if _, err := a.WriteTo(nil, a.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if n, _, err := a.ReadFrom(make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("ReadFrom = %d, %v", n, err)
	}
}

// A packet that was on its way when its receiver closed arrives nowhere.
func TestDelayedPacketToAClosedReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.Network{Rule: memnet.Delay(nil, time.Second)}
		a, err := network.ListenPacket("udp", alice.String())
		must(t, err)
		defer a.Close()
		b, err := network.ListenPacket("udp", bob.String())
		must(t, err)
		if _, err := a.WriteTo([]byte("x"), b.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		must(t, b.Close())
		again, err := network.ListenPacket("udp", bob.String())
		must(t, err)
		defer again.Close()
		must(t, again.SetReadDeadline(time.Now().Add(time.Minute)))
		if _, _, err := again.ReadFrom(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ReadFrom: %v, want %v", err, os.ErrDeadlineExceeded)
		}
	})
}
