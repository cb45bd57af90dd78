package housework

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// temporarySuffix is what the name of the temporary file has more than that of its list.
// It is always the same, so that none stays behind for long.
const temporarySuffix = ".tmp"

// An encodeError says that a codec cannot write a list.
type encodeError struct{ err error }

func (e *encodeError) Error() string { return e.err.Error() }
func (e *encodeError) Unwrap() error { return e.err }

// replace replaces what the file holds, which is base, and publishes the new version. It
// needs the lock. Old describes the file, and is nil if there is none.
//
// If the error comes with a version, the file was replaced, but may not be on disk.
func (s *FileStore) replace(base *fileVersion, old fs.FileInfo, chores []Chore) (*fileVersion, error) {
	s.buffer.Reset()
	if err := base.codec.Flush(&s.buffer, chores); err != nil {
		return nil, &encodeError{err}
	}
	// What would fail after the rename is done before.
	folder, err := openFolder(filepath.Dir(s.path))
	if err != nil {
		return nil, err
	}
	if folder != nil {
		defer folder.Close() // nothing is written to it
	}
	v, err := s.writeTemporary(old)
	if err != nil {
		return nil, err
	}
	v.codec, v.chores = base.codec, chores
	if err := s.install(v, base); err != nil {
		s.discard(v)
		return nil, err
	}
	err = syncFolder(folder)
	v.synced, v.doubtful = err == nil, err != nil
	s.publish(v, nil)
	return v, err
}

// install gives the temporary file the name of the list, unless that has been changed
// since base was read: by a program that does not know the lock.
func (s *FileStore) install(v, base *fileVersion) error {
	now, err := fileInfo(s.path)
	if err != nil {
		return err
	}
	if !base.is(now) {
		return ErrConflict
	}
	temporary, err := fileInfo(s.path + temporarySuffix)
	if err != nil {
		return err
	}
	if temporary == nil || !os.SameFile(temporary, v.info) {
		return fmt.Errorf("%w: the temporary file is another", ErrConflict)
	}
	if err := s.stillLocked(); err != nil {
		return fmt.Errorf("%w: %w", ErrConflict, err)
	}
	s.announce(v)
	err = rename(s.path+temporarySuffix, s.path)
	if err != nil {
		s.announce(nil)
	}
	return err
}

// announce says what the file will be, so that those who look before the folder is on
// disk need not read it.
func (s *FileStore) announce(v *fileVersion) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = v
}

// writeTemporary puts what is in the buffer into the temporary file and on disk.
func (s *FileStore) writeTemporary(old fs.FileInfo) (*fileVersion, error) {
	if err := s.mayReplace(old); err != nil {
		return nil, err
	}
	// The temporary file may be that of another otherwise.
	if err := s.stillLocked(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConflict, err)
	}
	name := s.path + temporarySuffix
	f, err := createLike(name, old)
	if errors.Is(err, fs.ErrExist) {
		// Whoever left it had the lock, and so is no more.
		if err := removeFile(name); err != nil {
			return nil, err
		}
		f, err = createLike(name, old)
	}
	if err != nil {
		return nil, err
	}
	v := &fileVersion{file: f}
	v.info, err = s.fillTemporary(f, old)
	if err == nil && runtime.GOOS == "windows" {
		v.file = nil
		err = f.Close()
	}
	if err != nil {
		s.discard(v)
		return nil, err
	}
	return v, nil
}

// discard removes the temporary file of a change that is not made, unless it may be that
// of another by now.
func (s *FileStore) discard(v *fileVersion) {
	v.release()
	if s.stillLocked() == nil {
		os.Remove(s.path + temporarySuffix) // the next commit does it if this fails
	}
}

func (s *FileStore) fillTemporary(f *os.File, old fs.FileInfo) (fs.FileInfo, error) {
	if _, err := f.Write(s.buffer.Bytes()); err != nil {
		return nil, err
	}
	if old != nil {
		// The mode comes last: a new owner takes some bits of it away.
		if err := keepOwner(f, old); err != nil {
			return nil, err
		}
		if err := f.Chmod(old.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)); err != nil {
			return nil, err
		}
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	return f.Stat()
}

// mayReplace returns why the file may not be written, if so. A rename would not ask.
func (s *FileStore) mayReplace(old fs.FileInfo) error {
	if old == nil {
		return nil
	}
	f, err := os.OpenFile(s.path, os.O_WRONLY|noFollow, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// removeFile removes what is no folder.
func removeFile(name string) error {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("the folder %s is in the way", name)
	}
	return os.Remove(name)
}

// syncVersion puts on disk what was read.
func (s *FileStore) syncVersion(v *fileVersion) error {
	folder, err := openFolder(filepath.Dir(s.path))
	if err != nil {
		return err
	}
	if folder != nil {
		defer folder.Close() // nothing is written to it
	}
	flag := os.O_RDONLY
	if runtime.GOOS == "windows" {
		flag = os.O_RDWR // or it cannot be synced
	}
	f, err := os.OpenFile(s.path, flag|noFollow, 0)
	if err != nil {
		return err
	}
	defer f.Close() // nothing is written to it
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !v.is(info) {
		return errors.New("somebody without the lock has changed it")
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return syncFolder(folder)
}

// openFolder opens a folder to put what was renamed in it on disk. It returns nil where
// there is no such thing.
func openFolder(name string) (*os.File, error) {
	if runtime.GOOS == "windows" {
		return nil, nil
	}
	return os.Open(name)
}

func syncFolder(folder *os.File) error {
	if folder == nil {
		return nil
	}
	err := folder.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		return nil // there is no more that this file system can do
	}
	return err
}
