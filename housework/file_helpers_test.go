package housework_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/netparts/netparts/housework"
)

// fileCodecs are the codecs that files are tested with.
var fileCodecs = []housework.Codec{housework.JSON, housework.Gob, housework.Protobuf}

func fileNoError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fileOpen opens a list, and closes it with the test.
func fileOpen(t testing.TB, path string, o *housework.FileOptions) *housework.FileStore {
	t.Helper()
	s, err := housework.OpenFile(path, o)
	fileNoError(t, err)
	t.Cleanup(func() { fileNoError(t, s.Close()) })
	return s
}

func fileChores(descriptions ...string) []housework.Chore {
	chores := make([]housework.Chore, len(descriptions))
	for i, d := range descriptions {
		chores[i].Description = d
	}
	return chores
}

func fileAdd(t testing.TB, s housework.Store, descriptions ...string) {
	t.Helper()
	_, err := s.Add(context.Background(), "", fileChores(descriptions...))
	fileNoError(t, err)
}

// fileList returns the list in one line, with a star at what is done.
func fileList(t testing.TB, s housework.Store) string {
	t.Helper()
	var list []string
	for c, err := range housework.All(context.Background(), s) {
		fileNoError(t, err)
		if c.Complete {
			c.Description += "*"
		}
		list = append(list, c.Description)
	}
	return strings.Join(list, " ")
}

func fileWant(t testing.TB, s housework.Store, want string) {
	t.Helper()
	if got := fileList(t, s); got != want {
		t.Errorf("the list is %q, want %q", got, want)
	}
}

// fileWantError wants an error of the package that has each of the texts.
func fileWantError(t testing.TB, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", texts)
	}
	for _, text := range append(texts, "housework: ") {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error is %q, want one with %q", err, text)
		}
	}
	if strings.Count(err.Error(), "housework: ") > 1 {
		t.Errorf("the error is %q, which says twice where it comes from", err)
	}
}

func fileRead(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	fileNoError(t, err)
	return string(data)
}

func fileWrite(t testing.TB, path, text string) {
	t.Helper()
	fileNoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// fileWantEntries wants a folder to have these entries, in alphabetical order.
func fileWantEntries(t testing.TB, folder string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	fileNoError(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("the folder has %q, want %q", got, want)
	}
}

// filePath returns the path of a list that is not there yet.
func filePath(t testing.TB) string { return filepath.Join(t.TempDir(), "list") }

// A fileHook is a codec that calls a function before it writes.
type fileHook struct {
	housework.Codec
	flush func(chores []housework.Chore) error
}

func (h fileHook) Flush(w io.Writer, chores []housework.Chore) error {
	if err := h.flush(chores); err != nil {
		return err
	}
	return h.Codec.Flush(w, chores)
}
