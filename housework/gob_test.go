package housework_test

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/netparts/netparts/housework"
)

func gobEncode(t testing.TB, values ...any) string {
	t.Helper()
	var b bytes.Buffer
	e := gob.NewEncoder(&b)
	for _, v := range values {
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// gobOfTheBook is what a program with the types of the book wrote. The ids of types
// in it depend on the program, and so do not count.
const gobOfTheBook = "0dff81020102ff820001ff800000" +
	"287f030102ff800001020108436f6d706c657465010200010b4465736372697074696f6e010c000000" +
	"31ff820003020a4d6f7020666c6f6f7273000101010c436c65616e2064697368657300020c4d6f7720746865206c61776e00"

// The types are not ours: pointers to a type of the same shape.
func TestGobOfTheBook(t *testing.T) {
	type Chore struct {
		Complete    bool
		Description string
	}
	list := make([]*Chore, len(codecBook))
	for i, c := range codecBook {
		list[i] = &Chore{c.Complete, c.Description}
	}
	if got := codecLoad(t, housework.Gob, []byte(gobEncode(t, list))); !slices.Equal(got, codecBook) {
		t.Errorf("Load = %v", got)
	}
	if got := codecLoad(t, housework.Gob, []byte(gobEncode(t, []*Chore{}))); len(got) > 0 {
		t.Errorf("Load = %v, want an empty list", got)
	}

	withIDs := slices.Clone(codecBook)
	withIDs[2].RequestID = "r"
	for name, chores := range map[string][]housework.Chore{"of the book": codecBook, "with ids": withIDs} {
		var back []*Chore
		if err := gob.NewDecoder(bytes.NewReader(codecFlush(t, housework.Gob, chores))).Decode(&back); err != nil || len(back) != len(list) {
			t.Fatalf("%s: the book's types make %v, %v of it", name, back, err)
		}
		for i := range back {
			if *back[i] != *list[i] {
				t.Errorf("%s: chore %d = %v, want %v", name, i+1, *back[i], *list[i])
			}
		}
	}
}

// But for the ids of types, our bytes are those of package encoding/gob.
func TestGobBytes(t *testing.T) {
	for name, chores := range codecLists {
		ours, theirs := string(codecFlush(t, housework.Gob, chores)), gobEncode(t, chores)
		r := strings.NewReader(ours)
		var back []housework.Chore
		if err := gob.NewDecoder(r).Decode(&back); err != nil || r.Len() > 0 || !slices.Equal(back, chores) {
			t.Errorf("%s: encoding/gob makes %.100v, %v of %.100q", name, back, err, ours)
		}
		if len(chores) < 100 && len(ours) < 200 {
			ours, theirs = ours[gobOffset(ours, 2):], theirs[gobOffset(theirs, 2):]
			_, ours, _ = strings.Cut(ours, "\x00") // behind the id
			_, theirs, _ = strings.Cut(theirs, "\x00")
			if ours != theirs {
				t.Errorf("%s: %q, encoding/gob writes %q", name, ours, theirs)
			}
		}
		if got := codecLoad(t, housework.Gob, []byte(gobEncode(t, chores))); !slices.Equal(got, chores) {
			t.Errorf("%s: Load = %.100v", name, got)
		}
	}
	// Lengths around those where a number takes another byte.
	for _, n := range []int{1, 127, 128, 255, 256, 65535, 65536} {
		want := []housework.Chore{{Description: strings.Repeat("x", n)}, {RequestID: "r"}}
		var back []housework.Chore
		data := codecFlush(t, housework.Gob, want)
		if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&back); err != nil || !slices.Equal(back, want) {
			t.Errorf("%d bytes: encoding/gob fails: %v", n, err)
		}
	}
}

// Fields may be fewer, and in another order.
func TestGobTaken(t *testing.T) {
	type less struct{ Description string }
	if got := codecLoad(t, housework.Gob, []byte(gobEncode(t, []less{{"a"}}))); !slices.Equal(got, []housework.Chore{{Description: "a"}}) {
		t.Errorf("Load = %v", got)
	}
	type turned struct {
		RequestID   string
		Description *string
		Complete    bool
	}
	type list []turned
	text := "a"
	want := housework.Chore{Description: "a", Complete: true, RequestID: "r"}
	if got := codecLoad(t, housework.Gob, []byte(gobEncode(t, list{{"r", &text, true}}))); len(got) != 1 || got[0] != want {
		t.Errorf("Load = %v", got)
	}
}

func TestGobRefused(t *testing.T) {
	type due struct {
		Complete    bool
		Description string
		Due         map[string][]int
	}
	type number struct {
		Complete    int
		Description string
	}
	type bytes struct{ Description []byte }
	type dotted struct{ Ünkn0wn string }
	type text []string
	list := codecBook
	for _, tt := range []struct {
		name, data, text string
		message          int // which one has the fault
	}{
		{"an unknown field", gobEncode(t, []due{{}}), `unknown field "Due"`, 1},
		{"a field with another letter", gobEncode(t, []dotted{{"a"}}), `unknown field "Ünkn0wn"`, 1},
		{"a number for a bool", gobEncode(t, []number{{}}), "field Complete of chores is of another type", 1},
		{"bytes for a string", gobEncode(t, []bytes{{}}), "field Description of chores is of another type", 1},
		{"a chore without a list", gobEncode(t, list[0]), "the value is not a list", 0},
		{"an array", gobEncode(t, [3]housework.Chore{}), "the value is not a list", 0},
		{"a map", gobEncode(t, map[int]housework.Chore{}), "the value is not a list", 0},
		{"texts", gobEncode(t, text{"a"}), "the elements of the list are not structs", 1},
		{"lists of lists", gobEncode(t, [][]housework.Chore{list}), "the elements of the list are not structs", 1},
		{"a text", gobEncode(t, "Mop floors"), "the value is not a list", 0},
		{"two lists", gobEncode(t, list, list), "more after the list", 3},
		{"a length of nine bytes", "\xf7\x01\x01\x01\x01\x01\x01\x01\x01\x01", "malformed length of a message", 0},
		{"a message without a type", "\x00", "malformed type of a message", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			codecFault(t, housework.Gob, tt.data, gobOffset(tt.data, tt.message), tt.text)
		})
	}
}

// gobOffset returns where message n begins, from 0, of those that are short. The ids of
// types depend on which tests ran before, and the lengths of messages on the ids.
func gobOffset(data string, n int) int64 {
	offset := 0
	for range n {
		offset += 1 + int(data[offset])
	}
	return int64(offset)
}

// gobPatched returns the list of the book with the message of the list, the third,
// replaced.
func gobPatched(t *testing.T, list string) (data string, offset int64) {
	t.Helper()
	data = gobEncode(t, codecBook)
	offset = gobOffset(data, 2)
	id, _, _ := strings.Cut(data[offset+1:], "\x00\x03\x02")
	return data[:offset] + string(rune(len(id)+len(list))) + id + list, offset
}

// A gob may claim what it does not have.
func TestGobClaims(t *testing.T) {
	for _, tt := range []struct{ name, list, text string }{
		{"more chores than bytes", "\x00\x03\x00\x00", "shorter than it claims"},
		{"a billion chores", "\x00\xfc\x40\x00\x00\x00\x00", "shorter than it claims"},
		{"2^64-1 chores", "\x00\xf8\xff\xff\xff\xff\xff\xff\xff\xff\x00", "shorter than it claims"},
		{"no number of chores", "\x00", "shorter than it claims"},
		{"half a number of chores", "\x00\xfe\x01", "shorter than it claims"},
		{"a text of a GiB", "\x00\x01\x02\xfc\x40\x00\x00\x00a\x00", "chore 1 is malformed"},
		{"a field that the type does not have", "\x00\x01\x07\x01\x00", "chore 1 is malformed"},
		{"a chore that does not end", "\x00\x01\x01\x01", "chore 1 is malformed"},
		{"a length of a text that does not end", "\x00\x01\x02\xfe\x01", "chore 1 is malformed"},
		{"a delta of 2^63", "\x00\x01\xf8\x80\x00\x00\x00\x00\x00\x00\x00\x00", "chore 1 is malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data, offset := gobPatched(t, tt.list)
			if strings.HasPrefix(tt.text, "chore") {
				offset = int64(len(data)-len(tt.list)) + 2 // behind the zero and the count
			}
			codecFault(t, housework.Gob, data, offset, tt.text)
		})
	}
	data, _ := gobPatched(t, "\x00\x02\x02\x01a\x00\x00")
	if got := codecLoad(t, housework.Gob, []byte(data)); !slices.Equal(got, []housework.Chore{{Description: "a"}, {}}) {
		t.Errorf("Load = %v", got)
	}
	// What follows the list within its message would be lost.
	data, _ = gobPatched(t, "\x00\x01\x00\x00")
	codecFault(t, housework.Gob, data, int64(len(data)-1), "more after the list")
	// The value is of another type than the list.
	data, offset := gobPatched(t, "")
	data = data[:offset] + "\x03\xff\xfe\x00"
	codecFault(t, housework.Gob, data, offset, "the value is not a list")
}

// Definitions of types are read by our own code.
func TestGobDefinitions(t *testing.T) {
	whole := gobEncode(t, codecBook)
	second := 1 + int(whole[0])
	third := second + 1 + int(whole[second])
	for i := 1; i < third; i++ {
		for _, b := range []byte{0x00, 0x01, 0x02, 0x7f, 0x80, 0xf8, 0xff} {
			if whole[i] == b {
				continue
			}
			data := whole[:i] + string([]byte{b}) + whole[i+1:]
			chores, err := housework.Gob.Load(strings.NewReader(data))
			if err == nil && !slices.Equal(chores, codecBook) {
				t.Errorf("byte %d = %#x: Load = %v", i, b, chores)
			}
		}
	}
}

func TestGobNotUTF8(t *testing.T) {
	data := gobEncode(t, []housework.Chore{{}, {Description: "caf\xe9"}})
	codecFault(t, housework.Gob, data, int64(strings.Index(data, "\x02\x04caf")), `chore 2: description "caf\xe9" is not UTF-8`)
	data = gobEncode(t, []housework.Chore{{RequestID: "\xff"}})
	codecFault(t, housework.Gob, data, int64(strings.Index(data, "\x03\x01\xff")), `chore 1: request id "\xff" is not UTF-8`)
}

func TestGobStoredOfTheBook(t *testing.T) {
	data, err := hex.DecodeString(gobOfTheBook)
	if err != nil {
		t.Fatal(err)
	}
	if got := codecLoad(t, housework.Gob, data); !slices.Equal(got, codecBook) {
		t.Errorf("Load = %v", got)
	}
}
