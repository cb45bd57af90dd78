package udpio

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// A sockaddr is a struct sockaddr_in or sockaddr_in6 as it lies in memory:
//
//	offset   sockaddr_in         sockaddr_in6
//	0        family              family
//	2        port, big-endian    port, big-endian
//	4        address             flow information
//	8        zeros               address
//	24                           index of the interface
type sockaddr [unix.SizeofSockaddrInet6]byte

// encode sets the address of a socket of IPv6 or IPv4 and returns its length.
func (s *sockaddr) encode(ap netip.AddrPort, inet6 bool, index uint32) (int, error) {
	addr := ap.Addr()
	binary.BigEndian.PutUint16(s[2:], ap.Port())
	if inet6 {
		binary.NativeEndian.PutUint16(s[0:], unix.AF_INET6)
		ip := addr.As16()
		clear(s[4:8])
		copy(s[8:], ip[:])
		binary.NativeEndian.PutUint32(s[24:], index)
		return unix.SizeofSockaddrInet6, nil
	}
	if addr = addr.Unmap(); !addr.Is4() {
		return 0, notInet(addr)
	}
	binary.NativeEndian.PutUint16(s[0:], unix.AF_INET)
	ip := addr.As4()
	copy(s[4:], ip[:])
	clear(s[8:16])
	return unix.SizeofSockaddrInet4, nil
}

func notInet(addr netip.Addr) error {
	return &net.AddrError{Err: "IPv6 address for a socket of IPv4", Addr: addr.String()}
}

// decode returns the address, or the zero AddrPort if there is none.
func (s *sockaddr) decode(length uint32, z *zone) netip.AddrPort {
	port := binary.BigEndian.Uint16(s[2:])
	switch family := binary.NativeEndian.Uint16(s[0:]); {
	case family == unix.AF_INET && length >= unix.SizeofSockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s[4:8])), port)
	case family == unix.AF_INET6 && length >= unix.SizeofSockaddrInet6:
		addr := netip.AddrFrom16([16]byte(s[8:24])).Unmap()
		if index := binary.NativeEndian.Uint32(s[24:]); index != 0 {
			addr = addr.WithZone(z.of(index))
		}
		return netip.AddrPortFrom(addr, port)
	}
	return netip.AddrPort{}
}

// A zone remembers the number and the name of one interface, so that many
// datagrams over it need one conversion.
type zone struct {
	index uint32
	name  string
}

// of returns the zone of interface index, its number in decimal.
func (z *zone) of(index uint32) string {
	if z.index != index {
		*z = zone{index, strconv.FormatUint(uint64(index), 10)}
	}
	return z.name
}

// parse returns the interface that a zone names or numbers, and 0 for no zone.
func (z *zone) parse(name string) (uint32, error) {
	switch name {
	case "":
		return 0, nil
	case z.name:
		return z.index, nil
	}
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(n), nil
	}
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0, err
	}
	*z = zone{uint32(i.Index), name}
	return z.index, nil
}
