package housework

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// decodeJSON decodes an array.
func decodeJSON(data []byte) ([]Chore, error) {
	if isBlank(data) {
		return nil, JSON.errorf(int64(len(data)), "%w", io.ErrUnexpectedEOF)
	}
	if !utf8.Valid(data) {
		return nil, JSON.errorf(int64(invalidUTF8(data)), "text is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	chores := []Chore{}
	err := d.Decode(&chores)
	// What follows the list would otherwise hide what is wrong in it.
	if err != nil {
		return nil, jsonError(data, err)
	}
	if err := checkJSON(data); err != nil {
		return nil, err
	}
	end := int(d.InputOffset())
	if rest := bytes.TrimLeft(data[end:], " \t\r\n"); len(rest) > 0 {
		return nil, JSON.errorf(int64(len(data)-len(rest)), "there is more after the list")
	}
	if chores == nil {
		chores = []Chore{} // of null
	}
	shareIDs(chores)
	return chores, nil
}

// jsonError returns err, which Decode returned, as a FormatError.
func jsonError(data []byte, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return JSON.errorf(int64(len(data)), "%w", io.ErrUnexpectedEOF)
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return JSON.errorf(e.Offset-1, "%w", err) // e.Offset is behind the byte
	}
	// An unknown key, or a value of another type: the package does not tell well where.
	// It has looked at the syntax of all of the list first.
	if err := scanJSON(data); err != nil {
		return err
	}
	return JSON.errorf(-1, "%s", strings.TrimPrefix(err.Error(), "json: "))
}

// checkJSON returns an error for what package encoding/json passes over: null as a
// chore, and halves of surrogate pairs. Mostly there is no need to look for them.
func checkJSON(data []byte) error {
	for _, sign := range []string{"null", `\ud`, `\uD`} {
		if bytes.Contains(data, []byte(sign)) {
			return scanJSON(data)
		}
	}
	return nil
}

// encodeJSON encodes an array on one line, as encoding/json does by default: the book
// has done that, too.
//
// An Encoder writes what it has encoded as a whole, or not at all.
func encodeJSON(w *listWriter, chores []Chore) error {
	if chores == nil {
		chores = []Chore{} // rather than null
	}
	return json.NewEncoder(&jsonWriter{w, chores}).Encode(chores)
}

// A jsonWriter writes what an Encoder has made of chores, unless they have text that
// is not UTF-8: that package escapes what it puts in its place, and nothing else, as
// \ufffd. So that text is looked at only if that is found, which may also stand in it.
type jsonWriter struct {
	w      *listWriter
	chores []Chore
}

func (j *jsonWriter) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(`\ufffd`)) {
		if err := checkTexts(j.chores); err != nil {
			return 0, err
		}
	}
	return j.w.Write(p)
}

// shareIDs lets neighbours that have the same request id share its bytes.
func shareIDs(chores []Chore) {
	for i := 1; i < len(chores); i++ {
		if chores[i].RequestID == chores[i-1].RequestID {
			chores[i].RequestID = chores[i-1].RequestID
		}
	}
}

// invalidUTF8 returns where data stops being UTF-8.
func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(data)
}
