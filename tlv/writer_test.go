package tlv_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/netparts/netparts/tlv"
)

// calls records each Write call.
type calls struct {
	mu   sync.Mutex
	each [][]byte
}

func (c *calls) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.each = append(c.each, bytes.Clone(p))
	return len(p), nil
}

func TestOneWriteCallARecord(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	var c calls
	w := tlv.NewWriter(&c)
	for _, r := range []tlv.Record{rec(1, "a"), rec(2, ""), rec(3, long), rec(4, "b")} {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Write(rec(5, "c"), rec(6, long), rec(7, "d")); err != nil {
		t.Fatal(err)
	}
	if err := w.Stream(8, 3, strings.NewReader("eee")); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(); err != nil { // nothing to write is nothing written
		t.Fatal(err)
	}
	if _, err := tlv.String(long).WriteTo(&c); err != nil {
		t.Fatal(err)
	}
	want := [][]byte{
		records(t, rec(1, "a")),
		records(t, rec(2, "")),
		records(t, rec(3, long)),
		records(t, rec(4, "b")),
		records(t, rec(5, "c"), rec(6, long), rec(7, "d")),
		records(t, rec(8, "eee")),
		records(t, rec(2, long)),
	}
	if len(c.each) != len(want) {
		t.Fatalf("%d Write calls, want %d", len(c.each), len(want))
	}
	for i := range want {
		if !bytes.Equal(c.each[i], want[i]) {
			t.Errorf("call %d wrote %d bytes, want %d", i, len(c.each[i]), len(want[i]))
		}
	}
}

func TestBufferedWriterGathers(t *testing.T) {
	var c calls
	w := tlv.NewWriter(&c)
	w.Buffered = true
	var want []byte
	for i := range 10_000 {
		r := rec(1, fmt.Sprintf("record %d", i))
		want = append(want, records(t, r)...)
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
		if i == 0 && len(c.each) != 0 {
			t.Fatal("the first record went out at once")
		}
	}
	if err := w.Stream(2, 5, strings.NewReader("short")); err != nil {
		t.Fatal(err)
	}
	want = append(want, records(t, rec(2, "short"))...)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil { // nothing left
		t.Fatal(err)
	}
	if got := bytes.Join(c.each, nil); !bytes.Equal(got, want) {
		t.Errorf("%d bytes went out, want %d", len(got), len(want))
	}
	if most := len(want)/tlv.BufferSize + 1; len(c.each) > most {
		t.Errorf("%d Write calls for %d bytes, want at most %d", len(c.each), len(want), most)
	}
	for _, b := range c.each {
		if len(b) > tlv.BufferSize {
			t.Errorf("a Write call of %d bytes, want at most %d", len(b), tlv.BufferSize)
		}
	}
}

// Small, large and streamed records keep their order, buffered or not, on a
// writer that takes a vector and on one that does not.
func TestOrderOfSmallAndLargeRecords(t *testing.T) {
	sizes := []int{5, tlv.VectorSize, 3, tlv.VectorSize - 1, tlv.BufferSize, 0, 5 * tlv.BufferSize, 1}
	send := func(w *tlv.Writer) error {
		for i, size := range sizes {
			value := strings.Repeat(string(rune('a'+i)), size)
			if err := w.Write(rec(1, value), rec(2, value)); err != nil {
				return err
			}
			if err := w.Stream(3, int64(size), strings.NewReader(value)); err != nil {
				return err
			}
		}
		return w.Flush()
	}
	check := func(t *testing.T, src io.Reader) {
		t.Helper()
		r := tlv.NewReader(src)
		for i, size := range sizes {
			want := strings.Repeat(string(rune('a'+i)), size)
			for typ := tlv.Type(1); typ <= 3; typ++ {
				if rec, err := r.Next(); err != nil || rec.Type != typ || string(rec.Value) != want {
					t.Fatalf("size %d: type %d with %d bytes, %v", size, rec.Type, len(rec.Value), err)
				}
			}
		}
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
	}
	for _, buffered := range []bool{false, true} {
		t.Run(fmt.Sprintf("memory buffered=%v", buffered), func(t *testing.T) {
			var buf bytes.Buffer
			w := tlv.NewWriter(&buf)
			w.Buffered = buffered
			if err := send(w); err != nil {
				t.Fatal(err)
			}
			check(t, &buf)
		})
		t.Run(fmt.Sprintf("tcp buffered=%v", buffered), func(t *testing.T) {
			client, server := tcpPair(t)
			sent := make(chan error, 1)
			go func() {
				w := tlv.NewWriter(client)
				w.Buffered = buffered
				sent <- errors.Join(send(w), client.Close())
			}()
			check(t, server)
			if err := <-sent; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWriterThatWritesHalfAndFails(t *testing.T) {
	full := errors.New("no route")
	tests := []struct {
		name string
		w    io.Writer
		want error
		text string
	}{
		{"with an error", &failAfter{n: 4, err: full}, full, "tlv: writing 8 bytes, 4 done: no route"},
		{"with nothing written", &failAfter{n: 0, err: full}, full, "tlv: writing 8 bytes, 0 done: no route"},
		{"without an error", &failAfter{n: 4}, io.ErrShortWrite, "tlv: writing 8 bytes, 4 done: short write"},
		{"with too high a count", lyingWriter{}, nil, "tlv: writing 8 bytes, 0 done: writer returned an impossible count from Write"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := tlv.NewWriter(tt.w)
			first := w.Write(rec(1, "abc"))
			if first == nil || first.Error() != tt.text || tt.want != nil && !errors.Is(first, tt.want) {
				t.Fatalf("Write: %v, want %s", first, tt.text)
			}
			// Nothing may follow half a record.
			for name, call := range map[string]func() error{
				"Write":  func() error { return w.Write(rec(1, "abc")) },
				"Stream": func() error { return w.Stream(1, 1, strings.NewReader("a")) },
				"Flush":  w.Flush,
			} {
				if err := call(); err != first {
					t.Errorf("%s after the error: %v, want %v again", name, err, first)
				}
			}
		})
	}
	n, err := tlv.Binary("abc").WriteTo(&failAfter{n: 4, err: full})
	if n != 4 || !errors.Is(err, full) {
		t.Errorf("Binary.WriteTo = %d, %v, want 4, %v", n, err, full)
	}
}

type lyingWriter struct{}

func (lyingWriter) Write(p []byte) (int, error) { return len(p) + 1, nil }

func TestRefusedRecordsLeaveTheWriterUsable(t *testing.T) {
	var buf bytes.Buffer
	w := tlv.NewWriter(&buf)
	w.Limit = 4
	if err := w.Write(rec(1, "ok"), rec(0, "type 0")); !errors.Is(err, tlv.ErrInvalidType) {
		t.Errorf("Write: %v, want %v", err, tlv.ErrInvalidType)
	}
	err := w.Write(rec(1, "ok"), rec(1, "large"))
	if want := "tlv: value of 5 bytes exceeds the limit of 4"; !errors.Is(err, tlv.ErrTooLarge) || err.Error() != want {
		t.Errorf("Write: %v, want %s", err, want)
	}
	if err := w.Stream(1, 5, strings.NewReader("large")); !errors.Is(err, tlv.ErrTooLarge) {
		t.Errorf("Stream: %v, want %v", err, tlv.ErrTooLarge)
	}
	if err := w.Stream(0, 1, strings.NewReader("x")); !errors.Is(err, tlv.ErrInvalidType) {
		t.Errorf("Stream: %v, want %v", err, tlv.ErrInvalidType)
	}
	if err := w.Stream(1, -1, strings.NewReader("x")); err == nil {
		t.Error("Stream took a negative size")
	}
	if err := w.Stream(1, 1<<33, strings.NewReader("x")); !errors.Is(err, tlv.ErrTooLarge) {
		t.Errorf("Stream of 8 GiB: %v, want %v", err, tlv.ErrTooLarge)
	}
	if buf.Len() != 0 {
		t.Errorf("refused records wrote %q", buf.String())
	}
	if err := w.Write(rec(1, "fine")); err != nil {
		t.Errorf("Write after refusals: %v", err)
	}
}

// A short value is read before its header goes out, so that a source that fails
// costs the record and not the stream.
func TestStreamOfAShortSource(t *testing.T) {
	broken := errors.New("broken")
	var buf bytes.Buffer
	w := tlv.NewWriter(&buf)
	if err := w.Stream(1, 4, strings.NewReader("abc")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Stream: %v, want %v", err, io.ErrUnexpectedEOF)
	}
	if err := w.Stream(1, 4, strings.NewReader("")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Stream of nothing: %v, want %v", err, io.ErrUnexpectedEOF)
	}
	if err := w.Stream(1, 4, iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("Stream: %v, want %v", err, broken)
	}
	rest := strings.NewReader("abcdef")
	if err := w.Stream(1, 4, rest); err != nil || rest.Len() != 2 {
		t.Errorf("Stream of a longer source: %v with %d bytes left, want 2", err, rest.Len())
	}
	if got, err := drain(tlv.NewReader(&buf)); err != nil || got != "1:abcd" {
		t.Errorf("on the wire: %q, %v", got, err)
	}
}

func TestStreamThatBreaksHalfwayEndsTheWriter(t *testing.T) {
	const size = 1 << 20
	w := tlv.NewWriter(io.Discard)
	first := w.Stream(1, size, strings.NewReader("abc"))
	if want := "tlv: streaming a value, 3 of 1048576 bytes done: unexpected EOF"; first == nil || first.Error() != want {
		t.Errorf("Stream: %v, want %s", first, want)
	}
	if err := w.Write(rec(1, "x")); err != first {
		t.Errorf("Write: %v, want %v again", err, first)
	}
}

// A panic in the source of a value leaves half a record behind, after which
// nothing may follow.
func TestStreamThatPanicsHalfwayEndsTheWriter(t *testing.T) {
	var out bytes.Buffer
	w := tlv.NewWriter(&out)
	func() {
		defer func() { _ = recover() }()
		_ = w.Stream(1, 1<<20, panicking{})
	}()
	if err := w.Write(rec(1, "x")); err == nil {
		t.Error("Write went through")
	}
	if out.Len() != tlv.HeaderSize {
		t.Errorf("%d bytes went out, want the header alone", out.Len())
	}
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("no more") }

// What a Buffered Writer has gathered may fail to go out in any call; then what
// was to follow must not.
func TestBufferedWriterThatFailsWhileItGathers(t *testing.T) {
	full := errors.New("no route")
	large := tlv.Record{Type: 1, Value: make([]byte, tlv.VectorSize)}
	for name, next := range map[string]func(*tlv.Writer) error{
		"Write of a large value": func(w *tlv.Writer) error { return w.Write(large) },
		"Stream":                 func(w *tlv.Writer) error { return w.Stream(1, 1<<20, &zeros{1 << 20}) },
		"short Stream":           func(w *tlv.Writer) error { return w.Stream(1, tlv.BufferSize-5, &zeros{1 << 20}) },
		"Write that fills the buffer": func(w *tlv.Writer) error {
			var err error
			for range 10 {
				err = w.Write(tlv.Record{Type: 1, Value: large.Value[1:]})
				if err != nil {
					break
				}
			}
			return err
		},
	} {
		out := &failAfter{n: 4, err: full}
		w := tlv.NewWriter(out)
		w.Buffered = true
		if err := w.Write(rec(1, "gathered")); err != nil {
			t.Fatal(err)
		}
		first := next(w)
		if !errors.Is(first, full) {
			t.Errorf("%s: %v, want %v", name, first, full)
		}
		out.n = 1 << 30 // it would work again
		if err := w.Flush(); err != first {
			t.Errorf("Flush after %s: %v, want %v again", name, err, first)
		}
		if err := w.Write(rec(0, "")); err != first {
			t.Errorf("Write of a bad record after %s: %v, want %v again", name, err, first)
		}
		if out.n != 1<<30 {
			t.Errorf("after %s something was written", name)
		}
	}
}

// A writer that fails once and then works again gets nothing more.
func TestNothingFollowsAFailedFlush(t *testing.T) {
	passing := errors.New("a moment")
	out := &failOnce{err: passing}
	w := tlv.NewWriter(out)
	w.Buffered = true
	if err := w.Write(rec(1, "gathered"), tlv.Record{Type: 2, Value: make([]byte, tlv.VectorSize)}); !errors.Is(err, passing) {
		t.Errorf("Write: %v, want %v", err, passing)
	}
	if err := w.Write(rec(1, "more")); !errors.Is(err, passing) {
		t.Errorf("Write: %v, want %v", err, passing)
	}
	if err := w.Flush(); !errors.Is(err, passing) {
		t.Errorf("Flush: %v, want %v", err, passing)
	}
	if out.calls != 1 {
		t.Errorf("%d Write calls, want 1", out.calls)
	}
}

type failOnce struct {
	err   error
	calls int
}

func (f *failOnce) Write(p []byte) (int, error) {
	if f.calls++; f.calls == 1 {
		return 0, f.err
	}
	return len(p), nil
}

// One large record does not make its buffer stay with every connection.
func TestWriterLetsGoOfALargeBuffer(t *testing.T) {
	w := tlv.NewWriter(io.Discard)
	if err := w.Write(tlv.Record{Type: 1, Value: make([]byte, 1<<20)}); err != nil {
		t.Fatal(err)
	}
	if got := w.BufferCap(); got > tlv.BufferSize {
		t.Errorf("the Writer keeps %d bytes, want at most %d", got, tlv.BufferSize)
	}
}

// Many records in one call cost memory in proportion to their bytes.
func TestLargeBatch(t *testing.T) {
	batch := slices.Repeat([]tlv.Record{rec(1, "0123456789abcdef")}, 40_000)
	size := uint64(len(batch) * (tlv.HeaderSize + 16))
	w := tlv.NewWriter(io.Discard)
	if got := allocated(func() {
		if err := w.Write(batch...); err != nil {
			t.Error(err)
		}
	}); got > 6*size {
		t.Errorf("a batch of %d bytes cost %d", size, got)
	}
}

func TestWriterAllocatesNothingForSmallRecords(t *testing.T) {
	r := rec(1, "0123456789abcdef")
	for _, buffered := range []bool{false, true} {
		w := tlv.NewWriter(io.Discard)
		w.Buffered = buffered
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
		if got := testing.AllocsPerRun(10_000, func() { _ = w.Write(r) }); got != 0 {
			t.Errorf("buffered=%v: %v allocations a record, want 0", buffered, got)
		}
	}
}
