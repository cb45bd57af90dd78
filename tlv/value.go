package tlv

import (
	"errors"
	"io"
)

// A Value is the value of one record as a stream, from [Reader.Stream]. It is
// valid until the Reader is used again.
type Value struct {
	// Type is the record's type.
	Type Type

	// Size is the length of the whole value in bytes.
	Size int64

	r     *Reader
	left  int64
	stale bool // passed over before it was read to its end
}

// errStale is the error of a Value whose Reader has moved on.
var errStale = errors.New("tlv: value read after the Reader has moved on")

// Stream returns the next record with its value as an [io.Reader], for values
// that need not be in memory whole. What the caller leaves unread is passed
// over by the next call of any method of r. Limit does not apply: look at Size
// before reading.
func (r *Reader) Stream() (*Value, error) {
	t, size, err := r.Peek()
	if err != nil {
		return nil, err
	}
	r.start += HeaderSize
	r.open = &Value{Type: t, Size: size, r: r, left: size}
	return r.open, nil
}

// Read reads from the value. At its end the error is [io.EOF]; if the stream
// ends before, it is a [*DecodeError] that wraps [io.ErrUnexpectedEOF], and the
// Reader has failed.
func (v *Value) Read(p []byte) (int, error) {
	switch {
	case v.stale:
		return 0, errStale
	case v.left == 0:
		return 0, io.EOF
	case v.r.err != nil:
		return 0, v.r.err
	case len(p) == 0:
		return 0, nil
	}
	r := v.r
	p = p[:min(int64(len(p)), v.left)]
	// A large read goes past the empty buffer.
	if r.start == r.end && len(p) >= minBuffer {
		n, err := r.src.read(p)
		r.base += int64(n)
		v.left -= int64(n)
		if err != nil {
			return 0, r.fail(v.explain(err))
		}
		return n, nil
	}
	if err := v.fill(); err != nil {
		return 0, err
	}
	n := copy(p, r.buf[r.start:r.end])
	r.start += n
	v.left -= int64(n)
	return n, nil
}

// WriteTo writes what is left of the value to w through the Reader's buffer.
// If w fails, the bytes that it took are consumed, the Reader has not failed,
// and the rest can be read or left.
func (v *Value) WriteTo(w io.Writer) (int64, error) {
	if v.stale {
		return 0, errStale
	}
	var written int64
	for v.left > 0 {
		r := v.r
		if r.err != nil {
			return written, r.err
		}
		if err := v.fill(); err != nil {
			return written, err
		}
		n, err := writeAll(w, r.buf[r.start:min(int64(r.end), int64(r.start)+v.left)])
		r.start += int(n)
		v.left -= n
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// fill brings at least one byte of the value into the Reader's buffer.
func (v *Value) fill() error {
	r := v.r
	if r.start < r.end {
		return nil
	}
	r.makeRoom(1)
	n, err := r.src.read(r.buf)
	r.end = n
	r.busy = n == len(r.buf)
	if err != nil {
		return r.fail(v.explain(err))
	}
	return nil
}

// explain is readError with the place where the value's record begins.
func (v *Value) explain(err error) error {
	return readError(v.r.offset()-(v.Size-v.left)-HeaderSize, err)
}

// finish passes over what is left of the streamed value, so that the window
// starts with a header.
func (r *Reader) finish() error {
	if r.err != nil {
		return r.err
	}
	v := r.open
	if v == nil {
		return nil
	}
	r.open = nil
	if v.left == 0 {
		return nil
	}
	_, err := v.WriteTo(io.Discard)
	v.stale = true
	return err
}
