package tlv

import (
	"encoding/binary"
	"io"
	"math"
)

// Type says what the value of a record is.
type Type uint8

// The types that this package gives a meaning to. Type 0 is never valid; all
// others are the application's.
const (
	BinaryType Type = 1 // bytes, see Binary
	StringType Type = 2 // text, see String
)

const (
	// HeaderSize is the number of bytes before a value: one for the type and
	// four for the length.
	HeaderSize = 5

	// DefaultLimit is the length in bytes of the largest value that is accepted
	// where no other limit is set: 10 MiB.
	DefaultLimit = 10 << 20
)

// A Record is one type and one value.
//
// The methods of Record hold the value to [DefaultLimit]; [Reader] and [Writer]
// have limits of their own, for larger ones.
type Record struct {
	// Type says what the value is. It is never 0 on the wire.
	Type Type

	// Value is what the record holds; it may be empty. Who owns the bytes is
	// said where records come from.
	Value []byte
}

// AppendBinary appends the encoded record to b and returns the extended slice.
// If the record cannot be encoded it returns b as it was, and an error that
// wraps [ErrInvalidType] or [ErrTooLarge].
func (r Record) AppendBinary(b []byte) ([]byte, error) {
	if err := check(r.Type, uint64(len(r.Value)), DefaultLimit); err != nil {
		return b, err
	}
	return appendRecord(b, r), nil
}

// WriteTo writes the encoded record to w in one Write call, or by writev where w
// is a TCP or Unix connection and the value is large. It returns the number of
// bytes written, header included.
func (r Record) WriteTo(w io.Writer) (int64, error) {
	if err := check(r.Type, uint64(len(r.Value)), DefaultLimit); err != nil {
		return 0, err
	}
	if len(r.Value) >= vectorSize && canVector(w) {
		return writeVector(w, appendHeader(nil, r.Type, uint32(len(r.Value))), r.Value)
	}
	b := make([]byte, 0, HeaderSize+len(r.Value))
	return writeAll(w, appendRecord(b, r))
}

// ReadFrom reads one record from src, and no byte more, into freshly allocated
// memory. Unlike other ReadFrom methods it does not read on to the end of src:
// it returns [io.EOF] if src ended before the record's first byte.
// It returns the number of bytes read, header included.
func (r *Record) ReadFrom(src io.Reader) (int64, error) {
	s := &source{r: src}
	t, size, n, err := readHeader(s, DefaultLimit)
	if err != nil {
		return n, err
	}
	value, m, err := readValue(s, size)
	if err != nil {
		return n + m, err
	}
	*r = Record{t, value}
	return n + m, nil
}

// Parse returns the record at the start of b and what follows it. The record's
// value is a view of b, not a copy; nothing is allocated.
//
// If b is empty the error is [io.EOF]; if b ends inside the record, a
// [*DecodeError] that wraps [io.ErrUnexpectedEOF], so that a caller whose b
// grows can try again with more. Values larger than [DefaultLimit] are refused
// with [ErrTooLarge], as soon as the header is there. With an error, rest is b.
func Parse(b []byte) (rec Record, rest []byte, err error) {
	if len(b) >= HeaderSize {
		t, size := header(b)
		if t != 0 && size <= DefaultLimit && uint64(size) <= uint64(len(b)-HeaderSize) {
			end := HeaderSize + int(size)
			return Record{t, b[HeaderSize:end:end]}, b[end:], nil
		}
	}
	return Record{}, b, parseError(b)
}

// parseError says why b does not start with a record.
func parseError(b []byte) error {
	if len(b) == 0 {
		return io.EOF
	}
	if len(b) >= HeaderSize {
		t, size := header(b)
		if err := check(t, uint64(size), DefaultLimit); err != nil {
			return &DecodeError{Err: err}
		}
	}
	return &DecodeError{Err: io.ErrUnexpectedEOF}
}

// maxHeld is the length of the largest value that is held in memory whole: any
// that the format allows where int has 64 bits, less where it has 32, so that
// sums and growing buffers stay within an int.
const maxHeld = min(math.MaxUint32, math.MaxInt/8)

// limitOf gives the meaning of a Limit field, see [Reader].
func limitOf(limit int64) uint64 {
	switch {
	case limit == 0:
		return DefaultLimit
	case limit < 0 || limit > math.MaxUint32:
		return math.MaxUint32
	}
	return uint64(limit)
}

// heldLimitOf is limitOf for values that are read into memory.
func heldLimitOf(limit int64) uint64 {
	return min(limitOf(limit), maxHeld)
}

// check reports a header that may not be sent or accepted. Sizes stay uint64
// until they have passed it, so that no conversion can wrap.
func check(t Type, size, limit uint64) error {
	if t == 0 {
		return ErrInvalidType
	}
	if size > limit {
		return &sizeError{size, limit}
	}
	return nil
}

// header decodes the first HeaderSize bytes of b.
func header(b []byte) (Type, uint32) {
	return Type(b[0]), binary.BigEndian.Uint32(b[1:HeaderSize])
}

func appendHeader(b []byte, t Type, size uint32) []byte {
	return append(b, byte(t), byte(size>>24), byte(size>>16), byte(size>>8), byte(size))
}

func appendRecord(b []byte, r Record) []byte {
	return append(appendHeader(b, r.Type, uint32(len(r.Value))), r.Value...)
}
