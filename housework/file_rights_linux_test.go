package housework_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/internal/interop"
)

const (
	fileNobody = 65534
	fileOwner  = 12345
)

// fileAsNobody calls f without the rights of root to files, if the test has them.
func fileAsNobody(t *testing.T, f func() error) error {
	t.Helper()
	if os.Geteuid() != 0 {
		return f()
	}
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // which ends with the goroutine
		err := syscall.Setfsuid(fileNobody)
		if err == nil {
			err = f()
		}
		result <- err
	}()
	return <-result
}

// fileNobodysList makes a list that nobody owns if the test is root's, in a folder that
// it gets to.
func fileNobodysList(t *testing.T) (path string) {
	t.Helper()
	folder, err := os.MkdirTemp("", "housework")
	fileNoError(t, err)
	t.Cleanup(func() {
		fileNoError(t, os.Chmod(folder, 0o700))
		fileNoError(t, os.RemoveAll(folder))
	})
	path = filepath.Join(folder, "list")
	fileWrite(t, path, `[{"Complete":false,"Description":"one"}]`)
	if os.Geteuid() == 0 {
		fileNoError(t, os.Chown(folder, fileNobody, fileNobody))
		fileNoError(t, os.Chown(path, fileNobody, fileNobody))
	}
	return path
}

// A list that may only be read can be listed, and stays as it is.
func TestFileReadOnly(t *testing.T) {
	tests := []struct {
		name         string
		file, folder fs.FileMode
		text         string
	}{
		{"file", 0o444, 0o700, "list: permission denied"},
		{"folder", 0o644, 0o555, "list.lock: permission denied"},
		{"folder that cannot be listed", 0o644, 0o300, ": permission denied"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := fileNobodysList(t)
			before := fileRead(t, path)
			fileNoError(t, os.Chmod(path, tt.file))
			fileNoError(t, os.Chmod(filepath.Dir(path), tt.folder))
			err := fileAsNobody(t, func() error {
				s, err := housework.OpenFile(path, nil)
				if err != nil {
					t.Error(err)
					return nil
				}
				defer s.Close()
				fileWant(t, s, "one")
				_, err = s.Add(t.Context(), "", fileChores("two"))
				fileWant(t, s, "one")
				return err
			})
			if !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%v does not match fs.ErrPermission", err)
			}
			fileWantError(t, err, "changing "+path, tt.text)
			if got := fileRead(t, path); got != before {
				t.Errorf("the file holds %q, want %q", got, before)
			}
			if _, err := os.Lstat(path + ".tmp"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the temporary file: %v", err)
			}
		})
	}
}

func TestFileThatMayNotBeRead(t *testing.T) {
	path := fileNobodysList(t)
	fileNoError(t, os.Chmod(path, 0o200))
	err := fileAsNobody(t, func() error {
		_, err := housework.OpenFile(path, nil)
		return err
	})
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v does not match fs.ErrPermission", err)
	}
	fileWantError(t, err, "opening "+path)
}

// Root's changes leave a file with its owner, and so the lock that they made.
func TestRootFileKeepsOwner(t *testing.T) {
	interop.Root(t)
	path := filePath(t)
	fileWrite(t, path, "[]")
	fileNoError(t, os.Chown(path, fileOwner, fileNobody))
	fileNoError(t, os.Chmod(path, 0o640|fs.ModeSetgid))
	s := fileOpen(t, path, nil)
	fileAdd(t, s, "one")
	for name, mode := range map[string]fs.FileMode{path: 0o640 | fs.ModeSetgid, path + ".lock": 0o640} {
		fileWantMode(t, name, mode)
		info, err := os.Stat(name)
		fileNoError(t, err)
		if o := info.Sys().(*syscall.Stat_t); o.Uid != fileOwner || o.Gid != fileNobody {
			t.Errorf("%s belongs to user %d and group %d, want %d and %d", name, o.Uid, o.Gid, fileOwner, fileNobody)
		}
	}
}

// Who may write a file of somebody else, but not give it away, would take it over.
func TestRootFileOfSomebodyElse(t *testing.T) {
	interop.Root(t)
	path := fileNobodysList(t)
	fileNoError(t, os.Chown(path, fileOwner, fileOwner))
	fileNoError(t, os.Chmod(path, 0o666))
	before := fileRead(t, path)
	err := fileAsNobody(t, func() error {
		s, err := housework.OpenFile(path, nil)
		if err != nil {
			return err
		}
		defer s.Close()
		_, err = s.Add(t.Context(), "", fileChores("two"))
		fileWant(t, s, "one")
		return err
	})
	if !errors.Is(err, fs.ErrPermission) || err == nil || !strings.Contains(err.Error(), "owner, user 12345 and group 12345, cannot be kept") {
		t.Errorf("Add = %v, want that the owner cannot be kept", err)
	}
	if got := fileRead(t, path); got != before {
		t.Errorf("the file holds %q, want %q", got, before)
	}
	fileWantEntries(t, filepath.Dir(path), "list", "list.lock")
}
