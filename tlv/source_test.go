package tlv_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/netparts/netparts/tlv"
)

// emptyReads returns nothing at every second call.
type emptyReads struct {
	r io.Reader
	n int
}

func (e *emptyReads) Read(p []byte) (int, error) {
	if e.n++; e.n%2 == 0 {
		return 0, nil
	}
	return iotest.OneByteReader(e.r).Read(p)
}

// The last call before the Reader gives up may still bring the end.
func TestManyEmptyReadsThenTheEnd(t *testing.T) {
	for empty := 95; empty < 100; empty++ {
		src := &emptyThenEOF{n: empty}
		if _, err := tlv.NewReader(src).Next(); err != io.EOF {
			t.Errorf("after %d empty reads: %v, want %v", empty, err, io.EOF)
		}
	}
}

type emptyThenEOF struct{ n int }

func (e *emptyThenEOF) Read([]byte) (int, error) {
	if e.n--; e.n < 0 {
		return 0, io.EOF
	}
	return 0, nil
}

// Sources that break the rules of io.Reader cost an error: no panic, no endless
// loop, no bytes that were never read.
func TestSourcesThatBreakTheRules(t *testing.T) {
	for name, call := range map[string]func(io.Reader) error{
		"Decode": func(src io.Reader) error { _, err := tlv.Decode(src); return err },
		"Decode of a value": func(src io.Reader) error {
			_, err := tlv.Decode(io.MultiReader(strings.NewReader("\x01\x00\x00\x27\x10"), src))
			return err
		},
		"Decode of an unknown type": func(src io.Reader) error {
			_, err := tlv.Decode(io.MultiReader(strings.NewReader("\x09\x00\x00\x27\x10"), src))
			return err
		},
		"Stream":       func(src io.Reader) error { return tlv.NewWriter(io.Discard).Stream(1, 16, src) },
		"large Stream": func(src io.Reader) error { return tlv.NewWriter(io.Discard).Stream(1, 1<<20, src) },
		"Reader": func(src io.Reader) error {
			_, err := tlv.NewReader(src).Next()
			return err
		},
	} {
		if err := call(noProgress{}); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("%s of a source that returns nothing: %v, want %v", name, err, io.ErrNoProgress)
		}
		if err := call(lyingReader{}); err == nil || !strings.HasSuffix(err.Error(), "source returned an impossible count from Read") {
			t.Errorf("%s of a source that lies: %v", name, err)
		}
	}
}

// io.ErrUnexpectedEOF of the source itself is an error of the source everywhere.
func TestSourceThatReturnsErrUnexpectedEOF(t *testing.T) {
	for _, head := range []string{"", "\x01\x00", "\x01\x00\x00\x00\x05ab"} {
		src := func() io.Reader {
			return io.MultiReader(strings.NewReader(head), iotest.ErrReader(io.ErrUnexpectedEOF))
		}
		_, fromDecode := tlv.Decode(src())
		_, fromReader := tlv.NewReader(src()).Next()
		for name, err := range map[string]error{"Decode": fromDecode, "Reader": fromReader} {
			var decode *tlv.DecodeError
			if !errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &decode) {
				t.Errorf("%s after %q: %v (%T)", name, head, err, err)
			}
		}
	}
}

type noProgress struct{}

func (noProgress) Read([]byte) (int, error) { return 0, nil }

type lyingReader struct{}

func (lyingReader) Read(p []byte) (int, error) { return len(p) + 1, nil }

// A source may return its last bytes and an error in one call, and the next time
// something else. The bytes count first, then that error.
func TestErrorThatComesWithData(t *testing.T) {
	broken := errors.New("broken")
	src := &dataThenError{data: records(t, rec(1, "last")), err: broken}
	r := tlv.NewReader(src)
	if rec, err := r.Next(); err != nil || string(rec.Value) != "last" {
		t.Fatalf("Next = %v, %v", rec, err)
	}
	if _, err := r.Next(); !errors.Is(err, broken) || !strings.Contains(err.Error(), "at offset 9") {
		t.Errorf("Next: %v, want %v at offset 9", err, broken)
	}
}

type dataThenError struct {
	data []byte
	err  error
}

func (d *dataThenError) Read(p []byte) (int, error) {
	if d.data == nil {
		return 0, io.EOF
	}
	n := copy(p, d.data)
	d.data = nil
	return n, d.err
}
