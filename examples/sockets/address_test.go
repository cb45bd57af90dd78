package sockets_test

import (
	"encoding/binary"
	"fmt"
	"log"
	"net"
	"net/netip"
	"testing"
)

// addressLast returns the last address of a prefix, whose host bits are all ones. For IPv4 it is
// the broadcast address; IPv6 has none.
func addressLast(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	last, _ := netip.AddrFromSlice(b) // whose length is that of an address
	return last.WithZone(p.Addr().Zone())
}

// addressHosts returns the first and the last address that hosts of an IPv4 prefix can have, and
// how many there are. The first of all names the network, and the last is for broadcasts, unless
// there are but two, which are the ends of a link (RFC 3021), or one, which is a host.
func addressHosts(p netip.Prefix) (first, last netip.Addr, count uint64) {
	first, last = p.Masked().Addr(), addressLast(p)
	count = 1 << (32 - p.Bits())
	if p.Bits() >= 31 {
		return first, last, count
	}
	return first.Next(), last.Prev(), count - 2
}

// A prefix such as 192.0.2.77/26 says how many bits of an address name its network; the others
// name the host. Package netip has Masked for the first address, Contains, and Overlaps; what
// remains are a few lines.
func Example_addressPrefix() {
	for _, s := range []string{"192.0.2.77/26", "10.0.0.0/8", "198.51.100.6/31", "203.0.113.9/32"} {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			log.Fatal(err)
		}
		first, last, count := addressHosts(p)
		fmt.Printf("%v: network %v, hosts %v to %v, %d, last address %v\n", p, p.Masked().Addr(), first, last, count, addressLast(p))
	}
	// Output:
	// 192.0.2.77/26: network 192.0.2.64, hosts 192.0.2.65 to 192.0.2.126, 62, last address 192.0.2.127
	// 10.0.0.0/8: network 10.0.0.0, hosts 10.0.0.1 to 10.255.255.254, 16777214, last address 10.255.255.255
	// 198.51.100.6/31: network 198.51.100.6, hosts 198.51.100.6 to 198.51.100.7, 2, last address 198.51.100.7
	// 203.0.113.9/32: network 203.0.113.9, hosts 203.0.113.9 to 203.0.113.9, 1, last address 203.0.113.9
}

// What an address is good for is seen from its range. A server that fetches what its users name
// refuses all of these kinds. That is not enough for it: the last three are public neither, being
// for examples (RFC 5737), for customers of one provider (RFC 6598), and for 10.1.2.3 as a NAT64
// translates it (RFC 6052). A list of what it may reach is safer than one of what it may not.
func Example_addressRange() {
	for _, s := range []string{"127.0.0.1", "10.1.2.3", "fd12::1", "169.254.1.1", "fe80::1", "ff02::1", "0.0.0.0", "192.0.2.1", "100.64.0.1", "64:ff9b::a01:203"} {
		a, err := netip.ParseAddr(s)
		if err != nil {
			log.Fatal(err)
		}
		kind := "none of these"
		switch {
		case a.IsLoopback():
			kind = "loopback: this host"
		case a.IsPrivate():
			kind = "private: this site (RFC 1918, RFC 4193)"
		case a.IsLinkLocalUnicast():
			kind = "link-local: this link"
		case a.IsMulticast():
			kind = "multicast: a group"
		case a.IsUnspecified():
			kind = "unspecified: to listen on, every address of this host"
		}
		fmt.Println(a, kind)
	}
	// Output:
	// 127.0.0.1 loopback: this host
	// 10.1.2.3 private: this site (RFC 1918, RFC 4193)
	// fd12::1 private: this site (RFC 1918, RFC 4193)
	// 169.254.1.1 link-local: this link
	// fe80::1 link-local: this link
	// ff02::1 multicast: a group
	// 0.0.0.0 unspecified: to listen on, every address of this host
	// 192.0.2.1 none of these
	// 100.64.0.1 none of these
	// 64:ff9b::a01:203 none of these
}

// An IPv6 address can be written in many ways, and RFC 5952 says which one is to be: lower case,
// no leading zeros, and :: for the longest run of zeros, for the first of equally long ones, and
// never for one group alone. Addresses that were parsed can be compared; texts cannot.
func Example_addressText() {
	for _, s := range []string{
		"2001:0DB8:0000:0000:0001:0000:0000:0001",
		"2001:db8:0:1:0:0:0:1",
		"2001:db8:0:1:1:1:1:1",
		"0:0:0:0:0:0:0:1",
		"::ffff:192.0.2.1",
	} {
		fmt.Println(netip.MustParseAddr(s))
	}
	// Output:
	// 2001:db8::1:0:0:1
	// 2001:db8:0:1::1
	// 2001:db8:0:1:1:1:1:1
	// ::1
	// ::ffff:192.0.2.1
}

// In front of a port an IPv6 address has brackets, since it has colons itself. JoinHostPort knows
// that, where "%s:%d" would not, and SplitHostPort takes them off.
func Example_addressPort() {
	for _, host := range []string{"192.0.2.1", "2001:db8::1", "www.example.com"} {
		address := net.JoinHostPort(host, "443")
		back, port, err := net.SplitHostPort(address)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(address, "is", back, "and", port)
	}
	_, _, err := net.SplitHostPort("2001:db8::1:443")
	fmt.Println(err)
	// Output:
	// 192.0.2.1:443 is 192.0.2.1 and 443
	// [2001:db8::1]:443 is 2001:db8::1 and 443
	// www.example.com:443 is www.example.com and 443
	// address 2001:db8::1:443: too many colons in address
}

// Each link has the same link-local addresses, so that one of them needs a zone, which is the
// name of an interface, and means something on this host alone. A prefix has no zone, and
// contains no address that has one.
func Example_addressZone() {
	a := netip.MustParseAddr("fe80::1%eth0")
	fmt.Println(a.WithZone(""), "on", a.Zone())
	fmt.Println("equal without the zone:", a == netip.MustParseAddr("fe80::1"))
	link := netip.MustParsePrefix("fe80::/10")
	fmt.Println("in the prefix:", link.Contains(a), link.Contains(a.WithZone("")))
	// Output:
	// fe80::1 on eth0
	// equal without the zone: false
	// in the prefix: false true
}

// A socket for both families shows clients of IPv4 as addresses of IPv6. A list of
// addresses that are let in, or not, has to be asked for the unmapped one: otherwise it
// matches nobody.
func Example_addressMapped() {
	client := netip.MustParseAddr("::ffff:192.0.2.77")
	blocked := netip.MustParsePrefix("192.0.2.0/24")
	fmt.Println("as it is:", blocked.Contains(client))
	fmt.Println("unmapped:", blocked.Contains(client.Unmap()))
	// Output:
	// as it is: false
	// unmapped: true
}

// The arithmetic holds for each length of a prefix, by another way of counting.
func TestAddressHosts(t *testing.T) {
	const addr = 0xc0a8_9f4d // 192.168.159.77, whose third byte is 1001 1111
	for bits := range 33 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, addr))), bits)
		size := uint64(1) << (32 - bits)
		network := uint64(addr) / size * size
		first, last, count := network+1, network+size-2, size-2
		if size <= 2 {
			first, last, count = network, network+size-1, size
		}
		gotFirst, gotLast, gotCount := addressHosts(p)
		if addressNumber(gotFirst) != first || addressNumber(gotLast) != last || gotCount != count {
			t.Errorf("addressHosts(%v) = %v, %v, %d, want %#x, %#x, %d", p, gotFirst, gotLast, gotCount, first, last, count)
		}
		if got := addressNumber(addressLast(p)); got != network+size-1 {
			t.Errorf("addressLast(%v) = %#x, want %#x", p, got, network+size-1)
		}
	}
}

func addressNumber(a netip.Addr) uint64 {
	b := a.As4()
	return uint64(binary.BigEndian.Uint32(b[:]))
}

// The last address of an IPv6 prefix is found in the same way.
func TestAddressLast(t *testing.T) {
	for prefix, want := range map[string]string{
		"2001:db8::/32":   "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
		"2001:db8::5/127": "2001:db8::5",
		"::1/128":         "::1",
		"fe80::1/61":      "fe80::7:ffff:ffff:ffff:ffff",
	} {
		if got := addressLast(netip.MustParsePrefix(prefix)); got != netip.MustParseAddr(want) {
			t.Errorf("addressLast(%s) = %v, want %s", prefix, got, want)
		}
	}
}
