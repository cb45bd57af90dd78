package housework

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"time"
)

// lockSuffix is what the name of a lock has more than that of its list.
const lockSuffix = ".lock"

// How long is waited between two tries for a lock, at first and at most. A system call
// that waits for the lock could not be called off.
const (
	firstLockPause = 250 * time.Microsecond
	maxLockPause   = 20 * time.Millisecond
)

// lock waits for the lock, which holds until the file that it returns is closed.
func (s *FileStore) lock(ctx context.Context) (*os.File, error) {
	// Who has no time left has none for a lock that is free.
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for pause := firstLockPause; ; pause = min(2*pause, maxLockPause) {
		f, err := tryLock(s.path)
		if f != nil || err != nil {
			return f, err
		}
		// Those who wait should not all come back at the same time.
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("another process holds the lock %s: %w", s.path+lockSuffix, ctx.Err())
		case <-s.closing:
			timer.Stop()
			return nil, ErrClosed
		}
	}
}

// tryLock returns the locked file, or nil if somebody else has locked it.
func tryLock(path string) (*os.File, error) {
	for {
		f, err := openLock(path)
		if err != nil {
			return nil, fmt.Errorf("the lock: %w", err)
		}
		locked, err := lockFile(f)
		if err != nil {
			err = fmt.Errorf("the lock %s: %w", f.Name(), err)
		}
		if locked && err == nil {
			// If somebody has removed the file since it was opened, others lock a new one.
			locked, err = isAt(f, path+lockSuffix)
			if locked {
				return f, nil
			}
			if err == nil {
				f.Close() // it holds nothing
				continue
			}
		}
		f.Close() // it holds nothing
		return nil, err
	}
}

// openLock opens the file of the lock, and makes it if needed: for those who may use the
// list, whoever is the first of them.
func openLock(path string) (*os.File, error) {
	name := path + lockSuffix
	f, err := os.OpenFile(name, os.O_RDWR|noFollow, 0)
	if err == nil {
		return f, mustBeRegular(f)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	list, err := fileInfo(path)
	if err != nil {
		return nil, err
	}
	f, err = createLike(name, list)
	if errors.Is(err, fs.ErrExist) { // somebody was quicker
		f, err = os.OpenFile(name, os.O_RDWR|noFollow, 0)
		if err != nil {
			return nil, err
		}
		return f, mustBeRegular(f)
	}
	if err != nil {
		return nil, err
	}
	if list == nil {
		return f, nil
	}
	err = keepOwner(f, list)
	if errors.Is(err, fs.ErrPermission) {
		err = nil // the change will fail for the same reason, and say so
	}
	if err == nil {
		err = f.Chmod(list.Mode().Perm())
	}
	if err != nil {
		f.Close() // it holds nothing
		return nil, err
	}
	return f, nil
}

// createLike creates a file that nobody can open until it has the mode and the owner of
// that of info; if that is nil, as any file is created.
func createLike(name string, info fs.FileInfo) (*os.File, error) {
	mode := fs.FileMode(0o666)
	if info != nil {
		mode = 0o600
	}
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
}

// mustBeRegular closes f, and returns an error, if it is something else than a file.
func mustBeRegular(f *os.File) error {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", f.Name())
	}
	if err != nil {
		f.Close() // nothing was written
	}
	return err
}

// stillLocked returns an error if somebody has removed the lock since it was taken, as
// others may have taken a new one. It needs the lock.
func (s *FileStore) stillLocked() error {
	locked, err := isAt(s.held, s.path+lockSuffix)
	if err == nil && !locked {
		err = fmt.Errorf("somebody has removed the lock %s", s.path+lockSuffix)
	}
	return err
}

// isAt reports whether f is what a name names.
func isAt(f *os.File, name string) (bool, error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	now, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(info, now), err
}
