package tftp

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// Payload returns a function for [Server.Open] that answers every name with
// payload, which must not change any more.
func Payload(payload []byte) func(context.Context, *Request) (io.ReadCloser, error) {
	return func(context.Context, *Request) (io.ReadCloser, error) {
		m := new(memory)
		m.Reset(payload)
		return m, nil
	}
}

// memory is a file of a Payload.
type memory struct{ bytes.Reader }

// Close does nothing.
func (*memory) Close() error { return nil }

// FS returns a function for [Server.Open] that reads from fsys. Only regular files
// are served. Names are cleaned: one leading "/" or more are taken off, and "."
// and ".." resolved; a name that leads out of fsys, or holds control characters,
// is refused with [CodeAccess].
func FS(fsys fs.FS) func(context.Context, *Request) (io.ReadCloser, error) {
	return func(_ context.Context, r *Request) (io.ReadCloser, error) {
		name, err := clean(r.Name)
		if err != nil {
			return nil, err
		}
		if !fs.ValidPath(name) {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
		}
		info, err := fs.Stat(fsys, name) // first, since to open a FIFO may block
		if err != nil {
			return nil, err
		}
		if err := mustBeRegular(info, name); err != nil {
			return nil, err
		}
		return fsys.Open(name)
	}
}

// mustBeRegular refuses folders, devices, sockets and FIFOs.
func mustBeRegular(info fs.FileInfo, name string) error {
	if !info.Mode().IsRegular() {
		return &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("not a regular file: %w", fs.ErrPermission)}
	}
	return nil
}

// clean returns name as a path that does not leave the root.
func clean(name string) (string, error) {
	for _, c := range []byte(name) {
		if c < ' ' || c == 0x7f {
			return "", fmt.Errorf("tftp: control character in the name %q: %w", name, fs.ErrPermission)
		}
	}
	cleaned := path.Clean(strings.TrimLeft(name, "/"))
	if cleaned == ".." || strings.HasPrefix(cleaned, "../") {
		return "", fmt.Errorf("tftp: the name %q leads out of the root: %w", name, fs.ErrPermission)
	}
	return cleaned, nil
}

// A Folder serves and stores files of a folder. Make it with [Dir].
type Folder struct {
	// Overwrite lets uploads replace files that exist. Otherwise they are
	// refused with [CodeFileExists].
	Overwrite bool

	root *os.Root
}

// Dir returns the files of root, for [Server.Open] and [Server.Create]:
//
//	folder := tftp.Dir(root)
//	server := &tftp.Server{Open: folder.Open, Create: folder.Create}
//
// Nothing outside of root can be reached, through symbolic links neither.
func Dir(root *os.Root) *Folder { return &Folder{root: root} }

// Open opens a regular file for reading. Names are cleaned as by [FS].
func (f *Folder) Open(_ context.Context, r *Request) (io.ReadCloser, error) {
	name, err := clean(r.Name)
	if err != nil {
		return nil, err
	}
	info, err := f.root.Stat(name) // first, since to open a device may do something
	if err != nil {
		return nil, escape(err)
	}
	if err := mustBeRegular(info, name); err != nil {
		return nil, err
	}
	file, err := f.root.OpenFile(name, os.O_RDONLY|nonblocking, 0)
	if err != nil {
		return nil, escape(err)
	}
	// It may have been replaced between the two.
	info, err = file.Stat()
	if err == nil {
		err = mustBeRegular(info, name)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// escape adds fs.ErrPermission to the error of an os.Root for a symbolic link that
// leads out of it. Package os does not export that, but it is the only cause that
// does not come from the system.
func escape(err error) error {
	e, ok := errors.AsType[*fs.PathError](err)
	if !ok || errors.Is(err, fs.ErrClosed) {
		return err
	}
	if _, system := errors.AsType[syscall.Errno](e.Err); system {
		return err
	}
	return fmt.Errorf("%w: %w", err, fs.ErrPermission)
}

// Create begins an upload. The file is written under a temporary name, which
// begins with ".tftp-", in the folder where it will be, which must exist. Commit
// syncs it and gives it its name in one step, so that a reader sees all of it or
// nothing.
func (f *Folder) Create(_ context.Context, r *Request) (Upload, error) {
	name, err := clean(r.Name)
	if err != nil {
		return nil, err
	}
	switch info, err := f.root.Lstat(name); {
	case err == nil && info.IsDir():
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrPermission}
	case err == nil && !f.Overwrite:
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, escape(err)
	}
	part := path.Join(path.Dir(name), ".tftp-"+rand.Text())
	file, err := f.root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	return &folderUpload{folder: f, file: file, part: part, name: name}, nil
}

// A folderUpload is a file that is being uploaded.
type folderUpload struct {
	folder     *Folder
	file       *os.File
	part, name string
}

// Write implements [io.Writer].
func (u *folderUpload) Write(p []byte) (int, error) { return u.file.Write(p) }

// Commit syncs the file and gives it its name.
func (u *folderUpload) Commit() error {
	if err := errors.Join(u.file.Sync(), u.file.Close()); err != nil {
		return errors.Join(err, u.remove())
	}
	root := u.folder.root
	if u.folder.Overwrite {
		if err := root.Rename(u.part, u.name); err != nil {
			return errors.Join(err, u.remove())
		}
		return nil
	}
	err := root.Link(u.part, u.name) // which unlike Rename never replaces
	if err == nil || errors.Is(err, fs.ErrExist) || !noLinks(err) {
		return errors.Join(err, u.remove())
	}
	// There are no hard links here. The look before the step is not atomic,
	// but as close as it gets.
	if _, err := root.Lstat(u.name); err == nil {
		return errors.Join(&fs.PathError{Op: "create", Path: u.name, Err: fs.ErrExist}, u.remove())
	}
	if err := root.Rename(u.part, u.name); err != nil {
		return errors.Join(err, u.remove())
	}
	return nil
}

// Abort removes the file.
func (u *folderUpload) Abort(error) {
	_ = u.file.Close() // what is in it is not wanted
	_ = u.remove()     // and there is nobody to tell
}

func (u *folderUpload) remove() error { return u.folder.root.Remove(u.part) }
