package netns

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/internal/interop"
)

// LinkLocal is an address of each [Namespace], on its loopback interface, which takes
// multicast as other interfaces do.
var LinkLocal = netip.MustParseAddr("fe80::1%lo")

// loopback is the index of the interface lo.
const loopback = 1

// A Namespace is a network with a loopback interface. Its thread is never used for
// anything else.
type Namespace struct{ calls chan func() }

// New makes a namespace that ends with the test. Without the rights for that the test
// is skipped, or fails where such tests are required.
func New(tb testing.TB) *Namespace {
	tb.Helper()
	interop.Root(tb)
	n := &Namespace{make(chan func())}
	tb.Cleanup(func() { close(n.calls) })
	go func() {
		runtime.LockOSThread() // until it ends, with the goroutine
		for f := range n.calls {
			f()
		}
	}()
	if err := n.Do(enter); err != nil {
		tb.Fatal(err)
	}
	return n
}

// Do runs f there, which must not end its goroutine. The sockets that it opens stay
// in the namespace, and processes that it starts, if it does that in this goroutine.
func (n *Namespace) Do(f func() error) error {
	done := make(chan error)
	n.calls <- func() { done <- f() }
	return <-done
}

// ListenUDP opens a socket there, which is closed at the end of the test.
func (n *Namespace) ListenUDP(tb testing.TB, network, address string) *net.UDPConn {
	tb.Helper()
	var conn net.PacketConn
	err := n.Do(func() (err error) {
		conn, err = net.ListenPacket(network, address)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return conn.(*net.UDPConn)
}

// SetMTU sets the largest packet of the loopback interface, in bytes.
func (n *Namespace) SetMTU(tb testing.TB, mtu uint32) {
	tb.Helper()
	err := n.Do(func() error {
		return configure(func(lo *unix.Ifreq) uint { lo.SetUint32(mtu); return unix.SIOCSIFMTU })
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// enter makes a namespace of the thread.
func enter() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	err := configure(func(lo *unix.Ifreq) uint {
		lo.SetUint16(unix.IFF_UP | unix.IFF_MULTICAST)
		return unix.SIOCSIFFLAGS
	})
	return errors.Join(err, addLinkLocal(), awaitLinkLocal())
}

// awaitLinkLocal returns when what is sent to the address arrives: the kernel brings
// it into use a moment after it was added.
func awaitLinkLocal() error {
	conn, err := net.ListenPacket("udp6", netip.AddrPortFrom(LinkLocal, 0).String())
	if err != nil {
		return err
	}
	defer conn.Close()
	for range 1000 {
		_, sendErr := conn.WriteTo(nil, conn.LocalAddr())
		if err = conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
			return err
		}
		if _, _, err = conn.ReadFrom(nil); err == nil {
			return nil
		}
		err = errors.Join(sendErr, err)
	}
	return err
}

// configure makes a request about the loopback interface.
func configure(request func(lo *unix.Ifreq) uint) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	number := request(lo)
	return unix.IoctlIfreq(fd, number, lo)
}

// addLinkLocal adds the address, and a route for multicast. The type of that is local,
// since lo takes no other for addresses that are not its own.
func addLinkLocal() error {
	order := binary.NativeEndian
	addr := LinkLocal.As16()
	address := []byte{unix.AF_INET6, 64, unix.IFA_F_NODAD, unix.RT_SCOPE_UNIVERSE}
	address = order.AppendUint32(address, loopback)
	address = appendAttribute(address, unix.IFA_LOCAL, addr[:])

	route := []byte{unix.AF_INET6, 8, 0, 0, unix.RT_TABLE_LOCAL, unix.RTPROT_BOOT, unix.RT_SCOPE_UNIVERSE, unix.RTN_LOCAL}
	route = order.AppendUint32(route, 0)
	route = appendAttribute(route, unix.RTA_DST, append([]byte{0xff}, make([]byte, 15)...))
	route = appendAttribute(route, unix.RTA_OIF, order.AppendUint32(nil, loopback))

	return errors.Join(create(unix.RTM_NEWADDR, address), create(unix.RTM_NEWROUTE, route))
}

// appendAttribute appends an attribute whose length is a multiple of four.
func appendAttribute(b []byte, kind uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, unix.SizeofRtAttr+uint16(len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	return append(b, value...)
}

// create asks the kernel to create something, by rtnetlink.
func create(kind uint16, body []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	order := binary.NativeEndian
	b := order.AppendUint32(nil, unix.SizeofNlMsghdr+uint32(len(body)))
	b = order.AppendUint16(b, kind)
	b = order.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE)
	b = append(b, make([]byte, 8)...) // sequence number and port
	if err := unix.Sendto(fd, append(b, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	if n < unix.SizeofNlMsghdr+4 {
		return errors.New("netns: short answer of rtnetlink")
	}
	if errno := int32(order.Uint32(answer[unix.SizeofNlMsghdr:])); errno != 0 {
		return unix.Errno(-errno)
	}
	return nil
}
