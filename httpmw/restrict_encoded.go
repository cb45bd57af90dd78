package httpmw

import "unicode/utf8"

// maxRounds is how many times a path is decoded after net/http has done it.
const maxRounds = 3

// hidesEncoded reports whether a path, in which something can be decoded again, is to be
// hidden because of what it becomes then.
func (r *restriction) hidesEncoded(path string) bool {
	for rounds := 1; rounds <= maxRounds; rounds++ {
		hidden, changed := r.scanDecoded(path, rounds)
		if hidden || !changed {
			return hidden
		}
	}
	for i := 0; i < len(path); {
		_, next, escaped := decoded(path, i, maxRounds+1)
		if escaped {
			return true // nobody knows when it would end
		}
		i = next
	}
	return false
}

// scanDecoded looks at a path decoded so many times. It has changed if the last time made a
// difference.
func (r *restriction) scanDecoded(path string, rounds int) (hidden, changed bool) {
	invalid, begins := false, true
	for i := 0; i < len(path); {
		if begins && r.restricts(path, i, rounds) {
			return true, true
		}
		c, next, escaped := decoded(path, i, rounds)
		if c >= utf8.RuneSelf {
			var valid bool
			next, valid = decodedRune(path, i, rounds)
			invalid = invalid || !valid
		}
		changed = changed || escaped
		begins = separates(c)
		i = next
	}
	return invalid, changed
}

// decodedRune returns where the character after the one at path[i:] begins, decoded so many
// times. It does not know that if the character is not valid.
func decodedRune(path string, i, rounds int) (next int, valid bool) {
	var b [utf8.UTFMax]byte
	n := 0
	for i < len(path) && !utf8.FullRune(b[:n]) {
		b[n], i, _ = decoded(path, i, rounds)
		n++
	}
	_, size := utf8.DecodeRune(b[:n])
	return i, size > 1
}

// looked, if not nil, is called for each "%" that decoded looks at. Tests count the work
// with it, since what a clock says depends on the machine.
var looked func()

// decoded returns the byte at path[i:] after so many rounds of decoding, where the next one
// begins, and whether the last round made it of three. Since each byte of a round comes from
// whole bytes of the one before, a place in path is all the state there is, and no round
// has to be stored. It calls itself at most 3^rounds times.
func decoded(path string, i, rounds int) (c byte, next int, escaped bool) {
	if c = path[i]; rounds == 0 || c != '%' {
		return c, i + 1, false
	}
	if looked != nil {
		looked()
	}
	c, next, _ = decoded(path, i, rounds-1)
	if c != '%' || next == len(path) {
		return c, next, false
	}
	high, j, _ := decoded(path, next, rounds-1)
	if unhex(high) < 0 || j == len(path) {
		return c, next, false
	}
	low, k, _ := decoded(path, j, rounds-1)
	if unhex(low) < 0 {
		return c, next, false
	}
	return byte(unhex(high)<<4 | unhex(low)), k, true
}

// unhex returns the value of a hexadecimal digit, and -1 of anything else.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
