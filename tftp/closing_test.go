package tftp_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/tftp"
)

// Shutdown lets a transfer end that runs, and takes no other.
func TestShutdownWaits(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		p.serves(random(600))
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(read)
			g.expect("DATA 1 of 512")
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if err := p.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Shutdown: %v, want %v", err, context.DeadlineExceeded)
			}
			late := p.guest(t, 2001)
			late.request(read)
			if got := late.next(time.Millisecond); got != "nothing" {
				t.Errorf("after Shutdown came %s", got)
			}
			g.ack(1)
			g.expect("DATA 2 of 88")
			g.ack(2)
		})
		p.noFailures(t)
	})
}

// Close tells the peers, with the first packet or in the middle.
func TestCloseTellsPeers(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		var s store
		p.serves(random(600))
		p.server.Create = func(context.Context, *tftp.Request) (tftp.Upload, error) { return &s, nil }
		p.serve(t, func() {
			reader, writer := p.guest(t, 2000), p.guest(t, 2001)
			reader.request(read)
			reader.expect("DATA 1 of 512")
			writer.request(write)
			writer.expect("ACK 0")
			writer.send(data(1, 512))
			writer.expect("ACK 1")
			if err := p.server.Close(); err != nil {
				t.Error(err)
			}
			reader.expect("ERROR 0 server is shutting down")
			writer.expect("ERROR 0 server is shutting down")
			if got := reader.next(time.Minute); got != "nothing" {
				t.Errorf("then came %s", got)
			}
		})
		for _, r := range p.reports {
			if r.Err != tftp.ErrServerClosed {
				t.Errorf("reported %v", r.Err)
			}
		}
		if s.aborted != 1 {
			t.Errorf("Abort was called %d times", s.aborted)
		}
	})
}

// Close after a Shutdown that was not waited for, or after a Serve that failed, ends
// the transfers that are left.
func TestCloseAfterShutdown(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		p.serves(random(600))
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(read)
			g.expect("DATA 1 of 512")
			g.ack(1)
			g.expect("DATA 2 of 88")
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := p.server.Shutdown(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Shutdown: %v, want %v", err, context.Canceled)
			}
			synctest.Wait()
			if err := p.server.Close(); err != nil {
				t.Error(err)
			}
			g.expect("ERROR 0 server is shutting down")
		})
		if len(p.reports) != 1 || p.reports[0].Err != tftp.ErrServerClosed {
			t.Errorf("reports %+v", p.reports)
		}
	})
}

// A closed server serves nothing, and frees its address at once.
func TestServeAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPath(nil, nil, nil)
		for range 2 {
			p.serve(t, func() {
				synctest.Wait()
				if err := p.server.Close(); err != nil {
					t.Error(err)
				}
				conn, err := p.net.ListenPacket("udp", serverAddr.String())
				if err != nil {
					t.Fatalf("after Close: %v", err)
				}
				conn.Close()
			})
		}
		if err := p.server.ListenAndServe("udp", "127.0.0.1:0"); err != tftp.ErrServerClosed {
			t.Errorf("ListenAndServe: %v, want %v", err, tftp.ErrServerClosed)
		}
	})
}

func TestServeErrors(t *testing.T) {
	s := new(tftp.Server)
	if s.Addr() != nil {
		t.Errorf("Addr = %v before Serve", s.Addr())
	}
	if err := s.ListenAndServe("tcp", "127.0.0.1:0"); !errors.As(err, new(net.UnknownNetworkError)) {
		t.Errorf("ListenAndServe on tcp: %v", err)
	}
	if err := s.ListenAndServe("udp", "127.0.0.1:99999"); err == nil || errors.Is(err, tftp.ErrServerClosed) {
		t.Errorf("ListenAndServe on a port that is none: %v", err)
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := s.Serve(conn); !errors.Is(err, net.ErrClosed) || errors.Is(err, tftp.ErrServerClosed) {
		t.Errorf("Serve on a closed socket: %v, want %v", err, net.ErrClosed)
	}
}

// ListenAndServe listens where it is told, and Addr says where that is.
func TestListenAndServe(t *testing.T) {
	s := &tftp.Server{Open: tftp.Payload([]byte("x"))}
	served := make(chan error)
	go func() { served <- s.ListenAndServe("udp4", "127.0.0.1:0") }()
	for s.Addr() == nil {
		select {
		case err := <-served:
			t.Fatal(err)
		default:
			runtime.Gosched()
		}
	}
	c := &tftp.Client{Addr: s.Addr().String()}
	var out bytes.Buffer
	if _, err := c.Get(t.Context(), "file", &out); err != nil || out.String() != "x" {
		t.Errorf("Get = %q, %v", &out, err)
	}
	if err := errors.Join(c.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != tftp.ErrServerClosed {
		t.Errorf("ListenAndServe: %v", err)
	}
}

// On a wildcard socket the answer leaves from the address that was asked, and a
// broadcast gets none.
func TestAnswersFromTheAskedAddress(t *testing.T) {
	for _, tt := range []struct {
		network string
		single  bool
	}{{"udp4", false}, {"udp4", true}, {"udp", false}, {"udp", true}} {
		t.Run(tt.network, func(t *testing.T) {
			conn, err := net.ListenPacket(tt.network, ":0")
			if err != nil {
				t.Fatal(err)
			}
			port := conn.LocalAddr().(*net.UDPAddr).Port
			asked := make(chan netip.AddrPort, 10)
			s := &tftp.Server{
				Open: tftp.Payload(random(1000)), SinglePort: tt.single,
				Report: func(r tftp.Transfer) { asked <- r.Request.Local },
			}
			served := make(chan error)
			go func() { served <- s.Serve(conn) }()
			client, err := net.ListenUDP("udp4", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			b := make([]byte, 600)
			read := func(within time.Duration) (netip.AddrPort, bool) {
				if err := client.SetReadDeadline(time.Now().Add(within)); err != nil {
					t.Fatal(err)
				}
				_, from, err := client.ReadFromUDPAddrPort(b)
				return netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err == nil
			}
			for _, host := range []string{"127.0.0.1", "127.0.0.2"} {
				to := netip.AddrPortFrom(netip.MustParseAddr(host), uint16(port))
				if _, err := client.WriteToUDPAddrPort([]byte("\x00\x01file\x00octet\x00tsize\x000\x00"), to); err != nil {
					t.Fatal(err)
				}
				from, ok := read(10 * time.Second)
				if !ok || from.Addr() != to.Addr() || (from.Port() == to.Port()) != tt.single {
					t.Errorf("%v was asked, and the answer came from %v", to, from)
				}
				if _, err := client.WriteToUDPAddrPort([]byte("\x00\x05\x00\x08no\x00"), from); err != nil {
					t.Fatal(err)
				}
				if got := <-asked; got != to {
					t.Errorf("Request.Local = %v, want %v", got, to)
				}
			}
			broadcast := netip.AddrPortFrom(netip.MustParseAddr("127.255.255.255"), uint16(port))
			if _, err := client.WriteToUDPAddrPort([]byte("\x00\x01file\x00octet\x00"), broadcast); err == nil {
				if from, ok := read(50 * time.Millisecond); ok {
					t.Errorf("a broadcast was answered from %v", from)
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			<-served
		})
	}
}
