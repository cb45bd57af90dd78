package proxy_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"go.uber.org/multierr"

	"github.com/netparts/netparts/proxy"
)

// A sinkFunc is a Write.
type sinkFunc func(b []byte) (int, error)

func (f sinkFunc) Write(b []byte) (int, error) { return f(b) }

func TestMultiWriterGivesEachWriteToEachSink(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	var before, between, after bytes.Buffer
	w := proxy.MultiWriter(&before,
		sinkFunc(func([]byte) (int, error) { return 2, first }), &between,
		sinkFunc(func(b []byte) (int, error) { return len(b), second }), &after)
	for range 2 {
		n, err := w.Write([]byte("text"))
		errs := multierr.Errors(err)
		if n != 2 || len(errs) != 2 || !errors.Is(errs[0], first) || !errors.Is(errs[1], second) {
			t.Errorf("Write = %d, %v, want 2 and both errors", n, err)
		}
		if want := "proxy: sink 1: first; proxy: sink 3: second"; fmt.Sprint(err) != want {
			t.Errorf("Write: %v, want %s", err, want)
		}
	}
	for i, sink := range []*bytes.Buffer{&before, &between, &after} {
		if sink.String() != "texttext" {
			t.Errorf("working sink %d got %q", i, sink)
		}
	}
}

// The count and the error of a Write keep the rules of io.Writer whatever the sinks
// do.
func TestMultiWriterCounts(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name string
		n    int // of the sink
		err  error
		want int
		is   error // nil if there is to be one that tells of the count
	}{
		{"all", 4, nil, 4, nil},
		{"all, and an error", 4, broken, 4, broken},
		{"some, and an error", 3, broken, 3, broken},
		{"some, without an error", 3, nil, 3, io.ErrShortWrite},
		{"nothing, without an error", 0, nil, 0, io.ErrShortWrite},
		{"negative", -1, nil, 0, nil},
		{"negative, and an error", -1, broken, 0, broken},
		{"too much", 5, nil, 0, nil},
		{"too much, and an error", 5, broken, 0, broken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sink := sinkFunc(func([]byte) (int, error) { return tt.n, tt.err })
			n, err := proxy.MultiWriter(io.Discard, sink, io.Discard).Write([]byte("text"))
			if n != tt.want || (err == nil) != (tt.name == "all") || !errors.Is(err, tt.is) && tt.is != nil {
				t.Errorf("Write = %d, %v, want %d, %v", n, err, tt.want, tt.is)
			}
			if bad := tt.n < 0 || tt.n > 4; bad && !strings.Contains(fmt.Sprint(err), "invalid count") {
				t.Errorf("Write: %v, want it to tell of the count", err)
			}
		})
	}
}

func TestMultiWriterWithoutSinks(t *testing.T) {
	w := proxy.MultiWriter()
	if n, err := w.Write([]byte("text")); n != 4 || err != nil {
		t.Errorf("Write = %d, %v", n, err)
	}
	if n, err := io.Copy(w, iotest.OneByteReader(strings.NewReader("text"))); n != 4 || err != nil {
		t.Errorf("Copy = %d, %v", n, err)
	}
}

// The caller keeps its slice, and may change it.
func TestMultiWriterKeepsItsSinks(t *testing.T) {
	var b bytes.Buffer
	sinks := []io.Writer{&b}
	w := proxy.MultiWriter(sinks...)
	sinks[0] = io.Discard
	if _, err := w.Write([]byte("text")); err != nil || b.String() != "text" {
		t.Errorf("the sink got %q, %v", b.String(), err)
	}
}

// A sink that panics, and one that is nil, have failed. The others do not notice.
func TestMultiWriterSinkPanics(t *testing.T) {
	var b bytes.Buffer
	w := proxy.MultiWriter(sinkFunc(func([]byte) (int, error) { panic("boom") }), nil, &b)
	for range 2 {
		n, err := w.Write([]byte("text"))
		errs := multierr.Errors(err)
		if n != 0 || len(errs) != 2 || !strings.Contains(errs[0].Error(), "sink 0: ") || !strings.Contains(errs[0].Error(), "boom") {
			t.Errorf("Write = %d, %v, want 0 and both panics", n, err)
		}
	}
	if b.String() != "texttext" {
		t.Errorf("the working sink got %q", b.String())
	}
}

// io.Copy goes on for the sinks that work, and returns what has failed. A sink that
// failed gets nothing more: it would have a gap.
func TestCopyIntoMultiWriter(t *testing.T) {
	text := random(1 << 20)
	client, conn := join(t, "tcp")
	var sending sync.WaitGroup
	sending.Go(func() { sendAll(t, client, string(text)) })
	defer sending.Wait()
	readers := map[string]io.Reader{
		"plain":               iotest.HalfReader(bytes.NewReader(text)),
		"with WriteTo":        bytes.NewReader(text),
		"a connection":        conn,
		"data with the end":   iotest.DataErrReader(bytes.NewReader(text)),
		"without its WriteTo": struct{ io.Reader }{bufio.NewReader(io.MultiReader(bytes.NewReader(text)))},
	}
	for name, r := range readers {
		t.Run(name, func(t *testing.T) {
			broken := errors.New("broken")
			var before, after bytes.Buffer
			calls := 0
			sink := sinkFunc(func([]byte) (int, error) {
				calls++
				return 0, broken
			})
			// The count of a bytes.Reader is that of the sink that took least.
			n, err := io.Copy(proxy.MultiWriter(&before, sink, &after), r)
			if _, whole := r.(*bytes.Reader); !whole && n != int64(len(text)) {
				t.Errorf("Copy = %d, want %d", n, len(text))
			}
			if errs := multierr.Errors(err); len(errs) != 1 || !errors.Is(err, broken) || calls != 1 {
				t.Errorf("Copy: %v, after %d calls of the failing sink", err, calls)
			}
			if !bytes.Equal(before.Bytes(), text) || !bytes.Equal(after.Bytes(), text) {
				t.Errorf("the working sinks got %d and %d bytes of %d", before.Len(), after.Len(), len(text))
			}
		})
	}
}

// io.Copy ends when nobody is left to write to, and when the reader fails, whose
// error comes after those of the sinks.
func TestCopyIntoMultiWriterEnds(t *testing.T) {
	first, second, read := errors.New("first"), errors.New("second"), errors.New("read")
	failing := func(err error, after int) io.Writer {
		return sinkFunc(func(b []byte) (int, error) {
			if after--; after < 0 {
				return 0, err
			}
			return len(b), nil
		})
	}
	r := strings.NewReader("0123456789")
	n, err := io.Copy(proxy.MultiWriter(failing(first, 5), failing(second, 2)), iotest.OneByteReader(r))
	errs := multierr.Errors(err)
	if n != 6 || r.Len() != 4 || len(errs) != 2 || !errors.Is(errs[0], second) || !errors.Is(errs[1], first) {
		t.Errorf("Copy = %d, %v, with %d bytes left, want 6, both errors and 4", n, err, r.Len())
	}

	var b bytes.Buffer
	n, err = io.Copy(proxy.MultiWriter(failing(first, 0), &b),
		struct{ io.Reader }{io.MultiReader(strings.NewReader("text"), iotest.ErrReader(read))})
	errs = multierr.Errors(err)
	if n != 4 || b.String() != "text" || len(errs) != 2 || !errors.Is(errs[0], first) || errs[1] != read {
		t.Errorf("Copy = %d, %v, with %q written", n, err, b.String())
	}
}

// 64 goroutines write lines, some of them by io.Copy. No line is torn, and the sinks
// agree on the order.
func TestMultiWriterTearsNoLine(t *testing.T) {
	const writers, lines = 64, 50
	slow := func(b *bytes.Buffer) io.Writer { // a byte at a time
		return sinkFunc(func(p []byte) (int, error) {
			for _, c := range p {
				b.WriteByte(c)
			}
			return len(p), nil
		})
	}
	var sinks [3]bytes.Buffer
	w := proxy.MultiWriter(&sinks[0], slow(&sinks[1]), &sinks[2])
	var writing sync.WaitGroup
	for i := range writers {
		writing.Go(func() {
			for j := range lines {
				line := fmt.Sprintf("%02d %02d %s\n", i, j, strings.Repeat("x", i+j))
				var err error
				if i%2 == 0 {
					_, err = io.WriteString(w, line)
				} else {
					_, err = io.Copy(w, struct{ io.Reader }{strings.NewReader(line)})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	if !bytes.Equal(sinks[0].Bytes(), sinks[1].Bytes()) || !bytes.Equal(sinks[0].Bytes(), sinks[2].Bytes()) {
		t.Error("the sinks differ")
	}
	next := make([]int, writers)
	for line := range bytes.Lines(sinks[0].Bytes()) {
		var i, j int
		if _, err := fmt.Sscanf(string(line), "%d %d", &i, &j); err != nil || i >= writers {
			t.Fatalf("line %q: %v", line, err)
		}
		if want := fmt.Sprintf("%02d %02d %s\n", i, next[i], strings.Repeat("x", i+j)); string(line) != want {
			t.Fatalf("line %q, want %q", line, want)
		}
		next[i]++
	}
	if slices.Min(next) != lines {
		t.Errorf("each writer has %v lines, want %d", next, lines)
	}
}
