package housework_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/netparts/netparts/housework"
)

// jsonBook is what the book's program writes.
const jsonBook = `[{"Complete":false,"Description":"Mop floors"},{"Complete":true,"Description":"Clean dishes"},{"Complete":false,"Description":"Mow the lawn"}]` + "\n"

func TestJSONOfTheBook(t *testing.T) {
	if got := codecFlush(t, housework.JSON, codecBook); string(got) != jsonBook {
		t.Errorf("Flush writes %s, want %s", got, jsonBook)
	}
	if got := codecLoad(t, housework.JSON, []byte(jsonBook)); !slices.Equal(got, codecBook) {
		t.Errorf("Load = %v", got)
	}
}

// The book's encoder escapes what HTML does not bear, and so do we.
func TestJSONBytes(t *testing.T) {
	type bookChore struct {
		Complete    bool
		Description string
	}
	for _, text := range []string{"<a> & b", "\u2028", "\x00\t\"\\", "\U0001f600 \ufffd", "é"} {
		var want bytes.Buffer
		if err := json.NewEncoder(&want).Encode([]*bookChore{{Description: text}}); err != nil {
			t.Fatal(err)
		}
		if got := codecFlush(t, housework.JSON, []housework.Chore{{Description: text}}); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("Flush writes %s, want %s", got, &want)
		}
	}
	if got := codecFlush(t, housework.JSON, nil); string(got) != "[]\n" {
		t.Errorf("Flush writes %q for an empty list", got)
	}
	got := codecFlush(t, housework.JSON, []housework.Chore{{Description: "a", RequestID: "r"}})
	if want := `[{"Complete":false,"Description":"a","RequestID":"r"}]` + "\n"; string(got) != want {
		t.Errorf("Flush writes %s, want %s", got, want)
	}
}

func TestJSONTaken(t *testing.T) {
	a := housework.Chore{Description: "a"}
	for _, tt := range []struct {
		name, data string
		want       []housework.Chore
	}{
		{"null, which the book writes of no list", "null\n", nil},
		{"spaced out", "\n[\n {\"Complete\" : false ,\r\n\t\"Description\":\"a\"}\n , {} ]\n\n", []housework.Chore{a, {}}},
		{"keys left out", `[{},{"Description":"a"}]`, []housework.Chore{{}, a}},
		{"values that are null", `[{"Complete":null,"Description":"a","RequestID":null}]`, []housework.Chore{a}},
		{"keys in other letters", `[{"complete":true,"DESCRIPTION":"a","requestId":"r"}]`, []housework.Chore{{Complete: true, Description: "a", RequestID: "r"}}},
		{"keys with escapes", `[{"Descr\u0069ption":"a"}]`, []housework.Chore{a}},
		{"a key twice", `[{"Description":"b","Description":"a"}]`, []housework.Chore{a}},
		{"a key twice in other letters", `[{"Description":"b","description":"a"}]`, []housework.Chore{a}},
		{"a key twice, then null", `[{"Description":"a","Description":null}]`, []housework.Chore{a}},
		{"a surrogate pair", `[{"Description":"\ud83d\uDE00"}]`, []housework.Chore{{Description: "😀"}}},
		{"what looks like a surrogate", `[{"Description":"\\ud800"}]`, []housework.Chore{{Description: `\ud800`}}},
		{"what looks like null", `[{"Description":"null"},{"Description":"[null]"}]`, []housework.Chore{{Description: "null"}, {Description: "[null]"}}},
		{"the replacement character", `[{"Description":"\ufffd"}]`, []housework.Chore{{Description: "\ufffd"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := codecLoad(t, housework.JSON, []byte(tt.data)); got == nil || !slices.Equal(got, tt.want) {
				t.Errorf("Load(%s) = %v, want %v", tt.data, got, tt.want)
			}
		})
	}
}

// Each character is written as encoding/json writes it.
func TestJSONCharacters(t *testing.T) {
	var chores []housework.Chore
	for r := range rune(0x3000) {
		if text := string(r); r != 0 {
			chores = append(chores, housework.Chore{Description: text + "a" + text, RequestID: text})
		}
	}
	for _, text := range []string{"\x00", "\ufffd", "\uffff", "\U0001f600", "\u2028\u2029", `\ufffd`} {
		chores = append(chores, housework.Chore{Complete: true, Description: text})
	}
	for i := range chores {
		var want bytes.Buffer
		if err := json.NewEncoder(&want).Encode(chores[i : i+1]); err != nil {
			t.Fatal(err)
		}
		if got := codecFlush(t, housework.JSON, chores[i:i+1]); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("Flush writes %s, want %s", got, &want)
		}
	}
	if got := codecLoad(t, housework.JSON, codecFlush(t, housework.JSON, chores)); !slices.Equal(got, chores) {
		t.Error("the list comes back as another one")
	}
}

// strictJSON decodes a list with encoding/json, without unknown keys, and without anything
// behind it.
func strictJSON(data string) (chores []housework.Chore, err error) {
	d := json.NewDecoder(strings.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&chores); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more")
	}
	return chores, nil
}

// Lists as Flush writes them are read by a decoder of their own. What looks much like one
// is taken, or refused, as encoding/json does.
func TestJSONAlmostPlain(t *testing.T) {
	const list = `[{"Complete":true,"Description":"a\"\\\/\b\f\n\r\t\u003c\u2028é","RequestID":"r\u0026"},{"Complete":false,"Description":""}]`
	compare := func(t *testing.T, data string) {
		t.Helper()
		if !utf8.ValidString(data) {
			return // which that package takes
		}
		want, failed := strictJSON(data)
		got, err := housework.JSON.Load(strings.NewReader(data))
		switch {
		case (err != nil) != (failed != nil):
			t.Errorf("Load(%s) = %v, encoding/json says %v", data, err, failed)
		case err == nil && !slices.Equal(got, want):
			t.Errorf("Load(%s) = %v, encoding/json makes %v", data, got, want)
		}
	}
	compare(t, list)
	for i := range list {
		compare(t, list[:i]) // ends too early
		compare(t, list[:i]+list[i+1:])
		for _, b := range []string{" ", "\x1f", `\`, `"`, ",", "]", "}", "x", "\n", "\\u00e9", "\u007f"} {
			compare(t, list[:i]+b+list[i:])
		}
	}
	for _, escape := range []string{"0000", "0001", "00E9", "fffd", "FFFF", "d7ff", "e000", "00g0", "+123", "0x12", "12", "1_23"} {
		compare(t, `[{"Complete":false,"Description":"\u`+escape+`"}]`)
	}
}

// The offset of each fault is that of the mark ^ in the data.
func TestJSONRefused(t *testing.T) {
	for _, tt := range []struct{ name, data, text string }{
		{"not a list", `^{"Complete":true}`, "not an array"},
		{"a number", ` ^5`, "not an array"},
		{"a string", `^"[]"`, "not an array"},
		{"no JSON", `[^x]`, "invalid character"},
		{"a comma too much", `[{}, ^]`, "invalid character"},
		{"the text of a program", `^package main`, "invalid character"},
		{"a mark of the byte order", "^\ufeff[]", "invalid character"},
		{"a chore that is null", `[{"Description":"null"}, ^null]`, "chore 2 is null"},
		{"null alone", `[^null]`, "chore 1 is null"},
		{"a chore that is an array", `[{},{"Description":"[{,"}, ^[]]`, "chore 3 is not an object"},
		{"a chore that is a string", `[^"Mop floors"]`, "chore 1 is not an object"},
		{"a number for a bool", `[{"Complete":true,"Description":"\"},{"},{"Complete": ^1}]`, `chore 2: "Complete" is not true or false`},
		{"a string for a bool", `[{"Complete":^"true"}]`, `"Complete" is not true or false`},
		{"a number for a string", `[{"Complete":null,"description":^1}]`, `"description" is not a string`},
		{"an object for a string", `[{"Description":^{"a":[null]}}]`, `"Description" is not a string`},
		{"a number for an id", `[{"RequestID":^5}]`, `"RequestID" is not a string`},
		{"an unknown key", `[{},{"Description":"a",^"Due":"today"}]`, `chore 2 has the unknown key "Due"`},
		{"an unknown key with an array", `[{^"a\"b":[{"c":null}]}]`, `unknown key "a\"b"`},
		{"an empty key", `[{^"":1}]`, `unknown key ""`},
		{"a control character in a key", `[{^"\u001b[2J":1}]`, `"\x1b[2J"`},
		{"two lists", `[] ^[]`, "more after the list"},
		{"null, then more", `null ^null`, "more after the list"},
		{"a fault before what follows", `[^null] x`, "chore 1 is null"},
		{"the first half of a pair", `[{"Description":"a^\ud800"}]`, "half of a surrogate pair"},
		{"the second half", `[{"Description":"^\uDC00\ud800"}]`, "half of a surrogate pair"},
		{"two first halves", `[{"Description":"^\ud800\ud800\udc00"}]`, "half of a surrogate pair"},
		{"a half after a backslash", `[{"Description":"\\\\^\ud800x"}]`, "half of a surrogate pair"},
		{"a half in an id", `[{"RequestID":"^\ud800"}]`, "half of a surrogate pair"},
		{"a half in a key", `[{"^\ud800":1}]`, "half of a surrogate pair"},
		{"Latin 1", "[{\"Description\":\"caf^\xe9\"}]", "not UTF-8"},
		{"a surrogate in UTF-8", "[{\"Description\":\"\ufffd^\xed\xa0\x80\"}]", "not UTF-8"},
		{"UTF-16", "^\xff\xfe[\x00]\x00", "not UTF-8"},
		{"not UTF-8 behind the list", "[]\n^\xff", "not UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, after, _ := strings.Cut(tt.data, "^")
			codecFault(t, housework.JSON, before+after, int64(len(before)), tt.text)
		})
	}
}

func TestJSONDepth(t *testing.T) {
	deep := strings.Repeat("[", 20_000)
	codecFaultText(t, housework.JSON, deep+strings.Repeat("]", 20_000))
	codecFaultText(t, housework.JSON, `[{"a":`+deep)
}
