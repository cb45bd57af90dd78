//go:build linux

package tlvbench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/tlv"
)

// handled is how many records of a size each side handles in a turn: so many that those
// which allocate pay for their garbage in it.
func handled(t *lab.T, size int) int {
	switch {
	case t.Tiny:
		return 2 * batch
	case size >= 64<<10:
		return 3 << 10
	case size >= 1<<10:
		return 160 << 10
	}
	return 768 << 10
}

// decode reads records from memory.
func decode(size int) lab.Case {
	views := 0.05
	if size >= 64<<10 {
		views = 0.2
	}
	return lab.Case{
		Name: fmt.Sprintf("decode, values of %d bytes", size),
		About: `Reads records of a stream in memory. Ours has the values as views of its buffer; all others copy them, and "plain", ` +
			`"typed" and protodelim allocate each. The length of every value is looked at, and the bytes of the last one.`,
		Sides:   lab.Sides(lab.Ours, copied, byHand, delim, plain, typed),
		Metrics: lab.CallMetrics("ns"),
		Targets: []lab.Target{
			{Metric: "ns CPU", Than: plain, AtMost: views, Reason: viewsReason},
			{Metric: "ns CPU", Side: copied, Than: plain, AtMost: 0.2, Reason: copyReason},
			{Metric: "ns CPU", Than: delim, AtMost: 0.1},
			{Metric: lab.Allocs, Zero: true},
		},
		Run: func(t *lab.T) {
			calls := lab.Calls{T: t, Unit: "ns", Count: handled(t, size), Clean: true, Work: make(map[string]func(int) error)}
			want := lab.Content(size)
			for side, read := range decoders(t, want) {
				calls.Work[side] = func(n int) error {
					value, err := read(n)
					if err == nil && !bytes.Equal(value, want) {
						err = fmt.Errorf("a value of %d bytes differs from the one of %d that was written", len(value), size)
					}
					return err
				}
			}
			calls.Run()
		},
	}
}

// decoders read n records, and return the last value. The loop stands in each of them, as
// a call would cost as much as the work of some.
func decoders(t *lab.T, value []byte) map[string]func(n int) ([]byte, error) {
	size, buf := len(value), make([]byte, len(value))
	r, c := tlv.NewReader(encoded(t, lab.Ours, value)), tlv.NewReader(encoded(t, lab.Ours, value))
	h := hand{r: bufio.NewReaderSize(encoded(t, byHand, value), ahead)}
	d := bufio.NewReaderSize(encoded(t, delim, value), ahead)
	var message wrapperspb.BytesValue
	p, y := encoded(t, plain, value), encoded(t, plain, value)
	return map[string]func(n int) ([]byte, error){
		lab.Ours: func(n int) (last []byte, err error) {
			for range n {
				rec, err := r.Next()
				if last = rec.Value; err != nil || len(last) != size {
					return last, err
				}
			}
			return last, nil
		},
		copied: func(n int) ([]byte, error) {
			for range n {
				rec, err := c.Next()
				if m := copy(buf, rec.Value); err != nil || m != size {
					return rec.Value, err
				}
			}
			return buf, nil
		},
		byHand: func(n int) (last []byte, err error) {
			for range n {
				if last, err = h.read(); err != nil || len(last) != size {
					return last, err
				}
			}
			return last, nil
		},
		delim: func(n int) ([]byte, error) {
			for range n {
				if err := protodelim.UnmarshalFrom(d, &message); err != nil || len(message.Value) != size {
					return message.Value, err
				}
			}
			return message.Value, nil
		},
		plain: func(n int) (last []byte, err error) {
			for range n {
				if last, err = plainDecode(p); err != nil || len(last) != size {
					return last, err
				}
			}
			return last, nil
		},
		typed: func(n int) (last []byte, err error) {
			for range n {
				if last, err = typedDecode(y); err != nil || len(last) != size {
					return last, err
				}
			}
			return last, nil
		},
	}
}

// encoded returns some records as a source that never ends.
func encoded(t *lab.T, side string, value []byte) *loop {
	var b bytes.Buffer
	e, err := newEncoder(side, &b, value)
	t.Fatal(err)
	for range max(2, (16<<10)/len(value)) {
		t.Fatal(e.write())
	}
	t.Fatal(e.flush())
	return &loop{b: b.Bytes()}
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

// encode writes records to memory, or to a writer that only counts.
func encode(size int) lab.Case {
	c := lab.Case{
		Name: fmt.Sprintf("encode, values of %d bytes", size),
		About: "Writes records: ours appends each to a slice in memory, all others write to a writer that counts the bytes and drops them. " +
			`For that "plain", which makes three Write calls a record, does not touch the value at all; what the calls cost on a connection is below. ` +
			"Before, what each side writes is compared with the records.",
		Sides:   lab.Sides(lab.Ours, batched, buffered, byHand, delim, plain),
		Metrics: lab.CallMetrics("ns"),
		Run:     func(t *lab.T) { runEncode(t, lab.Content(size)) },
	}
	if size == sizes[0] {
		c.Targets = []lab.Target{{Metric: lab.Allocs, Zero: true}}
		for _, side := range []string{lab.Ours, batched, buffered} {
			c.Targets = append(c.Targets,
				lab.Target{Metric: "ns CPU", Side: side, Than: plain, AtMost: 0.2, Reason: writerReason},
				lab.Target{Metric: "ns CPU", Side: side, Than: delim, AtMost: 0.1, Reason: writerReason})
		}
	}
	return c
}

// batch is how many records a Writer gets in one call, if more than one.
const batch = 16

func runEncode(t *lab.T, value []byte) {
	rec := tlv.Record{Type: tlv.BinaryType, Value: value}
	record, err := rec.AppendBinary(nil)
	t.Fatal(err)
	calls := lab.Calls{T: t, Unit: "ns", Count: handled(t, len(value)), Clean: true, Work: make(map[string]func(int) error)}
	var out []byte
	calls.Work[lab.Ours] = func(n int) (err error) {
		for range n {
			if out, err = rec.AppendBinary(out[:0]); err != nil {
				return err
			}
		}
		if !bytes.Equal(out, record) {
			return errors.New("what was appended differs from the record")
		}
		return nil
	}
	var b bytes.Buffer
	for side, e := range encoders(&b, value) {
		b.Reset()
		t.Fatal(e.write(2*batch), e.flush(), compare(side, b.Bytes(), value, 2*batch))
	}
	var s sink
	for side, e := range encoders(&s, value) {
		calls.Work[side] = func(n int) error {
			s.n = 0
			if err := errors.Join(e.write(n), e.flush()); err != nil {
				return err
			}
			if s.n < n*len(value) || s.n > n*2*len(record) {
				return fmt.Errorf("%d bytes were written for %d records of %d", s.n, n, len(record))
			}
			return nil
		}
	}
	calls.Run()
}

// compare reads what a side has written.
func compare(side string, written, value []byte, count int) error {
	if side != delim {
		side = plain // whose format all others share
	}
	r := bytes.NewReader(written)
	read, err := newDecoder(side, r, ahead)
	if err != nil {
		return err
	}
	for range count {
		if got, err := read(); err != nil || !bytes.Equal(got, value) {
			return fmt.Errorf("what %s has written differs from the records (error: %w)", side, err)
		}
	}
	if _, err := read(); err != io.EOF {
		return fmt.Errorf("behind what %s has written is more (error: %w)", side, err)
	}
	return nil
}

// A sink counts the bytes that it drops.
type sink struct{ n int }

func (s *sink) Write(p []byte) (int, error) {
	s.n += len(p)
	return len(p), nil
}

// An encoding writes n records.
type encoding struct {
	write func(n int) error
	flush func() error
}

// encoders are those that write to w. Each has its loop in itself, as in decoders.
func encoders(w io.Writer, value []byte) map[string]encoding {
	rec := tlv.Record{Type: tlv.BinaryType, Value: value}
	one, many := tlv.NewWriter(w), tlv.NewWriter(w)
	one.Buffered, many.Buffered = true, true
	records := slices.Repeat([]tlv.Record{rec}, batch)
	h := hand{w: bufio.NewWriterSize(w, ahead)}
	message := wrapperspb.Bytes(value)
	nothing := func() error { return nil }
	return map[string]encoding{
		batched: {func(n int) error {
			for range n / batch {
				if err := many.Write(records...); err != nil {
					return err
				}
			}
			return nil
		}, many.Flush},
		buffered: {func(n int) error {
			for range n {
				if err := one.Write(rec); err != nil {
					return err
				}
			}
			return nil
		}, one.Flush},
		byHand: {func(n int) error {
			for range n {
				if err := h.write(rec.Type, value); err != nil {
					return err
				}
			}
			return nil
		}, h.w.Flush},
		delim: {func(n int) error {
			for range n {
				if _, err := protodelim.MarshalTo(w, message); err != nil {
					return err
				}
			}
			return nil
		}, nothing},
		plain: {func(n int) error {
			for range n {
				if err := plainEncode(w, rec.Type, value); err != nil {
					return err
				}
			}
			return nil
		}, nothing},
	}
}
