package housework_test

import (
	"strings"
	"testing"

	"github.com/netparts/netparts/housework"
)

func TestDetect(t *testing.T) {
	for _, tt := range []struct {
		name, data, want string
	}{
		{"JSON", jsonBook, "json"},
		{"an empty list", "[]\n", "json"},
		{"the bracket alone", "[", "json"},
		{"an array of null", "[null]", "json"},
		{"null", "null\n", "json"},
		{"a comma too much", "[,]", "json"},
		{"JSON on many lines", "\n \t[\r\n {\n\"Complete\"", "json"},
		{"a chore as long as a bracket is", "\n[\x12\x59" + strings.Repeat("x", 89), "protobuf"},
		{"one that is done", "\n[\x08\x01\x12\x57" + strings.Repeat("x", 87), "protobuf"},
		{"chores of 10 and 32 bytes", "\n\n\x12\x08abcdefgh\n \x12\x1e" + strings.Repeat("x", 30), "protobuf"},
		{"a request id", "\n\x03\x1a\x01r", "protobuf"},
		{"empty chores", "\n\x00\n\x00", "protobuf"},
		{"one empty chore", "\n\x00", "protobuf"},
		{"a long chore", "\n\x80\x08\x12\xfd\x07xxx", "protobuf"},

		{"nothing", "", ""},
		{"white space", " \n", ""},
		{"an object", `{"Complete":true}`, ""},
		{"a text", "Mop floors", ""},
		{"a script", "#!/bin/sh", ""},
		{"zeros", "\x00\x00\x00\x00", ""},
		{"a program", "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00", ""},
		{"gzip", "\x1f\x8b\x08\x00\x00\x00\x00\x00", ""},
		{"another message", "\n\x03abc", ""},
		{"a chore that does not begin", "\n\x05", ""},
		{"the first byte", "\n", ""},
		{"an empty field, then another", "\n\x00\x12\x00", ""},
		{"a gob of a text", gobEncode(t, "Mop floors"), ""},
		{"an empty message", "\x00\xff", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := housework.Detect([]byte(tt.data))
			if ok != (tt.want != "") || ok && got.String() != tt.want {
				t.Errorf("Detect(%q) = %v, %t, want %q", tt.data, got, ok, tt.want)
			}
		})
	}
}

// Sixteen bytes of a list are enough, as are all of it, if it is not empty.
func TestDetectLists(t *testing.T) {
	for _, f := range codecFormats {
		for name, chores := range codecLists {
			data := codecFlush(t, f, chores)
			for _, n := range []int{16, len(data)} {
				got, ok := housework.Detect(data[:min(n, len(data))])
				if want := len(data) > 0; ok != want || ok && got != f {
					t.Errorf("%v, %s: Detect of %d bytes = %v, %t", f, name, n, got, ok)
				}
			}
		}
	}
}

// For each length of the first chore, and each id of types, there is one answer.
func TestDetectLengths(t *testing.T) {
	for n := range 400 {
		chores := []housework.Chore{{Description: strings.Repeat("[", n), Complete: n%2 == 0}}
		for _, f := range codecFormats {
			data := codecFlush(t, f, chores)
			if got, ok := housework.Detect(data[:min(16, len(data))]); !ok || got != f {
				t.Errorf("%v, %d bytes: Detect = %v, %t", f, n, got, ok)
			}
		}
	}
}
