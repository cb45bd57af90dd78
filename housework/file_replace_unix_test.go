//go:build linux || darwin || freebsd

package housework_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What a killed process has left is removed, also if somebody has planted a link: what
// that leads to stays as it is.
func TestFileLeftover(t *testing.T) {
	for _, kind := range []string{"file", "link", "pipe"} {
		t.Run(kind, func(t *testing.T) {
			path := filePath(t)
			victim := filepath.Join(t.TempDir(), "victim")
			fileWrite(t, victim, "precious")
			switch kind {
			case "file":
				fileWrite(t, path+".tmp", "[")
			case "link":
				fileNoError(t, os.Symlink(victim, path+".tmp"))
			case "pipe":
				fileNoError(t, syscall.Mkfifo(path+".tmp", 0o600))
			}
			s := fileOpen(t, path, nil)
			fileAdd(t, s, "one")
			fileWant(t, s, "one")
			fileWantEntries(t, filepath.Dir(path), "list", "list.lock")
			if got := fileRead(t, victim); got != "precious" {
				t.Errorf("what the link leads to is %q", got)
			}
			if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
				t.Errorf("the list is %v, %v", info.Mode(), err)
			}
		})
	}
	t.Run("folder", func(t *testing.T) {
		path := filePath(t)
		fileNoError(t, os.Mkdir(path+".tmp", 0o700))
		s := fileOpen(t, path, nil)
		_, err := s.Add(t.Context(), "", fileChores("one"))
		fileWantError(t, err, "the folder "+path+".tmp is in the way")
		fileWant(t, s, "")
		fileWantEntries(t, filepath.Dir(path), "list.lock", "list.tmp")
	})
}

// A link stays, and leads to the new list, also if that is the first.
func TestFileBehindLinks(t *testing.T) {
	folder, other := t.TempDir(), t.TempDir()
	first, second := filepath.Join(folder, "first"), filepath.Join(folder, "second")
	target := filepath.Join(other, "list")
	fileNoError(t, os.Symlink("second", first))
	fileNoError(t, os.Symlink(target, second))
	for range 2 {
		s := fileOpen(t, first, nil)
		fileAdd(t, s, "one")
		fileNoError(t, s.Close())
	}
	fileWant(t, fileOpen(t, target, nil), "one one")
	fileWantEntries(t, folder, "first", "second")
	fileWantEntries(t, other, "list", "list.lock")
	for _, link := range []string{first, second} {
		if _, err := os.Readlink(link); err != nil {
			t.Error(err)
		}
	}
}

// A link that leads upwards counts from where it really is, and not from the link by which
// its folder was reached.
func TestFileBehindLinkInLinkedFolder(t *testing.T) {
	for _, target := range []string{"../list", "./up/list", "up/../list"} {
		folder := t.TempDir()
		deep, short := filepath.Join(folder, "far", "deep"), filepath.Join(folder, "short")
		fileNoError(t, os.MkdirAll(deep, 0o700))
		fileNoError(t, os.Symlink(deep, short))
		fileNoError(t, os.Symlink("..", filepath.Join(deep, "up")))
		fileNoError(t, os.Symlink(target, filepath.Join(deep, "link")))
		real, err := filepath.EvalSymlinks(filepath.Join(deep, "up"))
		fileNoError(t, err)
		if target == "up/../list" { // the parent of what up leads to
			real = filepath.Dir(real)
		}
		fileAdd(t, fileOpen(t, filepath.Join(real, "list"), nil), "one")
		fileWant(t, fileOpen(t, filepath.Join(short, "link"), nil), "one")
	}
}

func TestOpenFileThatIsNoFile(t *testing.T) {
	folder := t.TempDir()
	pipe, loop := filepath.Join(folder, "pipe"), filepath.Join(folder, "loop")
	fileNoError(t, syscall.Mkfifo(pipe, 0o600))
	fileNoError(t, os.Symlink("loop", loop))
	s := fileOpen(t, filepath.Join(folder, "list"), nil)
	fileAdd(t, s, "one")
	fileWantOpenError(t, pipe, "is not a regular file")
	fileWantOpenError(t, loop, "too many symbolic links")

	// The same, of a list that is open.
	list := filepath.Join(folder, "list")
	fileNoError(t, os.Remove(list))
	fileNoError(t, os.Symlink(pipe, list))
	_, err := s.Add(t.Context(), "", fileChores("two"))
	fileWantError(t, err, list+" is not a regular file")
	_, err = s.List(t.Context(), 1, 1)
	fileWantError(t, err, list+" is not a regular file")
}

func TestFileKeepsMode(t *testing.T) {
	path := filePath(t)
	s := fileOpen(t, path, nil)
	fileAdd(t, s, "one")
	umask := syscall.Umask(0)
	syscall.Umask(umask)
	fileWantMode(t, path, 0o666&^fs.FileMode(umask))
	for _, mode := range []fs.FileMode{0o640, 0o600, 0o666, 0o707} {
		fileNoError(t, os.Chmod(path, mode))
		fileAdd(t, s, "one more")
		fileWantMode(t, path, mode)
	}
	// So that who may change the list may lock it.
	other := filepath.Join(filepath.Dir(path), "other")
	fileNoError(t, os.Rename(path, other))
	fileNoError(t, os.Chmod(other, 0o662))
	fileAdd(t, fileOpen(t, other, nil), "one")
	fileWantMode(t, other+".lock", 0o662)
}

func fileWantMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	fileNoError(t, err)
	if info.Mode() != want {
		t.Errorf("the mode of %s is %v, want %v", path, info.Mode(), want)
	}
}

// A list that somebody else replaces between two changes is seen, even if it has the
// size and the time of the old one: its identity is another, as the old file is kept
// open.
func TestFileReplacedByTwin(t *testing.T) {
	path := filePath(t)
	s := fileOpen(t, path, nil)
	fileAdd(t, s, "one")
	info, err := os.Stat(path)
	fileNoError(t, err)
	for range 20 {
		for _, d := range []string{"two", "one"} {
			text := `[{"Complete":false,"Description":"` + d + `"}]` + "\n"
			fileNoError(t, os.Remove(path))
			fileWrite(t, path, text)
			fileNoError(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
			fileWant(t, s, d)
		}
	}
}
