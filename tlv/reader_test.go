package tlv_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/netparts/netparts/tlv"
)

// records encodes records of the given types, each with its value.
func records(t testing.TB, recs ...tlv.Record) []byte {
	t.Helper()
	var b []byte
	for _, rec := range recs {
		var err error
		if b, err = rec.AppendBinary(b); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func rec(t tlv.Type, value string) tlv.Record {
	return tlv.Record{Type: t, Value: []byte(value)}
}

// drain reads to the end and returns what came as "type:value" with spaces.
func drain(r *tlv.Reader) (string, error) {
	var got []string
	for rec, err := range r.All() {
		if err != nil {
			return strings.Join(got, " "), err
		}
		got = append(got, fmt.Sprintf("%d:%s", rec.Type, rec.Value))
	}
	return strings.Join(got, " "), nil
}

func TestReaderTakesBytesAsTheyCome(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 1<<10) // larger than the first buffer
	in := records(t, rec(1, "one"), rec(2, ""), rec(200, long), rec(3, long[:5000]), rec(2, ""))
	want := "1:one 2: 200:" + long + " 3:" + long[:5000] + " 2:"
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"all at once":       func(r io.Reader) io.Reader { return r },
		"one byte a read":   iotest.OneByteReader,
		"half of each read": iotest.HalfReader,
		"data with the EOF": iotest.DataErrReader,
		"empty reads":       func(r io.Reader) io.Reader { return &emptyReads{r: r} },
	} {
		t.Run(name, func(t *testing.T) {
			got, err := drain(tlv.NewReader(wrap(bytes.NewReader(in))))
			if err != nil || got != want {
				t.Errorf("got %.80q, %v", got, err)
			}
		})
	}
}

// An empty value needs no read of its own: a source that is at its end must not
// turn the last record into an error.
func TestZeroLengthValueAtTheEndOfTheData(t *testing.T) {
	in := records(t, rec(1, ""))
	for name, src := range map[string]io.Reader{
		"bytes.Reader":      bytes.NewReader(in),
		"bytes.Buffer":      bytes.NewBuffer(in),
		"data with the EOF": iotest.DataErrReader(bytes.NewReader(in)),
	} {
		t.Run(name, func(t *testing.T) {
			r := tlv.NewReader(src)
			if rec, err := r.Next(); err != nil || rec.Type != 1 || len(rec.Value) != 0 {
				t.Errorf("Next = %v, %v", rec, err)
			}
			if _, err := r.Next(); err != io.EOF {
				t.Errorf("at the end: %v, want %v", err, io.EOF)
			}
		})
	}
	if p, err := tlv.Decode(bytes.NewReader(in)); err != nil || len(p.Bytes()) != 0 {
		t.Errorf("Decode = %v, %v", p, err)
	}
}

// Wherever the input is cut, io.EOF comes between records only.
func TestInputCutAnywhere(t *testing.T) {
	first, second := records(t, rec(1, "first")), records(t, rec(2, "second"))
	in := append(first, second...)
	for cut := range len(in) {
		var want, at string
		switch {
		case cut == 0 || cut == len(first):
			want = io.EOF.Error()
		case cut > len(first):
			want, at = io.ErrUnexpectedEOF.Error(), fmt.Sprint(len(first))
		default:
			want, at = io.ErrUnexpectedEOF.Error(), "0"
		}
		if at != "" {
			want = fmt.Sprintf("tlv: record at offset %s: %s", at, want)
		}
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			check := func(name string, err error) {
				t.Helper()
				if err == nil || err.Error() != want {
					t.Errorf("%s: error %v, want %s", name, err, want)
				}
				var decode *tlv.DecodeError
				if at != "" && (!errors.As(err, &decode) || !errors.Is(err, io.ErrUnexpectedEOF)) {
					t.Errorf("%s: %T does not wrap %v", name, err, io.ErrUnexpectedEOF)
				}
			}
			r := tlv.NewReader(iotest.OneByteReader(bytes.NewReader(in[:cut])))
			var err error
			for err == nil {
				_, err = r.Next()
			}
			check("Next", err)

			r = tlv.NewReader(bytes.NewReader(in[:cut]))
			for err = nil; err == nil; {
				err = r.Skip()
			}
			check("Skip", err)

			r = tlv.NewReader(bytes.NewReader(in[:cut]))
			for err = nil; err == nil; {
				var v *tlv.Value
				if v, err = r.Stream(); err == nil {
					_, err = io.Copy(io.Discard, v)
				}
			}
			check("Stream", err)

			r = tlv.NewReader(bytes.NewReader(in[:cut]))
			for err = nil; err == nil; {
				var v *tlv.Value
				if v, err = r.Stream(); err == nil {
					_, err = io.ReadAll(v)
				}
			}
			check("Value.Read", err)
		})
	}
}

func TestReaderLimit(t *testing.T) {
	tests := []struct {
		limit int64
		size  int
		want  error
	}{
		{0, tlv.DefaultLimit, nil},
		{0, tlv.DefaultLimit + 1, tlv.ErrTooLarge},
		{3, 3, nil},
		{3, 4, tlv.ErrTooLarge},
		{-1, tlv.DefaultLimit + 1, nil},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("limit %d size %d", tt.limit, tt.size), func(t *testing.T) {
			var buf bytes.Buffer
			w := tlv.NewWriter(&buf)
			w.Limit = -1
			if err := w.Write(tlv.Record{Type: 1, Value: make([]byte, tt.size)}); err != nil {
				t.Fatal(err)
			}
			in := buf.Bytes()
			r := tlv.NewReader(bytes.NewReader(in))
			r.Limit = tt.limit
			rec, err := r.Next()
			if !errors.Is(err, tt.want) || err == nil && len(rec.Value) != tt.size {
				t.Errorf("Next = %d bytes, %v, want %v", len(rec.Value), err, tt.want)
			}
			p, err := (&tlv.Decoder{Limit: tt.limit}).Decode(bytes.NewReader(in))
			if !errors.Is(err, tt.want) || err == nil && len(p.Bytes()) != tt.size {
				t.Errorf("Decode: %v, want %v", err, tt.want)
			}
			w = tlv.NewWriter(io.Discard)
			w.Limit = tt.limit
			if err := w.Write(tlv.Record{Type: 1, Value: make([]byte, tt.size)}); !errors.Is(err, tt.want) {
				t.Errorf("Write: %v, want %v", err, tt.want)
			}
		})
	}
}

// The type is looked at too in a record that is whole in the buffer already.
func TestTypeZeroOfABufferedRecord(t *testing.T) {
	r := tlv.NewReader(strings.NewReader("\x01\x00\x00\x00\x01a" + "\x00\x00\x00\x00\x01b"))
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	_, err := r.Next()
	if want := "tlv: record at offset 6: type 0 is not valid"; !errors.Is(err, tlv.ErrInvalidType) || err.Error() != want {
		t.Errorf("Next: %v, want %s", err, want)
	}
}

// The limit holds too for a record that is whole in the buffer already.
func TestReaderLimitOfABufferedRecord(t *testing.T) {
	r := tlv.NewReader(bytes.NewReader(records(t, rec(1, "abc"), rec(1, "abcd"))))
	r.Limit = 3
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	_, err := r.Next()
	if want := "tlv: record at offset 8: value of 4 bytes exceeds the limit of 3"; err == nil || err.Error() != want {
		t.Errorf("Next: %v, want %s", err, want)
	}
}

func TestReaderStaysFailed(t *testing.T) {
	good := records(t, rec(1, "good"))
	broken := errors.New("broken")
	tests := []struct {
		name string
		src  io.Reader
		want error
	}{
		{"end", strings.NewReader(""), io.EOF},
		{"type 0", strings.NewReader("\x00\x00\x00\x00\x00" + string(good)), tlv.ErrInvalidType},
		{"too large", strings.NewReader("\x01\x40\x00\x00\x00" + string(good)), tlv.ErrTooLarge},
		{"cut", strings.NewReader("\x01\x00\x00\x00\x05abc"), io.ErrUnexpectedEOF},
		{"source fails", io.MultiReader(strings.NewReader("\x01\x00"), iotest.ErrReader(broken)), broken},
		{"source fails once", iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(good))), iotest.ErrTimeout},
		{"source returns nothing", noProgress{}, io.ErrNoProgress},
		{"source lies", lyingReader{}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := tlv.NewReader(tt.src)
			_, first := r.Next()
			if first == nil || tt.want != nil && !errors.Is(first, tt.want) {
				t.Fatalf("Next: %v, want %v", first, tt.want)
			}
			var decode *tlv.DecodeError
			if errors.Is(first, broken) && errors.As(first, &decode) {
				t.Error("a failing source is reported as bad input")
			}
			for name, call := range map[string]func() error{
				"Next":   func() error { _, err := r.Next(); return err },
				"Peek":   func() error { _, _, err := r.Peek(); return err },
				"Skip":   r.Skip,
				"Stream": func() error { _, err := r.Stream(); return err },
			} {
				if err := call(); err != first {
					t.Errorf("%s after the error: %v, want %v again", name, err, first)
				}
			}
		})
	}
}

func TestUnknownTypesComeOut(t *testing.T) {
	got, err := drain(tlv.NewReader(bytes.NewReader(records(t, rec(3, "a"), rec(255, "b"), rec(1, "c")))))
	if want := "3:a 255:b 1:c"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestAllCanBeTakenUpAgain(t *testing.T) {
	r := tlv.NewReader(bytes.NewReader(records(t, rec(1, "a"), rec(1, "b"), rec(1, "c"))))
	for rec, err := range r.All() {
		if err != nil || string(rec.Value) != "a" {
			t.Fatalf("first round: %v, %v", rec, err)
		}
		break
	}
	if got, err := drain(r); err != nil || got != "1:b 1:c" {
		t.Errorf("rest is %q, %v", got, err)
	}
}

func TestAllYieldsTheErrorLast(t *testing.T) {
	r := tlv.NewReader(strings.NewReader("\x01\x00\x00\x00\x01a\x01\x00"))
	var errs []error
	for _, err := range r.All() {
		errs = append(errs, err)
	}
	if len(errs) != 2 || errs[0] != nil || !errors.Is(errs[1], io.ErrUnexpectedEOF) {
		t.Errorf("rounds with errors %v, want one record and then %v", errs, io.ErrUnexpectedEOF)
	}
}

func TestPeekAndSkipKeepInStep(t *testing.T) {
	long := strings.Repeat("x", 3*tlv.MaxBuffer)
	r := tlv.NewReader(bytes.NewReader(records(t, rec(9, "small"), rec(8, long), rec(7, "end"), rec(6, ""))))
	for _, want := range []struct {
		typ  tlv.Type
		size int64
	}{{9, 5}, {8, int64(len(long))}, {7, 3}} {
		for range 2 { // peeking twice moves nothing
			typ, size, err := r.Peek()
			if err != nil || typ != want.typ || size != want.size {
				t.Fatalf("Peek = %d, %d, %v, want %d, %d", typ, size, err, want.typ, want.size)
			}
		}
		if err := r.Skip(); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := drain(r); err != nil || got != "6:" {
		t.Errorf("rest is %q, %v", got, err)
	}
}
