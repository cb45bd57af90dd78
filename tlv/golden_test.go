package tlv_test

import (
	"bytes"
	"encoding/hex"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/netparts/netparts/tlv"
)

// golden are records as they must be on the wire. The first three are the
// frames that the programs of Network Programming with Go exchange.
var golden = []struct {
	name    string
	wire    string // hexadecimal header, then the value
	value   string
	typ     tlv.Type
	payload tlv.Payload
}{
	{"string", "0200000012", "Errors are values.", tlv.StringType, new(tlv.String("Errors are values."))},
	{"binary", "010000001c", "Clear is better than clever.", tlv.BinaryType, new(tlv.Binary("Clear is better than clever."))},
	{"second binary", "010000000c", "Don't panic.", tlv.BinaryType, new(tlv.Binary("Don't panic."))},
	{"empty binary", "0100000000", "", tlv.BinaryType, new(tlv.Binary{})},
	{"empty string", "0200000000", "", tlv.StringType, new(tlv.String(""))},
	{"two-byte length", "0200000100", strings.Repeat("x", 256), tlv.StringType, new(tlv.String(strings.Repeat("x", 256)))},
	{"three-byte length", "0100010000", strings.Repeat("x", 65536), tlv.BinaryType, new(tlv.Binary(strings.Repeat("x", 65536)))},
}

// frame returns the bytes of a golden record.
func frame(t testing.TB, header, value string) []byte {
	t.Helper()
	b, err := hex.DecodeString(header)
	if err != nil {
		t.Fatal(err)
	}
	return append(b, value...)
}

func TestGoldenEncode(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.name, func(t *testing.T) {
			want := frame(t, tt.wire, tt.value)
			rec := tlv.Record{Type: tt.typ, Value: []byte(tt.value)}

			got, err := rec.AppendBinary([]byte("before"))
			if err != nil || !bytes.Equal(got, append([]byte("before"), want...)) {
				t.Errorf("AppendBinary = %.40x, %v, want %.40x behind %q", got, err, want, "before")
			}
			for name, write := range map[string]func(io.Writer) (int64, error){
				"Record.WriteTo":  rec.WriteTo,
				"Payload.WriteTo": tt.payload.WriteTo,
				"Writer.Write": func(w io.Writer) (int64, error) {
					return int64(len(want)), tlv.NewWriter(w).Write(rec)
				},
				"Writer.Stream": func(w io.Writer) (int64, error) {
					return int64(len(want)), tlv.NewWriter(w).Stream(tt.typ, int64(len(tt.value)), strings.NewReader(tt.value))
				},
			} {
				var buf bytes.Buffer
				n, err := write(&buf)
				if err != nil || n != int64(len(want)) || !bytes.Equal(buf.Bytes(), want) {
					t.Errorf("%s wrote %.40x, returned %d, %v, want %.40x, %d, nil", name, buf.Bytes(), n, err, want, len(want))
				}
			}
		})
	}
}

func TestGoldenDecode(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.name, func(t *testing.T) {
			wire := frame(t, tt.wire, tt.value)

			rec, rest, err := tlv.Parse(append(wire[:len(wire):len(wire)], "after"...))
			if err != nil || rec.Type != tt.typ || string(rec.Value) != tt.value || string(rest) != "after" {
				t.Errorf("Parse = {%d %.20q}, %q, %v", rec.Type, rec.Value, rest, err)
			}
			r := tlv.NewReader(bytes.NewReader(wire))
			if rec, err := r.Next(); err != nil || rec.Type != tt.typ || string(rec.Value) != tt.value {
				t.Errorf("Reader.Next = {%d %.20q}, %v", rec.Type, rec.Value, err)
			}
			if _, err := r.Next(); err != io.EOF {
				t.Errorf("second Reader.Next: %v, want %v", err, io.EOF)
			}
			// What follows a record must be left to the next reader.
			src := bytes.NewReader(append(wire[:len(wire):len(wire)], "after"...))
			p, err := tlv.Decode(src)
			if err != nil || !reflect.DeepEqual(p, tt.payload) || src.Len() != len("after") {
				t.Errorf("Decode = %T, %v, and %d bytes left, want %T, nil, %d", p, err, src.Len(), tt.payload, len("after"))
			}
			var again tlv.Record
			if n, err := again.ReadFrom(bytes.NewReader(wire)); err != nil || n != int64(len(wire)) || string(again.Value) != tt.value {
				t.Errorf("Record.ReadFrom = %d, %v", n, err)
			}
			if p.Type() != tt.typ || string(p.Bytes()) != tt.value || p.String() != tt.value {
				t.Errorf("payload has type %d, bytes %.20q, string %.20q", p.Type(), p.Bytes(), p.String())
			}
		})
	}
}
