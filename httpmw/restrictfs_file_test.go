package httpmw_test

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"testing"
	"testing/fstest"

	"github.com/netparts/netparts/httpmw"
)

// A restrictShaped is a file system whose files have some abilities.
type restrictShaped struct {
	fstest.MapFS
	seek, readAt bool
}

func (s restrictShaped) Open(name string) (fs.File, error) {
	file, err := s.MapFS.Open(name)
	if err != nil {
		return nil, err
	}
	seeker, _ := file.(io.Seeker)
	readerAt, _ := file.(io.ReaderAt)
	switch {
	case s.seek && s.readAt:
		return file, nil
	case s.seek:
		return struct {
			fs.File
			io.Seeker
		}{file, seeker}, nil
	case s.readAt:
		return struct {
			fs.File
			io.ReaderAt
		}{file, readerAt}, nil
	}
	return struct{ fs.File }{file}, nil
}

func TestRestrictFSKeepsAbilities(t *testing.T) {
	files := restrictFiles()
	files["link.txt"] = restrictLink("dir/pub.txt")
	files["dir/sub/link"] = restrictLink("../../dir")
	for i := range 4 {
		shaped := restrictShaped{files, i&1 != 0, i&2 != 0}
		for _, name := range []string{"dir/pub.txt", "link.txt", "dir/sub/link/pub.txt"} {
			file, err := httpmw.RestrictFS(shaped, ".", nil).Open(name)
			if err != nil {
				t.Fatal(err)
			}
			seeker, seeks := file.(io.Seeker)
			readerAt, readsAt := file.(io.ReaderAt)
			if seeks != shaped.seek || readsAt != shaped.readAt {
				t.Errorf("%s of %+v: Seeker %v, ReaderAt %v", name, i, seeks, readsAt)
			}
			b := make([]byte, 4)
			if seeks {
				if _, err := seeker.Seek(7, io.SeekStart); err != nil {
					t.Error(err)
				}
				if _, err := io.ReadFull(file, b); err != nil || string(b) != "dir/" {
					t.Errorf("%s: read %q, %v", name, b, err)
				}
			}
			if readsAt {
				if _, err := readerAt.ReadAt(b, 11); err != nil || string(b) != "pub." {
					t.Errorf("%s: read %q, %v", name, b, err)
				}
			}
			info, err := file.Stat()
			if err != nil || info.Name() != path.Base(name) || info.Size() != int64(len("public dir/pub.txt")) {
				t.Errorf("%s: Stat = %v, %v", name, info, err)
			}
			if err := file.Close(); err != nil {
				t.Error(err)
			}
		}
		// Directories without ReadDir, as those of this file system are but for the last,
		// have no list that could tell anything.
		dir, err := httpmw.RestrictFS(shaped, ".", nil).Open("dir")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dir.(fs.ReadDirFile).ReadDir(-1); (i == 3) != (err == nil) || err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%d: ReadDir: %v", i, err)
		}
	}
}

// A restrictBroken is a file system that fails with a name of its own.
type restrictBroken struct {
	fstest.MapFS
	err error
}

func (b restrictBroken) Open(name string) (fs.File, error) {
	file, err := b.MapFS.Open(name)
	if err != nil {
		return nil, err
	}
	return &restrictBrokenFile{file, b.err}, nil
}

func (b restrictBroken) ReadFile(string) ([]byte, error) { return []byte("half"), b.err }

type restrictBrokenFile struct {
	fs.File
	err error
}

func (f *restrictBrokenFile) ReadDir(n int) ([]fs.DirEntry, error) {
	list, err := f.File.(fs.ReadDirFile).ReadDir(n)
	if err == nil && len(list) > 0 {
		return list, f.err
	}
	return nil, nil // which is not allowed
}

func TestRestrictFSPassesErrorsOn(t *testing.T) {
	broken := restrictBroken{
		fstest.MapFS{"dir/.a": {}, "dir/b": {}, "link": restrictLink("dir")},
		&fs.PathError{Op: "broken", Path: "/srv/inside", Err: fs.ErrPermission},
	}
	restricted := httpmw.RestrictFS(broken, ".", nil)
	check := func(call string, err error, name string, want error) {
		t.Helper()
		var e *fs.PathError
		if !errors.As(err, &e) || e.Path != name || e.Err != want {
			t.Errorf("%s: %v, want one about %q: %v", call, err, name, want)
		}
	}
	data, err := fs.ReadFile(restricted, "link/b")
	check("ReadFile", err, "link/b", fs.ErrPermission)
	if string(data) != "half" {
		t.Errorf("ReadFile = %q, want what was read", data)
	}
	file, err := restricted.Open("link")
	if err != nil {
		t.Fatal(err)
	}
	list, err := file.(fs.ReadDirFile).ReadDir(2)
	check("ReadDir", err, "link", fs.ErrPermission)
	if len(list) != 1 || list[0].Name() != "b" {
		t.Errorf("ReadDir = %v, want what was read", list)
	}
	_, err = file.(fs.ReadDirFile).ReadDir(2) // does not loop
	check("ReadDir", err, "link", io.ErrNoProgress)

	// The end may come with the last entries, and callers get it after them.
	broken.err = io.EOF
	file, err = httpmw.RestrictFS(broken, ".", nil).Open("link")
	if err != nil {
		t.Fatal(err)
	}
	list, err = file.(fs.ReadDirFile).ReadDir(2)
	if len(list) != 1 || err != nil {
		t.Errorf("ReadDir = %v, %v, want one entry", list, err)
	}
}

// A restrictJunction has a link of the kind that Windows calls a junction: it is no
// symbolic link, and can be read as one.
type restrictJunction struct{ fstest.MapFS }

type restrictJunctionInfo struct{ fs.FileInfo }

func (restrictJunctionInfo) Mode() fs.FileMode { return fs.ModeIrregular }

func (j restrictJunction) Lstat(name string) (fs.FileInfo, error) {
	info, err := j.MapFS.Lstat(name)
	if err == nil && (info.Mode()&fs.ModeSymlink != 0 || name == "odd") {
		info = restrictJunctionInfo{info}
	}
	return info, err
}

func TestRestrictFSJunctions(t *testing.T) {
	files := restrictFiles()
	files["good"] = restrictLink("dir")
	files["bad"] = restrictLink(".dir")
	files["odd"] = &fstest.MapFile{Data: []byte("public")}
	restricted := httpmw.RestrictFS(restrictJunction{files}, ".", nil)
	for name, want := range map[string]string{"good/pub.txt": "public dir/pub.txt", "bad/secret": "", "odd": "public"} {
		if data, err := fs.ReadFile(restricted, name); string(data) != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v, want %q", name, data, err, want)
		}
	}
}
