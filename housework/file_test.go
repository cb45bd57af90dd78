package housework_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/netparts/netparts/housework"
)

func TestFileIsThereAfterwards(t *testing.T) {
	for _, codec := range fileCodecs {
		t.Run(codec.String(), func(t *testing.T) {
			path := filePath(t)
			s := fileOpen(t, path, &housework.FileOptions{Codec: codec})
			fileAdd(t, s, "one", "two")
			fileNoError(t, s.Complete(t.Context(), 2))
			fileNoError(t, s.Close())
			fileWantEntries(t, filepath.Dir(path), "list", "list.lock")
			if lock := fileRead(t, path+".lock"); lock != "" {
				t.Errorf("the lock holds %q", lock)
			}
			again := fileOpen(t, path, nil) // and the format is told from the file
			fileWant(t, again, "one two*")
			if again.Codec() != codec {
				t.Errorf("Codec = %v, want %v", again.Codec(), codec)
			}
		})
	}
}

// The book's file has no request ids, and neither has one of chores that had none.
func TestFileOfTheBook(t *testing.T) {
	path := filePath(t)
	fileWrite(t, path, `[{"Complete":false,"Description":"one"}]`+"\n")
	s := fileOpen(t, path, nil)
	fileAdd(t, s, "two")
	fileNoError(t, s.Complete(t.Context(), 1))
	want := `[{"Complete":true,"Description":"one"},{"Complete":false,"Description":"two"}]` + "\n"
	if got := fileRead(t, path); got != want {
		t.Errorf("the file holds %q, want %q", got, want)
	}
}

func TestOpenFileWithoutFile(t *testing.T) {
	path := filePath(t)
	s := fileOpen(t, path, nil)
	if s.Codec() != housework.JSON {
		t.Errorf("Codec = %v, want json", s.Codec())
	}
	fileWant(t, s, "")
	fileNoError(t, s.Complete(t.Context()))
	first, err := s.Add(t.Context(), "", nil)
	if first != 1 || err != nil {
		t.Errorf("Add of nothing = %d, %v, want 1", first, err)
	}
	fileWantEntries(t, filepath.Dir(path)) // nothing was made
	var none *housework.ChoreError
	if err := s.Complete(t.Context(), 1); !errors.As(err, &none) || !errors.Is(err, housework.ErrNotFound) {
		t.Errorf("Complete(1) = %v, want a ChoreError", err)
	}
	fileWantEntries(t, filepath.Dir(path), "list.lock")
}

func TestOpenFileThatCannotBe(t *testing.T) {
	folder := t.TempDir()
	fileWrite(t, filepath.Join(folder, "file"), "[]\n")
	fileNoError(t, os.Mkdir(filepath.Join(folder, "folder"), 0o700))
	long := strings.Repeat("n", 252)
	tests := []struct{ name, path, text string }{
		{"no name", "", "has no name"},
		{"name that ends in a slash", filepath.Join(folder, "new") + "/", "has no name"},
		{"folder", filepath.Join(folder, "folder"), "is not a regular file"},
		{"in a folder that is not there", filepath.Join(folder, "none", "list"), "none"},
		{"in a file", filepath.Join(folder, "file", "list"), "file"},
		{"too long for the name of the lock", filepath.Join(folder, long), "name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fileWantOpenError(t, tt.path, tt.text)
			fileWantEntries(t, folder, "file", "folder")
		})
	}
}

func fileWantOpenError(t *testing.T, path, text string) {
	t.Helper()
	s, err := housework.OpenFile(path, nil)
	if s != nil {
		t.Error("there is a store")
	}
	fileWantError(t, err, "opening "+path, text)
}

func TestFileOfNoBytes(t *testing.T) {
	tests := []struct {
		name  string
		codec housework.Codec
		ok    bool
	}{
		{"json", housework.JSON, false},
		{"gob", housework.Gob, false},
		{"told from the file", nil, false},
		{"protobuf", housework.Protobuf, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filePath(t)
			fileWrite(t, path, "")
			s, err := housework.OpenFile(path, &housework.FileOptions{Codec: tt.codec})
			if tt.ok {
				fileNoError(t, err)
				fileWant(t, s, "")
				fileNoError(t, s.Close())
				return
			}
			fileWantDamage(t, err, path)
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%v does not match io.ErrUnexpectedEOF", err)
			}
			fileWantEntries(t, filepath.Dir(path), "list")
		})
	}
}

func fileWantDamage(t *testing.T, err error, path string) {
	t.Helper()
	var damage *housework.FormatError
	if !errors.As(err, &damage) {
		t.Fatalf("the error is %v, want a FormatError", err)
	}
	if damage.Path != path {
		t.Errorf("the error is about %q, want %q", damage.Path, path)
	}
	fileWantError(t, err, path)
}

// A file that is damaged while it is open is reported by each method, and stays as it is
// until somebody mends it.
func TestFileDamagedMeanwhile(t *testing.T) {
	path := filePath(t)
	s := fileOpen(t, path, &housework.FileOptions{Codec: housework.JSON})
	fileAdd(t, s, "one")
	good := fileRead(t, path)
	for _, bad := range []string{"", "[", good[:len(good)/2], good + good, "null x", "\n\x05\x12\x03two"} {
		fileWrite(t, path, bad)
		_, err := s.Add(t.Context(), "", fileChores("two"))
		fileWantDamage(t, err, path)
		_, err = s.Add(t.Context(), "", nil)
		fileWantDamage(t, err, path)
		fileWantDamage(t, s.Complete(t.Context(), 1), path)
		fileWantDamage(t, s.Complete(t.Context()), path)
		_, err = s.List(t.Context(), 1, 1)
		fileWantDamage(t, err, path)
		if got := fileRead(t, path); got != bad {
			t.Errorf("the file holds %q, and held %q", got, bad)
		}
	}
	fileWrite(t, path, good)
	fileAdd(t, s, "two")
	fileWant(t, s, "one two")
	fileWantEntries(t, filepath.Dir(path), "list", "list.lock")
}

// Somebody else may also begin anew, in another format.
func TestFileGoneMeanwhile(t *testing.T) {
	path := filePath(t)
	s := fileOpen(t, path, nil)
	_, err := s.Add(t.Context(), "id", fileChores("one"))
	fileNoError(t, err)
	fileNoError(t, os.Remove(path))
	fileWant(t, s, "")
	first, err := s.Add(t.Context(), "id", fileChores("two"))
	if first != 1 || err != nil {
		t.Errorf("Add = %d, %v, want 1: the request ids are gone, too", first, err)
	}
	fileNoError(t, os.Remove(path))
	other := fileOpen(t, path, &housework.FileOptions{Codec: housework.Gob})
	fileAdd(t, other, "three")
	fileWant(t, s, "three")
	fileAdd(t, s, "four")
	fileWant(t, other, "three four")
	if s.Codec() != housework.Gob {
		t.Errorf("Codec = %v, want gob", s.Codec())
	}
}

// Two stores on one file see what the other does: each change and each list.
func TestFileOfTwoStores(t *testing.T) {
	path := filePath(t)
	a, b := fileOpen(t, path, nil), fileOpen(t, path, nil)
	fileAdd(t, a, "one")
	fileAdd(t, b, "two")
	fileNoError(t, a.Complete(t.Context(), 2))
	for _, s := range []housework.Store{a, b} {
		fileWant(t, s, "one two*")
	}
	first, err := a.Add(t.Context(), "id", fileChores("three"))
	fileNoError(t, err)
	again, err := b.Add(t.Context(), "id", fileChores("three"))
	if again != first || err != nil {
		t.Errorf("the request at the other store = %d, %v, want %d", again, err, first)
	}
	fileWant(t, b, "one two* three")
}

func TestFileRequestIDs(t *testing.T) {
	path := filePath(t)
	s := fileOpen(t, path, nil)
	fileAdd(t, s, "zero")
	_, err := s.Add(t.Context(), "id", fileChores("one", "two"))
	fileNoError(t, err)
	fileAdd(t, s, "three")
	fileNoError(t, s.Complete(t.Context(), 2))
	before := fileRead(t, path)
	for _, s := range []housework.Store{s, fileOpen(t, path, nil)} {
		first, err := s.Add(t.Context(), "id", fileChores("one", "two"))
		if first != 2 || err != nil {
			t.Errorf("Add again = %d, %v, want 2", first, err)
		}
		for _, chores := range [][]housework.Chore{fileChores("one"), fileChores("one", "two", "three"), fileChores("two", "one")} {
			if _, err := s.Add(t.Context(), "id", chores); !errors.Is(err, housework.ErrRequestIDUsed) {
				t.Errorf("Add of %v = %v, want ErrRequestIDUsed", chores, err)
			}
		}
	}
	if after := fileRead(t, path); after != before {
		t.Errorf("the file holds %q, want %q", after, before)
	}
}

// Where something else has written a request twice, the first counts.
func TestFileWithRequestTwice(t *testing.T) {
	path := filePath(t)
	fileWrite(t, path, `[{"Complete":false,"Description":"a","RequestID":"id"},{"Complete":false,"Description":"b"},`+
		`{"Complete":false,"Description":"a","RequestID":"id"}]`)
	s := fileOpen(t, path, nil)
	if first, err := s.Add(t.Context(), "id", fileChores("a")); first != 1 || err != nil {
		t.Errorf("Add = %d, %v, want 1", first, err)
	}
}

func TestFileMaxChores(t *testing.T) {
	path := filePath(t)
	s := fileOpen(t, path, &housework.FileOptions{MaxChores: 3})
	fileAdd(t, s, "one", "two")
	_, err := s.Add(t.Context(), "", fileChores("three", "four"))
	if !errors.Is(err, housework.ErrFull) {
		t.Errorf("Add beyond the limit = %v, want ErrFull", err)
	}
	fileAdd(t, s, "three")
	fileWant(t, s, "one two three")
	small := fileOpen(t, path, &housework.FileOptions{MaxChores: 1})
	fileWant(t, small, "one two three")
	if _, err := small.Add(t.Context(), "", fileChores("four")); !errors.Is(err, housework.ErrFull) {
		t.Errorf("Add to a list beyond the limit = %v, want ErrFull", err)
	}
	fileNoError(t, small.Complete(t.Context(), 3))
}

// What was listed does not change with the list, nor the list with it.
func TestFilePageIsTheCallers(t *testing.T) {
	s := fileOpen(t, filePath(t), nil)
	chores := fileChores("one", "two")
	_, err := s.Add(t.Context(), "", chores)
	fileNoError(t, err)
	chores[0].Description = "changed"
	page, err := s.List(t.Context(), 1, 10)
	fileNoError(t, err)
	before := slices.Clone(page)
	fileNoError(t, s.Complete(t.Context(), 1))
	if !slices.Equal(page, before) {
		t.Errorf("the page is %v, and was %v", page, before)
	}
	page[1].Description = "changed"
	fileWant(t, s, "one* two")
}

func TestFileClosed(t *testing.T) {
	s := fileOpen(t, filePath(t), nil)
	fileAdd(t, s, "one")
	fileNoError(t, s.Close())
	_, add := s.Add(t.Context(), "", fileChores("two"))
	_, list := s.List(t.Context(), 1, 1)
	for _, err := range []error{add, list, s.Complete(t.Context(), 1)} {
		if !errors.Is(err, housework.ErrClosed) || !errors.Is(err, fs.ErrClosed) {
			t.Errorf("after Close: %v, want ErrClosed", err)
		}
	}
	if s.Codec() != housework.JSON {
		t.Errorf("Codec = %v, want json", s.Codec())
	}
	fileNoError(t, s.Close())
}

// A fileLoads is a codec that counts what it reads.
type fileLoads struct {
	housework.Codec
	n *atomic.Int32
}

func (l fileLoads) Load(r io.Reader) ([]housework.Chore, error) {
	l.n.Add(1)
	return l.Codec.Load(r)
}

// What a store has written itself it does not read again, also when it lists at
// the same time; and what others have written it reads once.
func TestFileReadsOnce(t *testing.T) {
	path := filePath(t)
	var loads atomic.Int32
	s := fileOpen(t, path, &housework.FileOptions{Codec: fileLoads{housework.JSON, &loads}})
	done := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() { fileWatchGrowing(t, s, done) })
	for range 50 {
		fileAdd(t, s, "one", "one")
	}
	close(done)
	reader.Wait()
	if n := loads.Load(); n != 0 {
		t.Errorf("its own file was read %d times", n)
	}
	fileAdd(t, fileOpen(t, path, nil), "other")
	for range 3 {
		fileList(t, s)
	}
	fileAdd(t, s, "one")
	if n := loads.Load(); n != 1 {
		t.Errorf("the file of another was read %d times", n)
	}
	_, err := fileOpen(t, path, nil).Add(t.Context(), "id", fileChores("two"))
	fileNoError(t, err)
	for range 3 {
		_, err := s.Add(t.Context(), "id", fileChores("two"))
		fileNoError(t, err)
	}
	if n := loads.Load(); n != 2 {
		t.Errorf("for changes the file of another was read %d times", n-1)
	}
}
