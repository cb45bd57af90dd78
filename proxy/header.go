package proxy

import (
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
)

// The errors of headers. That of a malformed header is [ErrHeader] for errors.Is and
// says more.
var (
	// ErrHeader says that a header of the PROXY protocol breaks its rules.
	ErrHeader = errors.New("proxy: malformed PROXY header")

	// ErrNoHeader says that there is no header where one must be.
	ErrNoHeader = errors.New("proxy: no PROXY header")

	// ErrHeaderRefused says that there is a header where none may be.
	ErrHeaderRefused = errors.New("proxy: PROXY header from a source that may send none")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrHeader}, args...)...)
}

// maxHeader is the length in bytes of the longest header that is taken. Version 1
// has a limit of its own; version 2 allows 64 KiB, for which nobody has a use.
const maxHeader = 4096

// A Header is that of the PROXY protocol, by which a proxy tells the server behind
// it whose connection it passes on (version 2.1 of its specification, of March 2020
// and later).
type Header struct {
	// Version is 1, which is text, or 2, which is binary. AppendBinary takes 0
	// for 2.
	Version int

	// Network is what the proxy accepted: "tcp", "udp", "unix" or "unixgram". If
	// it is empty the addresses are not known, or the proxy speaks for itself, as
	// it does to see whether the server is alive: then the addresses of the
	// connection itself hold. Version 1 knows no other than "tcp".
	Network string

	// Source and Destination are the client's address and the one it asked for,
	// if Network is "tcp" or "udp". Both have the same family.
	Source, Destination netip.AddrPort

	// SourcePath and DestinationPath are those of Unix sockets, an abstract name
	// with an @ for its first byte.
	SourcePath, DestinationPath string

	// Local says that the proxy speaks for itself (the LOCAL command of version 2).
	Local bool

	// Extra are the fields that follow the addresses in version 2, as they are on
	// the wire. TLVs takes them apart.
	Extra []byte
}

// The types of TLVs that the specification defines.
const (
	TLVALPN      = 0x01 // the protocol chosen by ALPN
	TLVAuthority = 0x02 // the host name that the client gave, as by SNI
	TLVCRC32C    = 0x03 // a checksum of the header: ParseHeader verifies, AppendBinary sets it
	TLVNoop      = 0x04 // padding
	TLVUniqueID  = 0x05 // an identifier of the connection, of up to 128 bytes
	TLVSSL       = 0x20 // what is known of TLS
	TLVNetNS     = 0x30 // the name of the network namespace
)

// tlvHeader is the length of the type and length of a TLV.
const tlvHeader = 3

// TLVs returns the types and values of Extra in their order. The values are parts of
// Extra. It ends where Extra is cut short.
func (h *Header) TLVs() iter.Seq2[byte, []byte] {
	return func(yield func(byte, []byte) bool) {
		for rest := h.Extra; ; {
			kind, value, after, ok := nextTLV(rest)
			if !ok || !yield(kind, value) {
				return
			}
			rest = after
		}
	}
}

func nextTLV(b []byte) (kind byte, value, rest []byte, ok bool) {
	if len(b) < tlvHeader {
		return 0, nil, b, false
	}
	end := tlvHeader + int(b[1])<<8 + int(b[2])
	if len(b) < end {
		return 0, nil, b, false
	}
	return b[0], b[tlvHeader:end:end], b[end:], true
}

// source and destination return the addresses of h as those of connections, or nil
// if it has none.
func (h *Header) source() net.Addr { return addrOf(h.Network, h.Source, h.SourcePath) }

func (h *Header) destination() net.Addr { return addrOf(h.Network, h.Destination, h.DestinationPath) }

func addrOf(network string, addr netip.AddrPort, path string) net.Addr {
	switch network {
	case "tcp":
		return net.TCPAddrFromAddrPort(addr)
	case "udp":
		return net.UDPAddrFromAddrPort(addr)
	case "unix", "unixgram":
		return &net.UnixAddr{Name: path, Net: network}
	}
	return nil
}

// NewHeader returns a header of version 1 or 2 for a connection between two
// addresses: the one of the client, and the one it connected to. If they are nothing
// that a header can tell, its Network is empty.
func NewHeader(version int, source, destination net.Addr) Header {
	h := Header{Version: version}
	switch source := source.(type) {
	case *net.TCPAddr:
		if destination, ok := destination.(*net.TCPAddr); ok {
			h.setPorts("tcp", source.AddrPort(), destination.AddrPort())
		}
	case *net.UDPAddr:
		if destination, ok := destination.(*net.UDPAddr); ok {
			h.setPorts("udp", source.AddrPort(), destination.AddrPort())
		}
	case *net.UnixAddr:
		if destination, ok := destination.(*net.UnixAddr); ok && source.Net == destination.Net {
			if source.Net == "unix" || source.Net == "unixgram" {
				h.Network, h.SourcePath, h.DestinationPath = source.Net, pathOf(source), pathOf(destination)
			}
		}
	}
	return h
}

// pathOf returns the path of a Unix socket. One without a name is "@" to package net.
func pathOf(a *net.UnixAddr) string {
	if a.Name == "@" {
		return ""
	}
	return a.Name
}

// setPorts sets the addresses, without zones, and of one family.
func (h *Header) setPorts(network string, source, destination netip.AddrPort) {
	a, b := source.Addr().Unmap().WithZone(""), destination.Addr().Unmap().WithZone("")
	if !a.IsValid() || !b.IsValid() {
		return
	}
	if a.Is4() != b.Is4() {
		a, b = netip.AddrFrom16(a.As16()), netip.AddrFrom16(b.As16())
	}
	h.Network = network
	h.Source, h.Destination = netip.AddrPortFrom(a, source.Port()), netip.AddrPortFrom(b, destination.Port())
}
