package tlv_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"

	"github.com/netparts/netparts/tlv"
)

// The figures of this file are measured against two codecs. plain is the one
// that a programmer writes first, with encoding/binary and nothing else. typed
// has the shape of the listings in Network Programming with Go: one Go type for
// each record type that reads its own header, behind a decoder that looks at the
// type and puts it back.
//
// Each row of ours also prints how many times as fast as those it was in the same
// run, as x-plain and x-typed. Run them all, several times, and take medians:
//
//	go test -run='^$' -bench=. -count=7 ./tlv

func plainEncode(w io.Writer, t tlv.Type, value []byte) error {
	if err := binary.Write(w, binary.BigEndian, uint8(t)); err != nil {
		return err
	}
	if err := binary.Write(w, binary.BigEndian, uint32(len(value))); err != nil {
		return err
	}
	_, err := w.Write(value)
	return err
}

func plainDecode(r io.Reader) ([]byte, error) {
	var t uint8
	if err := binary.Read(r, binary.BigEndian, &t); err != nil {
		return nil, err
	}
	return plainValue(r)
}

// plainValue reads what follows the type.
func plainValue(r io.Reader) ([]byte, error) {
	var size uint32
	if err := binary.Read(r, binary.BigEndian, &size); err != nil {
		return nil, err
	}
	if size > tlv.DefaultLimit {
		return nil, tlv.ErrTooLarge
	}
	value := make([]byte, size)
	_, err := io.ReadFull(r, value)
	return value, err
}

type typedBinary []byte

func (b *typedBinary) ReadFrom(r io.Reader) (int64, error) {
	var t uint8
	if err := binary.Read(r, binary.BigEndian, &t); err != nil {
		return 0, err
	}
	value, err := plainValue(r)
	*b = value
	return int64(tlv.HeaderSize + len(value)), err
}

func typedDecode(r io.Reader) ([]byte, error) {
	var t uint8
	if err := binary.Read(r, binary.BigEndian, &t); err != nil {
		return nil, err
	}
	p := new(typedBinary)
	_, err := p.ReadFrom(io.MultiReader(bytes.NewReader([]byte{t}), r))
	return *p, err
}

// A table collects the time of each row of one record size, so that later rows
// can print their ratio to the rows that end in a known name.
type table map[string]float64

// run runs one row. The loop stands in the row itself, not in a function called
// from here, because the call would cost as much as the work.
func (t table) run(b *testing.B, size int, name string, row func(*testing.B)) {
	b.Run(fmt.Sprintf("size=%d/%s", size, name), func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(size))
		row(b)
		t.report(b, name)
	})
}

// report keeps the time of the row name and prints its ratios.
func (t table) report(b *testing.B, name string) {
	t[name] = b.Elapsed().Seconds() / float64(b.N)
	for _, peer := range []string{"plain", "plain-bufio", "typed"} {
		if t[peer] != 0 && peer != name {
			b.ReportMetric(t[peer]/t[name], "x-"+peer)
		}
	}
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
		t := table{}
		data := encoded(size, max(2, (16<<10)/size))
		t.run(b, size, "plain", func(b *testing.B) {
			src := &loop{b: data}
			for b.Loop() {
				if value, err := plainDecode(src); err != nil || len(value) != size {
					b.Fatal(len(value), err)
				}
			}
		})
		t.run(b, size, "typed", func(b *testing.B) {
			src := &loop{b: data}
			for b.Loop() {
				if value, err := typedDecode(src); err != nil || len(value) != size {
					b.Fatal(len(value), err)
				}
			}
		})
		t.run(b, size, "views", func(b *testing.B) {
			r := tlv.NewReader(&loop{b: data})
			for b.Loop() {
				if rec, err := r.Next(); err != nil || len(rec.Value) != size {
					b.Fatal(len(rec.Value), err)
				}
			}
		})
		t.run(b, size, "copied", func(b *testing.B) {
			r := tlv.NewReader(&loop{b: data})
			buf := make([]byte, size)
			for b.Loop() {
				rec, err := r.Next()
				if n := copy(buf, rec.Value); err != nil || n != size {
					b.Fatal(n, err)
				}
			}
		})
		t.run(b, size, "cloned", func(b *testing.B) {
			r := tlv.NewReader(&loop{b: data})
			for b.Loop() {
				rec, err := r.Next()
				if value := bytes.Clone(rec.Value); err != nil || len(value) != size {
					b.Fatal(len(value), err)
				}
			}
		})
		t.run(b, size, "payload", func(b *testing.B) {
			src := &loop{b: data}
			for b.Loop() {
				if _, err := tlv.Decode(src); err != nil {
					b.Fatal(err)
				}
			}
		})
		t.run(b, size, "parse", func(b *testing.B) {
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
		t := table{}
		rec := tlv.Record{Type: tlv.BinaryType, Value: bytes.Repeat([]byte{0xa5}, size)}
		t.run(b, size, "plain", func(b *testing.B) {
			for b.Loop() {
				if err := plainEncode(io.Discard, rec.Type, rec.Value); err != nil {
					b.Fatal(err)
				}
			}
		})
		t.run(b, size, "append", func(b *testing.B) {
			var out []byte
			for b.Loop() {
				var err error
				if out, err = rec.AppendBinary(out[:0]); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, name := range []string{"writer", "buffered"} {
			t.run(b, size, name, func(b *testing.B) {
				w := tlv.NewWriter(io.Discard)
				w.Buffered = name == "buffered"
				for b.Loop() {
					if err := w.Write(rec); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		t.run(b, size, "batch", func(b *testing.B) {
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

// BenchmarkTCP sends records over a loopback connection and decodes them at the
// other end: the plain codec on the bare connection, then with a bufio.Writer and
// a bufio.Reader of 64 KiB, then a Buffered Writer and a Reader.
func BenchmarkTCP(b *testing.B) {
	for _, size := range benchSizes {
		t := table{}
		value := bytes.Repeat([]byte{0xa5}, size)
		t.runTCP(b, size, "plain",
			func(conn net.Conn, n int) error {
				for range n {
					if err := plainEncode(conn, tlv.BinaryType, value); err != nil {
						return err
					}
				}
				return nil
			},
			func(conn net.Conn) func() ([]byte, error) {
				return func() ([]byte, error) { return plainDecode(conn) }
			})
		t.runTCP(b, size, "plain-bufio",
			func(conn net.Conn, n int) error {
				w := bufio.NewWriterSize(conn, 64<<10)
				for range n {
					if err := plainEncode(w, tlv.BinaryType, value); err != nil {
						return err
					}
				}
				return w.Flush()
			},
			func(conn net.Conn) func() ([]byte, error) {
				r := bufio.NewReaderSize(conn, 64<<10)
				return func() ([]byte, error) { return plainDecode(r) }
			})
		t.runTCP(b, size, "buffered",
			func(conn net.Conn, n int) error {
				w := tlv.NewWriter(conn)
				w.Buffered = true
				for range n {
					if err := w.Write(tlv.Record{Type: tlv.BinaryType, Value: value}); err != nil {
						return err
					}
				}
				return w.Flush()
			},
			func(conn net.Conn) func() ([]byte, error) {
				r := tlv.NewReader(conn)
				return func() ([]byte, error) {
					rec, err := r.Next()
					return rec.Value, err
				}
			})
	}
}

// runTCP times b.N records from send to what decode returns.
func (t table) runTCP(b *testing.B, size int, name string,
	send func(conn net.Conn, n int) error, decoder func(net.Conn) func() ([]byte, error),
) {
	b.Run(fmt.Sprintf("size=%d/%s", size, name), func(b *testing.B) {
		client, server := tcpPair(b)
		decode := decoder(server)
		sent := make(chan error, 1)
		b.ReportAllocs()
		b.SetBytes(int64(size))
		b.ResetTimer()
		go func() { sent <- send(client, b.N) }()
		for range b.N {
			value, err := decode()
			if err != nil || len(value) != size {
				b.Fatalf("got %d bytes, %v; want %d, nil", len(value), err, size)
			}
		}
		b.StopTimer()
		if err := <-sent; err != nil {
			b.Fatal(err)
		}
		t.report(b, name)
	})
}
