package tlv

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrTooLarge says that a value is longer than the limit. Errors that match
	// it by errors.Is name the length and the limit.
	ErrTooLarge = errors.New("tlv: value exceeds the limit")

	// ErrInvalidType says that a record has the type 0, which no record may
	// have: most likely the stream is something else, or out of step.
	ErrInvalidType = errors.New("tlv: type 0 is not valid")

	// ErrUnexpectedType says that a record is well-formed but of a type that
	// the caller does not take. [Decode] and the ReadFrom methods report it
	// after they have read past the record; see [DecodeError.InStep].
	ErrUnexpectedType = errors.New("tlv: unexpected type")
)

// A DecodeError reports input that is no record, or no record that the caller
// takes.
type DecodeError struct {
	// Offset is where the record begins, in bytes from where the Reader
	// began, or the slice given to Parse. It is -1 from Decode and ReadFrom,
	// which do not know what came before.
	Offset int64

	// InStep says that the record was read to its end and only not taken: the
	// next call finds the next record. Only Decode and ReadFrom report such.
	InStep bool

	// Err is the cause: [ErrTooLarge], [ErrInvalidType], [ErrUnexpectedType],
	// [io.ErrUnexpectedEOF], or what a function of [Decoder.Types] returned.
	Err error
}

// Error gives the place and the cause, such as
// "tlv: record at offset 23: unexpected EOF".
func (e *DecodeError) Error() string {
	return "tlv: " + place(e.Offset) + strings.TrimPrefix(e.Err.Error(), "tlv: ")
}

// place names the record at offset, if that is known.
func place(offset int64) string {
	if offset < 0 {
		return "record: "
	}
	return fmt.Sprintf("record at offset %d: ", offset)
}

// Unwrap returns the cause.
func (e *DecodeError) Unwrap() error { return e.Err }

// A sizeError is ErrTooLarge with the figures of the case.
type sizeError struct{ size, limit uint64 }

func (e *sizeError) Error() string {
	return fmt.Sprintf("tlv: value of %d bytes exceeds the limit of %d", e.size, e.limit)
}

func (e *sizeError) Unwrap() error { return ErrTooLarge }

// unexpectedType is ErrUnexpectedType with the type.
func unexpectedType(t Type) error {
	return fmt.Errorf("%w %d", ErrUnexpectedType, t)
}
