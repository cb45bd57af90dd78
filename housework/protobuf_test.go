package housework_test

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

// protobufBook is what the book's program writes.
const protobufBook = "0a0c120a4d6f7020666c6f6f7273" +
	"0a100801120c436c65616e20646973686573" +
	"0a0e120c4d6f7720746865206c61776e"

func TestProtobufOfTheBook(t *testing.T) {
	data, err := hex.DecodeString(protobufBook)
	if err != nil || len(data) != 48 {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	if got := codecFlush(t, housework.Protobuf, codecBook); hex.EncodeToString(got) != protobufBook {
		t.Errorf("Flush writes %x, want %s", got, protobufBook)
	}
	if got := codecLoad(t, housework.Protobuf, data); !slices.Equal(got, codecBook) {
		t.Errorf("Load = %v", got)
	}
}

// There is no count in a message, so that the first chores of a list are a list.
func TestProtobufShorter(t *testing.T) {
	data := codecFlush(t, housework.Protobuf, codecBook)
	for n, end := range []int{0, 14, 32, 48} {
		if got := codecLoad(t, housework.Protobuf, data[:end]); !slices.Equal(got, codecBook[:n]) {
			t.Errorf("Load of %d bytes = %v", end, got)
		}
	}
}

func protobufMessages(chores []housework.Chore) *houseworkv1.Chores {
	list := make([]*houseworkv1.Chore, len(chores))
	for i, c := range chores {
		list[i] = houseworkv1.Chore_builder{Complete: c.Complete, Description: c.Description, RequestId: c.RequestID}.Build()
	}
	return houseworkv1.Chores_builder{Chores: list}.Build()
}

// What we write is what the generated code writes, and it reads what we write.
func TestProtobufGenerated(t *testing.T) {
	for name, chores := range codecLists {
		t.Run(name, func(t *testing.T) {
			ours := codecFlush(t, housework.Protobuf, chores)
			messages := protobufMessages(chores)
			theirs, err := proto.MarshalOptions{Deterministic: true}.Marshal(messages)
			if err != nil {
				t.Fatal(err)
			}
			if string(ours) != string(theirs) {
				t.Errorf("Flush writes %.100x, the generated code %.100x", ours, theirs)
			}
			if got := codecLoad(t, housework.Protobuf, theirs); !slices.Equal(got, chores) {
				t.Errorf("Load = %v", got)
			}
			var back houseworkv1.Chores
			if err := proto.Unmarshal(ours, &back); err != nil || !proto.Equal(&back, messages) {
				t.Errorf("Unmarshal: %v", err)
			}
		})
	}
}

// Encodings that no encoder writes, and that every decoder must take.
func TestProtobufTaken(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		want       housework.Chore
	}{
		{"fields in another order", "\x0a\x05\x12\x01a\x08\x01", housework.Chore{Complete: true, Description: "a"}},
		{"the last one counts", "\x0a\x0d\x12\x01b\x08\x01\x12\x01a\x08\x00\x1a\x01r", housework.Chore{Description: "a", RequestID: "r"}},
		{"zero values", "\x0a\x06\x08\x00\x12\x00\x1a\x00", housework.Chore{}},
		{"true is 300", "\x0a\x03\x08\xac\x02", housework.Chore{Complete: true}},
		{"true in the highest bit", "\x0a\x0b\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", housework.Chore{Complete: true}},
		{"lengths and tags of several bytes", "\x8a\x00\x86\x00\x92\x80\x00\x81\x00a", housework.Chore{Description: "a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := codecLoad(t, housework.Protobuf, []byte(tt.data)); len(got) != 1 || got[0] != tt.want {
				t.Errorf("Load(%x) = %v, want %v", tt.data, got, tt.want)
			}
			var m houseworkv1.Chores
			if err := proto.Unmarshal([]byte(tt.data), &m); err != nil || !proto.Equal(&m, protobufMessages([]housework.Chore{tt.want})) {
				t.Errorf("the generated code makes %v, %v of it", &m, err)
			}
		})
	}
}

// The offset of each fault is that of the mark ^ in the data.
func TestProtobufRefused(t *testing.T) {
	const first = "\x0a\x03\x12\x01a" // a chore before the fault
	for _, tt := range []struct{ name, data, text string }{
		{"an unknown field of the list", first + "^\x10\x01", "the list has an unknown field, number 2 of wire type 0"},
		{"the request id of an Add", first + "^\x1a\x01r", "number 3"},
		{"the next page of a List", first + "^\x20\x07", "number 4"},
		{"an unknown field of a chore", first + "\x0a\x07\x12\x01b^\x22\x02xy", "the chore has an unknown field, number 4 of wire type 2"},
		{"a group", "^\x2b\x2c", "number 5 of wire type 3"},
		{"a chore that is a number", "^\x08\x01", "number 1 of wire type 0"},
		{"a description that is a number", "\x0a\x02^\x10\x01", "number 2 of wire type 0"},
		{"the end of a group", first + "^\x0c", "malformed field"},
		{"a wire type that there is not", first + "^\x0f", "malformed field"},
		{"field 0", first + "^\x02\x00", "malformed field"},
		{"a field number of 30 bits", "^\x80\x80\x80\x80\x10\x00", "field number is out of range"},
		{"a number of 11 bytes", "\x0a\x0c^\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", "malformed field"},
		{"a chore of 2 GiB", first + "^\x0a\x80\x80\x80\x80\x08ab", "unexpected EOF"},
		{"a chore of 8 EiB", first + "^\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7fab", "unexpected EOF"},
		{"a description beyond its chore", "\x0a\x03^\x12\x02a" + first, "field is longer than its chore"},
		{"a tag alone in a chore", "\x0a\x01^\x12" + first, "field is longer than its chore"},
		{"a description that is not UTF-8", "\x0a\x07\x12\x00^\x12\x03\xed\xa0\x80", `description "\xed\xa0\x80" is not UTF-8`},
		{"not UTF-8 and overwritten", "\x0a\x06^\x12\x01\xff\x12\x01a", "not UTF-8"},
		{"a request id that is not UTF-8", "\x0a\x03^\x1a\x01\xff", "request id"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, after, _ := strings.Cut(tt.data, "^")
			codecFault(t, housework.Protobuf, before+after, int64(len(before)), tt.text)
		})
	}
}

// The scanner of messages of peers passes over what it does not know.
func TestScanChoresSkips(t *testing.T) {
	data := "\x1a\x01q" + "\x0a\x05\x12\x01a\x20\x09" + "\x2b\x08\x01\x2c" + "\x08\x01" + "\x0a\x05\x10\x07\x12\x01b" +
		"\x1a\x02id" + "\x20\x01" + "\x20\x80\x80\x80\x80\x10" + "\x20\x07" + "\xfa\x3f\x01x"
	var got []housework.ScannedChore
	id, next, err := housework.ScanChores([]byte(data), false, func(c housework.ScannedChore) error {
		got = append(got, c)
		return nil
	})
	want := []housework.ScannedChore{{Offset: 3, Description: "a"}, {Offset: 16, Description: "b"}}
	if err != nil || id != "id" || next != 7 || !slices.Equal(got, want) {
		t.Errorf("ScanChores = %q, %d, %v and %v", id, next, err, got)
	}
	var m houseworkv1.Chores
	if err := proto.Unmarshal([]byte(data), &m); err != nil || m.GetRequestId() != id || m.GetNextNumber() != next || len(m.GetChores()) != len(got) {
		t.Errorf("the generated code makes %v, %v of it", &m, err)
	}
	for _, bad := range []string{data + "\x1a\x01\xff", data + "\x0a\x01", data + "\x2b", data + "\x2c"} {
		_, _, err := housework.ScanChores([]byte(bad), false, func(housework.ScannedChore) error { return nil })
		e, ok := errors.AsType[*housework.FormatError](err)
		if !ok || e.Offset != int64(len(data)) {
			t.Errorf("ScanChores(%x) = %v", bad, err)
		}
	}
}

func TestScanChoresStops(t *testing.T) {
	stop := errors.New("stop")
	n := 0
	_, _, err := housework.ScanChores([]byte(strings.Repeat("\x0a\x00", 20)), false, func(housework.ScannedChore) error {
		if n++; n == 3 {
			return stop
		}
		return nil
	})
	if err != stop || n != 3 {
		t.Errorf("ScanChores = %v after %d chores", err, n)
	}
}

// A hostile message of empty chores costs nothing before it is refused.
func TestScanChoresAllocates(t *testing.T) {
	data := []byte(strings.Repeat("\x0a\x00", 1000))
	allocations := testing.AllocsPerRun(10, func() {
		if n, err := housework.CountChores(data); n != 1000 || err != nil {
			t.Fatalf("%d chores, %v", n, err)
		}
	})
	if allocations > 2 {
		t.Errorf("%.0f allocations", allocations)
	}
}
