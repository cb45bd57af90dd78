package housework

import (
	"bytes"

	"google.golang.org/protobuf/encoding/protowire"
)

// Detect returns the format of a list of which data is the beginning, 16 bytes or all
// of it, and whether it can be told. Of no bytes, which are an empty list in Protobuf,
// nothing can be told. That the rest is as it should be is not said: Load finds out.
func Detect(data []byte) (Format, bool) {
	switch {
	case looksLikeJSON(data):
		return JSON, true
	case looksLikeProtobuf(data):
		return Protobuf, true
	case looksLikeGob(string(data)):
		return Gob, true
	}
	return 0, false
}

// looksLikeJSON reports whether data begins an array of objects, or is null.
func looksLikeJSON(data []byte) bool {
	const space = " \t\r\n"
	data = bytes.TrimLeft(data, space)
	if bytes.HasPrefix(data, []byte("null")) {
		return true
	}
	rest, ok := bytes.CutPrefix(data, []byte("["))
	if !ok {
		return false
	}
	// A bracket is not enough: "\n[" are also the first bytes of a Protobuf list whose
	// first chore has 91 bytes. The control character after it is not JSON.
	rest = bytes.TrimLeft(rest, space)
	return len(rest) == 0 || rest[0] >= ' ' && rest[0] < 0x80
}

// looksLikeProtobuf reports whether data begins with a field 1 that begins with a
// field of a chore.
func looksLikeProtobuf(data []byte) bool {
	number, kind, n := protowire.ConsumeTag(data)
	if n < 0 || number != fieldChores || kind != protowire.BytesType {
		return false
	}
	size, m := protowire.ConsumeVarint(data[n:])
	if m < 0 {
		return false
	}
	number, kind, n = protowire.ConsumeTag(data[n+m:])
	switch {
	case n < 0:
		return size == 0 // it is all of the list
	case size == 0:
		return number == fieldChores && kind == protowire.BytesType // the next chore
	}
	return number == fieldComplete && kind == protowire.VarintType ||
		number == fieldDescription && kind == protowire.BytesType ||
		number == fieldRequestID && kind == protowire.BytesType
}

// looksLikeGob reports whether data begins with a message that defines a type.
func looksLikeGob(data string) bool {
	size, n := gobUint(data)
	if n <= 0 {
		return false
	}
	r := gobReader{data: data[n:]}
	id := r.int()
	return !r.bad && id < -lastGobOwnID && id > -1<<31 && uint64(len(data)-n-len(r.data)) < size
}
