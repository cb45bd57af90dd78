package proxy

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

const (
	textStart  = "PROXY "
	textEnd    = "\r\n"
	maxText    = 107 // bytes, textEnd included
	signature  = "\r\n\r\n\x00\r\nQUIT\n"
	fixedPart  = len(signature) + 4
	pathLength = 108 // bytes of an address of a Unix socket

	maxUniqueID = 128 // bytes
)

// What follows the signature of version 2: version and command in one byte, family
// and transport in another.
const (
	commandLocal = 0x20
	commandProxy = 0x21
)

// A family is an address family with a transport.
var families = map[byte]struct {
	network string
	length  int // of both addresses
}{
	0x11: {"tcp", 12},
	0x12: {"udp", 12},
	0x21: {"tcp", 36},
	0x22: {"udp", 36},
	0x31: {"unix", 2 * pathLength},
	0x32: {"unixgram", 2 * pathLength},
}

// ParseHeader parses the header at the beginning of b, and returns how long it is in
// bytes. Its Extra is a part of b.
//
// The error is [ErrNoHeader] if b begins with something else,
// [io.ErrUnexpectedEOF] if it may be the beginning of a header and more is needed, and
// [ErrHeader] if it is a header that breaks the rules, is longer than 4096 bytes, or
// has a wrong checksum.
func ParseHeader(b []byte) (Header, int, error) {
	switch {
	case hasPrefix(b, signature):
		return parseBinary(b)
	case hasPrefix(b, textStart):
		return parseText(b)
	}
	return Header{}, 0, ErrNoHeader
}

// hasPrefix reports whether b begins with prefix, as far as it goes.
func hasPrefix(b []byte, prefix string) bool {
	n := min(len(b), len(prefix))
	return string(b[:n]) == prefix[:n]
}

func parseText(b []byte) (Header, int, error) {
	line, _, found := bytes.Cut(b[:min(len(b), maxText)], []byte(textEnd))
	if !found {
		if len(b) >= maxText {
			return Header{}, 0, malformed("no end of line in %d bytes", maxText)
		}
		return Header{}, 0, io.ErrUnexpectedEOF
	}
	n := len(line) + len(textEnd)
	words := string(line[len(textStart):])
	protocol, words, _ := strings.Cut(words, " ")
	if protocol == "UNKNOWN" {
		return Header{Version: 1}, n, nil // whatever follows
	}
	if protocol != "TCP4" && protocol != "TCP6" {
		return Header{}, 0, malformed("protocol is none of TCP4, TCP6 and UNKNOWN")
	}
	var words4 [4]string
	for i := range words4 {
		var more bool
		words4[i], words, more = strings.Cut(words, " ")
		if more != (i < len(words4)-1) {
			return Header{}, 0, malformed("want two addresses and two ports")
		}
	}
	h := Header{Version: 1, Network: "tcp"}
	var ok [2]bool
	h.Source, ok[0] = parseEndpoint(protocol, words4[0], words4[2])
	h.Destination, ok[1] = parseEndpoint(protocol, words4[1], words4[3])
	if !ok[0] || !ok[1] {
		return Header{}, 0, malformed("address or port")
	}
	return h, n, nil
}

// parseEndpoint parses an address and a port as version 1 writes them: IPv6 without
// zones, numbers without leading zeros. The specification has no dots in IPv6, but
// HAProxy writes an IPv4 client of a socket for both families so, as "::ffff:192.0.2.1".
func parseEndpoint(protocol, addr, port string) (netip.AddrPort, bool) {
	if strings.Contains(addr, "%") || len(port) > 1 && port[0] == '0' {
		return netip.AddrPort{}, false
	}
	ip, err := netip.ParseAddr(addr)
	if err != nil || ip.Is4() != (protocol == "TCP4") {
		return netip.AddrPort{}, false
	}
	n := 0
	for _, c := range []byte(port) {
		if c < '0' || c > '9' || n > 1<<16 {
			return netip.AddrPort{}, false
		}
		n = 10*n + int(c-'0')
	}
	return netip.AddrPortFrom(ip, uint16(n)), port != "" && n < 1<<16
}

func parseBinary(b []byte) (Header, int, error) {
	if len(b) < fixedPart {
		return Header{}, 0, io.ErrUnexpectedEOF
	}
	command, family := b[len(signature)], b[len(signature)+1]
	length := fixedPart + int(binary.BigEndian.Uint16(b[len(signature)+2:]))
	if command != commandLocal && command != commandProxy {
		return Header{}, 0, malformed("version and command 0x%02x", command)
	}
	addresses, known := families[family]
	if !known && family != 0 && command == commandProxy {
		return Header{}, 0, malformed("address family and transport 0x%02x", family)
	}
	if length > maxHeader {
		return Header{}, 0, malformed("%d bytes, more than %d", length, maxHeader)
	}
	if len(b) < length {
		return Header{}, 0, io.ErrUnexpectedEOF
	}
	b = b[:length:length]
	h := Header{Version: 2, Local: command == commandLocal}
	if h.Local || family == 0 {
		return h, length, nil // the rest may be anything
	}
	if length-fixedPart < addresses.length {
		return Header{}, 0, malformed("%d bytes of addresses, want %d", length-fixedPart, addresses.length)
	}
	h.Network = addresses.network
	h.setAddresses(b[fixedPart : fixedPart+addresses.length])
	h.Extra = b[fixedPart+addresses.length:]
	if err := checkTLVs(b, h.Extra); err != nil {
		return Header{}, 0, err
	}
	return h, length, nil
}

// setAddresses sets the addresses from their part of version 2.
func (h *Header) setAddresses(b []byte) {
	if len(b) == 2*pathLength {
		h.SourcePath, h.DestinationPath = parsePath(b[:pathLength]), parsePath(b[pathLength:])
		return
	}
	size := (len(b) - 4) / 2
	ports := b[2*size:]
	source, _ := netip.AddrFromSlice(b[:size]) // of 4 or 16 bytes
	destination, _ := netip.AddrFromSlice(b[size : 2*size])
	h.Source = netip.AddrPortFrom(source, binary.BigEndian.Uint16(ports))
	h.Destination = netip.AddrPortFrom(destination, binary.BigEndian.Uint16(ports[2:]))
}

// parsePath returns the path in b, which is filled up with zeros.
func parsePath(b []byte) string {
	if b[0] == 0 { // an abstract name, or none
		name := bytes.TrimRight(b[1:], "\x00")
		if len(name) == 0 {
			return ""
		}
		return "@" + string(name)
	}
	path, _, _ := bytes.Cut(b, []byte{0})
	return string(path)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkTLVs checks that extra, which is the end of header, is made of whole TLVs, and
// the checksum if there is one.
func checkTLVs(header, extra []byte) error {
	at, err := findChecksum(extra)
	if err != nil || at < 0 {
		return err
	}
	at += len(header) - len(extra)
	if checksum(header, at) != binary.BigEndian.Uint32(header[at:]) {
		return malformed("wrong checksum")
	}
	return nil
}

// findChecksum checks that extra is made of whole TLVs as the specification has them,
// and returns where in it the value of the checksum is, or a negative number if there
// is none.
func findChecksum(extra []byte) (at int, err error) {
	at = -1
	for rest := extra; len(rest) > 0; {
		kind, value, after, ok := nextTLV(rest)
		switch {
		case !ok:
			return at, malformed("a TLV is cut short")
		case kind == TLVUniqueID && len(value) > maxUniqueID:
			return at, malformed("unique ID of %d bytes", len(value))
		case kind == TLVCRC32C && len(value) != crc32.Size:
			return at, malformed("checksum of %d bytes", len(value))
		case kind == TLVCRC32C && at >= 0: // each would have to cover the other one
			return at, malformed("two checksums")
		case kind == TLVCRC32C:
			at = len(extra) - len(after) - crc32.Size
		}
		rest = after
	}
	return at, nil
}

// checksum returns that of a header, with zeros for the value of it at an index.
func checksum(header []byte, at int) uint32 {
	sum := crc32.Update(0, castagnoli, header[:at])
	sum = crc32.Update(sum, castagnoli, make([]byte, crc32.Size))
	return crc32.Update(sum, castagnoli, header[at+crc32.Size:])
}

// AppendBinary appends the header as it is on the wire. Addresses that the version
// cannot tell are left out, and so is Extra in version 1 and beside no addresses. A
// checksum in Extra is appended as what it must be, whatever it is.
//
// The error is [ErrHeader] if Version is none, if the addresses are missing or of two
// families, or if Extra is too long or is nothing that ParseHeader takes.
func (h *Header) AppendBinary(b []byte) ([]byte, error) {
	switch h.Version {
	case 1:
		return h.appendText(b)
	case 0, 2:
		return h.appendBinary(b)
	}
	return b, malformed("version %d", h.Version)
}

// ports reports whether h has addresses with ports, which must be valid then.
func (h *Header) ports() (bool, error) {
	if h.Local || h.Network != "tcp" && h.Network != "udp" {
		return false, nil
	}
	source, destination := h.Source.Addr(), h.Destination.Addr()
	if !source.IsValid() || !destination.IsValid() || source.Is4() != destination.Is4() {
		return false, malformed("addresses %v and %v", source, destination)
	}
	return true, nil
}

func (h *Header) appendText(b []byte) ([]byte, error) {
	known, err := h.ports()
	if err != nil {
		return b, err
	}
	b = append(b, textStart...)
	if !known || h.Network != "tcp" {
		return append(b, "UNKNOWN"+textEnd...), nil
	}
	protocol := "TCP6 "
	if h.Source.Addr().Is4() {
		protocol = "TCP4 "
	}
	b = append(b, protocol...)
	b = append(appendAddr(b, h.Source.Addr()), ' ')
	b = append(appendAddr(b, h.Destination.Addr()), ' ')
	b = append(strconv.AppendUint(b, uint64(h.Source.Port()), 10), ' ')
	b = strconv.AppendUint(b, uint64(h.Destination.Port()), 10)
	return append(b, textEnd...), nil
}

// appendAddr appends an address without dots in IPv6, and without a zone.
func appendAddr(b []byte, addr netip.Addr) []byte {
	if !addr.Is4In6() {
		return addr.WithZone("").AppendTo(b)
	}
	b = append(b, "::ffff:"...)
	as16 := addr.As16()
	b = strconv.AppendUint(b, uint64(binary.BigEndian.Uint16(as16[12:])), 16)
	b = append(b, ':')
	return strconv.AppendUint(b, uint64(binary.BigEndian.Uint16(as16[14:])), 16)
}

func (h *Header) appendBinary(b []byte) ([]byte, error) {
	known, err := h.ports()
	if err != nil {
		return b, err
	}
	sumAt, err := findChecksum(h.Extra)
	if err != nil {
		return b, err
	}
	command, family := byte(commandProxy), byte(0)
	var addresses [2 * pathLength]byte
	body := addresses[:0]
	switch {
	case h.Local:
		command = commandLocal
	case known:
		family, body = appendPorts(body, h)
	case h.Network == "unix" || h.Network == "unixgram":
		if len(h.SourcePath) > pathLength || len(h.DestinationPath) > pathLength {
			break // they are not known then
		}
		family = 0x31
		if h.Network == "unixgram" {
			family = 0x32
		}
		body = addresses[:]
		putPath(body[:pathLength], h.SourcePath)
		putPath(body[pathLength:], h.DestinationPath)
	}
	extra := h.Extra
	if family == 0 {
		extra = nil
	}
	length := len(body) + len(extra)
	if fixedPart+length > maxHeader {
		return b, malformed("%d bytes, more than %d", fixedPart+length, maxHeader)
	}
	begin := len(b)
	b = append(b, signature...)
	b = append(b, command, family, byte(length>>8), byte(length))
	b = append(b, body...)
	b = append(b, extra...)
	if sumAt >= 0 && len(extra) > 0 {
		at := fixedPart + len(body) + sumAt
		binary.BigEndian.PutUint32(b[begin+at:], checksum(b[begin:], at))
	}
	return b, nil
}

// appendPorts appends addresses and ports, and returns their family too.
func appendPorts(b []byte, h *Header) (byte, []byte) {
	family := byte(0x21)
	if h.Source.Addr().Is4() {
		family = 0x11
		source, destination := h.Source.Addr().As4(), h.Destination.Addr().As4()
		b = append(append(b, source[:]...), destination[:]...)
	} else {
		source, destination := h.Source.Addr().As16(), h.Destination.Addr().As16()
		b = append(append(b, source[:]...), destination[:]...)
	}
	if h.Network == "udp" {
		family++
	}
	b = binary.BigEndian.AppendUint16(b, h.Source.Port())
	return family, binary.BigEndian.AppendUint16(b, h.Destination.Port())
}

// putPath writes a path into b, which is zero.
func putPath(b []byte, path string) {
	copy(b, path)
	if len(path) > 1 && path[0] == '@' { // "@" alone is the name of a file
		b[0] = 0
	}
}
