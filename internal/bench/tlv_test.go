package bench

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/netparts/netparts/tlv"
)

// slice is how many records are handled by one side before the other has its
// turn: long enough for the clock, short against a change of the machine's mood.
const slice = 256

// sideBySide times ours and peer in turn. Each handles n records when called.
func sideBySide(b *testing.B, ours, peer func(n int) error) {
	var times [2]time.Duration
	var ratios []float64
	for b.Loop() {
		var took [2]time.Duration
		for i, side := range []func(int) error{ours, peer} {
			begin := time.Now()
			if err := side(slice); err != nil {
				b.Fatal(err)
			}
			took[i] = time.Since(begin)
			times[i] += took[i]
		}
		ratios = append(ratios, float64(took[1])/float64(took[0]))
	}
	slices.Sort(ratios)
	records := float64(b.N) * slice
	b.ReportMetric(float64(times[0].Nanoseconds())/records, "ours-ns/record")
	b.ReportMetric(float64(times[1].Nanoseconds())/records, "peer-ns/record")
	b.ReportMetric(ratios[len(ratios)/2], "times-as-fast")
	b.ReportMetric(0, "ns/op") // of two things at once, so it says nothing
}

var sizes = []int{16, 1 << 10, 64 << 10}

// A loop is a source that starts again when it has been read to its end. It has
// the ReadByte that protodelim wants.
type loop struct {
	*bytes.Reader
}

func (l loop) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if err == io.EOF {
		_, err = l.Seek(0, io.SeekStart)
		if err == nil {
			n, err = l.Reader.Read(p)
		}
	}
	return n, err
}

func (l loop) ReadByte() (byte, error) {
	c, err := l.Reader.ReadByte()
	if err == io.EOF {
		_, err = l.Seek(0, io.SeekStart)
		if err == nil {
			c, err = l.Reader.ReadByte()
		}
	}
	return c, err
}

func count(size int) int { return max(2, (16<<10)/size) }

// BenchmarkTLVDecodeProtodelim decodes records of bytes from memory: ours by
// Reader.Next, the peer by protodelim.UnmarshalFrom into one message of one bytes
// field.
func BenchmarkTLVDecodeProtodelim(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			value := bytes.Repeat([]byte{0xa5}, size)
			var ours, peer bytes.Buffer
			w := tlv.NewWriter(&ours)
			for range count(size) {
				if err := w.Write(tlv.Record{Type: tlv.BinaryType, Value: value}); err != nil {
					b.Fatal(err)
				}
				if _, err := protodelim.MarshalTo(&peer, wrapperspb.Bytes(value)); err != nil {
					b.Fatal(err)
				}
			}
			r := tlv.NewReader(loop{bytes.NewReader(ours.Bytes())})
			src := loop{bytes.NewReader(peer.Bytes())}
			var message wrapperspb.BytesValue
			sideBySide(b, func(n int) error {
				for range n {
					if rec, err := r.Next(); err != nil || len(rec.Value) != size {
						return fmt.Errorf("value of %d bytes, want %d (error: %v)", len(rec.Value), size, err)
					}
				}
				return nil
			}, func(n int) error {
				for range n {
					if err := protodelim.UnmarshalFrom(src, &message); err != nil || len(message.Value) != size {
						return fmt.Errorf("value of %d bytes, want %d (error: %v)", len(message.Value), size, err)
					}
				}
				return nil
			})
		})
	}
}

// BenchmarkTLVEncodeProtodelim encodes records of bytes: the peer by
// protodelim.MarshalTo, ours in three ways: append into a slice, a buffered
// Writer, and a buffered Writer that gets 16 records a call.
func BenchmarkTLVEncodeProtodelim(b *testing.B) {
	for _, size := range sizes {
		rec := tlv.Record{Type: tlv.BinaryType, Value: bytes.Repeat([]byte{0xa5}, size)}
		message := wrapperspb.Bytes(rec.Value)
		peer := func(n int) error {
			for range n {
				if _, err := protodelim.MarshalTo(io.Discard, message); err != nil {
					return err
				}
			}
			return nil
		}
		buffered := tlv.NewWriter(io.Discard)
		buffered.Buffered = true
		batch := slices.Repeat([]tlv.Record{rec}, 16)
		var out []byte
		for _, ours := range []struct {
			name   string
			encode func(n int) error
		}{
			{"append", func(n int) (err error) {
				for range n {
					if out, err = rec.AppendBinary(out[:0]); err != nil {
						return err
					}
				}
				return nil
			}},
			{"buffered", func(n int) error {
				for range n {
					if err := buffered.Write(rec); err != nil {
						return err
					}
				}
				return nil
			}},
			{"batch", func(n int) error {
				for range n / len(batch) {
					if err := buffered.Write(batch...); err != nil {
						return err
					}
				}
				return nil
			}},
		} {
			b.Run(fmt.Sprintf("size=%d/%s", size, ours.name), func(b *testing.B) {
				sideBySide(b, ours.encode, peer)
			})
		}
	}
}
