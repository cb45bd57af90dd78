package housework

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
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
	if chores, ok := parsePlain(data); ok {
		shareIDs(chores)
		return chores, nil
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

// encodeJSON encodes an array on one line: the bytes that encoding/json writes by
// default, as the book has done, without reflection.
func encodeJSON(w *listWriter, chores []Chore) error {
	const room = len(`,{"Complete":false,"Description":""}`) + 4 // for some escapes
	size := len("[]\n")
	for i := range chores {
		size += room + len(chores[i].Description)
		if id := chores[i].RequestID; id != "" {
			size += len(plainRequestID) + len(id) + 2
		}
	}
	buffer := jsonBuffers.Get().(*[]byte)
	defer jsonBuffers.Put(buffer)
	*buffer = slices.Grow((*buffer)[:0], size)
	data, ok := append(*buffer, '['), true
	for i := range chores {
		if i > 0 {
			data = append(data, ',')
		}
		if data, ok = appendPlain(data, &chores[i]); !ok {
			return checkTexts(chores) // which says what is wrong
		}
	}
	data = append(data, "]\n"...)
	*buffer = data // which may have grown
	_, err := w.Write(data)
	return err
}

// jsonBuffers has buffers of lists, *[]byte: a store writes one for each change.
var jsonBuffers = sync.Pool{New: func() any { return new([]byte) }}

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
