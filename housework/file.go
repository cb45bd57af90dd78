package housework

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// FileOptions are the options of OpenFile. The zero value, and nil, are the defaults.
type FileOptions struct {
	// Codec is the format of the file. If nil, it is told from the file, and JSON if
	// there is none yet.
	Codec Codec

	// MaxChores is how many chores the list may have. If zero, it is a million. A file
	// that has more is read, but not added to.
	MaxChores int
}

// A FileStore is a Store that keeps the list in a file.
//
// A change replaces the file: the list is written to a temporary file beside it, with
// .tmp added to its name, put on disk, renamed, and the folder is put on disk. So the
// file is the list before or the list after, whatever is killed or fails meanwhile; if
// something fails, the list stays as it was. The exception is a failure of the last
// step: the file is the new list then, the error says that it may not be on disk, and
// nothing is acknowledged until it is. Changes that come at the same time share
// one replacement. Each writes the whole list, which is what bounds its size.
//
// Several processes, and several FileStores of one process, may use the file at the
// same time. Those that change it take turns by a lock on an empty file beside it, with
// .lock added to its name, which stays there. Who waits for the lock waits as long as
// its context lets it. If somebody removes that file during a change, the change is an
// error, which mostly matches ErrConflict. Reading needs no lock, nor the right to write anything. What
// others wrote is noticed by the file's identity, size and time of modification, so a
// program that writes into the file without the lock should replace it, too; if it does so
// during a change, that is not made and the error matches ErrConflict, as far as
// that can be seen. If the file is gone, the list is empty, and begins anew.
//
// A file that is damaged is a *FormatError with its path from every method, until
// somebody mends it: it is never overwritten. One of no bytes is damaged, unless
// Codec takes it for a list, as Protobuf does.
//
// The new file has the mode and the owner of the old one. A change that cannot
// keep the owner is an error that matches fs.ErrPermission, and so is that of a file that
// may not be written. A new list has mode 0666 less the umask. A symbolic link is
// resolved by OpenFile, and stays. Other names of the file (hard links) keep the old
// list, and extended attributes, such as access control lists, are not kept.
type FileStore struct {
	path      string // absolute, and no symbolic link
	fixed     Codec  // from the options
	maxChores int

	closing chan struct{}  // closed by Close, for those who wait
	calls   sync.WaitGroup // of methods that Close waits for
	reading chan struct{}  // holds a value while a List reads the file

	mu      sync.Mutex
	closed  bool
	current *fileVersion  // what was last read or written
	next    *fileVersion  // what is being renamed into place
	queue   []*fileChange // that no commit has taken yet
	led     bool          // somebody leads, or has been told to
	writers int           // who had changes when the last commit ended

	// These are the leader's.
	held     *os.File       // the lock
	buffer   bytes.Buffer   // the encoded list
	took     time.Duration  // for the last replacement
	requests map[string]int // the first number of each request id in indexed
	indexed  *fileVersion
}

// OpenFile opens the list in the file at path; if there is no file, the list is empty,
// and the file is made by the first change. That the file is not a list in its
// format is a *FormatError with its path: nothing is written to it.
func OpenFile(path string, o *FileOptions) (*FileStore, error) {
	if o == nil {
		o = new(FileOptions)
	}
	target, err := resolveFile(path)
	if err != nil {
		return nil, fileError("opening", path, err)
	}
	s := &FileStore{
		path:      target,
		fixed:     o.Codec,
		maxChores: o.MaxChores,
		closing:   make(chan struct{}),
		reading:   make(chan struct{}, 1),
	}
	if s.maxChores == 0 {
		s.maxChores = defaultMaxChores
	}
	s.current, err = s.read(JSON)
	if err != nil {
		return nil, fileError("opening", path, err)
	}
	return s, nil
}

// resolveFile returns the absolute path of the file that path leads to, which may not
// be there yet. It finds what would keep every change from being made.
func resolveFile(path string) (string, error) {
	if path == "" || os.IsPathSeparator(path[len(path)-1]) {
		return "", errors.New("it has no name")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for range 40 { // which is how many links Linux follows
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return "", err
		}
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode()&fs.ModeSymlink == 0 {
			// The name of the lock is the longest of those that are needed.
			if _, err := os.Lstat(path + lockSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
			return path, nil
		}
		if err != nil {
			return "", err
		}
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(target) {
			target = filepath.Dir(path) + string(filepath.Separator) + target
		}
		// Join alone takes "x/.." away, which leads elsewhere if x is a link.
		folder, name := filepath.Split(target)
		if folder, err = filepath.EvalSymlinks(folder); err != nil {
			return "", err
		}
		path = filepath.Join(folder, name)
	}
	return "", errors.New("too many symbolic links")
}

// Codec returns the format of the file.
func (s *FileStore) Codec() Codec {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.codec
}

// Add implements [Store]. When it returns without an error, the chores are on disk.
func (s *FileStore) Add(ctx context.Context, requestID string, chores []Chore) (first int, err error) {
	if err := ValidateAdd(requestID, chores); err != nil {
		return 0, err
	}
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	defer s.calls.Done()
	if len(chores) == 0 {
		v, err := s.latest(ctx)
		if err != nil {
			return 0, fileError("reading", s.path, err)
		}
		return len(v.chores) + 1, nil
	}
	return s.change(ctx, func(l *stagedList) (int, error) { return l.add(requestID, chores) })
}

// Complete implements [Store]. When it returns without an error, that is on disk.
func (s *FileStore) Complete(ctx context.Context, numbers ...int) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.calls.Done()
	if len(numbers) == 0 {
		_, err := s.latest(ctx)
		return fileError("reading", s.path, err)
	}
	_, err := s.change(ctx, func(l *stagedList) (int, error) { return 0, l.complete(numbers) })
	return err
}

// List implements [Store]. It shows also what other processes have changed.
func (s *FileStore) List(ctx context.Context, first, limit int) ([]Chore, error) {
	if err := validatePage(first, limit); err != nil {
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.calls.Done()
	v, err := s.latest(ctx)
	if err != nil {
		return nil, fileError("reading", s.path, err)
	}
	if first > len(v.chores) {
		return nil, nil
	}
	rest := v.chores[first-1:]
	return append([]Chore(nil), rest[:min(limit, len(rest))]...), nil
}

// Close implements [Store]. The file stays, and so does that of the lock. A change that
// waits for another process is not made.
func (s *FileStore) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if !first {
		return nil
	}
	close(s.closing)
	s.calls.Wait()
	s.requests, s.indexed, s.buffer = nil, nil, bytes.Buffer{}
	s.publish(&fileVersion{codec: s.Codec()}, nil)
	return nil
}

// begin begins a call, unless the store is closed or the context has ended. The
// caller then calls s.calls.Done when it ends.
func (s *FileStore) begin(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.calls.Add(1)
	return nil
}
