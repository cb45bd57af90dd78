package tftp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/tftp"
)

// running starts the server of p. It is closed at the end of the test, and what
// Serve returned comes from the channel.
func (p *path) running(t *testing.T) <-chan error {
	t.Helper()
	conn, err := p.net.ListenPacket("udp", serverAddr.String())
	if err != nil {
		t.Fatal(err)
	}
	return p.servingOn(t, conn)
}

func (p *path) servingOn(t *testing.T, conn net.PacketConn) <-chan error {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- p.server.Serve(conn) }()
	t.Cleanup(func() {
		if err := p.server.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		// A transfer that Close does not reach ends in some minutes.
		if err := p.server.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	synctest.Wait()
	return served
}

// Shutdown returns when the last transfer has ended, and Serve when it has nothing
// to do any more.
func TestShutdownReturnsAtTheEnd(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		p.serves(random(1000))
		served := p.running(t)
		g, late := p.guest(t, 2000), p.guest(t, 2001)
		g.request(read)
		g.expect("DATA 1 of 512")
		down := make(chan error, 1)
		go func() { down <- p.server.Shutdown(t.Context()) }()
		synctest.Wait()
		late.request(read)
		late.silence(500 * time.Millisecond)
		select {
		case err := <-down:
			t.Fatalf("Shutdown did not wait: %v", err)
		default:
		}
		if !p.server.SinglePort {
			if err := <-served; err != tftp.ErrServerClosed {
				t.Errorf("Serve: %v, want %v", err, tftp.ErrServerClosed)
			}
		}
		g.ack(1)
		g.expect("DATA 2 of 488")
		g.ack(2)
		if err := <-down; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if p.server.SinglePort {
			if err := <-served; err != tftp.ErrServerClosed {
				t.Errorf("Serve: %v, want %v", err, tftp.ErrServerClosed)
			}
		}
		p.noFailures(t)
	})
}

// The clients of a server that closes are told, whatever their transfers do.
func TestCloseTellsClients(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		var one, two store
		var ctxErr error
		p.server.Create = func(_ context.Context, r *tftp.Request) (tftp.Upload, error) {
			if r.Name == "up" {
				return &two, nil
			}
			return &one, nil
		}
		p.server.Open = func(ctx context.Context, r *tftp.Request) (io.ReadCloser, error) {
			if r.Name == "slow" {
				<-ctx.Done()
				ctxErr = context.Cause(ctx)
				return nil, ctxErr
			}
			return tftp.Payload(random(1000))(ctx, r)
		}
		served := p.running(t)
		guests := map[string]*guest{}
		for i, request := range []string{rrq("slow", ""), read, rrq("file", "blksize 9"), write, wrq("up", "windowsize 4")} {
			g := p.guest(t, 2000+uint16(i))
			g.request(request)
			if request != rrq("slow", "") && g.next(time.Millisecond) == "nothing" {
				t.Errorf("%q was not answered", request)
			}
			guests[request] = g
		}
		synctest.Wait() // Open waits
		if err := p.server.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		for request, g := range guests {
			if got := g.next(time.Millisecond); got != "ERROR 0 server is shutting down" {
				t.Errorf("%q: received %q, want ERROR 0", request, got)
			}
			g.silence(time.Minute)
		}
		if err := <-served; err != tftp.ErrServerClosed {
			t.Errorf("Serve: %v, want %v", err, tftp.ErrServerClosed)
		}
		if err := p.server.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if ctxErr != tftp.ErrServerClosed {
			t.Errorf("the context of Open ended by %v", ctxErr)
		}
		for i, s := range []*store{&one, &two} {
			if s.aborted != 1 || s.committed != 0 {
				t.Errorf("upload %d was aborted %d times and committed %d times, want once and never", i, s.aborted, s.committed)
			}
		}
	})
}

// An upload that is stored does not hold Shutdown up for as long as it may repeat
// its last ACK.
func TestShutdownAfterAnUpload(t *testing.T) {
	for _, first := range []bool{false, true} {
		withServer(t, func(t *testing.T, p *path) {
			var s store
			p.server.Create = func(context.Context, *tftp.Request) (tftp.Upload, error) { return &s, nil }
			p.running(t)
			g := p.guest(t, 2000)
			g.request(write)
			g.expect("ACK 0")
			began := time.Now()
			down := make(chan error, 1)
			if first {
				go func() { down <- p.server.Shutdown(t.Context()) }()
				synctest.Wait()
			}
			time.Sleep(time.Millisecond)
			g.send(data(1, 10))
			g.expect("ACK 1")
			if !first {
				go func() { down <- p.server.Shutdown(t.Context()) }()
			}
			if err := <-down; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
			if took := time.Since(began); took > 200*time.Millisecond {
				t.Errorf("Shutdown took %v", took)
			}
			p.noFailures(t)
		})
	}
}

// A server serves several sockets, closes those that it did not come to serve, and
// does not begin anew.
func TestServeAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPath(nil, nil, nil)
		p.serves([]byte("x"))
		if got := p.server.Addr(); got != nil {
			t.Errorf("Addr before Serve = %v, want nil", got)
		}
		first := p.running(t)
		conn, err := p.net.ListenPacket("udp", "192.0.2.9:69")
		if err != nil {
			t.Fatal(err)
		}
		second := p.servingOn(t, conn)
		if got := p.server.Addr().String(); got != serverAddr.String() {
			t.Errorf("Addr = %v, want %v", got, serverAddr)
		}
		g := p.guest(t, 2000)
		for _, to := range []net.Addr{net.UDPAddrFromAddrPort(serverAddr), conn.LocalAddr()} {
			g.peer = to
			g.raw(read)
			g.expect("DATA 1 of 1")
			g.ack(1)
		}
		synctest.Wait()
		for range 2 {
			if err := p.server.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		for i, served := range []<-chan error{first, second} {
			if err := <-served; err != tftp.ErrServerClosed {
				t.Errorf("Serve %d: %v, want %v", i, err, tftp.ErrServerClosed)
			}
		}
		late, err := p.net.ListenPacket("udp", "192.0.2.9:69")
		if err != nil {
			t.Fatalf("Serve did not close its socket: %v", err)
		}
		for range 2 {
			if err := p.server.Serve(late); !errors.Is(err, tftp.ErrServerClosed) {
				t.Errorf("Serve after Close: %v, want %v", err, tftp.ErrServerClosed)
			}
		}
		if _, err := late.WriteTo([]byte("x"), late.LocalAddr()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the socket of a Serve after Close is open: %v", err)
		}
		if err := p.server.ListenAndServe("udp", "127.0.0.1:0"); err != tftp.ErrServerClosed {
			t.Errorf("ListenAndServe after Close: %v, want %v", err, tftp.ErrServerClosed)
		}
	})
}

// A Close before Serve counts as well.
func TestCloseBeforeServe(t *testing.T) {
	for name, end := range map[string]func(*tftp.Server) error{
		"Close":    (*tftp.Server).Close,
		"Shutdown": func(s *tftp.Server) error { return s.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			var s tftp.Server
			if err := end(&s); err != nil {
				t.Fatal(err)
			}
			var n memnet.Network
			conn, err := n.ListenPacket("udp", "192.0.2.1:69")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Serve(conn); err != tftp.ErrServerClosed {
				t.Errorf("Serve: %v, want %v", err, tftp.ErrServerClosed)
			}
		})
	}
}

// A port that is taken is an error of its own.
func TestListenOnATakenPort(t *testing.T) {
	var s tftp.Server
	taken := listenUDP(t, "udp4", "127.0.0.1:0")
	err := s.ListenAndServe("udp4", taken.LocalAddr().String())
	if _, ok := errors.AsType[*net.OpError](err); !ok || runtime.GOOS == "linux" && !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("ListenAndServe: %v, want %v", err, syscall.EADDRINUSE)
	}
}

// failing is a socket whose reads fail as often as left says.
type failing struct {
	net.PacketConn
	err  error
	left atomic.Int32
}

func (f *failing) ReadFrom(p []byte) (int, net.Addr, error) {
	if f.left.Add(-1) >= 0 {
		return 0, nil, f.err
	}
	return f.PacketConn.ReadFrom(p)
}

// Errors of a socket that pass are waited out, and others end Serve, but not what
// runs already.
func TestSocketFails(t *testing.T) {
	for _, tt := range []struct {
		err   error
		fatal bool
	}{{syscall.ENOBUFS, false}, {syscall.ENOMEM, false}, {syscall.EIO, true}} {
		t.Run(tt.err.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPath(nil, nil, nil)
				p.serves(random(600))
				conn, err := p.net.ListenPacket("udp", serverAddr.String())
				if err != nil {
					t.Fatal(err)
				}
				f := &failing{PacketConn: conn, err: os.NewSyscallError("recvmsg", tt.err)}
				served := p.servingOn(t, f)
				g := p.guest(t, 2000)
				g.request(read)
				g.expect("DATA 1 of 512")
				f.left.Store(3)
				g.request("\x00\x05") // whose answer is the error
				time.Sleep(time.Second)
				if tt.fatal {
					if err := <-served; !errors.Is(err, tt.err) {
						t.Errorf("Serve: %v, want %v", err, tt.err)
					}
				} else {
					other := p.guest(t, 2001)
					other.request(read)
					other.expect("DATA 1 of 512")
				}
				if err := p.server.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				for got := "DATA 1 of 512"; got == "DATA 1 of 512"; {
					if got = g.next(time.Millisecond); got != "DATA 1 of 512" && got != "ERROR 0 server is shutting down" {
						t.Errorf("the transfer of before received %q", got)
					}
				}
			})
		})
	}
}

func listenUDP(t *testing.T, network, address string) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.UDPConn)
}

// Answers come from the address that was asked, where the socket has all of them.
func TestAnswersComeFromTheAddressAsked(t *testing.T) {
	tests := []struct{ network, address, ask string }{
		{"udp4", "0.0.0.0:0", "127.0.0.2"},
		{"udp", ":0", "127.0.0.2"},
		{"udp", ":0", "::1"},
		{"udp6", "[::]:0", "::1"},
		{"udp6", "[::1]:0", "::1"},
		{"udp4", "127.0.0.1:0", "127.0.0.1"},
	}
	for _, tt := range tests {
		for _, single := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %s asked at %s, single port %v", tt.network, tt.address, tt.ask, single), func(t *testing.T) {
				if runtime.GOOS != "linux" {
					t.Skip("only Linux tells the address that was asked")
				}
				ask := netip.MustParseAddr(tt.ask)
				if probe, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ask, 0))); err != nil {
					t.Skipf("this host has no address %v: %v", ask, err)
				} else if err := probe.Close(); err != nil {
					t.Fatal(err)
				}
				conn := listenUDP(t, tt.network, tt.address)
				port := conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
				askThere(t, conn, netip.AddrPortFrom(ask, port), single)
			})
		}
	}
}

// askThere reads a file from a server on conn at an address, by a socket that takes
// packets of all addresses.
func askThere(t *testing.T, conn *net.UDPConn, server netip.AddrPort, single bool) {
	t.Helper()
	reports := make(chan tftp.Transfer, 1)
	s := &tftp.Server{Open: tftp.Payload(bytes.Repeat([]byte("x"), 600)), SinglePort: single, Report: func(r tftp.Transfer) { reports <- r }}
	startOn(t, s, conn)
	network, any := "udp4", "0.0.0.0:0"
	if server.Addr().Is6() {
		network, any = "udp6", "[::]:0"
	}
	client := listenUDP(t, network, any)
	if err := client.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	packet := rrq("file", "")
	to := server
	for block := 1; block <= 2; block++ {
		if _, err := client.WriteToUDPAddrPort([]byte(packet), to); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1000)
		n, from, err := client.ReadFromUDPAddrPort(b)
		if err != nil {
			t.Fatal(err)
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if want := fmt.Sprintf("\x00\x03\x00%c", block); from.Addr() != server.Addr() || !strings.HasPrefix(string(b[:n]), want) {
			t.Fatalf("received %.8q from %v, want %q from %v", b[:n], from, want, server.Addr())
		}
		if (from.Port() == server.Port()) != single {
			t.Errorf("the transfer is on %v, the request was to %v", from, server)
		}
		packet, to = "\x00\x04\x00"+string(rune(block)), from
	}
	if _, err := client.WriteToUDPAddrPort([]byte(packet), to); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-reports:
		if r.Err != nil || r.Request.Local != server {
			t.Errorf("report of %v from %v, want no error from %v", r.Err, r.Request.Local, server)
		}
	case <-time.After(5 * time.Second):
		t.Error("no report")
	}
}

// startOn serves conn until the end of the test.
func startOn(t *testing.T, s *tftp.Server, conn net.PacketConn) {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- s.Serve(conn) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-served; !errors.Is(err, tftp.ErrServerClosed) {
			t.Errorf("Serve: %v, want %v", err, tftp.ErrServerClosed)
		}
	})
	for s.Addr() == nil { // of what comes earlier it is not known whether it is a broadcast
		runtime.Gosched()
	}
}

// A request to a broadcast address is not answered (RFC 1123 section 4.2.3.5).
func TestBroadcastRequests(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells of broadcasts")
	}
	for _, single := range []bool{false, true} {
		for _, wild := range []struct{ network, address string }{{"udp4", "0.0.0.0:0"}, {"udp", ":0"}} {
			conn := listenUDP(t, wild.network, wild.address)
			asked := make(chan string, 9)
			s := &tftp.Server{SinglePort: single, Open: func(_ context.Context, r *tftp.Request) (io.ReadCloser, error) {
				asked <- r.Name
				return nil, os.ErrNotExist
			}}
			startOn(t, s, conn)
			client := listenUDP(t, "udp4", "127.0.0.1:0") // package net sets SO_BROADCAST
			if err := client.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			port := uint16(conn.LocalAddr().(*net.UDPAddr).Port)
			for _, packet := range []struct{ to, name string }{{"127.255.255.255", "all"}, {"127.0.0.1", "one"}} {
				to := netip.AddrPortFrom(netip.MustParseAddr(packet.to), port)
				if _, err := client.WriteToUDPAddrPort([]byte(rrq(packet.name, "")), to); err != nil {
					t.Fatal(err)
				}
			}
			b := make([]byte, 100)
			n, _, err := client.ReadFromUDPAddrPort(b)
			if err != nil || string(b[:n]) != "\x00\x05\x00\x01file not found\x00" {
				t.Errorf("received %q, %v", b[:n], err)
			}
			if name := <-asked; name != "one" || len(asked) != 0 {
				t.Errorf("Open was called for %q, want only for one", name)
			}
		}
	}
}
