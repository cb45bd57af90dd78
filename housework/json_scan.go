package housework

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
)

// A jsonScanner looks for faults in data, of which the first value is known to be well
// formed JSON. As reading all twice takes time, it is used where a fault is likely.
type jsonScanner struct {
	data  []byte
	i     int // how much was read
	chore int // which chore is being read, from 1
}

// scanJSON returns the first fault in a list.
func scanJSON(data []byte) error {
	s := jsonScanner{data: data}
	switch s.next() {
	case 'n':
		return nil // null, an empty list
	case '[':
	default:
		return s.errorf("the list is not an array")
	}
	s.i++
	for {
		switch s.next() {
		case ',':
			s.i++
		case '{':
			s.chore++
			if err := s.object(); err != nil {
				return err
			}
		case 'n':
			s.chore++
			return s.errorf("chore %d is null", s.chore)
		case ']', 0:
			return nil
		default:
			s.chore++
			return s.errorf("chore %d is not an object", s.chore)
		}
	}
}

// object reads a chore.
func (s *jsonScanner) object() error {
	s.i++
	for {
		switch s.next() {
		case '"':
			if err := s.member(); err != nil {
				return err
			}
		case '}', 0:
			s.i++
			return nil
		default: // a comma
			s.i++
		}
	}
}

// member reads a key and its value.
func (s *jsonScanner) member() error {
	start := s.i
	raw, err := s.text()
	if err != nil {
		return err
	}
	var key string
	if err := json.Unmarshal(raw, &key); err != nil {
		return JSON.errorf(int64(start), "chore %d has a malformed key", s.chore)
	}
	s.next()
	s.i++ // the colon
	value := s.next()
	switch {
	// As in the book, the letters of keys may be upper or lower case.
	case strings.EqualFold(key, "Complete"):
		if value != 't' && value != 'f' && value != 'n' {
			return s.errorf("chore %d: %q is not true or false", s.chore, key)
		}
	case strings.EqualFold(key, "Description"), strings.EqualFold(key, "RequestID"):
		if value == '"' {
			_, err := s.text()
			return err
		}
		if value != 'n' {
			return s.errorf("chore %d: %q is not a string", s.chore, key)
		}
	default:
		return JSON.errorf(int64(start), "chore %d has the unknown key %.80q", s.chore, key)
	}
	for s.i < len(s.data) && 'a' <= s.data[s.i] && s.data[s.i] <= 'z' {
		s.i++ // true, false or null
	}
	return nil
}

// text reads a string, and returns it as it stands there.
func (s *jsonScanner) text() ([]byte, error) {
	start := s.i
	s.i = stringEnd(s.data, start)
	raw := s.data[start:s.i]
	if i := loneSurrogate(raw); i >= 0 {
		return nil, JSON.errorf(int64(start+i), "chore %d has half of a surrogate pair", s.chore)
	}
	return raw, nil
}

// next skips white space and returns the byte behind it, or 0 at the end.
func (s *jsonScanner) next() byte {
	for ; s.i < len(s.data); s.i++ {
		switch s.data[s.i] {
		case ' ', '\t', '\r', '\n':
		default:
			return s.data[s.i]
		}
	}
	return 0
}

func (s *jsonScanner) errorf(format string, args ...any) error {
	return JSON.errorf(int64(s.i), format, args...)
}

// stringEnd returns where the string ends that begins at data[start].
func stringEnd(data []byte, start int) int {
	for i := start + 1; i < len(data); i++ {
		switch data[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(data)
}

// loneSurrogate returns where the string has an escape that is half of a pair, or -1.
func loneSurrogate(raw []byte) int {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		r := escaped(raw[i:])
		switch {
		case !utf16.IsSurrogate(r):
			i++ // what is escaped may be a backslash
		case utf16.DecodeRune(r, escaped(raw[i+6:])) == '\uFFFD':
			return i
		default:
			i += 11
		}
	}
	return -1
}

// escaped returns the UTF-16 code that raw begins with, if that is an escape "\u0000".
func escaped(raw []byte) rune {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0
	}
	code, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(code)
}
