//go:build linux || darwin || freebsd

package housework_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/housework"
)

// fileTakeLock takes the lock of a list, as another process would.
func fileTakeLock(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	fileNoError(t, err)
	t.Cleanup(func() { f.Close() })
	fileNoError(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
	return f
}

func TestFileLockHeldTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filePath(t)
		s := fileOpen(t, path, nil)
		fileAdd(t, s, "one")
		fileTakeLock(t, path)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		_, err := s.Add(ctx, "", fileChores("two"))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Add = %v, want context.DeadlineExceeded", err)
		}
		fileWantError(t, err, "changing "+path, "another process holds the lock "+path+".lock")
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("it took %v, want 10s", took)
		}
		fileWant(t, s, "one") // which needs no lock
	})
}

func TestFileLockWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filePath(t)
		s := fileOpen(t, path, nil)
		lock := fileTakeLock(t, path)
		one, two := fileStartAdd(t.Context(), s, "one"), fileStartAdd(t.Context(), s, "two")
		time.Sleep(time.Second) // of the bubble's time
		select {
		case err := <-one:
			t.Fatalf("Add did not wait for the lock: %v", err)
		case err := <-two:
			t.Fatalf("Add did not wait for the lock: %v", err)
		default:
		}
		fileNoError(t, lock.Close())
		begin := time.Now()
		fileNoError(t, <-one)
		fileNoError(t, <-two)
		if took := time.Since(begin); took > 50*time.Millisecond {
			t.Errorf("a lock that is free was taken after %v", took)
		}
	})
}

// One whose context ends while it waits for the lock hands the lead over.
func TestFileLockLeaderGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filePath(t)
		s := fileOpen(t, path, nil)
		lock := fileTakeLock(t, path)
		ctx, cancel := context.WithCancel(t.Context())
		leader := fileStartAdd(ctx, s, "leader")
		synctest.Wait()
		other := fileStartAdd(t.Context(), s, "other")
		synctest.Wait()
		cancel()
		if err := <-leader; !errors.Is(err, context.Canceled) {
			t.Errorf("the leader: %v, want context.Canceled", err)
		}
		fileNoError(t, lock.Close())
		fileNoError(t, <-other)
		fileWant(t, s, "other")
	})
}

func TestFileCloseDuringWaitForLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filePath(t)
		s := fileOpen(t, path, nil)
		fileTakeLock(t, path)
		one, two := fileStartAdd(t.Context(), s, "one"), fileStartAdd(t.Context(), s, "two")
		synctest.Wait()
		fileNoError(t, s.Close())
		for _, result := range []chan error{one, two} {
			if err := <-result; !errors.Is(err, housework.ErrClosed) {
				t.Errorf("Add = %v, want ErrClosed", err)
			}
		}
	})
}

// Whoever removes the lock while holding it does not let two in: those who had opened
// the old one see that it is no longer the one.
func TestFileLockRemovedByHolder(t *testing.T) {
	path := filePath(t)
	done := make(chan struct{})
	var remover, writers sync.WaitGroup
	remover.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				fileRemoveLock(t, path+".lock")
			}
		}
	})
	const stores, adds = 4, 25
	for i := range stores {
		s := fileOpen(t, path, nil)
		writers.Go(func() {
			for j := range adds {
				if _, err := s.Add(context.Background(), "", fileChores(fmt.Sprintf("%d.%d", i, j))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(done)
	remover.Wait()
	fileWantUnique(t, fileOpen(t, path, nil), stores*adds)
}

// fileRemoveLock removes a lock that it has.
func fileRemoveLock(t *testing.T, name string) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return
	}
	mine, err := f.Stat()
	if err != nil {
		t.Error(err)
	}
	if now, err := os.Lstat(name); err == nil && os.SameFile(mine, now) {
		os.Remove(name)
	}
}

// fileWantUnique wants a list of n different chores.
func fileWantUnique(t *testing.T, s housework.Store, n int) {
	t.Helper()
	seen := make(map[string]bool)
	for c, err := range housework.All(t.Context(), s) {
		fileNoError(t, err)
		if seen[c.Description] {
			t.Errorf("%s is there twice", c.Description)
		}
		seen[c.Description] = true
	}
	if len(seen) != n {
		t.Errorf("there are %d chores, want %d", len(seen), n)
	}
}

// What stands where the lock should be, and is something else, is neither followed nor
// waited for.
func TestFileLockThatIsNone(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(name string) error
	}{
		{"link", func(name string) error { return os.Symlink(filepath.Join(filepath.Dir(name), "victim"), name) }},
		{"pipe", func(name string) error { return syscall.Mkfifo(name, 0o600) }},
		{"folder", func(name string) error { return os.Mkdir(name, 0o700) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filePath(t)
			fileNoError(t, tt.make(path+".lock"))
			s := fileOpen(t, path, nil)
			_, err := s.Add(t.Context(), "", fileChores("one"))
			fileWantError(t, err, path+".lock")
			fileWantEntries(t, filepath.Dir(path), "list.lock")
		})
	}
}

// Whoever removes the lock while another holds it lets two in: then a change may be refused,
// but none that is acknowledged is lost.
func TestFileLockRemoved(t *testing.T) {
	path := filePath(t)
	var s *housework.FileStore
	remove := func() {}
	s = fileOpen(t, path, &housework.FileOptions{Codec: fileHook{housework.JSON, func([]housework.Chore) error {
		remove()
		return nil
	}}})
	fileAdd(t, s, "one")
	remove = func() {
		remove = func() {}
		fileNoError(t, os.Remove(path+".lock"))
		fileWrite(t, path+".tmp", "another's")
	}
	_, err := s.Add(t.Context(), "", fileChores("two"))
	fileWantError(t, err, path+".lock")
	if !errors.Is(err, housework.ErrConflict) {
		t.Errorf("Add = %v, want ErrConflict", err)
	}
	if got := fileRead(t, path+".tmp"); got != "another's" {
		t.Errorf("the temporary file holds %q", got)
	}
	fileAdd(t, s, "two")
	fileWant(t, s, "one two")
	fileWantEntries(t, filepath.Dir(path), "list", "list.lock")
}

// The same, at any time.
func TestFileLockRemovedAtRandom(t *testing.T) {
	path := filePath(t)
	done := make(chan struct{})
	var remover, writers sync.WaitGroup
	remover.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				os.Remove(path + ".lock")
				runtime.Gosched()
			}
		}
	})
	const stores, adds = 4, 12
	added := make([][]string, stores)
	for i := range stores {
		s := fileOpen(t, path, nil)
		writers.Go(func() {
			for j := range adds {
				d := fmt.Sprintf("%d.%d", i, j)
				if _, err := s.Add(context.Background(), d, fileChores(d)); err == nil {
					added[i] = append(added[i], d)
				}
			}
		})
	}
	writers.Wait()
	close(done)
	remover.Wait()
	list := strings.Fields(fileList(t, fileOpen(t, path, nil)))
	for _, d := range slices.Concat(added...) {
		if !slices.Contains(list, d) {
			t.Errorf("%s was acknowledged, and is not there", d)
		}
	}
}
