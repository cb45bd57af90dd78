package housework

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// The parts of a list as Flush writes it.
var (
	plainComplete    = []byte(`{"Complete":`)
	plainDescription = []byte(`,"Description":`)
	plainRequestID   = []byte(`,"RequestID":`)
	plainTrue        = []byte("true")
	plainFalse       = []byte("false")
)

// parsePlain decodes a list as Flush writes it: the keys of each chore in their order,
// without white space, and with no escape of a surrogate. It reports false if data,
// which is UTF-8, is anything else: then package encoding/json says what it is.
func parsePlain(data []byte) ([]Chore, bool) {
	p := plainParser{rest: data}
	if !p.skip('[') {
		return nil, false
	}
	// Texts may look like the beginning of a chore, but not more of them than there are
	// bytes for.
	chores := make([]Chore, 0, bytes.Count(data, plainComplete))
	for first := true; !p.skip(']'); first = false {
		if !first && !p.skip(',') {
			return nil, false
		}
		c, ok := p.chore()
		if !ok {
			return nil, false
		}
		chores = append(chores, c)
	}
	return chores, isBlank(p.rest)
}

// A plainParser reads what it is sure of.
type plainParser struct {
	rest    []byte
	scratch []byte // for texts with escapes
}

// skip skips a byte, if it is the next one.
func (p *plainParser) skip(b byte) bool {
	if len(p.rest) == 0 || p.rest[0] != b {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// skipAll does so with several bytes.
func (p *plainParser) skipAll(b []byte) (ok bool) {
	p.rest, ok = bytes.CutPrefix(p.rest, b)
	return ok
}

func (p *plainParser) chore() (c Chore, ok bool) {
	if !p.skipAll(plainComplete) {
		return c, false
	}
	c.Complete = p.skipAll(plainTrue)
	if !c.Complete && !p.skipAll(plainFalse) || !p.skipAll(plainDescription) {
		return c, false
	}
	if c.Description, ok = p.text(); !ok {
		return c, false
	}
	if p.skipAll(plainRequestID) {
		if c.RequestID, ok = p.text(); !ok {
			return c, false
		}
	}
	return c, p.skip('}')
}

// text reads a string.
func (p *plainParser) text() (string, bool) {
	if !p.skip('"') {
		return "", false
	}
	for i, b := range p.rest {
		switch {
		case b == '"':
			text := string(p.rest[:i])
			p.rest = p.rest[i+1:]
			return text, true
		case b == '\\':
			return p.escapedText()
		case b < ' ':
			return "", false // a string has none of these as they are
		}
	}
	return "", false
}

// escapedText reads the rest of a string that has escapes.
func (p *plainParser) escapedText() (string, bool) {
	text := p.scratch[:0]
	for i := 0; i < len(p.rest); i++ {
		switch b := p.rest[i]; {
		case b == '"':
			p.rest, p.scratch = p.rest[i+1:], text
			return string(text), true
		case b == '\\':
			r, size := unescaped(p.rest[i:])
			if size == 0 {
				return "", false
			}
			text = utf8.AppendRune(text, r)
			i += size - 1
		case b < ' ':
			return "", false
		default:
			text = append(text, b)
		}
	}
	return "", false
}

// unescaped returns the character of the escape that raw begins with, and how many bytes
// that has, or 0 if it is none, is U+0000, or half of a surrogate pair.
func unescaped(raw []byte) (r rune, size int) {
	if len(raw) < 2 {
		return 0, 0
	}
	switch raw[1] {
	case '"', '\\', '/':
		return rune(raw[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	}
	if r = escaped(raw); r == 0 || utf16.IsSurrogate(r) {
		return 0, 0
	}
	return r, 6
}

// appendPlain appends a chore. It reports false if that has text that is not UTF-8.
func appendPlain(data []byte, c *Chore) (_ []byte, ok bool) {
	data = strconv.AppendBool(append(data, plainComplete...), c.Complete)
	data, ok = appendText(append(data, plainDescription...), c.Description)
	if ok && c.RequestID != "" {
		data, ok = appendText(append(data, plainRequestID...), c.RequestID)
	}
	return append(data, '}'), ok
}

// appendText appends a string. As encoding/json does by default, it escapes also what
// HTML and JavaScript do not bear.
func appendText(data []byte, text string) (_ []byte, ok bool) {
	const hex = "0123456789abcdef"
	data = append(data, '"')
	done := 0 // how much of the text was appended
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
			if r == utf8.RuneError && size == 1 {
				return data, false
			}
		}
		i += size
		if !isEscaped(r) {
			continue
		}
		data = append(data, text[done:i-size]...)
		done = i
		if short := shortEscape(r); short != 0 {
			data = append(data, '\\', short)
		} else {
			data = append(data, '\\', 'u', hex[r>>12], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		}
	}
	return append(append(data, text[done:]...), '"'), true
}

// isEscaped reports whether Flush escapes a character.
func isEscaped(r rune) bool {
	switch r {
	case '"', '\\', '<', '>', '&', '\u2028', '\u2029':
		return true
	}
	return r < ' '
}

// shortEscape returns what follows the backslash in an escape of two characters, or 0 if
// the character has none.
func shortEscape(r rune) byte {
	switch r {
	case '"', '\\':
		return byte(r)
	case '\b':
		return 'b'
	case '\f':
		return 'f'
	case '\n':
		return 'n'
	case '\r':
		return 'r'
	case '\t':
		return 't'
	}
	return 0
}
