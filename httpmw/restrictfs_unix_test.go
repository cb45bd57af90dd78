//go:build unix

package httpmw_test

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

// restrictDisk puts the files, and links to them, into a folder, and returns it.
func restrictDisk(t *testing.T, links bool) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "files")
	if err := os.CopyFS(dir, restrictFiles()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "../pub.txt"), []byte(secret+" outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !links {
		return dir
	}
	for _, l := range restrictLinks {
		target := l.target
		if filepath.IsAbs(target) {
			target = filepath.Join(dir, target)
		}
		if err := os.Symlink(target, filepath.Join(dir, l.name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// restrictSystems are the file systems of a folder.
func restrictSystems(t *testing.T, dir string) map[string]fs.FS {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return map[string]fs.FS{"os.DirFS": os.DirFS(dir), "os.Root": root.FS()}
}

func TestRestrictFSOnDisk(t *testing.T) {
	for name, fsys := range restrictSystems(t, restrictDisk(t, false)) {
		t.Run(name, func(t *testing.T) { restrictSystemTests(t, fsys) })
	}
	for name, fsys := range restrictSystems(t, restrictDisk(t, true)) {
		t.Run(name+" with links", func(t *testing.T) {
			restrictLinkTests(t, fsys)
			restrictErrorTests(t, fsys)
		})
	}
}

// Both file systems do follow links to what is restricted, which a check of paths does not
// see, and the middleware and RestrictFS together serve none.
func TestRestrictFSLinksOverHTTP(t *testing.T) {
	restrict := httpmw.RestrictPrefix(".", nil)
	for name, fsys := range restrictSystems(t, restrictDisk(t, true)) {
		leaks := serve(t, restrict(http.FileServerFS(fsys)), false)
		tight := serve(t, restrict(http.FileServerFS(httpmw.RestrictFS(fsys, ".", nil))), false)
		for _, path := range []string{"/bad", "/bad1", "/dir/bad", "/bad-folder/secret", "/through", "/bad-deep"} {
			if _, all := restrictGet(t, leaks, "GET", path); !strings.Contains(all, secret) {
				t.Errorf("%s: %s does not leak, so this shows nothing: %s", name, path, all)
			}
			_, missing := restrictGet(t, tight, "GET", "/missing")
			if status, all := restrictGet(t, tight, "GET", path); status != 404 || all != missing {
				t.Errorf("%s: %s: %s\nwant\n%s", name, path, all, missing)
			}
		}
		for _, path := range []string{"/file", "/folder/pub.txt", "/dir/up", "/chain1"} {
			if status, all := restrictGet(t, tight, "GET", path); status != 200 || !strings.Contains(all, "public ") {
				t.Errorf("%s: %s: %s", name, path, all)
			}
		}
	}
}

// Files that were not reached by a link are those of the file system themselves, so that
// what can be done with them can still be done.
func TestRestrictFSReturnsTheFileItself(t *testing.T) {
	for name, fsys := range restrictSystems(t, restrictDisk(t, true)) {
		file, err := httpmw.RestrictFS(fsys, ".", nil).Open("dir/pub.txt")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, ok := file.(*os.File); !ok {
			t.Errorf("%s: a file is a %T", name, file)
		}
	}
}
