package echo_test

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/echo"
	"github.com/netparts/netparts/internal/memnet"
)

// packetsInMemory serves a packet connection of a network in memory.
func packetsInMemory(t *testing.T, server *echo.Server, network *memnet.Network, address string) (net.Addr, <-chan error) {
	t.Helper()
	pc, err := network.ListenPacket("udp", address)
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- server.ServePacket(pc) }()
	return pc.LocalAddr(), served
}

// client makes a packet connection, whose reads end after a minute.
func client(t *testing.T, network *memnet.Network, address string) *memnet.PacketConn {
	t.Helper()
	c, err := network.ListenPacket("udp", address)
	must(t, err)
	must(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
	return c
}

// wantFrom reads one packet and its sender.
func wantFrom(t *testing.T, c net.PacketConn, message string, from net.Addr) {
	t.Helper()
	b := make([]byte, 1<<19)
	n, addr, err := c.ReadFrom(b)
	if err != nil || string(b[:n]) != message || addr.String() != from.String() {
		t.Fatalf("read %d bytes %.40q from %v, %v, want %d bytes %.40q from %v", n, b[:n], addr, err, len(message), message, from)
	}
}

// Packet connections that are no sockets are echoed by their methods.
func TestPacketsInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		var network memnet.Network
		server := echo.Server{Logger: slog.New(&log)}
		addr, served := packetsInMemory(t, &server, &network, "192.0.2.1:7007")
		a, b := client(t, &network, "192.0.2.2:0"), client(t, &network, "[2001:db8::2]:0")
		total := 0
		for _, n := range []int{0, 1, 1024, 1500, 65507} {
			for _, c := range []*memnet.PacketConn{a, b} {
				message := string(pattern(n))
				_, err := c.WriteTo([]byte(message), addr)
				must(t, err)
				wantFrom(t, c, message, addr)
				total += n
			}
		}
		must(t, server.Shutdown(t.Context()))
		if err := <-served; err != echo.ErrServerClosed {
			t.Errorf("ServePacket: %v", err)
		}
		records := log.all()
		if len(records) != 1 {
			t.Fatalf("logged %v", records)
		}
		if r := records[0]; r["packets"] != int64(10) || r["bytes"] != int64(total) || r["ignored"] != int64(0) || r["dropped"] != int64(0) {
			t.Errorf("logged %v", r)
		}
	})
}

// What may be answered for ever is not answered at all.
func TestLoopGuardInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		var network memnet.Network
		server := echo.Server{Logger: slog.New(&log)}
		addr, served := packetsInMemory(t, &server, &network, "192.0.2.1:7007")
		marker := client(t, &network, "192.0.2.9:0")
		for _, tt := range []struct {
			peer     string
			answered bool
		}{
			{"192.0.2.2:7007", false},
			{"[2001:db8::2]:7007", false},
			{"192.0.2.2:7", false},
			{"192.0.2.2:19", false},
			{"192.0.2.2:1", false},
			{"192.0.2.2:1023", false},
			{"192.0.2.2:1024", true},
			{"192.0.2.2:7006", true},
			{"192.0.2.2:65535", true},
		} {
			c := client(t, &network, tt.peer)
			_, err := c.WriteTo([]byte("ping"), addr)
			must(t, err)
			synctest.Wait()
			want, from := "ping", addr
			if !tt.answered { // the marker is the first that it gets
				want, from = "marker", marker.LocalAddr()
				_, err := marker.WriteTo([]byte(want), c.LocalAddr())
				must(t, err)
			}
			wantFrom(t, c, want, from)
		}
		must(t, server.Close())
		<-served
		if r := log.all()[0]; r["ignored"] != int64(6) || r["packets"] != int64(3) {
			t.Errorf("logged %v", r)
		}
	})
}

// One forged packet does not set two servers against each other.
func TestTwoServersInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network memnet.Network
		var count int
		network.Rule = func(p memnet.Packet) []memnet.Packet {
			count++
			return []memnet.Packet{p}
		}
		var server echo.Server
		for _, port := range []string{"7", "7007"} {
			count = 0
			pc, err := network.ListenPacket("udp", "192.0.2.1:"+port)
			must(t, err)
			// Who sends this is the other server, before it serves.
			_, err = pc.WriteTo([]byte("forged"), net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.2:"+port)))
			must(t, err)
			go server.ServePacket(pc)
			other, err := network.ListenPacket("udp", "192.0.2.2:"+port)
			must(t, err)
			_, err = other.WriteTo([]byte("forged"), pc.LocalAddr())
			must(t, err)
			go server.ServePacket(other)
			synctest.Wait()
			if count != 2 {
				t.Errorf("at port %s %d packets, want the 2 that were forged", port, count)
			}
		}
		must(t, server.Close())
		must(t, server.Shutdown(t.Context()))
	})
}

// A narrow is a packet connection that hands over what was sent to it, one packet
// after the other, and notes what it is given.
type narrow struct {
	net.PacketConn
	arrive  []func(b []byte) (int, net.Addr, error)
	refuse  error
	answers []string
	last    time.Time
}

func (c *narrow) ReadFrom(b []byte) (int, net.Addr, error) {
	if len(c.arrive) == 0 {
		return 0, nil, os.ErrClosed
	}
	f := c.arrive[0]
	c.arrive = c.arrive[1:]
	return f(b)
}

func (c *narrow) WriteTo(b []byte, _ net.Addr) (int, error) {
	if c.refuse != nil {
		return 0, c.refuse
	}
	c.answers = append(c.answers, string(b))
	return len(b), nil
}

func (c *narrow) SetWriteDeadline(t time.Time) error { c.last = t; return nil }
func (c *narrow) LocalAddr() net.Addr                { return &net.UnixAddr{Name: "narrow"} }
func (c *narrow) Close() error                       { return nil }

// packet is one that arrives.
func packet(message string, from net.Addr) func([]byte) (int, net.Addr, error) {
	return func(b []byte) (int, net.Addr, error) { return copy(b, message), from, nil }
}

// A packet that may have been cut, one without a sender and one that cannot be
// answered are dropped, and the next one is answered.
func TestPacketsThatAreDropped(t *testing.T) {
	var log journal
	server := echo.Server{Logger: slog.New(&log)}
	from := &net.UnixAddr{Name: "client"}
	c := &narrow{arrive: []func([]byte) (int, net.Addr, error){
		packet(string(pattern(1<<17)), from),
		packet("nobody", nil),
		packet("ping", from),
		packet("", from),
	}}
	begin := time.Now()
	if err := server.ServePacket(c); err != os.ErrClosed {
		t.Errorf("ServePacket: %v, want the error of the connection", err)
	}
	if len(c.answers) != 2 || c.answers[0] != "ping" || c.answers[1] != "" {
		t.Errorf("answers %.80q", c.answers)
	}
	if wait := c.last.Sub(begin); wait < 50*time.Millisecond || wait > 5*time.Second {
		t.Errorf("an answer may take %v, want 100ms", wait)
	}
	if r := log.all()[0]; r["dropped"] != int64(2) || r["packets"] != int64(2) || r["bytes"] != int64(4) {
		t.Errorf("logged %v", r)
	}
}

func TestPacketsThatAreRefused(t *testing.T) {
	for _, tt := range []struct{ refuse, want error }{
		{errors.New("no room"), os.ErrClosed},
		{os.ErrDeadlineExceeded, os.ErrClosed},
		{net.ErrClosed, net.ErrClosed},
	} {
		var server echo.Server
		from := &net.UnixAddr{Name: "client"}
		c := &narrow{refuse: tt.refuse, arrive: []func([]byte) (int, net.Addr, error){packet("1", from), packet("2", from)}}
		if err := server.ServePacket(c); err != tt.want {
			t.Errorf("refused with %v: ServePacket = %v, want %v", tt.refuse, err, tt.want)
		}
	}
}

// Errors of reading that pass are waited out.
func TestPacketErrorsThatPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var server echo.Server
		c := &narrow{}
		for range 3 {
			c.arrive = append(c.arrive, func([]byte) (int, net.Addr, error) { return 0, nil, temporary{} })
		}
		c.arrive = append(c.arrive, packet("ping", &net.UnixAddr{Name: "client"}))
		begin := time.Now()
		if err := server.ServePacket(c); err != os.ErrClosed {
			t.Errorf("ServePacket: %v", err)
		}
		if took := time.Since(begin); took != 35*time.Millisecond || len(c.answers) != 1 {
			t.Errorf("%d answers after %v, want 1 after 35ms", len(c.answers), took)
		}
	})
}

// A temporary is an error that says so.
type temporary struct{}

func (temporary) Error() string   { return "not now" }
func (temporary) Temporary() bool { return true }
func (temporary) Timeout() bool   { return false }

// Shutdown and Close end what waits for packets at once.
func TestShutdownOfPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, end := range map[string]func(*echo.Server) error{
			"Close":    (*echo.Server).Close,
			"Shutdown": func(s *echo.Server) error { return s.Shutdown(t.Context()) },
		} {
			var network memnet.Network
			var server echo.Server
			addr, served := packetsInMemory(t, &server, &network, "192.0.2.1:7007")
			synctest.Wait()
			if got := server.Addr(); got.String() != addr.String() {
				t.Errorf("Addr = %v, want %v", got, addr)
			}
			begin := time.Now()
			must(t, end(&server))
			if err := <-served; err != echo.ErrServerClosed {
				t.Errorf("ServePacket after %s: %v", name, err)
			}
			if took := time.Since(begin); took != 0 {
				t.Errorf("%s took %v", name, took)
			}
			if _, err := network.ListenPacket("udp", "192.0.2.1:7007"); err != nil {
				t.Errorf("after %s: %v", name, err)
			}
		}
	})
}
