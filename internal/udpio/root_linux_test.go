package udpio_test

import (
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/internal/udpio"
)

// inNamespace runs f in a network of its own, whose loopback is up with the
// given MTU. Sockets that f opens stay in it.
func inNamespace(t *testing.T, mtu uint32, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		// The thread is not unlocked: it ends with this goroutine, because its
		// network is no longer that of the process.
		runtime.LockOSThread()
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return err
			}
			if err := setUp("lo", mtu); err != nil {
				return err
			}
			f()
			return nil
		}()
	}()
	must(t, <-done)
}

// setUp sets the MTU of an interface and starts it.
func setUp(name string, mtu uint32) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint32(mtu)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFMTU, request); err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, request)
}

// Datagrams longer than the MTU are not split by the kernel but sent in
// fragments.
func TestRootBeyondMTU(t *testing.T) {
	interop.Root(t)
	const size, mtu = 8 << 10, 1500
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		var server, client *net.UDPConn
		inNamespace(t, mtu, func() {
			open := func(address string) *net.UDPConn {
				c, err := net.ListenPacket("udp", address)
				if err != nil {
					t.Error(err)
					return nil
				}
				return c.(*net.UDPConn)
			}
			server, client = open(address), open(address)
		})
		if server == nil || client == nil {
			t.FailNow()
		}
		defer server.Close()
		defer client.Close()
		for _, c := range []*net.UDPConn{server, client} {
			must(t, c.SetDeadline(time.Now().Add(10*time.Second)))
		}
		udpio.SetReadBuffer(server, readBuffer)
		for _, cfg := range []udpio.Config{
			{Size: size, Batch: 16},
			{Size: size, Batch: 16, Coalesce: true},
		} {
			r := udpio.NewReader(server, cfg)
			w := udpio.NewWriter(client)
			b := pattern(30*size + 100)
			for range 2 {
				write(t, w, b, size, addrPort(server))
				readWhole(t, r, b, size, addrPort(client))
				if w.Whole() != size {
					t.Errorf("not split from %d bytes on, want %d", w.Whole(), size)
				}
			}
			// What fits goes on being split.
			b = b[:100*1000]
			must(t, w.Write(b, 1000, addrPort(server), netip.Addr{}))
			if got := read(t, r, 100); string(got[99].Data) != string(b[99*1000:]) || w.Whole() != size {
				t.Errorf("the last of 100 has %d bytes, not split from %d bytes on", len(got[99].Data), w.Whole())
			}
			r.Release()
		}
	}
}
