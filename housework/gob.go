package housework

import (
	"fmt"
	"io"
)

// gobTypes defines the types of a list: two messages, the types 65 (a slice) and 64
// (Chore). Package encoding/gob writes the same, with the ids that it has come to; it
// takes these just as well.
const gobTypes = "\x0d\xff\x81\x02\x01\x02\xff\x82\x00\x01\xff\x80\x00\x00" +
	"\x3d\x7f\x03\x01\x01\x05Chore\x01\xff\x80\x00\x01\x03" +
	"\x01\x08Complete\x01\x02\x00" +
	"\x01\x0bDescription\x01\x0c\x00" +
	"\x01\x09RequestID\x01\x0c\x00" +
	"\x00\x00"

// gobListHead is what the message of a list begins with: the id of its type, and a zero
// as the value is not a struct.
const gobListHead = "\xff\x82\x00"

// encodeGob encodes a stream that has one list, the bytes that package encoding/gob
// writes for it. The numbers in them do not depend on what else a program encodes,
// so that the same list is always the same file.
func encodeGob(w *listWriter, chores []Chore) error {
	size := len(gobListHead) + gobUintSize(len(chores))
	for i := range chores {
		size += gobChoreSize(&chores[i])
	}
	data := make([]byte, 0, len(gobTypes)+gobUintSize(size)+size)
	data = append(data, gobTypes...)
	data = appendGobUint(data, size)
	data = append(data, gobListHead...)
	data = appendGobUint(data, len(chores))
	for i := range chores {
		data = appendGobChore(data, &chores[i])
	}
	_, err := w.Write(data)
	return err
}

// appendGobChore appends a struct: for each field that is not zero by how much its number
// is greater than the last, from -1, and its value; and a zero.
func appendGobChore(data []byte, c *Chore) []byte {
	last := -1
	if c.Complete {
		data = append(data, 1, 1)
		last = 0
	}
	if c.Description != "" {
		data = append(data, byte(1-last))
		data = appendGobUint(data, len(c.Description))
		data = append(data, c.Description...)
		last = 1
	}
	if c.RequestID != "" {
		data = append(data, byte(2-last))
		data = appendGobUint(data, len(c.RequestID))
		data = append(data, c.RequestID...)
	}
	return append(data, 0)
}

// gobChoreSize returns how many bytes appendGobChore appends.
func gobChoreSize(c *Chore) int {
	size := 1
	if c.Complete {
		size += 2
	}
	for _, text := range []string{c.Description, c.RequestID} {
		if text != "" {
			size += 1 + gobUintSize(len(text)) + len(text)
		}
	}
	return size
}

// decodeGob decodes a stream that has three messages: a type of lists, a type of chores,
// and one list.
//
// Package encoding/gob would pass over fields that it does not know, which would be
// lost when the list is written, and over what follows a list or is missing from the
// last chore. It does not tell where faults are, either.
func decodeGob(data []byte) ([]Chore, error) {
	if isBlank(data) {
		return nil, Gob.errorf(int64(len(data)), "%w", io.ErrUnexpectedEOF)
	}
	text := string(data) // of which the texts of chores are parts
	slice, err := nextGob(text, 0)
	if err == nil {
		err = slice.checkSlice()
	}
	if err != nil {
		return nil, err
	}
	chore, err := nextGob(text, slice.end)
	if err != nil {
		return nil, err
	}
	names, err := chore.fieldNames()
	if err != nil {
		return nil, err
	}
	list, err := nextGob(text, chore.end)
	switch {
	case err != nil:
		return nil, err
	case list.id != -slice.id:
		return nil, list.errorf("the value is not a list of chores")
	case list.end < len(text):
		return nil, Gob.errorf(int64(list.end), "there is more after the list")
	}
	return list.chores(names)
}

// A gobMessage is a message of a stream.
type gobMessage struct {
	offset, end int    // in the stream
	id          int64  // of the type of the value; negative if the value defines that type
	value       string // up to the end
}

// nextGob returns the message at the offset.
func nextGob(data string, offset int) (gobMessage, error) {
	m := gobMessage{offset: offset}
	size, n := gobUint(data[offset:])
	switch {
	case n < 0:
		return m, m.errorf("malformed length of a message")
	case n == 0 || size > uint64(len(data)-offset-n):
		return m, m.errorf("%w", io.ErrUnexpectedEOF)
	}
	m.end = offset + n + int(size)
	r := gobReader{data: data[offset+n : m.end]}
	m.id = r.int()
	if r.bad {
		return m, m.errorf("malformed type of a message")
	}
	m.value = r.data
	return m, nil
}

// chores returns the list that is the value, whose chores have fields of these names.
func (m *gobMessage) chores(names []string) ([]Chore, error) {
	r := gobReader{data: m.value}
	zero, count := r.uint(), r.uint()
	if zero != 0 || count > uint64(len(r.data)) || r.bad { // each chore has a byte at least
		return nil, m.errorf("the list is shorter than it claims")
	}
	chores := make([]Chore, count)
	var c *Chore
	read := func(number int) {
		if number >= len(names) {
			r.bad = true
			return
		}
		switch names[number] {
		case "Complete":
			c.Complete = r.uint() != 0
		case "Description":
			c.Description = r.text()
		case "RequestID":
			c.RequestID = r.text()
		}
	}
	for i := range chores {
		c = &chores[i]
		offset := int64(m.end - len(r.data))
		r.fields(read)
		if r.bad {
			return nil, Gob.errorf(offset, "chore %d is malformed", i+1)
		}
		if err := checkText(c); err != nil {
			return nil, Gob.errorf(offset, "chore %d: %w", i+1, err)
		}
	}
	if len(r.data) > 0 {
		return nil, Gob.errorf(int64(m.end-len(r.data)), "there is more after the list")
	}
	return chores, nil
}

func (m *gobMessage) errorf(format string, args ...any) error {
	return Gob.errorf(int64(m.offset), "%w", fmt.Errorf(format, args...))
}
