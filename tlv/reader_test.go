package tlv_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

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

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestHostileHeaderCostsLittleMemory(t *testing.T) {
	tests := []struct {
		name   string
		header string
		limit  int64
		want   error
	}{
		{"10 MiB within the limit", "\x01\x00\xa0\x00\x00", 0, io.ErrUnexpectedEOF},
		{"10 MiB with five bytes behind", "\x01\x00\xa0\x00\x00bytes", 0, io.ErrUnexpectedEOF},
		{"4 GiB over the limit", "\x01\xff\xff\xff\xff", 0, tlv.ErrTooLarge},
		{"4 GiB with five bytes behind", "\x01\xff\xff\xff\xffbytes", 0, tlv.ErrTooLarge},
		{"256 MiB and no limit", "\x01\x0f\xff\xff\xffbytes", -1, io.ErrUnexpectedEOF},
	}
	const most = 8 << 10
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, decode := range map[string]func(io.Reader) error{
				"Reader.Next": func(src io.Reader) error {
					r := tlv.NewReader(src)
					r.Limit = tt.limit
					_, err := r.Next()
					return err
				},
				"Decode": func(src io.Reader) error {
					_, err := (&tlv.Decoder{Limit: tt.limit}).Decode(src)
					return err
				},
				"Binary.ReadFrom": func(src io.Reader) error {
					if tt.limit != 0 {
						return tt.want // it has no limit to set
					}
					_, err := new(tlv.Binary).ReadFrom(src)
					return err
				},
				"String.ReadFrom of another type": func(src io.Reader) error {
					if tt.limit != 0 {
						return tt.want
					}
					_, err := new(tlv.String).ReadFrom(src)
					return err
				},
				"Record.ReadFrom": func(src io.Reader) error {
					if tt.limit != 0 {
						return tt.want
					}
					_, err := new(tlv.Record).ReadFrom(src)
					return err
				},
			} {
				var err error
				src := strings.NewReader(tt.header)
				if got := allocated(func() { err = decode(src) }); got > most {
					t.Errorf("%s allocated %d bytes, want at most %d", name, got, most)
				}
				if !errors.Is(err, tt.want) {
					t.Errorf("%s: %v, want %v", name, err, tt.want)
				}
			}
			src := strings.NewReader(tt.header)
			if got := allocated(func() {
				r := tlv.NewReader(src)
				if err := r.Skip(); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("Skip: %v, want %v", err, io.ErrUnexpectedEOF)
				}
			}); got > most {
				t.Errorf("Skip allocated %d bytes, want at most %d", got, most)
			}
		})
	}
}

// A peer that sends some of what it claims makes us hold no more than a few
// times what it sent.
func TestMemoryFollowsWhatArrives(t *testing.T) {
	const sent = 1 << 20
	in := append([]byte("\x01\x00\xa0\x00\x00"), make([]byte, sent)...)
	got := allocated(func() {
		if _, err := tlv.NewReader(bytes.NewReader(in)).Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Next: %v", err)
		}
	})
	if got > 7*sent {
		t.Errorf("%d bytes of a claimed 10 MiB cost %d bytes", sent, got)
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

// Appending to a view must not reach the records behind it.
func TestViewsCannotGrow(t *testing.T) {
	r := tlv.NewReader(bytes.NewReader(records(t, rec(1, "a"), rec(1, "b"), rec(1, "c"))))
	for _, want := range []string{"a", "b", "c"} {
		rec, err := r.Next()
		if err != nil || string(rec.Value) != want {
			t.Fatalf("Next = %v, %v, want %q", rec, err, want)
		}
		_ = append(rec.Value, "xxxxxxxxxxxx"...)
	}
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

func TestDeadlineIsRecognised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		defer server.Close()
		if err := server.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		_, err := tlv.NewReader(server).Next()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Next: %v, want %v", err, os.ErrDeadlineExceeded)
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
	})
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

// The buffer grows for large records and for busy sources, and records before,
// across and after each growth stay whole.
func TestReaderGrowsItsBuffer(t *testing.T) {
	var in []byte
	var want []string
	for i, size := range []int{
		0, 1, tlv.MinBuffer - tlv.HeaderSize, tlv.MinBuffer, 100,
		tlv.MaxBuffer - tlv.HeaderSize, tlv.MaxBuffer - 4, tlv.MaxBuffer, 7, 300_000, 0, 299_999, 5000, 1 << 20, 3,
	} {
		value := strings.Repeat(string(rune('a'+i)), size)
		in = append(in, records(t, rec(tlv.Type(i+1), value))...)
		want = append(want, fmt.Sprintf("%d:%s", i+1, value))
	}
	for name, src := range map[string]io.Reader{
		"at once": bytes.NewReader(in),
		"halves":  iotest.HalfReader(bytes.NewReader(in)),
		"1000":    &atMost{bytes.NewReader(in), 1000},
		"100000":  &atMost{bytes.NewReader(in), 100_000},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := drain(tlv.NewReader(src))
			if err != nil || got != strings.Join(want, " ") {
				t.Errorf("records differ, error %v", err)
			}
		})
	}
}

// How much the Reader asks its source for: little while the source is quiet, up
// to the read-ahead once it is busy, no more than a large record needs, and into
// the caller's own memory where that is large.
func TestReadAhead(t *testing.T) {
	largest := func(src io.Reader, use func(*tlv.Reader) error) int {
		sizes := &requests{r: src}
		if err := use(tlv.NewReader(sizes)); err != nil {
			t.Error(err)
		}
		return sizes.largest
	}
	next := func(r *tlv.Reader) error { _, err := drain(r); return err }
	small := encoded(100, 2000)
	large := append(encoded(1<<20, 1), small...)
	tests := []struct {
		name string
		got  int
		want int
	}{
		{"quiet", largest(&atMost{bytes.NewReader(small), 1000}, next), tlv.MinBuffer},
		{"busy", largest(bytes.NewReader(small), next), tlv.MaxBuffer},
		{"streamed", largest(bytes.NewReader(large), func(r *tlv.Reader) error {
			v, err := r.Stream()
			if err == nil {
				_, err = io.Copy(io.Discard, v)
			}
			return err
		}), tlv.MaxBuffer},
		{"into a large slice", largest(bytes.NewReader(large), func(r *tlv.Reader) error {
			v, err := r.Stream()
			if err == nil {
				_, err = io.ReadFull(v, make([]byte, v.Size))
			}
			return err
		}), 1<<20 - (tlv.MinBuffer - tlv.HeaderSize)},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: largest read of %d bytes, want %d", tt.name, tt.got, tt.want)
		}
	}
	// Behind a large record nothing is read ahead, also where the buffer has
	// room from a larger one.
	src := bytes.NewReader(slices.Concat(encoded(1<<20, 1), encoded(300_000, 1), small))
	r := tlv.NewReader(src)
	for range 2 {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	if src.Len() != len(small) {
		t.Errorf("after two large records %d bytes are unread, want %d", src.Len(), len(small))
	}
}

// requests notes how much is asked for.
type requests struct {
	r       io.Reader
	largest int
}

func (s *requests) Read(p []byte) (int, error) {
	s.largest = max(s.largest, len(p))
	return s.r.Read(p)
}

// atMost returns at most n bytes a read.
type atMost struct {
	r io.Reader
	n int
}

func (a *atMost) Read(p []byte) (int, error) { return a.r.Read(p[:min(len(p), a.n)]) }

func TestReaderAllocatesOnceForManyRecords(t *testing.T) {
	r := tlv.NewReader(&loop{b: encoded(100, 50)})
	for range 10_000 { // past the growth
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	if got := testing.AllocsPerRun(1000, func() { _, _ = r.Next() }); got != 0 {
		t.Errorf("%v allocations a record, want 0", got)
	}
	if got := testing.AllocsPerRun(1000, func() { _ = r.Skip() }); got != 0 {
		t.Errorf("%v allocations a skipped record, want 0", got)
	}
}
