package tlv

import (
	"fmt"
	"io"
)

// A Payload is a value that knows its type and moves as a whole record.
//
// WriteTo writes the record, header and value, and ReadFrom reads one back and
// no byte more; both return the number of bytes with the header. [Record] has
// the two methods to build them from.
type Payload interface {
	fmt.Stringer
	io.ReaderFrom
	io.WriterTo

	// Type returns the type of the record.
	Type() Type

	// Bytes returns the value as it is on the wire.
	Bytes() []byte
}

// Binary is the [Payload] of type [BinaryType]: bytes without a meaning here.
type Binary []byte

// Type returns [BinaryType].
func (b Binary) Type() Type { return BinaryType }

// Bytes returns b itself, not a copy.
func (b Binary) Bytes() []byte { return b }

// String returns the bytes as a string, whatever they are: quote them before
// they go to a log.
func (b Binary) String() string { return string(b) }

// WriteTo writes b as one record, see [Record.WriteTo].
func (b Binary) WriteTo(w io.Writer) (int64, error) {
	return Record{BinaryType, b}.WriteTo(w)
}

// ReadFrom reads one record and makes b its value, see [Record.ReadFrom]. A
// record of another type is read past and reported as [ErrUnexpectedType], and
// b stays as it was.
func (b *Binary) ReadFrom(r io.Reader) (int64, error) {
	value, n, err := readType(r, BinaryType)
	if err == nil {
		*b = value
	}
	return n, err
}

// String is the [Payload] of type [StringType]: text, in UTF-8 by convention.
// Nothing checks that a peer keeps to it; see [unicode/utf8.ValidString].
type String string

// Type returns [StringType].
func (s String) Type() Type { return StringType }

// Bytes returns a copy of s.
func (s String) Bytes() []byte { return []byte(s) }

// String returns s. What came from a peer should be quoted before it goes to a
// log.
func (s String) String() string { return string(s) }

// WriteTo writes s as one record, see [Record.WriteTo].
func (s String) WriteTo(w io.Writer) (int64, error) {
	return Record{StringType, []byte(s)}.WriteTo(w)
}

// ReadFrom reads one record and makes s its value, see [Record.ReadFrom]. A
// record of another type is read past and reported as [ErrUnexpectedType], and
// s stays as it was.
func (s *String) ReadFrom(r io.Reader) (int64, error) {
	value, n, err := readType(r, StringType)
	if err == nil {
		*s = String(value)
	}
	return n, err
}

// A Decoder decodes records into Payloads. Its zero value knows [Binary] and
// [String]. It has no state of its own: it is safe for concurrent use on
// different streams while its fields stay as they are.
type Decoder struct {
	// Limit is the length in bytes of the largest value accepted. If zero, it
	// is DefaultLimit. If negative, it is the format's 4 GiB - 1, or 256 MiB - 1
	// where int has 32 bits.
	Limit int64

	// Types adds types of the application, each with the function that makes
	// the Payload from the value, which it may keep. The value is as the peer
	// sent it. A function may replace the one of BinaryType or StringType, and
	// may return nil and no error for a record that it does not take. If nil,
	// there are only the built-in two.
	Types map[Type]func(value []byte) (Payload, error)
}

// Decode reads one record from r, and no byte more, and returns it as a
// [*Binary] or a [*String], or as what [Decoder.Types] makes of it.
//
// At the end of the stream the error is [io.EOF]. A record of a type that d does
// not know, or of which a function of Types makes nothing, is read to its end;
// the error is a [*DecodeError] whose InStep is set, and Decode can be called
// again. Any other error is final.
//
// Decode calls Read at least once for the header and once for the value. Where
// many small records come, put a [bufio.Reader] around r, or use a [Reader].
func (d *Decoder) Decode(r io.Reader) (Payload, error) {
	src := &source{r: r}
	t, size, _, err := readHeader(src, heldLimitOf(d.Limit))
	if err != nil {
		return nil, err
	}
	decode := d.decodeFunc(t)
	if decode == nil {
		_, err := refuse(src, t, size)
		return nil, err
	}
	value, _, err := readValue(src, size)
	if err != nil {
		return nil, err
	}
	p, err := decode(value)
	switch {
	case err == io.EOF: // of the value, not of the stream
		err = io.ErrUnexpectedEOF
	case err == nil && p == nil:
		err = unexpectedType(t)
	}
	if err != nil {
		return nil, &DecodeError{Offset: -1, InStep: true, Err: err}
	}
	return p, nil
}

// Decode reads one record from r as a [*Binary] or a [*String]. It is
// [Decoder.Decode] of a zero Decoder.
func Decode(r io.Reader) (Payload, error) {
	return new(Decoder).Decode(r)
}

// decodeFunc returns the function for values of type t, nil if there is none.
func (d *Decoder) decodeFunc(t Type) func([]byte) (Payload, error) {
	if f := d.Types[t]; f != nil {
		return f
	}
	switch t {
	case BinaryType:
		return func(value []byte) (Payload, error) { return (*Binary)(&value), nil }
	case StringType:
		return func(value []byte) (Payload, error) { return new(String(value)), nil }
	}
	return nil
}

// readType reads a record that must have the type want.
func readType(r io.Reader, want Type) ([]byte, int64, error) {
	src := &source{r: r}
	t, size, n, err := readHeader(src, DefaultLimit)
	if err != nil {
		return nil, n, err
	}
	if t != want {
		m, err := refuse(src, t, size)
		return nil, n + m, err
	}
	value, m, err := readValue(src, size)
	return value, n + m, err
}

// readHeader reads the header of a record and nothing else.
func readHeader(src *source, limit uint64) (t Type, size int, n int64, err error) {
	var b [HeaderSize]byte
	got, err := src.full(b[:])
	switch {
	case err == io.EOF && got == 0:
		return 0, 0, 0, io.EOF
	case err != nil:
		return 0, 0, int64(got), readError(-1, err)
	}
	t, length := header(b[:])
	if err := check(t, uint64(length), limit); err != nil {
		return 0, 0, HeaderSize, &DecodeError{Offset: -1, Err: err}
	}
	return t, int(length), HeaderSize, nil
}

// readValue reads size bytes into memory that grows with what arrives.
func readValue(src *source, size int) ([]byte, int64, error) {
	value := make([]byte, min(size, minBuffer))
	for got := 0; got < size; {
		if got == len(value) {
			value = append(make([]byte, 0, min(size, got*growth)), value...)
			value = value[:cap(value)]
		}
		n, err := src.full(value[got:])
		got += n
		if err != nil {
			return nil, int64(got), readError(-1, err)
		}
	}
	return value, int64(size), nil
}

// refuse reads past the value of a record of an unwanted type.
func refuse(src *source, t Type, size int) (int64, error) {
	n, err := src.discard(size)
	if err != nil {
		return int64(n), readError(-1, err)
	}
	return int64(n), &DecodeError{Offset: -1, InStep: true, Err: unexpectedType(t)}
}
