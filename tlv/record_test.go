package tlv_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"

	"github.com/netparts/netparts/tlv"
)

func TestParseErrors(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want error
		text string
	}{
		{"nothing", "", io.EOF, "EOF"},
		{"type alone", "\x01", io.ErrUnexpectedEOF, "tlv: record at offset 0: unexpected EOF"},
		{"half a length", "\x01\x00\x00", io.ErrUnexpectedEOF, "tlv: record at offset 0: unexpected EOF"},
		{"header alone", "\x01\x00\x00\x00\x01", io.ErrUnexpectedEOF, "tlv: record at offset 0: unexpected EOF"},
		{"value cut", "\x01\x00\x00\x00\x02a", io.ErrUnexpectedEOF, "tlv: record at offset 0: unexpected EOF"},
		{"type 0", "\x00\x00\x00\x00\x00", tlv.ErrInvalidType, "tlv: record at offset 0: type 0 is not valid"},
		{"1 GiB claimed", "\x01\x40\x00\x00\x00", tlv.ErrTooLarge, "tlv: record at offset 0: value of 1073741824 bytes exceeds the limit of 10485760"},
		{"4 GiB - 1 claimed", "\x01\xff\xff\xff\xff", tlv.ErrTooLarge, "tlv: record at offset 0: value of 4294967295 bytes exceeds the limit of 10485760"},
		{"one more than the limit", "\x01\x00\xa0\x00\x01", tlv.ErrTooLarge, "tlv: record at offset 0: value of 10485761 bytes exceeds the limit of 10485760"},
		{"the limit", "\x01\x00\xa0\x00\x00", io.ErrUnexpectedEOF, "tlv: record at offset 0: unexpected EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec, rest, err := tlv.Parse([]byte(tt.in))
			if !errors.Is(err, tt.want) || err.Error() != tt.text {
				t.Errorf("error %q, want %q", err, tt.text)
			}
			if rec.Type != 0 || rec.Value != nil || string(rest) != tt.in {
				t.Errorf("Parse = %v, %q with an error, want no record and the input", rec, rest)
			}
		})
	}
}

func TestParseReturnsAViewThatCannotGrowIntoTheRest(t *testing.T) {
	in := []byte("\x01\x00\x00\x00\x02ab\x02\x00\x00\x00\x01c")
	rec, rest, err := tlv.Parse(in)
	if err != nil {
		t.Fatal(err)
	}
	if &rec.Value[0] != &in[tlv.HeaderSize] {
		t.Error("the value is a copy")
	}
	_ = append(rec.Value, "xx"...)
	if string(rest) != "\x02\x00\x00\x00\x01c" {
		t.Errorf("appending to the value changed the rest to %q", rest)
	}
}

func TestAppendBinaryRefuses(t *testing.T) {
	large := make([]byte, tlv.DefaultLimit+1)
	tests := []struct {
		name string
		rec  tlv.Record
		want error
	}{
		{"type 0", tlv.Record{Value: []byte("x")}, tlv.ErrInvalidType},
		{"too large", tlv.Record{Type: 1, Value: large}, tlv.ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.rec.AppendBinary([]byte("before"))
			if !errors.Is(err, tt.want) || string(got) != "before" {
				t.Errorf("AppendBinary = %.10q, %v, want %q, %v", got, err, "before", tt.want)
			}
			n, err := tt.rec.WriteTo(io.Discard)
			if !errors.Is(err, tt.want) || n != 0 {
				t.Errorf("WriteTo = %d, %v, want 0, %v", n, err, tt.want)
			}
		})
	}
	if b, err := (tlv.Record{Type: 1, Value: large[1:]}).AppendBinary(nil); err != nil || len(b) != tlv.HeaderSize+tlv.DefaultLimit {
		t.Errorf("a value of exactly the limit: %d bytes, %v", len(b), err)
	}
}

func TestMeaningOfLimit(t *testing.T) {
	tests := []struct {
		limit int64
		want  uint64
	}{
		{0, tlv.DefaultLimit},
		{1, 1},
		{math.MaxUint32, math.MaxUint32},
		{math.MaxUint32 + 1, math.MaxUint32},
		{math.MaxInt64, math.MaxUint32},
		{-1, math.MaxUint32},
		{math.MinInt64, math.MaxUint32},
	}
	for _, tt := range tests {
		if got := tlv.LimitOf(tt.limit); got != tt.want {
			t.Errorf("LimitOf(%d) = %d, want %d", tt.limit, got, tt.want)
		}
		// Where int has 32 bits the header, the value and the next size of a
		// growing buffer must still fit in one.
		if got := tlv.HeldLimitOf(tt.limit); got > tt.want || (got+tlv.HeaderSize)*4 > math.MaxInt {
			t.Errorf("HeldLimitOf(%d) = %d", tt.limit, got)
		}
	}
}

func TestRecordReadFromKeepsTheRecordOnError(t *testing.T) {
	rec := tlv.Record{Type: 7, Value: []byte("old")}
	n, err := rec.ReadFrom(bytes.NewReader([]byte("\x01\x00\x00\x00\x05ab")))
	if n != 7 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("ReadFrom = %d, %v, want 7, %v", n, err, io.ErrUnexpectedEOF)
	}
	if rec.Type != 7 || string(rec.Value) != "old" {
		t.Errorf("record became %v", rec)
	}
}
