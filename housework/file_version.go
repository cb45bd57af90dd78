package housework

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
)

// A fileVersion is what the file held at some time.
type fileVersion struct {
	codec  Codec
	chores []Chore     // which are never changed
	info   fs.FileInfo // nil if there was no file

	// file stays open so that no other file gets the inode number, by which it is
	// known. It is nil where an open file would keep it from being replaced.
	file *os.File

	// These are the leader's. What was read is not known to be on disk. If a sync
	// failed, a second one proves nothing, as systems report a failure once: the list
	// is then to be written again.
	synced   bool
	doubtful bool
}

// is reports whether the file that info is of, or nil if there is none, still is what it
// was.
func (v *fileVersion) is(info fs.FileInfo) bool {
	if v.info == nil || info == nil {
		return v.info == nil && info == nil
	}
	return os.SameFile(v.info, info) && v.info.Size() == info.Size() && v.info.ModTime().Equal(info.ModTime())
}

func (v *fileVersion) release() {
	if v.file != nil {
		v.file.Close() // nothing was written to it since it was synced
		v.file = nil
	}
}

// latest returns what the file holds now, and reads it only if that is not known.
func (s *FileStore) latest(ctx context.Context) (*fileVersion, error) {
	v, _, err := s.known()
	if v != nil || err != nil {
		return v, err
	}
	// One of those who want to know reads it.
	select {
	case s.reading <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.closing:
		return nil, ErrClosed
	}
	defer func() { <-s.reading }()
	v, old, err := s.known()
	if v != nil || err != nil {
		return v, err
	}
	v, err = s.read(old.codec)
	if err != nil {
		return nil, err
	}
	// If others have published something meanwhile, that may be newer.
	s.publish(v, old)
	return v, nil
}

// known returns what the file holds now if that is known, and what is current.
func (s *FileStore) known() (v, current *fileVersion, err error) {
	info, err := fileInfo(s.path)
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.current.is(info):
		return s.current, s.current, nil
	case s.next != nil && s.next.is(info):
		return s.next, s.current, nil
	}
	return nil, s.current, nil
}

// fileInfo returns what describes the file, and nil if there is none.
func fileInfo(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	os.SameFile(info, info) // Windows looks the identity up when it is asked for
	return info, nil
}

// publish makes v the current version, if old still is; if old is nil, in any case.
func (s *FileStore) publish(v, old *fileVersion) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old != nil && old != s.current {
		v.release()
		return
	}
	s.current.release()
	s.current, s.next = v, nil
}

// read reads the file. A codec is what an empty list has that may have any.
func (s *FileStore) read(codec Codec) (*fileVersion, error) {
	if s.fixed != nil {
		codec = s.fixed
	}
	// A pipe would be waited for.
	if info, err := fileInfo(s.path); err != nil {
		return nil, err
	} else if info == nil {
		return &fileVersion{codec: codec}, nil
	}
	f, err := os.OpenFile(s.path, os.O_RDONLY|noFollow, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return &fileVersion{codec: codec}, nil
	}
	if err != nil {
		return nil, err
	}
	v, err := s.readOpen(f)
	if err != nil || runtime.GOOS == "windows" {
		f.Close() // it was only read
		return v, err
	}
	v.file = f
	return v, nil
}

func (s *FileStore) readOpen(f *os.File) (*fileVersion, error) {
	// What is written into it from here on makes it another one than info says.
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(f, 64<<10)
	codec := s.fixed
	if codec == nil {
		if codec, err = detect(r); err != nil {
			return nil, withPath(err, s.path)
		}
	}
	chores, err := codec.Load(r)
	if err != nil {
		return nil, withPath(err, s.path)
	}
	return &fileVersion{codec: codec, chores: chores, info: info}, nil
}

// detect returns the codec of a file of which nothing else is known.
func detect(r *bufio.Reader) (Codec, error) {
	head, err := r.Peek(16)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if format, ok := Detect(head); ok {
		return format, nil
	}
	damage := &FormatError{Offset: -1, Err: errors.New("this looks like no format that is known")}
	if len(head) == 0 {
		damage.Err = fmt.Errorf("the file is empty: %w", io.ErrUnexpectedEOF)
	}
	return nil, damage
}

// withPath returns what a codec says about a file, with the path of that.
func withPath(err error, path string) error {
	e, ok := errors.AsType[*FormatError](err)
	if !ok {
		return err // of reading
	}
	damage := *e // which may be shared
	damage.Path = path
	return &damage
}

// fileError says what was done to which file when err came, unless err says so itself.
func fileError(doing, path string, err error) error {
	if err == nil || errors.Is(err, ErrClosed) {
		return err
	}
	if _, ok := errors.AsType[*FormatError](err); ok {
		return err
	}
	return &fileFault{fmt.Sprintf("housework: %s %s: %s", doing, path, strings.TrimPrefix(err.Error(), "housework: ")), err}
}

// A fileFault is an error of this package with the name of the package once.
type fileFault struct {
	text string
	err  error
}

func (e *fileFault) Error() string { return e.text }
func (e *fileFault) Unwrap() error { return e.err }
