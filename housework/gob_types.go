package housework

import (
	"fmt"
	"math/bits"
)

// Numbers of package encoding/gob, see its documentation.
const (
	gobBool      = 1  // the id of the type
	gobString    = 6  // the id of the type
	lastGobOwnID = 63 // types that a stream defines have greater ids

	gobSliceT  = 1 // the field of wireType
	gobStructT = 2 // the field of wireType

	mostGobFields = 8 // no struct that we read has more
)

// The fields that chores may have, with their types.
var gobFields = map[string]int64{"Complete": gobBool, "Description": gobString, "RequestID": gobString}

// checkSlice returns an error if the message does not define a type of lists.
func (m *gobMessage) checkSlice() error {
	r := gobReader{data: m.value}
	if !r.definition(gobSliceT, func() { r.int() }) {
		return m.errorf("the value is not a list")
	}
	return m.checkRead(&r)
}

// fieldNames returns the names of the fields of the type of chores, which the message
// must define.
func (m *gobMessage) fieldNames() ([]string, error) {
	var names []string
	var fault error
	r := gobReader{data: m.value}
	ok := r.definition(gobStructT, func() {
		for n := r.uint(); n > 0 && !r.bad && fault == nil; n-- {
			name, id := r.nameAndID()
			names = append(names, name)
			switch want, known := gobFields[name]; {
			case r.bad:
			case !known:
				fault = fmt.Errorf("chores have the unknown field %.80q", name)
			case id != want:
				fault = fmt.Errorf("the field %s of chores is of another type", name)
			}
		}
	})
	switch {
	case !ok:
		return nil, m.errorf("the elements of the list are not structs")
	case fault != nil:
		return nil, m.errorf("%w", fault)
	}
	return names, m.checkRead(&r)
}

// checkRead returns an error if the definition was not what r has read.
func (m *gobMessage) checkRead(r *gobReader) error {
	if r.bad || len(r.data) > 0 || m.id >= -lastGobOwnID {
		return m.errorf("malformed definition of a type")
	}
	return nil
}

// A gobReader reads parts of a message. When one is not as it should be, bad is set,
// and what is read from then on is 0.
type gobReader struct {
	data string // the rest
	bad  bool
}

// definition reads a definition of a type, and reports whether it is of the kind. The
// name and the id are passed over; rest reads what the type has besides.
func (r *gobReader) definition(kind int, rest func()) bool {
	is := false
	r.fields(func(number int) {
		is = number == kind
		if !is {
			r.bad = true
			return
		}
		r.fields(func(number int) {
			switch number {
			case 0:
				r.nameAndID()
			case 1:
				rest()
			default:
				r.bad = true
			}
		})
	})
	return is
}

// nameAndID reads a struct that has a name and an id.
func (r *gobReader) nameAndID() (name string, id int64) {
	r.fields(func(number int) {
		switch number {
		case 0:
			name = r.text()
		case 1:
			id = r.int()
		default:
			r.bad = true
		}
	})
	return name, id
}

// fields calls read with the number of each field of a struct. It must read it.
func (r *gobReader) fields(read func(number int)) {
	number := -1
	for {
		delta := r.uint()
		if delta == 0 {
			return
		}
		number += int(min(delta, mostGobFields))
		if number >= mostGobFields {
			r.bad = true
			return
		}
		read(number)
	}
}

func (r *gobReader) uint() uint64 {
	x, n := gobUint(r.data)
	if r.bad || n <= 0 {
		r.bad = true
		return 0
	}
	r.data = r.data[n:]
	return x
}

// int reads a signed integer, of which the lowest bit says that the others are inverted.
func (r *gobReader) int() int64 {
	x := r.uint()
	if x&1 != 0 {
		return ^int64(x >> 1)
	}
	return int64(x >> 1)
}

func (r *gobReader) text() string {
	n := r.uint()
	if n > uint64(len(r.data)) {
		r.bad = true
		return ""
	}
	text := r.data[:n]
	r.data = r.data[n:]
	return text
}

// gobUint returns the unsigned integer that data begins with, and its length, which is
// 0 if it is not all there and negative if it is malformed.
func gobUint(data string) (uint64, int) {
	if len(data) == 0 {
		return 0, 0
	}
	if data[0] < 0x80 {
		return uint64(data[0]), 1
	}
	n := -int(int8(data[0])) // how many bytes follow
	if n > 8 {
		return 0, -1
	}
	if len(data) <= n {
		return 0, 0
	}
	var x uint64
	for _, b := range []byte(data[1 : 1+n]) {
		x = x<<8 | uint64(b)
	}
	return x, 1 + n
}

// appendGobUint appends an unsigned integer: a byte if it is below 128, or else the
// number of its bytes, negated, and these.
func appendGobUint(data []byte, x int) []byte {
	n := gobUintSize(x) - 1
	if n == 0 {
		return append(data, byte(x))
	}
	data = append(data, byte(-n))
	for n--; n >= 0; n-- {
		data = append(data, byte(x>>(8*n)))
	}
	return data
}

// gobUintSize returns how many bytes appendGobUint appends.
func gobUintSize(x int) int {
	if x < 0x80 {
		return 1
	}
	return 1 + (bits.Len(uint(x))+7)/8
}
