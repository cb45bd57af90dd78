package tlv

import (
	"errors"
	"io"
)

// maxEmptyReads is how often a source may return no byte and no error.
const maxEmptyReads = 100

// errCount is the error of a source that breaks the rules of io.Reader.
var errCount = errors.New("source returned an impossible count from Read")

// A source is an io.Reader held to its rules: nothing that it returns makes a
// caller panic, wait for ever, or take bytes that were not read.
type source struct {
	r   io.Reader
	err error // what r returned, perhaps together with its last bytes
}

// read returns either at least one byte or an error. p must not be empty.
func (s *source) read(p []byte) (int, error) {
	for range maxEmptyReads {
		if s.err != nil {
			return 0, s.err
		}
		n, err := s.r.Read(p)
		if n < 0 || n > len(p) {
			n, err = 0, errCount
		}
		s.err = err
		if n > 0 {
			return n, nil
		}
	}
	if s.err == nil {
		s.err = io.ErrNoProgress
	}
	return 0, s.err
}

// full fills p and returns how far it came. Its error is that of the source:
// io.EOF says that the source ended, wherever that was.
func (s *source) full(p []byte) (int, error) {
	for got := 0; got < len(p); {
		n, err := s.read(p[got:])
		if err != nil {
			return got, err
		}
		got += n
	}
	return len(p), nil
}

// discard reads size bytes and drops them. It returns how many there were.
func (s *source) discard(size int) (int, error) {
	scratch := make([]byte, min(size, minBuffer))
	for got := 0; got < size; {
		n, err := s.full(scratch[:min(len(scratch), size-got)])
		got += n
		if err != nil {
			return got, err
		}
	}
	return size, nil
}

// readError turns an error of the source inside a record into the one to report.
// The offset is that of the record, or -1.
func readError(offset int64, err error) error {
	if err == io.EOF {
		return &DecodeError{Offset: offset, Err: io.ErrUnexpectedEOF}
	}
	return &sourceError{offset, err}
}

// A sourceError says that the source failed, which says nothing of the records.
type sourceError struct {
	offset int64
	err    error
}

func (e *sourceError) Error() string { return "tlv: reading " + place(e.offset) + e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }
