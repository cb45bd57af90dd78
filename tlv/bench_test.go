package tlv_test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/netparts/netparts/tlv"
)

// How all of this compares with other codecs is measured in internal/bench.

// row runs one row of a record size. The loop stands in the row itself, because a call
// would cost as much as the work.
func row(b *testing.B, size int, name string, do func(*testing.B)) {
	b.Run(fmt.Sprintf("size=%d/%s", size, name), func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(size))
		do(b)
	})
}

var benchSizes = []int{16, 1 << 10, 64 << 10}

// encoded returns count records of size bytes.
func encoded(size, count int) []byte {
	var b []byte
	rec := tlv.Record{Type: tlv.BinaryType, Value: bytes.Repeat([]byte{0xa5}, size)}
	for range count {
		b, _ = rec.AppendBinary(b)
	}
	return b
}

// A loop is a source that starts again when it has been read to its end.
type loop struct {
	b   []byte
	off int
}

func (l *loop) Read(p []byte) (int, error) {
	if l.off == len(l.b) {
		l.off = 0
	}
	n := copy(p, l.b[l.off:])
	l.off += n
	return n, nil
}

// BenchmarkDecode decodes records from memory. views uses each value where the
// Reader hands it out; copied copies each to one place of the caller's; cloned
// allocates each anew; payload is the package's typed decoder; parse works on a
// slice in place of a stream.
func BenchmarkDecode(b *testing.B) {
	for _, size := range benchSizes {
		data := encoded(size, max(2, (16<<10)/size))
		row(b, size, "views", func(b *testing.B) {
			r := tlv.NewReader(&loop{b: data})
			for b.Loop() {
				if rec, err := r.Next(); err != nil || len(rec.Value) != size {
					b.Fatal(len(rec.Value), err)
				}
			}
		})
		row(b, size, "copied", func(b *testing.B) {
			r := tlv.NewReader(&loop{b: data})
			buf := make([]byte, size)
			for b.Loop() {
				rec, err := r.Next()
				if n := copy(buf, rec.Value); err != nil || n != size {
					b.Fatal(n, err)
				}
			}
		})
		row(b, size, "cloned", func(b *testing.B) {
			r := tlv.NewReader(&loop{b: data})
			for b.Loop() {
				rec, err := r.Next()
				if value := bytes.Clone(rec.Value); err != nil || len(value) != size {
					b.Fatal(len(value), err)
				}
			}
		})
		row(b, size, "payload", func(b *testing.B) {
			src := &loop{b: data}
			for b.Loop() {
				if _, err := tlv.Decode(src); err != nil {
					b.Fatal(err)
				}
			}
		})
		row(b, size, "parse", func(b *testing.B) {
			rest := data
			for b.Loop() {
				if len(rest) == 0 {
					rest = data
				}
				rec, after, err := tlv.Parse(rest)
				if err != nil || len(rec.Value) != size {
					b.Fatal(len(rec.Value), err)
				}
				rest = after
			}
		})
	}
}

// BenchmarkEncode encodes records. append writes behind each other into one
// slice; writer makes one Write call a record; buffered one for 64 KiB; batch
// hands over 16 records at once, and its figures are for one of them.
func BenchmarkEncode(b *testing.B) {
	for _, size := range benchSizes {
		rec := tlv.Record{Type: tlv.BinaryType, Value: bytes.Repeat([]byte{0xa5}, size)}
		row(b, size, "append", func(b *testing.B) {
			var out []byte
			for b.Loop() {
				var err error
				if out, err = rec.AppendBinary(out[:0]); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, name := range []string{"writer", "buffered"} {
			row(b, size, name, func(b *testing.B) {
				w := tlv.NewWriter(io.Discard)
				w.Buffered = name == "buffered"
				for b.Loop() {
					if err := w.Write(rec); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		row(b, size, "batch", func(b *testing.B) {
			w := tlv.NewWriter(io.Discard)
			w.Buffered = true
			batch := slices.Repeat([]tlv.Record{rec}, 16)
			for n := 0; b.Loop(); n++ {
				if n%len(batch) != 0 {
					continue
				}
				if err := w.Write(batch...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTCP sends records over a loopback connection by a Buffered Writer, and decodes
// them at the other end.
func BenchmarkTCP(b *testing.B) {
	for _, size := range benchSizes {
		rec := tlv.Record{Type: tlv.BinaryType, Value: bytes.Repeat([]byte{0xa5}, size)}
		row(b, size, "buffered", func(b *testing.B) {
			client, server := tcpPair(b)
			w, r := tlv.NewWriter(client), tlv.NewReader(server)
			w.Buffered = true
			sent := make(chan error, 1)
			b.ResetTimer()
			go func() { sent <- sendAll(w, rec, b.N) }()
			for range b.N {
				if rec, err := r.Next(); err != nil || len(rec.Value) != size {
					b.Fatalf("got %d bytes, %v; want %d, nil", len(rec.Value), err, size)
				}
			}
			b.StopTimer()
			if err := <-sent; err != nil {
				b.Fatal(err)
			}
		})
	}
}

// sendAll writes a record n times.
func sendAll(w *tlv.Writer, rec tlv.Record, n int) error {
	for range n {
		if err := w.Write(rec); err != nil {
			return err
		}
	}
	return w.Flush()
}
