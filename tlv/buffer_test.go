package tlv_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/netparts/netparts/tlv"
)

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// leastAllocated is the least of a few calls of f, since the runtime allocates now
// and then for itself.
func leastAllocated(f func()) uint64 {
	return min(allocated(f), allocated(f), allocated(f))
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
	const most = 5 << 10
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
				if got := leastAllocated(func() { err = decode(strings.NewReader(tt.header)) }); got > most {
					t.Errorf("%s allocated %d bytes, want at most %d", name, got, most)
				}
				if !errors.Is(err, tt.want) {
					t.Errorf("%s: %v, want %v", name, err, tt.want)
				}
			}
			if got := leastAllocated(func() {
				r := tlv.NewReader(strings.NewReader(tt.header))
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
