package housework

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// A FormatError says why something is not a list in a format.
type FormatError struct {
	// Path is the file, if it was one.
	Path string

	// Codec is the name of the format.
	Codec string

	// Offset is where the fault is, in bytes from the beginning, or -1 if that is not
	// known. If the list ends too early, it is where that shows: at the end, or where
	// the part begins that is not all there.
	Offset int64

	// Err says what is wrong. It matches io.ErrUnexpectedEOF if something is missing.
	Err error
}

// Error implements error.
func (e *FormatError) Error() string {
	text := "housework: "
	if e.Path != "" {
		text += printable(e.Path) + ": "
	}
	if e.Codec != "" {
		text += e.Codec + ": "
	}
	if e.Offset >= 0 {
		text += "offset " + strconv.FormatInt(e.Offset, 10) + ": "
	}
	if e.Err == nil {
		return text + "malformed list"
	}
	return text + strings.TrimPrefix(e.Err.Error(), "housework: ")
}

// Unwrap returns e.Err.
func (e *FormatError) Unwrap() error { return e.Err }

// printable returns a path, in quotes if it has characters that a terminal would not
// show.
func printable(path string) string {
	if strings.ContainsFunc(path, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return strconv.Quote(path)
	}
	return path
}

// errorf returns a FormatError.
func (f Format) errorf(offset int64, format string, args ...any) error {
	return &FormatError{Codec: f.String(), Offset: offset, Err: fmt.Errorf(format, args...)}
}
