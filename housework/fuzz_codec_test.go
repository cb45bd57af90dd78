package housework_test

import (
	"bytes"
	"encoding/gob"
	"errors"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

// codecAllocated returns how many bytes were allocated so far.
func codecAllocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// codecFuzz loads data and returns the list, or false if there is none. What it
// allocates must depend on what is there, and what it loads must survive.
func codecFuzz(t *testing.T, f housework.Format, data []byte) ([]housework.Chore, bool) {
	var chores []housework.Chore
	var err error
	limit := uint64(100*len(data) + 256<<10)
	least := limit + 1
	// A collection tells of what others have allocated before, so that a figure may be
	// too large. Not all of some are.
	for try := 0; try < 4 && least > limit; try++ {
		before := codecAllocated()
		chores, err = f.Load(bytes.NewReader(data))
		least = codecAllocated() - before
	}
	if least > limit {
		t.Errorf("%d bytes make Load allocate %d", len(data), least)
	}
	if err != nil {
		e, ok := errors.AsType[*housework.FormatError](err)
		if !ok || chores != nil || e.Offset < 0 || e.Offset > int64(len(data)) {
			t.Errorf("Load = %v, %v", chores, err)
		}
		return nil, false
	}
	if again := codecLoad(t, f, codecFlush(t, f, chores)); !slices.Equal(again, chores) {
		t.Errorf("%v comes back as %v", chores, again)
	}
	if other, ok := housework.Detect(data[:min(16, len(data))]); ok && other != f {
		t.Errorf("Detect = %v of a list in %v", other, f)
	}
	return chores, true
}

func codecSeeds(f *testing.F, of housework.Format) {
	for _, chores := range codecLists {
		if data := codecFlush(f, of, chores); len(data) < 1<<10 {
			f.Add(data)
			f.Add(data[:len(data)/2]) // ends too early
			f.Add(append(data, data...))
		}
	}
	f.Add([]byte(nil))
}

func FuzzJSON(f *testing.F) {
	codecSeeds(f, housework.JSON)
	f.Add([]byte(`[{"Complete":true,"Description":"\u003c\/\u00E9"}] `))    // as Flush writes it, but for an escape
	f.Add([]byte(`[{"Complete":true,"Description":"a","Complete":false}]`)) // nearly so
	f.Add([]byte("null"))                                                   // an empty list
	f.Add([]byte("[null]"))                                                 // no chore
	f.Add([]byte("\n[ {\"complete\":true , \"Complete\":null} ]\t"))        // white space, letters, twice
	f.Add([]byte(`[{"Due":[{"null":"]"}]}]`))                               // an unknown key
	f.Add([]byte(`[{"Description":"\ud83d\ude00\ud800"}]`))                 // a pair and a half
	f.Add([]byte(`[{"Description":"\\ud800 null \u0000\""}]`))              // nothing of the kind
	f.Add([]byte("[{\"Description\":\"\xed\xa0\x80\"}]"))                   // not UTF-8
	f.Add([]byte("[" + strings.Repeat("{},", 1000) + "{}]"))                // the smallest chores
	f.Add([]byte("[" + strings.Repeat(`{"RequestID":"r"},`, 99) + "null"))  // many, then a fault
	f.Fuzz(func(t *testing.T, data []byte) {
		chores, ok := codecFuzz(t, housework.JSON, data)
		want, err := strictJSON(string(data))
		// That package takes other texts than UTF-8, null as a chore, and halves of pairs.
		lax := !utf8.Valid(data) || bytes.Contains(data, []byte("null")) || bytes.Contains(bytes.ToLower(data), []byte(`\ud`))
		if (!ok || err != nil || !slices.Equal(chores, want)) && (ok || err == nil && !lax) {
			t.Errorf("Load = %v, %t, encoding/json makes %v, %v", chores, ok, want, err)
		}
	})
}

func FuzzGob(f *testing.F) {
	codecSeeds(f, housework.Gob)
	f.Add([]byte("\xfc\x40\x00\x00\x00\xff\x81"))                       // a message of a GiB
	f.Add([]byte("\x08\xff\x81\x03\x02\xfc\x40\x00\x00\x00"))           // a type of a billion fields
	f.Add([]byte(gobEncode(f, []struct{ Due string }{{"today"}})))      // an unknown field
	f.Add([]byte(gobEncode(f, make([]housework.Chore, 1000))))          // the smallest chores
	f.Add([]byte(gobEncode(f, [][]housework.Chore{codecBook})))         // a list of lists
	f.Add([]byte(gobEncode(f, map[string]housework.Chore{"a": {}})))    // a map
	f.Add([]byte(gobEncode(f, []housework.Chore{{RequestID: "\xff"}}))) // not UTF-8
	f.Fuzz(func(t *testing.T, data []byte) {
		chores, ok := codecFuzz(t, housework.Gob, data)
		if !ok {
			return
		}
		// That package refuses some streams that are not worth a check of ours, such as
		// a name that is empty. What it takes is what we take.
		var want []housework.Chore
		if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&want); err == nil && !slices.Equal(chores, want) {
			t.Errorf("Load = %v, encoding/gob makes %v", chores, want)
		}
	})
}

func FuzzProtobuf(f *testing.F) {
	codecSeeds(f, housework.Protobuf)
	f.Add([]byte(strings.Repeat("\x0a\x00", 1000)))           // the smallest chores
	f.Add([]byte("\x0a\xff\xff\xff\xff\x0f"))                 // a chore of 4 GiB
	f.Add([]byte("\x0a\x06\x12\x01a\x12\x01b\x1a\x01r"))      // a field twice
	f.Add([]byte("\x0a\x03\x12\x01\xff"))                     // not UTF-8
	f.Add([]byte("\x0a\x02\x22\x00"))                         // an unknown field
	f.Add([]byte("\x1a\x01r\x20\x07"))                        // the fields of messages
	f.Add([]byte(strings.Repeat("\x2b", 20_000)))             // groups in groups
	f.Add([]byte("\x8a\x00\x86\x00\x92\x80\x00\x81\x00a"))    // longer than need be
	f.Add([]byte("\x0a\x03\x08\xac\x02\x2b\x08\x01\x2c\x0c")) // a bool of 300, groups
	f.Fuzz(func(t *testing.T, data []byte) {
		var want houseworkv1.Chores
		failed := proto.Unmarshal(data, &want)
		if n, err := housework.CountChores(data); (err != nil) != (failed != nil) || err == nil && n != len(want.GetChores()) {
			t.Errorf("the scanner finds %d chores, %v, the generated code %d, %v", n, err, len(want.GetChores()), failed)
		}
		if chores, ok := codecFuzz(t, housework.Protobuf, data); ok && !proto.Equal(protobufMessages(chores), &want) {
			t.Errorf("Load = %v, the generated code makes %v", chores, &want)
		}
	})
}
