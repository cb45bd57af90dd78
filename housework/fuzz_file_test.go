package housework_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/netparts/netparts/housework"
)

// A file of any bytes either is a list, to which one can add, or a FormatError, and then
// stays as it is.
func FuzzOpenFile(f *testing.F) {
	list := []housework.Chore{{Description: "one", Complete: true}, {Description: "two", RequestID: "id"}}
	for i, codec := range fileCodecs {
		var b bytes.Buffer
		if err := codec.Flush(&b, list); err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), b.Bytes())             // a list
		f.Add(byte(3), b.Bytes())             // of which the format is to be told
		f.Add(byte(i), b.Bytes()[:b.Len()-1]) // without its end
		f.Add(byte(i+1), b.Bytes())           // in another format
		f.Add(byte(i), []byte(nil))           // no bytes
	}
	f.Fuzz(func(t *testing.T, format byte, data []byte) {
		path := filepath.Join(t.TempDir(), "list")
		fileNoError(t, os.WriteFile(path, data, 0o600))
		o := new(housework.FileOptions)
		if n := int(format) % 4; n < len(fileCodecs) {
			o.Codec = fileCodecs[n]
		}
		s, err := housework.OpenFile(path, o)
		if err != nil {
			if _, ok := errors.AsType[*housework.FormatError](err); !ok {
				t.Errorf("OpenFile = %v, want a FormatError", err)
			}
			fileWantEntries(t, filepath.Dir(path), "list")
		} else {
			fileFuzzAdd(t, s, path)
			fileNoError(t, s.Close())
			return
		}
		if got := fileRead(t, path); got != string(data) {
			t.Errorf("the file holds %q, and held %q", got, data)
		}
	})
}

// fileFuzzAdd adds to a list that was loaded, which another store then sees.
func fileFuzzAdd(t *testing.T, s *housework.FileStore, path string) {
	before := fileList(t, s)
	first, err := s.Add(t.Context(), "", fileChores("new"))
	if err != nil {
		t.Fatalf("Add to what was loaded: %v", err)
	}
	again, err := housework.OpenFile(path, &housework.FileOptions{Codec: s.Codec()})
	if err != nil {
		t.Fatalf("the new file: %v", err)
	}
	want := before + " new"
	if first == 1 {
		want = "new"
	}
	fileWant(t, again, want)
	fileNoError(t, again.Close())
}
