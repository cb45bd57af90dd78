package proxy_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"reflect"
	"strings"
	"testing"

	"github.com/netparts/netparts/proxy"
)

// sealed returns a header of version 2 for TCP over IPv4 with a checksum and what
// follows it.
func sealed(addresses, after string) []byte {
	rest := addresses + "\x03\x00\x04\x00\x00\x00\x00" + after
	wire := []byte(sig + "\x21\x11\x00" + string(rune(len(rest))) + rest)
	sum := crc32.Checksum(wire, crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(wire[31:], sum)
	return wire
}

// The checksum covers the header with zeros in its place.
func TestHeaderChecksum(t *testing.T) {
	wire := sealed(wire4, "\x04\x00\x03abc")
	want := proxy.Header{Version: 2, Network: "tcp", Source: v4a, Destination: v4b, Extra: wire[28:]}
	got, n, err := proxy.ParseHeader(wire)
	if err != nil || n != len(wire) || !reflect.DeepEqual(got, want) {
		t.Errorf("ParseHeader = %+v, %d, %v, want %+v", got, n, err, want)
	}
	for i := range wire {
		bad := bytes.Clone(wire)
		bad[i] ^= 1
		_, _, err := proxy.ParseHeader(bad)
		// A LOCAL header has no TLVs; another type is no checksum; and there is not
		// always the length that is told.
		if err == nil && i != 12 && i != 28 {
			t.Errorf("ParseHeader with byte %d changed takes it", i)
		}
	}
}

// A header that is passed on has the checksum of what it is then.
func TestHeaderChecksumIsSet(t *testing.T) {
	h, _, err := proxy.ParseHeader(sealed(wire4, "\x04\x00\x03abc"))
	if err != nil {
		t.Fatal(err)
	}
	h.Source = v4b
	extra := bytes.Clone(h.Extra)
	wire, err := h.AppendBinary([]byte("before"))
	if err != nil {
		t.Fatal(err)
	}
	if want := sealed(wire4[4:8]+wire4[4:8]+wire4[10:]+wire4[10:], "\x04\x00\x03abc"); string(wire) != "before"+string(want) {
		t.Errorf("AppendBinary = %q, want %q", wire, want)
	}
	if !bytes.Equal(h.Extra, extra) {
		t.Error("AppendBinary changed Extra")
	}
	h.Local = true
	if wire, err = h.AppendBinary(nil); err != nil || string(wire) != sig+"\x20\x00\x00\x00" {
		t.Errorf("AppendBinary of a local one = %q, %v", wire, err)
	}
}

// TLVs are in their order, those within others too, and end where one is cut short.
func TestTLVs(t *testing.T) {
	const ssl = "\x05\x00\x00\x00\x00" + "\x21\x00\x07TLSv1.3" + "\x22\x00\x03joe"
	extra := "\x01\x00\x02h2" + "\x04\x00\x00" + "\x05\x00\x80" + strings.Repeat("u", 128) +
		"\x20\x00\x15" + ssl + "\xe0\x01\x00" + strings.Repeat("x", 256)
	body := wire4 + extra
	wire := sig + "\x21\x11" + string([]byte{byte(len(body) >> 8), byte(len(body))}) + body
	h, n, err := proxy.ParseHeader([]byte(wire + "payload"))
	if err != nil || n != len(wire) {
		t.Fatalf("ParseHeader = %d, %v, want %d", n, err, len(wire))
	}
	type tlv struct {
		kind  byte
		value string
	}
	list := func(h proxy.Header) (list []tlv) {
		for kind, value := range h.TLVs() {
			list = append(list, tlv{kind, string(value)})
		}
		return list
	}
	want := []tlv{
		{proxy.TLVALPN, "h2"},
		{proxy.TLVNoop, ""},
		{proxy.TLVUniqueID, strings.Repeat("u", 128)},
		{proxy.TLVSSL, ssl},
		{0xe0, strings.Repeat("x", 256)},
	}
	if got := list(h); !reflect.DeepEqual(got, want) {
		t.Errorf("TLVs = %q, want %q", got, want)
	}
	within := proxy.Header{Extra: []byte(ssl)[5:]}
	if got, want := list(within), []tlv{{0x21, "TLSv1.3"}, {0x22, "joe"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("TLVs within = %q, want %q", got, want)
	}
	within.Extra = within.Extra[:len(within.Extra)-1]
	if got := list(within); len(got) != 1 {
		t.Errorf("TLVs of what is cut short = %q, want one", got)
	}
	for range h.TLVs() {
		break // which a sequence must bear
	}
}

// A header is taken up to 4096 bytes, and written up to there.
func TestLongestHeader(t *testing.T) {
	for _, tt := range []struct {
		size int
		want error
	}{{4096, nil}, {4097, proxy.ErrHeader}} {
		n := tt.size - 28 - 3
		h := proxy.Header{Version: 2, Network: "tcp", Source: v4a, Destination: v4b}
		h.Extra = append([]byte{proxy.TLVNoop, byte(n >> 8), byte(n)}, make([]byte, n)...)
		wire, err := h.AppendBinary(nil)
		if !errors.Is(err, tt.want) || err == nil && len(wire) != tt.size {
			t.Errorf("AppendBinary = %d bytes, %v, want %d, %v", len(wire), err, tt.size, tt.want)
		}
		wire = []byte(sig + "\x21\x11" + string([]byte{byte((tt.size - 16) >> 8), byte(tt.size - 16)}) + wire4 + string(h.Extra))
		got, length, err := proxy.ParseHeader(append(wire, "payload"...))
		if !errors.Is(err, tt.want) || err == nil && (length != tt.size || !reflect.DeepEqual(got, h)) {
			t.Errorf("ParseHeader of %d bytes: %d, %v, want %v", tt.size, length, err, tt.want)
		}
	}
}
