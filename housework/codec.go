package housework

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode/utf8"
)

// A Codec reads and writes whole lists. A [Format] is one.
type Codec interface {
	// Load reads a list, up to the end of r. Beside an error it returns no chores. An
	// error about what was read, rather than of r, is a *FormatError.
	Load(r io.Reader) ([]Chore, error)

	// Flush writes a list. Nothing is written if the list cannot be encoded; that a
	// chore is the reason is a *ChoreError. The chores must not be changed meanwhile.
	Flush(w io.Writer, chores []Chore) error

	// String returns the name of the format.
	String() string
}

// A Format is one of the formats of the book, and a [Codec]. The zero value is JSON.
// Its methods may be called by several goroutines.
//
// What Load returns for files that are not what Flush writes: a list, or a
// *FormatError, with an offset where the table has an @. EOF is an error that matches
// io.ErrUnexpectedEOF.
//
//	the file                         JSON      Gob        Protobuf
//	has no bytes                     EOF @     EOF @      empty list
//	is only white space              EOF @     EOF @      error @
//	ends too early                   EOF @     EOF @      EOF @ (1)
//	goes on after the list           error @   error @    error @
//	null                             empty list
//	[null]                           error @   none such  none such
//	another key or field             error @   error @    error @
//	a value of another type          error @   error @    error @
//	a key or field twice             last      none such  last
//	a key in other letters           taken
//	text that is not UTF-8           error @   error @    error @
//	half a surrogate pair (\ud800)   error @
//	is of another Format             error @, which names it
//	longer than 1 GiB                error @   error @    error @
//
// (1) A Protobuf file that ends between two chores is a shorter list: there is no
// count in it. White space after a JSON list does not count.
//
// The memory that Load takes is bounded by the length of the file, whatever counts the
// file claims, but chores without text are small in files: it is at most some 100
// times the length. The texts of a list from Gob and Protobuf share their memory: who
// keeps one of many for long should clone it.
//
// Flush refuses text that is not UTF-8, and lists that Load would find too long.
type Format int

// The formats of files.
const (
	JSON     Format = iota // an array of objects, on one line
	Gob                    // package encoding/gob
	Protobuf               // the message Chores of package housework/v1
)

// How many bytes a list may have. It is more than a million chores of the longest
// description that a store takes in.
const maxListBytes = 1 << 30

// ParseFormat returns the format of a name: json, gob or protobuf, in lower or upper
// case.
func ParseFormat(name string) (Format, error) {
	for f := JSON; f <= Protobuf; f++ {
		if strings.ToLower(name) == f.String() {
			return f, nil
		}
	}
	return 0, fmt.Errorf("housework: format %.80q is not json, gob or protobuf", name)
}

// String returns the name, in lower case.
func (f Format) String() string {
	switch f {
	case JSON:
		return "json"
	case Gob:
		return "gob"
	case Protobuf:
		return "protobuf"
	}
	return fmt.Sprintf("Format(%d)", int(f))
}

// check returns an error for a number that is no format.
func (f Format) check() error {
	if f < JSON || f > Protobuf {
		return fmt.Errorf("housework: %v is not a format", f)
	}
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (f Format) MarshalText() ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	return []byte(f.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler. It takes what ParseFormat takes.
func (f *Format) UnmarshalText(text []byte) error {
	format, err := ParseFormat(string(text))
	if err == nil {
		*f = format
	}
	return err
}

// Load implements [Codec].
func (f Format) Load(r io.Reader) ([]Chore, error) { return f.load(r, maxListBytes) }

func (f Format) load(r io.Reader, limit int64) ([]Chore, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Grow(int(min(sizeOf(r), limit) + bytes.MinRead))
	if _, err := b.ReadFrom(io.LimitReader(r, limit+1)); err != nil {
		return nil, fmt.Errorf("housework: reading %v: %w", f, err)
	}
	data := b.Bytes()
	if int64(len(data)) > limit {
		return nil, f.errorf(limit, "the list exceeds the limit of %d bytes", limit)
	}
	chores, err := f.decode(data)
	if err == nil {
		return chores, nil
	}
	if other, ok := Detect(data); ok && other != f {
		// That would not match io.ErrUnexpectedEOF: nothing is missing.
		return nil, f.errorf(0, "this looks like %v", other)
	}
	return nil, err
}

// sizeOf returns how many bytes r probably has, or 0 if it does not tell.
func sizeOf(r io.Reader) int64 {
	switch r := r.(type) {
	case interface{ Len() int }: // of packages bytes and strings
		return int64(max(r.Len(), 0))
	case interface{ Stat() (fs.FileInfo, error) }:
		if info, err := r.Stat(); err == nil && info.Mode().IsRegular() {
			return max(info.Size(), 0)
		}
	}
	return 0
}

func (f Format) decode(data []byte) ([]Chore, error) {
	switch f {
	case Gob:
		return decodeGob(data)
	case Protobuf:
		return decodeProtobuf(data)
	}
	return decodeJSON(data)
}

// Flush implements [Codec].
func (f Format) Flush(w io.Writer, chores []Chore) error { return f.flush(w, chores, maxListBytes) }

func (f Format) flush(w io.Writer, chores []Chore, limit int64) error {
	if err := f.check(); err != nil {
		return err
	}
	err := f.encode(&listWriter{w, limit}, chores)
	if _, ok := errors.AsType[*ChoreError](err); err == nil || ok {
		return err
	}
	return fmt.Errorf("housework: writing %v: %w", f, err)
}

// encode writes a list. Nothing is written if that is impossible.
func (f Format) encode(w *listWriter, chores []Chore) error {
	if f == JSON {
		return encodeJSON(w, chores) // which looks at the texts itself
	}
	if err := checkTexts(chores); err != nil {
		return err
	}
	if f == Gob {
		return encodeGob(w, chores)
	}
	return encodeProtobuf(w, chores)
}

// A listWriter writes a whole list, in one call.
type listWriter struct {
	w     io.Writer
	limit int64
}

func (l *listWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > l.limit {
		return 0, fmt.Errorf("list of %d bytes exceeds the limit of %d", len(p), l.limit)
	}
	n, err := l.w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// checkTexts returns an error, of the first of them, if chores have text that is not
// UTF-8.
func checkTexts(chores []Chore) error {
	for i := range chores {
		if err := checkText(&chores[i]); err != nil {
			return &ChoreError{Number: i + 1, Err: fmt.Errorf("%w: %w", ErrInvalid, err)}
		}
	}
	return nil
}

// checkText returns an error if the chore has text that is not UTF-8.
func checkText(c *Chore) error {
	if !utf8.ValidString(c.Description) {
		return fmt.Errorf("description %.80q is not UTF-8", c.Description)
	}
	if !utf8.ValidString(c.RequestID) {
		return fmt.Errorf("request id %.80q is not UTF-8", c.RequestID)
	}
	return nil
}

// isBlank reports whether data has nothing but white space, of which there may be none.
func isBlank(data []byte) bool { return len(bytes.TrimLeft(data, " \t\r\n")) == 0 }
