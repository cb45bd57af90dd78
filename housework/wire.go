package housework

import (
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of the messages Chore and Chores, see v1/housework.proto.
const (
	fieldComplete    protowire.Number = 1
	fieldDescription protowire.Number = 2
	fieldRequestID   protowire.Number = 3 // of Chore and of Chores

	fieldChores     protowire.Number = 1
	fieldNextNumber protowire.Number = 4
)

// What scanChores does with fields that are not known, or are of another type than
// the .proto says.
const (
	skipUnknown   = false // for messages of peers, which may be newer
	refuseUnknown = true  // for files, which would lose them when they are written
)

// A wireChore is a chore of an encoded message Chores. The slices are parts of the
// message.
type wireChore struct {
	offset      int // where its field begins
	complete    bool
	description []byte
	requestID   []byte

	descriptionEnd, requestIDEnd int // where these end
}

// A wireList has the fields of an encoded message Chores that are not chores.
type wireList struct {
	requestID  []byte
	nextNumber int32
}

// scanChores calls yield with each chore of data, an encoded message Chores, without
// allocating. An error of yield ends it and is returned; what is wrong with data is a
// *FormatError.
//
// In files there is nothing but chores: with strict set, each other field is an error,
// those of wireList among them.
func scanChores(data []byte, strict bool, yield func(c wireChore) error) (wireList, error) {
	var list wireList
	r := wireReader{data: data}
	for len(r.data) > 0 {
		f, err := r.next()
		if err != nil {
			return wireList{}, err
		}
		switch {
		case f.is(fieldChores, protowire.BytesType):
			c, err := scanChore(f, strict)
			if err == nil {
				err = yield(c)
			}
			if err != nil {
				return wireList{}, err
			}
		case strict:
			return wireList{}, f.unknown("the list")
		case f.is(fieldRequestID, protowire.BytesType):
			list.requestID, err = f.text("request id")
		case f.is(fieldNextNumber, protowire.VarintType):
			list.nextNumber = int32(f.varint) // truncated, as the specification says
		}
		if err != nil {
			return wireList{}, err
		}
	}
	return list, nil
}

// scanChore returns the chore in field f. Of a field that comes several times the last
// one counts.
func scanChore(f wireField, strict bool) (wireChore, error) {
	c := wireChore{offset: f.offset}
	r := wireReader{data: f.bytes, offset: f.end - len(f.bytes), inner: true}
	for len(r.data) > 0 {
		f, err := r.next()
		switch {
		case err != nil:
		case f.is(fieldComplete, protowire.VarintType):
			c.complete = f.varint != 0
		case f.is(fieldDescription, protowire.BytesType):
			c.description, err = f.text("description")
			c.descriptionEnd = f.end
		case f.is(fieldRequestID, protowire.BytesType):
			c.requestID, err = f.text("request id")
			c.requestIDEnd = f.end
		case strict:
			err = f.unknown("the chore")
		}
		if err != nil {
			return wireChore{}, err
		}
	}
	return c, nil
}

// A wireReader reads the fields of a message.
type wireReader struct {
	data   []byte // the rest
	offset int    // of the rest, from the beginning of the outer message
	inner  bool   // the message is a field of another
}

// A wireField is a field of a message.
type wireField struct {
	offset, end int // from the beginning of the outer message
	number      protowire.Number
	kind        protowire.Type
	varint      uint64 // if kind is VarintType
	bytes       []byte // if kind is BytesType
}

// next returns the next field, of which there must be one.
func (r *wireReader) next() (wireField, error) {
	f := wireField{offset: r.offset}
	var n, size int
	f.number, f.kind, n = protowire.ConsumeTag(r.data)
	if n < 0 {
		return f, r.malformed(n)
	}
	if !f.number.IsValid() {
		return f, wireError(f.offset, errors.New("field number is out of range"))
	}
	switch f.kind {
	case protowire.VarintType:
		f.varint, size = protowire.ConsumeVarint(r.data[n:])
	case protowire.BytesType:
		f.bytes, size = protowire.ConsumeBytes(r.data[n:])
	default:
		size = protowire.ConsumeFieldValue(f.number, f.kind, r.data[n:])
	}
	if size < 0 {
		return f, r.malformed(size)
	}
	r.data = r.data[n+size:]
	r.offset += n + size
	f.end = r.offset
	return f, nil
}

// malformed returns an error for a negative length of package protowire.
func (r *wireReader) malformed(code int) error {
	// The texts of that package change from build to build, on purpose.
	err := errors.New("malformed field")
	if errors.Is(protowire.ParseError(code), io.ErrUnexpectedEOF) {
		err = io.ErrUnexpectedEOF
		if r.inner {
			// The chore is all there, so nothing is missing from the list.
			err = errors.New("field is longer than its chore")
		}
	}
	return wireError(r.offset, err)
}

func (f *wireField) is(number protowire.Number, kind protowire.Type) bool {
	return f.number == number && f.kind == kind
}

// text returns the value of a string.
func (f *wireField) text(name string) ([]byte, error) {
	if !utf8.Valid(f.bytes) {
		return nil, wireError(f.offset, fmt.Errorf("%s %.80q is not UTF-8", name, f.bytes))
	}
	return f.bytes, nil
}

func (f *wireField) unknown(of string) error {
	return wireError(f.offset, fmt.Errorf("%s has an unknown field, number %d of wire type %d", of, f.number, f.kind))
}

func wireError(offset int, err error) error {
	return &FormatError{Codec: "protobuf", Offset: int64(offset), Err: err}
}
