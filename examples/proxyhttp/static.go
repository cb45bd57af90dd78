package main

import (
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/netparts/netparts/httpmw"
)

// static returns a handler that serves files, without those that have a name with a dot
// at its beginning anywhere in their path. RestrictPrefix sees the paths, and RestrictFS the
// links, too, that lead from other names to such files.
func static(files fs.FS) http.Handler {
	server := http.FileServer(pages{httpmw.RestrictFS(files, ".", nil)})
	return httpmw.Chain(httpmw.NoSniff, httpmw.DrainAndClose(nil), httpmw.RestrictPrefix(".", nil))(
		httpmw.Methods(map[string]http.Handler{http.MethodGet: server}))
}

// pages is an [http.FileSystem] of files. Other than what [http.FS] makes of one it lists no
// folders.
type pages struct{ files fs.FS }

// Open implements [http.FileSystem]. A folder is there if it has an index.html.
func (p pages) Open(name string) (http.File, error) {
	inside := strings.TrimPrefix(path.Clean("/"+name), "/")
	if inside == "" {
		inside = "."
	}
	info, err := fs.Stat(p.files, inside)
	if err == nil && info.IsDir() {
		_, err = fs.Stat(p.files, path.Join(inside, "index.html"))
	} else if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist // a pipe would be waited for
	}
	if err != nil {
		return nil, fs.ErrNotExist // the client learns nothing of why
	}
	return http.FS(p.files).Open(name)
}
