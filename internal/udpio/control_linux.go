package udpio

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// controlSpace is the room for control messages that are read. A dual-stack
// socket needs 96 bytes for what a Reader asks for.
const controlSpace = 128

// parseControl sets what the control messages of a datagram say of it, and
// returns the length of the datagrams in a run, or 0. It ends at what makes no
// sense; what is not told is not known.
func (p *Packet) parseControl(b []byte, z *zone) (segment int) {
	for len(b) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(b)
		if err != nil {
			break
		}
		switch {
		case h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			segment = int(int32(binary.NativeEndian.Uint32(data)))
		case h.Level == unix.SOL_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			p.sentTo4([4]byte(data[4:8]), [4]byte(data[8:12]))
		case h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			p.sentTo6([16]byte(data[:16]), binary.NativeEndian.Uint32(data[16:]), z)
		}
		b = rest
	}
	return max(segment, 0)
}

// sentTo4 takes the fields ipi_spec_dst and ipi_addr of a struct in_pktinfo.
// The first is what the kernel would answer from, and differs from the
// destination if that is not one of its addresses.
func (p *Packet) sentTo4(answerFrom, destination [4]byte) {
	local, dst := netip.AddrFrom4(answerFrom), netip.AddrFrom4(destination)
	switch {
	case !local.IsUnspecified():
		p.Local = local
		p.Broadcast = dst != local || dst.IsMulticast()
	case dst.IsMulticast() || dst == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		p.Broadcast = true
	default: // it arrived before the kernel was asked to look, and may be a broadcast of a network
		p.Local = dst
	}
}

// sentTo6 takes the fields of a struct in6_pktinfo.
func (p *Packet) sentTo6(destination [16]byte, index uint32, z *zone) {
	dst := netip.AddrFrom16(destination)
	switch {
	case dst.Is4In6(): // what IP_PKTINFO says of it says more
	case dst.IsMulticast(): // nothing can leave from there
		p.Broadcast = true
	case dst.IsLinkLocalUnicast():
		p.Local = dst.WithZone(z.of(index))
	default:
		p.Local = dst
	}
}

// A control is the control messages of what is sent, in an array of headers so
// that it is aligned as the kernel's are.
type control struct {
	b [8]unix.Cmsghdr
	n int // bytes in use
}

// add appends a message and returns its data, of n bytes.
func (c *control) add(level, typ int32, n int) []byte {
	b := unsafe.Slice((*byte)(unsafe.Pointer(&c.b)), unsafe.Sizeof(c.b))[c.n:][:unix.CmsgSpace(n)]
	clear(b)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = level, typ
	h.SetLen(unix.CmsgLen(n))
	c.n += len(b)
	return b[unix.CmsgLen(0):][:n]
}

// addSource makes the datagrams of a socket of IPv6 or IPv4 leave from addr.
func (c *control) addSource(addr netip.Addr, inet6 bool, index uint32) error {
	if inet6 {
		data := c.add(unix.SOL_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		ip := addr.As16()
		copy(data, ip[:])
		binary.NativeEndian.PutUint32(data[16:], index)
		return nil
	}
	if addr = addr.Unmap(); !addr.Is4() {
		return notInet(addr)
	}
	data := c.add(unix.SOL_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
	ip := addr.As4()
	copy(data[4:], ip[:])
	return nil
}

// addSegment makes the kernel split what is sent into datagrams of size bytes.
func (c *control) addSegment(size int) {
	binary.NativeEndian.PutUint16(c.add(unix.SOL_UDP, unix.UDP_SEGMENT, 2), uint16(size))
}
