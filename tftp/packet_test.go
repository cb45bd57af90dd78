package tftp_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"

	"github.com/netparts/netparts/tftp"
)

// The wire forms of all kinds of packets, both ways.
func TestGoldenPackets(t *testing.T) {
	tests := []struct {
		packet tftp.Packet
		wire   string
	}{
		{&tftp.ReadReq{Name: "test.svg", Mode: "octet"}, "\x00\x01test.svg\x00octet\x00"},
		{
			&tftp.ReadReq{Name: "a", Mode: "NetASCII", Options: []tftp.Option{{"blksize", "1428"}, {"X", ""}}},
			"\x00\x01a\x00NetASCII\x00blksize\x001428\x00X\x00\x00",
		},
		{&tftp.WriteReq{Name: "/b", Mode: "octet"}, "\x00\x02/b\x00octet\x00"},
		{
			&tftp.WriteReq{Name: "b", Mode: "mail", Options: []tftp.Option{{"tsize", "0"}}},
			"\x00\x02b\x00mail\x00tsize\x000\x00",
		},
		{&tftp.Data{Block: 1, Payload: []byte("x")}, "\x00\x03\x00\x01x"},
		{&tftp.Data{Block: 0, Payload: []byte{}}, "\x00\x03\x00\x00"},
		{&tftp.Data{Block: 65535, Payload: bytes.Repeat([]byte{7}, 512)}, "\x00\x03\xff\xff" + strings.Repeat("\a", 512)},
		{&tftp.Ack{Block: 0x1234}, "\x00\x04\x12\x34"},
		{&tftp.Error{Code: tftp.CodeNotFound, Message: "gone"}, "\x00\x05\x00\x01gone\x00"},
		{&tftp.Error{Code: 8, Message: "User aborted the transfer"}, "\x00\x05\x00\x08User aborted the transfer\x00"},
		{&tftp.OptionAck{Options: []tftp.Option{{"tsize", "12"}, {"timeout", "1"}}}, "\x00\x06tsize\x0012\x00timeout\x001\x00"},
		{&tftp.OptionAck{}, "\x00\x06"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%T", tt.packet), func(t *testing.T) {
			wire, err := tt.packet.AppendBinary([]byte("before"))
			if err != nil || string(wire) != "before"+tt.wire {
				t.Errorf("AppendBinary = %q, %v, want %q", wire, err, "before"+tt.wire)
			}
			packet, err := tftp.Parse([]byte(tt.wire))
			if err != nil || !reflect.DeepEqual(packet, tt.packet) {
				t.Errorf("Parse = %#v, %v, want %#v", packet, err, tt.packet)
			}
			if packet.Opcode() != tt.packet.Opcode() || byte(packet.Opcode()) != tt.wire[1] {
				t.Errorf("Opcode = %d, want %d", packet.Opcode(), tt.wire[1])
			}
		})
	}
}

func TestMalformedPackets(t *testing.T) {
	tests := map[string]string{
		"nothing":                        "",
		"half an opcode":                 "\x00",
		"opcode 0":                       "\x00\x00\x00\x01",
		"opcode 7":                       "\x00\x07\x00\x01",
		"opcode in the wrong order":      "\x01\x00a\x00octet\x00",
		"request of an opcode":           "\x00\x01",
		"request without a NUL":          "\x00\x01a",
		"request without a mode":         "\x00\x01a\x00",
		"request with half a mode":       "\x00\x01a\x00octet",
		"request with an empty name":     "\x00\x01\x00octet\x00",
		"request with an empty mode":     "\x00\x01a\x00\x00",
		"option without a value":         "\x00\x01a\x00octet\x00blksize\x00",
		"option without the last NUL":    "\x00\x01a\x00octet\x00blksize\x00512",
		"option without a name":          "\x00\x01a\x00octet\x00\x00512\x00",
		"request that is too long":       "\x00\x02" + strings.Repeat("a", 505) + "\x00octet\x00",
		"DATA of 3 bytes":                "\x00\x03\x01",
		"ACK of 2 bytes":                 "\x00\x04",
		"ACK of 3 bytes":                 "\x00\x04\x01",
		"ACK of 5 bytes":                 "\x00\x04\x00\x01\x00",
		"ERROR of 3 bytes":               "\x00\x05\x00",
		"OACK with half an option":       "\x00\x06tsize\x00",
		"OACK that is too long":          "\x00\x06" + strings.Repeat("a\x00b\x00", 200),
		"OACK without the last NUL byte": "\x00\x06tsize\x005",
	}
	for name, wire := range tests {
		t.Run(name, func(t *testing.T) {
			packet, err := tftp.Parse([]byte(wire))
			if !errors.Is(err, tftp.ErrMalformed) || packet != nil {
				t.Errorf("Parse = %v, %v, want an ErrMalformed", packet, err)
			}
		})
	}
}

// What some senders get wrong does no harm.
func TestLenientParsing(t *testing.T) {
	tests := map[string]struct {
		wire string
		want tftp.Packet
	}{
		"padding behind a request": {"\x00\x01a\x00octet\x00\x00\x00", &tftp.ReadReq{Name: "a", Mode: "octet"}},
		"padding behind the options": {
			"\x00\x01a\x00octet\x00tsize\x000\x00\x00\x00",
			&tftp.ReadReq{Name: "a", Mode: "octet", Options: []tftp.Option{{"tsize", "0"}}},
		},
		"message without its NUL": {"\x00\x05\x00\x02no", &tftp.Error{Code: 2, Message: "no"}},
		"ERROR without a message": {"\x00\x05\x00\x02", &tftp.Error{Code: 2}},
		"bytes behind a message":  {"\x00\x05\x00\x02no\x00way", &tftp.Error{Code: 2, Message: "no"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			packet, err := tftp.Parse([]byte(tt.wire))
			if err != nil || !reflect.DeepEqual(packet, tt.want) {
				t.Errorf("Parse = %#v, %v, want %#v", packet, err, tt.want)
			}
		})
	}
}

// The longest request is of 512 bytes.
func TestLongestRequest(t *testing.T) {
	r := &tftp.ReadReq{Name: strings.Repeat("a", 512-2-1-6)}
	wire, err := r.AppendBinary(nil)
	if err != nil || len(wire) != 512 {
		t.Fatalf("AppendBinary = %d bytes, %v, want 512", len(wire), err)
	}
	if _, err := tftp.Parse(wire); err != nil {
		t.Errorf("Parse: %v", err)
	}
	r.Name += "a"
	if wire, err := r.AppendBinary([]byte("b")); err == nil || string(wire) != "b" {
		t.Errorf("AppendBinary of one more = %q, %v, want an error", wire, err)
	}
}

func TestPacketsThatCannotBeSent(t *testing.T) {
	tests := map[string]tftp.Packet{
		"no name":                 &tftp.ReadReq{},
		"NUL in the name":         &tftp.ReadReq{Name: "a\x00b"},
		"NUL in the mode":         &tftp.WriteReq{Name: "a", Mode: "oct\x00et"},
		"option without a name":   &tftp.WriteReq{Name: "a", Options: []tftp.Option{{"", "1"}}},
		"NUL in an option's name": &tftp.OptionAck{Options: []tftp.Option{{"a\x00", "1"}}},
		"NUL in a value":          &tftp.OptionAck{Options: []tftp.Option{{"a", "\x00"}}},
		"too long":                &tftp.OptionAck{Options: []tftp.Option{{"a", strings.Repeat("1", 512)}}},
	}
	for name, packet := range tests {
		t.Run(name, func(t *testing.T) {
			if wire, err := packet.AppendBinary([]byte("b")); err == nil || string(wire) != "b" {
				t.Errorf("AppendBinary = %q, %v, want an error", wire, err)
			}
		})
	}
}

// A message never breaks the packet.
func TestErrorMessages(t *testing.T) {
	tests := []struct{ message, wire string }{
		{"", "00050003" + hex.EncodeToString([]byte("disk full or allocation exceeded")) + "00"},
		{"a\x00b", "000500036100"},
		{strings.Repeat("a", 1000), "00050003" + strings.Repeat("61", 500) + "00"},
	}
	for _, tt := range tests {
		wire, err := (&tftp.Error{Code: tftp.CodeDiskFull, Message: tt.message}).AppendBinary(nil)
		if got := hex.EncodeToString(wire); err != nil || got != tt.wire {
			t.Errorf("AppendBinary of %.10q = %s, %v, want %s", tt.message, got, err, tt.wire)
		}
	}
}

func TestErrorsMeanStandardOnes(t *testing.T) {
	standard := []error{fs.ErrNotExist, fs.ErrPermission, fs.ErrExist}
	want := map[tftp.Code]error{
		tftp.CodeNotFound: fs.ErrNotExist, tftp.CodeAccess: fs.ErrPermission, tftp.CodeFileExists: fs.ErrExist,
	}
	for code := range tftp.Code(10) {
		err := fmt.Errorf("get: %w", &tftp.Error{Code: code})
		for _, s := range standard {
			if got := errors.Is(err, s); got != (want[code] == s) {
				t.Errorf("errors.Is(%v, %v) = %v", err, s, got)
			}
		}
	}
}

// What a peer says cannot break a log or a terminal.
func TestErrorTextIsQuoted(t *testing.T) {
	tests := []struct {
		err  *tftp.Error
		want string
	}{
		{&tftp.Error{Code: 1}, "tftp: file not found"},
		{&tftp.Error{Code: 1, Message: "file not found"}, "tftp: file not found"},
		{&tftp.Error{Code: 0, Message: "a\n\x1b[31mb"}, `tftp: undefined error: "a\n\x1b[31mb"`},
		{&tftp.Error{Code: 99}, "tftp: error code 99"},
	}
	for _, tt := range tests {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("Error() = %s, want %s", got, tt.want)
		}
	}
}
