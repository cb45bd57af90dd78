package httpmw_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/netparts/netparts/httpmw"
)

func restrictLink(target string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
}

// restrictLinks are links, by name, and where they may lead: the content of a file, or
// "directory", or "" if they are refused.
var restrictLinks = []struct{ name, target, leads string }{
	{"file", "pub.txt", "public pub.txt"},
	{"dot-file", "./pub.txt", "public pub.txt"},
	{"sub-file", "dir//sub/pub.txt", "public dir/sub/pub.txt"},
	{"folder", "dir", "directory"},
	{"folder-slash", "dir/", "directory"},
	{"dir/up", "../pub.txt", "public pub.txt"},
	{"dir/root", "..", "directory"},
	{"root", ".", "directory"},
	{"around", "dir/../dir/sub/../pub.txt", "public dir/pub.txt"},
	{"chain1", "chain2", "public dir/pub.txt"},
	{"chain2", "dir/chain3", "public dir/pub.txt"},
	{"dir/chain3", "../folder/pub.txt", "public dir/pub.txt"},
	{".well-known/out", "../pub.txt", "public pub.txt"},
	{"well", ".well-known/acme-challenge", "directory"},

	{"bad", ".secret", ""},
	{"bad-folder", ".dir", ""},
	{"bad-deep", "dir/sub/.deep/er/secret", ""},
	{"dir/bad", "../.secret", ""},
	{"bad1", "bad2", ""},
	{"bad2", "dir/bad3", ""},
	{"dir/bad3", "../bad", ""},
	{"through", "bad-folder/secret", ""},
	{"bad-root", "dir/root/.secret", ""},
	{"in-and-out", ".dir/../pub.txt", ""},
	{"named", `dir\.secret`, ""},
	{"bad-well", ".well-known/../.secret", ""},

	{"absolute", "/pub.txt", ""},
	{"outside", "../pub.txt", ""},
	{"dir/outside", "../../files/pub.txt", ""},
	{"dangling", "nothing", ""},
	{"loop", "loop", ""},
	{"loop1", "loop2", ""},
	{"loop2", "dir/../loop1", ""},
	{"not-folder", "pub.txt/../dir", ""},
	{"not-folder-slash", "pub.txt/", ""},
}

// restrictLinkTests opens all of restrictLinks in a tree of restrictFiles.
func restrictLinkTests(t *testing.T, fsys fs.FS) {
	t.Helper()
	restricted := httpmw.RestrictFS(fsys, ".", &httpmw.RestrictOptions{Exempt: []string{".well-known"}})
	for _, tt := range restrictLinks {
		t.Run(tt.name+" to "+tt.target, func(t *testing.T) {
			info, err := fs.Stat(restricted, tt.name)
			linfo, lerr := fs.Lstat(restricted, tt.name)
			target, rerr := fs.ReadLink(restricted, tt.name)
			if tt.leads == "" {
				for _, err := range []error{err, lerr, rerr} {
					if !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("%v, want %v", err, fs.ErrNotExist)
					}
				}
			} else if err != nil || info.Name() != path.Base(tt.name) || info.Mode()&fs.ModeSymlink != 0 ||
				lerr != nil || linfo.Name() != path.Base(tt.name) || linfo.Mode()&fs.ModeSymlink == 0 ||
				rerr != nil || target != tt.target {
				t.Errorf("Stat = %v, %v; Lstat = %v, %v; ReadLink = %q, %v", info, err, linfo, lerr, target, rerr)
			}
			data, err := fs.ReadFile(restricted, tt.name)
			if tt.leads == "" && !errors.Is(err, fs.ErrNotExist) || tt.leads == "directory" && err == nil ||
				tt.leads != "directory" && string(data) != tt.leads {
				t.Errorf("ReadFile = %q, %v, want %q", data, err, tt.leads)
			}
			if err != nil {
				data = nil
			}
			restrictSame(t, restricted, tt.name, data)
			list, err := fs.ReadDir(restricted, path.Dir(tt.name))
			shown := slices.ContainsFunc(list, func(e fs.DirEntry) bool { return e.Name() == path.Base(tt.name) })
			if err != nil || shown != (tt.leads != "") {
				t.Errorf("in its directory: %v, %v, want %v", shown, err, tt.leads != "")
			}
			if tt.leads == "directory" {
				if _, err := fs.Stat(restricted, tt.name+"/.secret"); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("below it: %v, want %v", err, fs.ErrNotExist)
				}
				restrictLinkedDir(t, restricted, tt.name)
			}
		})
	}
	data, err := fs.ReadFile(restricted, "dir/root/folder/root/dir/pub.txt")
	if string(data) != "public dir/pub.txt" {
		t.Errorf("links in the middle of a name: %q, %v", data, err)
	}
}

// restrictLinkedDir checks that a directory hides the same however it is read.
func restrictLinkedDir(t *testing.T, fsys fs.FS, name string) {
	t.Helper()
	list, err := fs.ReadDir(fsys, name)
	if err != nil || len(list) == 0 {
		t.Errorf("ReadDir(%q) = %v, %v", name, list, err)
	}
	for _, n := range []int{-1, 1, 2, 100} {
		got := restrictReadDir(t, fsys, name, n)
		if !slices.EqualFunc(got, list, func(a, b fs.DirEntry) bool { return a.Name() == b.Name() }) {
			t.Errorf("read %d by %d, %q has %v, want %v", n, n, name, got, list)
		}
	}
}

// restrictReadDir reads a directory by n entries, sorted in the end.
func restrictReadDir(t *testing.T, fsys fs.FS, name string, n int) (all []fs.DirEntry) {
	t.Helper()
	file, err := fsys.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	dir := file.(fs.ReadDirFile)
	for {
		batch, err := dir.ReadDir(n)
		all = append(all, batch...)
		if n > 0 && err == io.EOF && len(batch) == 0 || n <= 0 && err == nil {
			slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
			return all
		}
		if err != nil || len(batch) == 0 || n > 0 && len(batch) > n {
			t.Fatalf("ReadDir(%d) = %v, %v", n, batch, err)
		}
	}
}

func TestRestrictFSLinks(t *testing.T) {
	files := restrictFiles()
	for _, l := range restrictLinks {
		files[l.name] = restrictLink(l.target)
	}
	restrictLinkTests(t, files)
	files["empty"] = restrictLink("") // which no system makes
	if info, err := fs.Stat(httpmw.RestrictFS(files, ".", nil), "empty"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link to nothing: %v, %v", info, err)
	}
}

func TestRestrictFSFollowsFortyLinks(t *testing.T) {
	files := restrictFiles()
	files["link0"] = restrictLink("pub.txt")
	for i := range 45 {
		files[fmt.Sprint("link", i+1)] = restrictLink(fmt.Sprint("link", i))
	}
	restricted := httpmw.RestrictFS(files, ".", nil)
	if data, err := fs.ReadFile(restricted, "link39"); string(data) != "public pub.txt" {
		t.Errorf("40 links: %q, %v", data, err)
	}
	if data, err := fs.ReadFile(restricted, "link40"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("41 links: %q, %v", data, err)
	}
}

func TestRestrictFSNames(t *testing.T) {
	files := restrictFiles()
	files[`a\.b`] = &fstest.MapFile{Data: []byte(secret)}
	files[`a\b`] = &fstest.MapFile{Data: []byte("public")}
	files["%2esecret"] = &fstest.MapFile{Data: []byte("public")} // no encoding in file names
	restricted := httpmw.RestrictFS(files, ".", &httpmw.RestrictOptions{Exempt: []string{".well-known"}})
	hidden := append(restrictedNames(t, files), ".dir", "dir/sub/.deep", ".missing", "pub.txt/.secret", ".well-known/.x", ".Well-known")
	for _, tt := range []struct {
		want  error
		names []string
	}{
		{fs.ErrNotExist, hidden},
		{fs.ErrInvalid, []string{"", "/", "/.secret", "..", "../x", "dir/", "dir//pub.txt", "dir/../pub.txt", "./pub.txt", "\xff"}},
		{nil, []string{".", "pub.txt", "dir/sub/pub.txt", ".well-known", ".well-known/acme-challenge/x", `a\b`, "%2esecret"}},
	} {
		for _, name := range tt.names {
			file, err := restricted.Open(name)
			if err == nil {
				file.Close()
			}
			errs := []error{err}
			for _, f := range restrictCalls {
				errs = append(errs, f(restricted, name))
			}
			for i, err := range errs {
				if tt.want == nil && err == nil {
					continue
				}
				var e *fs.PathError
				if tt.want == nil && i > 0 {
					continue // a file is no directory, and a directory no file
				}
				if !errors.Is(err, tt.want) || !errors.As(err, &e) || e.Path != name || e.Err != tt.want {
					t.Errorf("call %d with %q: %v, want %v", i, name, err, tt.want)
				}
			}
		}
	}
}

var restrictCalls = []func(fsys fs.FS, name string) error{
	func(fsys fs.FS, name string) error { _, err := fs.Stat(fsys, name); return err },
	func(fsys fs.FS, name string) error { _, err := fs.Lstat(fsys, name); return err },
	func(fsys fs.FS, name string) error { _, err := fs.ReadDir(fsys, name); return err },
	func(fsys fs.FS, name string) error { _, err := fs.ReadFile(fsys, name); return err },
	func(fsys fs.FS, name string) error { _, err := fs.ReadLink(fsys, name); return err },
}

// Nothing in an error tells what is hidden from what is missing.
func restrictErrorTests(t *testing.T, fsys fs.FS) {
	t.Helper()
	restricted := httpmw.RestrictFS(fsys, ".", nil)
	calls := append(restrictCalls, func(fsys fs.FS, name string) error { _, err := fsys.Open(name); return err })
	for i, f := range calls {
		missing := f(restricted, "missing")
		for _, name := range []string{".secret", ".missing", "dir/.secret", "bad", "absolute", "loop", "missing/x", "pub.txt/x"} {
			err := f(restricted, name)
			if err == nil || err.Error() != strings.Replace(missing.Error(), "missing", name, 1) {
				t.Errorf("call %d: %v, but %v", i, err, missing)
			}
		}
	}
}

func TestRestrictFSErrors(t *testing.T) {
	files := restrictFiles()
	for _, l := range restrictLinks {
		files[l.name] = restrictLink(l.target)
	}
	restrictErrorTests(t, files)
}

// restrictExpected are the files that must be left of restrictFiles.
var restrictExpected = []string{"pub.txt", "dir/pub.txt", "dir/sub/pub.txt", "100%.txt", "a+b", "index/index.html"}

// restrictSystemTests checks that what is left is a file system as io/fs wants it.
func restrictSystemTests(t *testing.T, fsys fs.FS) {
	t.Helper()
	restricted := httpmw.RestrictFS(fsys, ".", nil)
	if err := fstest.TestFS(restricted, restrictExpected...); err != nil {
		t.Error(err)
	}
	err := fs.WalkDir(restricted, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name != "." && strings.HasPrefix(d.Name(), ".") {
			t.Errorf("walked to %q, %v", name, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for pattern, want := range map[string]int{"*.txt": 2, ".*": 0, "dir/.*": 0, "dir/*.txt": 1, "*/.secret": 0} {
		if names, err := fs.Glob(restricted, pattern); len(names) != want || err != nil {
			t.Errorf("Glob(%q) = %q, %v, want %d", pattern, names, err, want)
		}
	}
	sub, err := fs.Sub(restricted, "dir")
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(sub, "pub.txt", "sub/pub.txt"); err != nil {
		t.Error(err)
	}
	if _, err := fs.Stat(sub, ".secret"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a subtree: %v", err)
	}
	for _, name := range []string{".", "dir", "dir/sub"} {
		restrictLinkedDir(t, restricted, name)
	}
}

func TestRestrictFSIsAFileSystem(t *testing.T) {
	t.Run("map", func(t *testing.T) { restrictSystemTests(t, restrictFiles()) })
	t.Run("nothing but Open", func(t *testing.T) { restrictSystemTests(t, restrictOpener{restrictFiles()}) })
}

// A restrictOpener is a file system that implements nothing else.
type restrictOpener struct{ fsys fs.FS }

func (o restrictOpener) Open(name string) (fs.File, error) { return o.fsys.Open(name) }

// Batches without a visible name are neither the end nor nothing, and the slice of the
// file system stays as it is.
func TestRestrictFSReadDirInBatches(t *testing.T) {
	files := fstest.MapFS{"hidden/.a": {}, "hidden/.b": {}, "hidden/.c": {}}
	for _, name := range []string{".a", ".b", ".c", "-x", ".d", "y", ".e", ".f", "z", "~"} {
		files["mixed/"+name] = &fstest.MapFile{}
	}
	restricted := httpmw.RestrictFS(files, ".", nil)
	for _, n := range []int{-1, 0, 1, 2, 3, 4, 100} {
		var names []string
		for _, e := range restrictReadDir(t, restricted, "mixed", n) {
			names = append(names, e.Name())
		}
		if got := strings.Join(names, " "); got != "-x y z ~" {
			t.Errorf("by %d: %s", n, got)
		}
		if got := restrictReadDir(t, restricted, "hidden", n); len(got) != 0 {
			t.Errorf("by %d: %v", n, got)
		}
	}

	keeper := &restrictKeeper{MapFS: files}
	if _, err := fs.ReadDir(httpmw.RestrictFS(keeper, ".", nil), "mixed"); err != nil {
		t.Fatal(err)
	}
	if len(keeper.list) != 10 || slices.Contains(keeper.list, nil) || keeper.list[1].Name() != ".a" {
		t.Errorf("the file system's own list has become %v", keeper.list)
	}
}

// A restrictKeeper keeps the list that it hands out.
type restrictKeeper struct {
	fstest.MapFS
	list []fs.DirEntry
}

func (k *restrictKeeper) ReadDir(name string) (list []fs.DirEntry, err error) {
	k.list, err = k.MapFS.ReadDir(name)
	return k.list, err
}

// http.FileServerFS serves ranges of what a link leads to.
func TestRestrictFSServesLinks(t *testing.T) {
	files := restrictFiles()
	files["link"] = restrictLink("dir")
	files["dir/link.txt"] = restrictLink("../pub.txt")
	srv := serve(t, http.FileServerFS(httpmw.RestrictFS(files, ".", nil)), false)
	for path, want := range map[string]string{"/pub.txt": "blic", "/dir/link.txt": "blic", "/link/link.txt": "blic", "/link/pub.txt": "blic"} {
		status, all := restrictGet(t, srv, "GET", path, "Range: bytes=2-5")
		if status != http.StatusPartialContent || !strings.HasSuffix(all, "\n"+want) {
			t.Errorf("%s: %s", path, all)
		}
	}
	for _, path := range []string{"/.secret", "/link/.secret", "/missing"} {
		if status, all := restrictGet(t, srv, "GET", path); status != 404 {
			t.Errorf("%s: %s", path, all)
		}
	}
}
