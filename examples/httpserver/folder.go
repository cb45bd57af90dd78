package main

import (
	"errors"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"syscall"
)

// A folder is an [http.FileSystem] without listings. Unlike what [http.FS] makes of a file
// system, it returns an *os.File as it is, which the kernel sends without a copy.
type folder struct{ files fs.FS }

// Open implements [http.FileSystem]. A folder exists only by its index.html.
func (f folder) Open(name string) (http.File, error) {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		name = "."
	}
	info, err := fs.Stat(f.files, name)
	if err == nil && info.IsDir() {
		_, err = fs.Stat(f.files, path.Join(name, "index.html"))
	}
	if err != nil {
		return nil, missing(err)
	}
	// Opening a pipe would wait for somebody to write to it.
	if !info.IsDir() && !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	file, err := f.files.Open(name)
	if err != nil {
		return nil, missing(err)
	}
	if file, ok := file.(http.File); ok {
		return file, nil
	}
	_ = file.Close() // it was only read from, and is opened again
	return http.FS(f.files).Open(name)
}

// missing makes every failure a file that is not there, which is all that a client
// needs to know, except for those that pass.
func missing(err error) error {
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return err
	}
	return fs.ErrNotExist
}
