package proxy_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/netparts/netparts/proxy"
)

const sig = "\r\n\r\n\x00\r\nQUIT\n"

// paths are the addresses of two Unix sockets on the wire.
func paths(source, destination string) string {
	return source + strings.Repeat("\x00", 108-len(source)) + destination + strings.Repeat("\x00", 108-len(destination))
}

var (
	v4a, v4b = netip.MustParseAddrPort("192.0.2.1:56324"), netip.MustParseAddrPort("198.51.100.7:443")
	v6a, v6b = netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[2001:db8::2]:65535")
)

const (
	wire4 = "\xc0\x00\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb"
	wire6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01\xff\xff"
)

// headers are headers as they are written, and what they mean.
var headers = []struct {
	name, wire string
	want       proxy.Header
}{
	{
		"TCP4", "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n",
		proxy.Header{Version: 1, Network: "tcp", Source: v4a, Destination: v4b},
	},
	{
		"TCP6", "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n",
		proxy.Header{Version: 1, Network: "tcp", Source: v6a, Destination: v6b},
	},
	{"UNKNOWN", "PROXY UNKNOWN\r\n", proxy.Header{Version: 1}},
	{"v2 TCP4", sig + "\x21\x11\x00\x0c" + wire4, proxy.Header{Version: 2, Network: "tcp", Source: v4a, Destination: v4b, Extra: []byte{}}},
	{"v2 UDP4", sig + "\x21\x12\x00\x0c" + wire4, proxy.Header{Version: 2, Network: "udp", Source: v4a, Destination: v4b, Extra: []byte{}}},
	{"v2 TCP6", sig + "\x21\x21\x00\x24" + wire6, proxy.Header{Version: 2, Network: "tcp", Source: v6a, Destination: v6b, Extra: []byte{}}},
	{"v2 UDP6", sig + "\x21\x22\x00\x24" + wire6, proxy.Header{Version: 2, Network: "udp", Source: v6a, Destination: v6b, Extra: []byte{}}},
	{
		"v2 unix", sig + "\x21\x31\x00\xd8" + paths("/run/a", "\x00name"),
		proxy.Header{Version: 2, Network: "unix", SourcePath: "/run/a", DestinationPath: "@name", Extra: []byte{}},
	},
	{
		"v2 unixgram", sig + "\x21\x32\x00\xd8" + paths("", strings.Repeat("p", 108)),
		proxy.Header{Version: 2, Network: "unixgram", DestinationPath: strings.Repeat("p", 108), Extra: []byte{}},
	},
	{"v2 local", sig + "\x20\x00\x00\x00", proxy.Header{Version: 2, Local: true}},
	{"v2 unspecified", sig + "\x21\x00\x00\x00", proxy.Header{Version: 2}},
	{
		"v2 with TLVs", sig + "\x21\x11\x00\x17" + wire4 + "\x02\x00\x03a.b\x04\x00\x02\x00\x00",
		proxy.Header{Version: 2, Network: "tcp", Source: v4a, Destination: v4b, Extra: []byte("\x02\x00\x03a.b\x04\x00\x02\x00\x00")},
	},
}

// A header means what the specification says, whatever follows it, and is written
// so.
func TestHeaders(t *testing.T) {
	for _, tt := range headers {
		t.Run(tt.name, func(t *testing.T) {
			for _, payload := range []string{"", "x", sig, "PROXY "} {
				got, n, err := proxy.ParseHeader([]byte(tt.wire + payload))
				if err != nil || n != len(tt.wire) || !reflect.DeepEqual(normal(got), normal(tt.want)) {
					t.Errorf("ParseHeader = %+v, %d, %v, want %+v, %d", got, n, err, tt.want, len(tt.wire))
				}
			}
			for n := range len(tt.wire) {
				if _, _, err := proxy.ParseHeader([]byte(tt.wire[:n])); err != io.ErrUnexpectedEOF {
					t.Errorf("ParseHeader of %d bytes: %v, want %v", n, err, io.ErrUnexpectedEOF)
				}
			}
			wire, err := tt.want.AppendBinary([]byte("before"))
			if err != nil || string(wire) != "before"+tt.wire {
				t.Errorf("AppendBinary = %q, %v, want %q", wire, err, tt.wire)
			}
		})
	}
}

// mapped returns an IPv4 address as one of IPv6.
func mapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
}

// normal makes headers comparable.
func normal(h proxy.Header) proxy.Header {
	if len(h.Extra) == 0 {
		h.Extra = nil
	}
	return h
}

// Not all that is understood is written so.
func TestHeadersOfOthers(t *testing.T) {
	for _, tt := range []struct {
		name, wire string
		want       proxy.Header
	}{
		{"UNKNOWN with addresses", "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", proxy.Header{Version: 1}},
		{"the longest line", "PROXY UNKNOWN " + strings.Repeat("x", 91) + "\r\n", proxy.Header{Version: 1}},
		{"capitals", "PROXY TCP6 2001:DB8::1 2001:0db8:0:0:0:0:0:2 1 65535\r\n", proxy.Header{Version: 1, Network: "tcp", Source: v6a, Destination: v6b}},
		{
			"an IPv4 client of HAProxy on [::]", "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.7 56324 443\r\n",
			proxy.Header{Version: 1, Network: "tcp", Source: mapped(v4a), Destination: mapped(v4b)},
		},
		{"local with an unknown family", sig + "\x20\xff\x00\x03abc", proxy.Header{Version: 2, Local: true}},
		{"local with addresses", sig + "\x20\x11\x00\x0c" + wire4, proxy.Header{Version: 2, Local: true}},
		{"unspecified with something", sig + "\x21\x00\x00\x03abc", proxy.Header{Version: 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, n, err := proxy.ParseHeader([]byte(tt.wire))
			if err != nil || n != len(tt.wire) || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("ParseHeader = %+v, %d, %v, want %+v, %d", got, n, err, tt.want, len(tt.wire))
			}
		})
	}
}

// What breaks the rules is told apart from what is no header at all.
func TestMalformedHeaders(t *testing.T) {
	for _, tt := range []struct {
		wire string
		want error
	}{
		{"GET / HTTP/1.1\r\n", proxy.ErrNoHeader},
		{"proxy TCP4", proxy.ErrNoHeader},
		{"PROXY", io.ErrUnexpectedEOF},
		{"PROXYX", proxy.ErrNoHeader},
		{"\r\n\r\nG", proxy.ErrNoHeader},
		{"PROXY \r\n", proxy.ErrHeader},
		{"PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n", proxy.ErrHeader},
		{"PROXY TCP4\r\n", proxy.ErrHeader},
		{"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", proxy.ErrHeader},
		{"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", proxy.ErrHeader},
		{"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", proxy.ErrHeader},
		{"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", proxy.ErrHeader},
		{"PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", proxy.ErrHeader},
		{"PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n", proxy.ErrHeader},
		{"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", proxy.ErrHeader},
		{"PROXY TCP4 ::ffff:192.0.2.1 192.0.2.2 1 2\r\n", proxy.ErrHeader},
		{"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", proxy.ErrHeader},
		{"PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n", proxy.ErrHeader},
		{"PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", proxy.ErrHeader},
		{"PROXY TCP4 192.0.2.1 192.0.2.2 1 99999999999999999999\r\n", proxy.ErrHeader},
		{"PROXY TCP4 192.0.2.1 192.0.2.2  2\r\n", proxy.ErrHeader},
		{"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\nGET", io.ErrUnexpectedEOF},
		{"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", proxy.ErrHeader},
		{"PROXY TCP6 ::ffff:192.0.2.01 ::1 1 2\r\n", proxy.ErrHeader},
		{"PROXY TCP6 192.0.2.1 ::1 1 2\r\n", proxy.ErrHeader},
		{"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", proxy.ErrHeader},
		{"PROXY TCP6 ::1 :::1 1 2\r\n", proxy.ErrHeader},
		{"PROXY UNKNOWN" + strings.Repeat("x", 93) + "\r\n", proxy.ErrHeader},
		{"PROXY UNKNOWN" + strings.Repeat("x", 200), proxy.ErrHeader},
		{sig + "\x11\x11\x00\x0c" + wire4, proxy.ErrHeader},
		{sig + "\x22\x11\x00\x0c" + wire4, proxy.ErrHeader},
		{sig + "\x21\x13\x00\x0c" + wire4, proxy.ErrHeader},
		{sig + "\x21\x41\x00\x0c" + wire4, proxy.ErrHeader},
		{sig + "\x21\x11\x00\x0b" + wire4[1:], proxy.ErrHeader},
		{sig + "\x21\x21\x00\x23" + wire6[1:], proxy.ErrHeader},
		{sig + "\x21\x11\xff\xff", proxy.ErrHeader},
		{sig + "\x21\x11\x00\x0d" + wire4 + "\x04", proxy.ErrHeader},
		{sig + "\x21\x11\x00\x10" + wire4 + "\x04\x00\x02a", proxy.ErrHeader},
		{sig + "\x21\x11\x00\x10" + wire4 + "\x03\x00\x01a", proxy.ErrHeader},
		{sig + "\x21\x11\x00\x13" + wire4 + "\x03\x00\x04abcd", proxy.ErrHeader},
		{sig + "\x21\x11\x00\x1a" + wire4 + strings.Repeat("\x03\x00\x04\x00\x00\x00\x00", 2), proxy.ErrHeader},
		{sig + "\x21\x11\x00\x90" + wire4 + "\x05\x00\x81" + strings.Repeat("x", 129), proxy.ErrHeader},
		{sig + "\x21\x11\x0f\xf1" + wire4, proxy.ErrHeader}, // 4097 bytes
		{sig + "\x21\x11\x0f\xf0" + wire4, io.ErrUnexpectedEOF},
		{sig + "\x21\x01\x00\x00", proxy.ErrHeader},
		{sig + "\x21\x10\x00\x0c" + wire4, proxy.ErrHeader},
	} {
		h, n, err := proxy.ParseHeader([]byte(tt.wire))
		if !errors.Is(err, tt.want) || n != 0 || !reflect.DeepEqual(h, proxy.Header{}) {
			t.Errorf("ParseHeader(%q) = %+v, %d, %v, want %v", tt.wire, h, n, err, tt.want)
		}
	}
}

func TestNewHeader(t *testing.T) {
	tcp := func(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }
	for _, tt := range []struct {
		source, destination net.Addr
		want                string
	}{
		{tcp("192.0.2.1:1"), tcp("192.0.2.2:2"), "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"},
		{tcp("[::ffff:192.0.2.1]:1"), tcp("192.0.2.2:2"), "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"},
		{tcp("[fe80::1%lo]:1"), tcp("[fe80::2%lo]:2"), "PROXY TCP6 fe80::1 fe80::2 1 2\r\n"},
		{tcp("192.0.2.1:1"), tcp("[2001:db8::1]:2"), "PROXY TCP6 ::ffff:c000:201 2001:db8::1 1 2\r\n"},
		{tcp("192.0.2.1:1"), &net.UnixAddr{Name: "x", Net: "unix"}, "PROXY UNKNOWN\r\n"},
		{&net.UnixAddr{Net: "unix"}, &net.UnixAddr{Name: "x", Net: "unix"}, "PROXY UNKNOWN\r\n"},
		{&net.UnixAddr{Name: "@", Net: "unix"}, &net.UnixAddr{Name: "x", Net: "unixgram"}, "PROXY UNKNOWN\r\n"},
		{tcp("[::ffff:192.0.2.1]:1"), tcp("[::ffff:192.0.2.2]:2"), "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"},
		{nil, nil, "PROXY UNKNOWN\r\n"},
		{&net.TCPAddr{}, &net.TCPAddr{}, "PROXY UNKNOWN\r\n"},
	} {
		h := proxy.NewHeader(1, tt.source, tt.destination)
		got, err := h.AppendBinary(nil)
		if err != nil || string(got) != tt.want {
			t.Errorf("header from %v to %v = %q, %v, want %q", tt.source, tt.destination, got, err, tt.want)
		}
		again, _, err := proxy.ParseHeader(got)
		if err != nil || again.Network != h.Network && h.Network == "tcp" {
			t.Errorf("%q parsed: %+v, %v", got, again, err)
		}
	}
}

// Headers that cannot be written are errors rather than something else.
func TestHeadersThatCannotBeWritten(t *testing.T) {
	for _, h := range []proxy.Header{
		{Version: 3},
		{Version: -1},
		{Version: 1, Network: "tcp"},
		{Version: 2, Network: "tcp", Source: v4a},
		{Version: 2, Network: "udp", Source: v4a, Destination: v6a},
		{Version: 2, Network: "tcp", Source: v4a, Destination: v4b, Extra: []byte("\x04\x00\x02a")},
		{Version: 2, Network: "tcp", Source: v4a, Destination: v4b, Extra: append([]byte{4, 0x20, 0}, make([]byte, 0x2000)...)},
		{Version: 2, Network: "tcp", Source: v4a, Destination: v4b, Extra: append([]byte{5, 0, 129}, make([]byte, 129)...)},
		{Version: 2, Network: "tcp", Source: v4a, Destination: v4b, Extra: []byte("\x03\x00\x01a")},
	} {
		b, err := h.AppendBinary([]byte("before"))
		if !errors.Is(err, proxy.ErrHeader) || string(b) != "before" {
			t.Errorf("AppendBinary of %+v = %q, %v, want %v", h, b, err, proxy.ErrHeader)
		}
	}
}

// Whatever is taken for a header can be written, and means the same then.
func FuzzParseHeader(f *testing.F) {
	for _, h := range headers {
		f.Add([]byte(h.wire))
	}
	f.Add([]byte(sig + "\x21\x31\x00\xd8" + paths("@", "\x00\x00n"))) // odd names
	f.Add(sealed(wire4, "\x04\x00\x03abc"))                           // with a checksum
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := proxy.ParseHeader(bytes.Clone(b)) // whose checksum is changed below
		if err != nil {
			if n != 0 || !reflect.DeepEqual(h, proxy.Header{}) {
				t.Fatalf("ParseHeader = %+v, %d, %v", h, n, err)
			}
			if err == io.ErrUnexpectedEOF && len(b) >= 4096 {
				t.Fatalf("more than %d bytes are needed", len(b))
			}
			return
		}
		var sum []byte // an address may have another form, and then this is another one
		for kind, value := range h.TLVs() {
			if kind == proxy.TLVCRC32C {
				sum = value
			}
		}
		wire, err := h.AppendBinary(nil)
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", h, err)
		}
		again, m, err := proxy.ParseHeader(wire)
		for kind, value := range again.TLVs() {
			if kind == proxy.TLVCRC32C {
				copy(sum, value)
			}
		}
		if err != nil || m != len(wire) || !reflect.DeepEqual(normal(again), normal(h)) {
			t.Fatalf("%+v became %+v, %v", h, again, err)
		}
	})
}

func BenchmarkParseHeader(b *testing.B) {
	for _, h := range headers[:4] {
		b.Run(h.name, func(b *testing.B) {
			wire := []byte(h.wire)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := proxy.ParseHeader(wire); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendHeader(b *testing.B) {
	for _, h := range headers[:4] {
		b.Run(h.name, func(b *testing.B) {
			var wire []byte
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if wire, err = h.want.AppendBinary(wire[:0]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
