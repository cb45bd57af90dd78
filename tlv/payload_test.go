package tlv_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/netparts/netparts/tlv"
)

// Payloads of both types cross a connection and come back equal in type and in
// content, in the order in which they were sent.
func TestPayloadsOverTCP(t *testing.T) {
	sent := []tlv.Payload{
		new(tlv.Binary("Clear is better than clever.")),
		new(tlv.String("Errors are values.")),
		new(tlv.Binary("Don't panic.")),
	}
	client, server := tcpPair(t)
	for _, p := range sent {
		if _, err := p.WriteTo(client); err != nil {
			t.Fatal(err)
		}
	}
	client.Close()
	for _, want := range sent {
		got, err := tlv.Decode(server)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Decode = %T %v, %v, want %T %v", got, got, err, want, want)
		}
	}
	if _, err := tlv.Decode(server); err != io.EOF {
		t.Errorf("Decode at the end: %v, want %v", err, io.EOF)
	}
}

// A single Read may return less than the value: the rest must be read, not
// taken for zeros.
func TestShortReadsAreCompleted(t *testing.T) {
	want := strings.Repeat("payload ", 5000)
	in := records(t, rec(1, want), rec(2, want))
	src := iotest.OneByteReader(bytes.NewReader(in))
	var b tlv.Binary
	if n, err := b.ReadFrom(src); err != nil || string(b) != want || n != int64(tlv.HeaderSize+len(want)) {
		t.Errorf("Binary.ReadFrom = %d, %v with %d bytes", n, err, len(b))
	}
	var s tlv.String
	if n, err := s.ReadFrom(src); err != nil || string(s) != want || n != int64(tlv.HeaderSize+len(want)) {
		t.Errorf("String.ReadFrom = %d, %v with %d bytes", n, err, len(s))
	}
}

// The limit holds for every type, not for the first one that was written.
func TestLimitHoldsForStringsToo(t *testing.T) {
	for _, typ := range []string{"\x01", "\x02"} {
		in := typ + "\x04\x00\x00\x00abc" // 64 MiB claimed
		for name, read := range map[string]func(io.Reader) (int64, error){
			"Binary": new(tlv.Binary).ReadFrom,
			"String": new(tlv.String).ReadFrom,
			"Record": new(tlv.Record).ReadFrom,
		} {
			n, err := read(strings.NewReader(in))
			if n != tlv.HeaderSize || !errors.Is(err, tlv.ErrTooLarge) {
				t.Errorf("%s.ReadFrom of type %x = %d, %v, want %d, %v", name, typ, n, err, tlv.HeaderSize, tlv.ErrTooLarge)
			}
		}
	}
}

// The end of the input is io.EOF before the first byte and never after it.
func TestEndOfInputInsideAPayload(t *testing.T) {
	in := records(t, rec(1, "abc"))
	for cut := range len(in) {
		want := io.ErrUnexpectedEOF
		if cut == 0 {
			want = io.EOF
		}
		for name, read := range map[string]func(io.Reader) (int64, error){
			"Binary": new(tlv.Binary).ReadFrom,
			"String": new(tlv.String).ReadFrom, // of another type, and cut as well
			"Record": new(tlv.Record).ReadFrom,
		} {
			n, err := read(bytes.NewReader(in[:cut]))
			if n != int64(cut) || !errors.Is(err, want) || cut > 0 && errors.Is(err, io.EOF) {
				t.Errorf("%s.ReadFrom of %d bytes = %d, %v, want %d, %v", name, cut, n, err, cut, want)
			}
		}
		if _, err := tlv.Decode(bytes.NewReader(in[:cut])); !errors.Is(err, want) {
			t.Errorf("Decode of %d bytes: %v, want %v", cut, err, want)
		}
	}
}

func TestFailingSourceOfAPayload(t *testing.T) {
	broken := errors.New("broken")
	for _, head := range []string{"", "\x01\x00", "\x01\x00\x00\x00\x05ab", "\x09\x00\x00\x00\x05ab"} {
		_, err := tlv.Decode(io.MultiReader(strings.NewReader(head), iotest.ErrReader(broken)))
		var decode *tlv.DecodeError
		if !errors.Is(err, broken) || errors.As(err, &decode) {
			t.Errorf("after %q: %v, want %v and no DecodeError", head, err, broken)
		}
	}
}

func TestAnotherTypeIsReadPastAndReported(t *testing.T) {
	src := bytes.NewReader(records(t, rec(2, "text"), rec(9, "nine"), rec(1, "bytes")))
	b := tlv.Binary("old")
	n, err := b.ReadFrom(src)
	if want := "tlv: record: unexpected type 2"; n != 9 || !errors.Is(err, tlv.ErrUnexpectedType) || err.Error() != want {
		t.Errorf("ReadFrom = %d, %v, want 9, %s", n, err, want)
	}
	if string(b) != "old" {
		t.Errorf("value became %q", b)
	}
	p, err := tlv.Decode(src)
	if want := "tlv: record: unexpected type 9"; p != nil || !errors.Is(err, tlv.ErrUnexpectedType) || err.Error() != want {
		t.Errorf("Decode = %v, %v, want %s", p, err, want)
	}
	if p, err := tlv.Decode(src); err != nil || p.String() != "bytes" {
		t.Errorf("Decode after it = %v, %v", p, err)
	}
}

// decodePort makes the payload of the Example out of a value.
func decodePort(value []byte) (tlv.Payload, error) {
	p := new(Port)
	return p, p.set(value)
}

func TestDecoderWithTypesOfTheApplication(t *testing.T) {
	d := tlv.Decoder{Types: map[tlv.Type]func([]byte) (tlv.Payload, error){PortType: decodePort}}
	var buf bytes.Buffer
	for _, p := range []tlv.Payload{new(Port(8080)), new(tlv.String("text"))} {
		if _, err := p.WriteTo(&buf); err != nil {
			t.Fatal(err)
		}
	}
	buf.Write(records(t, rec(PortType, "three"), rec(1, "last")))
	if p, err := d.Decode(&buf); err != nil || *p.(*Port) != 8080 {
		t.Errorf("Decode = %v, %v, want 8080", p, err)
	}
	if p, err := d.Decode(&buf); err != nil || p.String() != "text" {
		t.Errorf("Decode = %v, %v, want text", p, err)
	}
	p, err := d.Decode(&buf)
	if want := "tlv: record: port of 5 bytes, want 2"; p != nil || err == nil || err.Error() != want {
		t.Errorf("Decode = %v, %v, want %s", p, err, want)
	}
	if p, err := d.Decode(&buf); err != nil || p.String() != "last" {
		t.Errorf("Decode after it = %v, %v, want last", p, err)
	}
	var p2 Port
	if _, err := p2.ReadFrom(bytes.NewReader(records(t, rec(PortType, "\x00\x50")))); err != nil || p2 != 80 {
		t.Errorf("ReadFrom = %v, %v, want 80", p2, err)
	}
}

// What a function of Types makes of a value is never taken for the end of the
// stream, and a record that it does not take is reported as such.
func TestDecoderWithFunctionsThatRefuse(t *testing.T) {
	d := tlv.Decoder{Types: map[tlv.Type]func([]byte) (tlv.Payload, error){
		3: func([]byte) (tlv.Payload, error) { return nil, nil },
		4: func(value []byte) (tlv.Payload, error) { return tlv.Decode(bytes.NewReader(value)) },
		1: nil, // the built-in one stays
	}}
	src := bytes.NewReader(records(t, rec(3, "x"), rec(4, ""), rec(4, "\x01"), rec(1, "last")))
	for _, want := range []error{tlv.ErrUnexpectedType, io.ErrUnexpectedEOF, io.ErrUnexpectedEOF} {
		p, err := d.Decode(src)
		decode, ok := errors.AsType[*tlv.DecodeError](err)
		if p != nil || !ok || !decode.InStep || !errors.Is(err, want) || errors.Is(err, io.EOF) {
			t.Errorf("Decode = %v, %v, want %v in step", p, err, want)
		}
	}
	if p, err := d.Decode(src); err != nil || p.String() != "last" {
		t.Errorf("Decode = %v, %v, want last", p, err)
	}
	// A stream that ends inside a record is not in step.
	_, err := d.Decode(bytes.NewReader([]byte("\x03\x00")))
	if decode, ok := errors.AsType[*tlv.DecodeError](err); !ok || decode.InStep {
		t.Errorf("Decode of half a header: %v", err)
	}
}

func TestDecoderMayReplaceTheBuiltInTypes(t *testing.T) {
	d := tlv.Decoder{Types: map[tlv.Type]func([]byte) (tlv.Payload, error){tlv.BinaryType: decodePort}}
	if p, err := d.Decode(bytes.NewReader(records(t, rec(1, "\x00\x50")))); err != nil || *p.(*Port) != 80 {
		t.Errorf("Decode = %v, %v, want 80", p, err)
	}
}
