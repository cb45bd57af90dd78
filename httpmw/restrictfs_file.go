package httpmw

import (
	"errors"
	"io"
	"io/fs"
	"path"
)

// wrap returns the file that was opened as name, and is called actual in fsys.
func (f *restrictedFS) wrap(file fs.File, name, actual string) (fs.File, error) {
	info, err := file.Stat()
	if err != nil {
		_ = file.Close() // nothing was written
		return nil, pathError("open", name, err)
	}
	if info.IsDir() {
		return &restrictedDir{linkedFile{file, name, actual}, f}, nil
	}
	if path.Base(name) == path.Base(actual) {
		return file, nil // with all that it can do
	}
	linked := &linkedFile{file, name, actual}
	seeker, seeks := file.(io.Seeker)
	readerAt, readsAt := file.(io.ReaderAt)
	switch {
	case seeks && readsAt:
		return struct {
			*linkedFile
			io.Seeker
			io.ReaderAt
		}{linked, seeker, readerAt}, nil
	case seeks:
		return struct {
			*linkedFile
			io.Seeker
		}{linked, seeker}, nil
	case readsAt:
		return struct {
			*linkedFile
			io.ReaderAt
		}{linked, readerAt}, nil
	}
	return linked, nil
}

// A linkedFile bears the name that it was opened by.
type linkedFile struct {
	fs.File
	name, actual string
}

// Stat implements [fs.File].
func (f *linkedFile) Stat() (fs.FileInfo, error) {
	info, err := f.File.Stat()
	if err != nil {
		return nil, pathError("stat", f.name, err)
	}
	return rename(info, f.name, f.actual), nil
}

// rename returns the information about a file as it is for one that was asked for by name.
func rename(info fs.FileInfo, name, actual string) fs.FileInfo {
	if path.Base(name) == path.Base(actual) {
		return info
	}
	return renamedInfo{info, path.Base(name)}
}

type renamedInfo struct {
	fs.FileInfo
	name string
}

// Name implements [fs.FileInfo].
func (i renamedInfo) Name() string { return i.name }

// A restrictedDir lists what may be seen.
type restrictedDir struct {
	linkedFile
	fsys *restrictedFS
}

// ReadDir implements [fs.ReadDirFile].
func (d *restrictedDir) ReadDir(n int) ([]fs.DirEntry, error) {
	dir, ok := d.File.(fs.ReadDirFile)
	if !ok {
		return nil, pathError("readdir", d.name, errors.ErrUnsupported)
	}
	for {
		entries, err := dir.ReadDir(n)
		shown := d.fsys.visible(d.actual, entries)
		switch {
		case n <= 0 && err == nil, len(shown) > 0 && (err == nil || n > 0 && err == io.EOF):
			return shown, nil
		case err == io.EOF:
			return shown, err
		case err != nil:
			return shown, pathError("readdir", d.name, err)
		case len(entries) == 0:
			return nil, pathError("readdir", d.name, io.ErrNoProgress)
		}
		// All of these are hidden. What follows may not be, and neither the end nor
		// an empty slice would be true.
	}
}
