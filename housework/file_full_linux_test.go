package housework_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/internal/interop"
)

// These run before any init, which is when children begin.
var (
	_ = fileChildAlso("limited", fileChildLimited)
	_ = fileChildAlso("fill", fileChildFill)
)

func fileChildAlso(do string, f func(s *housework.FileStore, numbers []int) error) bool {
	fileChildren[do] = f
	return true
}

// fileChildLimited may write files of so many bytes, and tries to write more.
func fileChildLimited(s *housework.FileStore, numbers []int) error {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	limit := old
	limit.Cur = uint64(numbers[0])
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if err := fileChildAddLong(s, 0); !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("beyond the limit: %w", err)
	}
	if err := fileChildAdd(s, 0, 0); err != nil {
		return fmt.Errorf("within the limit: %w", err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	return fileChildAdd(s, 0, 1)
}

func fileChildAddLong(s *housework.FileStore, i int) error {
	text := strings.Repeat("x", housework.MaxDescription)
	_, err := s.Add(context.Background(), fmt.Sprint("long ", i), fileChores(text))
	return err
}

// fileChildFill fills a disk of its own, and says how many chores were acknowledged.
func fileChildFill(s *housework.FileStore, _ []int) error {
	var err error
	n := 0
	for ; err == nil; n++ {
		err = fileChildAddLong(s, n)
	}
	n--
	if !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("after %d chores: %w", n, err)
	}
	for _, id := range []int{0, n - 1} { // what needs no space still works
		if err := fileChildAddLong(s, id); err != nil {
			return err
		}
	}
	fmt.Println(n)
	return nil
}

// A write that stops in the middle leaves the list as it was, and nothing beside it; so does
// a full disk.
func TestFileWriteStops(t *testing.T) {
	for _, codec := range fileCodecs {
		path := filePath(t)
		s := fileOpen(t, path, &housework.FileOptions{Codec: codec})
		fileAdd(t, s, "one")
		if out, err := fileCommand(t, path, codec, "limited", 500).CombinedOutput(); err != nil {
			t.Errorf("%v: %v: %s", codec, err, out)
		}
		fileWant(t, s, "one 0.0 0.1")
		fileWantEntries(t, filepath.Dir(path), "list", "list.lock")
	}
}

func TestRootFileFullDisk(t *testing.T) {
	interop.Root(t)
	for _, codec := range fileCodecs {
		t.Run(codec.String(), func(t *testing.T) {
			folder := t.TempDir()
			fileNoError(t, syscall.Mount("housework", folder, "tmpfs", 0, "size=64k"))
			defer func() { fileNoError(t, syscall.Unmount(folder, 0)) }()
			path := filepath.Join(folder, "list")
			out, err := fileCommand(t, path, codec, "fill").CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			s, err := housework.OpenFile(path, nil)
			fileNoError(t, err)
			defer func() { fileNoError(t, s.Close()) }()
			page, err := s.List(t.Context(), 1, 1000)
			if got := fmt.Sprintln(len(page)); got != string(out) || err != nil || len(page) < 20 {
				t.Errorf("the list has %s, %v, and %s were acknowledged", got, err, out)
			}
			if _, err := os.Lstat(path + ".tmp"); err == nil {
				t.Error("a temporary file was left on the full disk")
			}
		})
	}
}
