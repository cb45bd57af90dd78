package tftp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/netparts/netparts/tftp"
)

// tree makes a folder with files in and around it, and opens it.
func tree(t *testing.T) (root *os.Root, dir string) {
	t.Helper()
	outer := t.TempDir()
	dir = filepath.Join(outer, "root")
	for _, d := range []string{dir, filepath.Join(dir, "sub")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"file": "file", "sub/file": "sub", `a\b`: "backslash", "../secret": "secret"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"inside": "sub/file", "outside": "../secret", "absolute": filepath.Join(outer, "secret"), "up": ".."} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, dir
}

// Which names a Folder and an FS read, and which they refuse.
func TestNames(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("names are others there")
	}
	root, dir := tree(t)
	makeFIFO(t, filepath.Join(dir, "fifo"))
	tests := []struct {
		name string
		want string // the contents
		err  error
	}{
		{"file", "file", nil},
		{"/file", "file", nil},
		{"///file", "file", nil},
		{"./file", "file", nil},
		{"sub//file", "sub", nil},
		{"sub/../file", "file", nil},
		{"/sub/./file", "sub", nil},
		{`a\b`, "backslash", nil},
		{"inside", "sub", nil},
		{"none", "", fs.ErrNotExist},
		{"file/x", "", nil},
		{"", "", nil},
		{"/", "", fs.ErrPermission},
		{"sub", "", fs.ErrPermission},
		{"..", "", fs.ErrPermission},
		{"../secret", "", fs.ErrPermission},
		{"/../secret", "", fs.ErrPermission},
		{"sub/../../secret", "", fs.ErrPermission},
		{"sub/../../root/file", "", fs.ErrPermission},
		{"outside", "", nil},
		{"absolute", "", nil},
		{"up/secret", "", nil},
		{"a\nb", "", fs.ErrPermission},
		{"a\x7fb", "", fs.ErrPermission},
		{"\x1b[31m", "", fs.ErrPermission},
		{"fifo", "", fs.ErrPermission},
		{strings.Repeat("a", 300), "", nil},
	}
	for name, open := range map[string]func(context.Context, *tftp.Request) (io.ReadCloser, error){
		"Folder": tftp.Dir(root).Open,
		"FS":     tftp.FS(root.FS()),
	} {
		for _, tt := range tests {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				file, err := open(t.Context(), &tftp.Request{Name: tt.name})
				if err != nil {
					if tt.want != "" || tt.err != nil && !errors.Is(err, tt.err) {
						t.Errorf("%v, want %q, %v", err, tt.want, tt.err)
					}
					return
				}
				defer file.Close()
				got, err := io.ReadAll(file)
				if err != nil || string(got) != tt.want || tt.want == "" {
					t.Errorf("read %q, %v, want %q", got, err, tt.want)
				}
			})
		}
	}
}

// What cannot be a name in a file system is refused, not looked for.
func TestNamesThatAreNone(t *testing.T) {
	open := tftp.FS(fstest.MapFS{"file": {Data: []byte("x")}})
	for _, name := range []string{"a\xffb", "..", "a/../.."} {
		if _, err := open(t.Context(), &tftp.Request{Name: name}); !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// names returns what is in a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// create begins an upload and writes text into it.
func create(t *testing.T, f *tftp.Folder, name, text string) tftp.Upload {
	t.Helper()
	u, err := f.Create(t.Context(), &tftp.Request{Name: name})
	if err != nil {
		t.Fatalf("Create %s: %v", name, err)
	}
	if n, err := u.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
	return u
}

func TestUploads(t *testing.T) {
	root, dir := tree(t)
	before := names(t, dir)
	folder := tftp.Dir(root)
	t.Run("commit", func(t *testing.T) {
		u := create(t, folder, "/new", "new text")
		if _, err := root.Stat("new"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("before Commit: %v", err)
		}
		if err := u.Commit(); err != nil {
			t.Fatal(err)
		}
		if got, err := root.ReadFile("new"); err != nil || string(got) != "new text" {
			t.Errorf("stored %q, %v", got, err)
		}
		if err := root.Remove("new"); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("abort", func(t *testing.T) {
		create(t, folder, "sub/new", "new text").Abort(io.ErrUnexpectedEOF)
		if got := names(t, filepath.Join(dir, "sub")); !slices.Equal(got, []string{"file"}) {
			t.Errorf("left behind %q", got)
		}
	})
	t.Run("two at once", func(t *testing.T) {
		one, two := create(t, folder, "new", "one"), create(t, folder, "new", "two")
		if err := two.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := one.Commit(); !errors.Is(err, fs.ErrExist) {
			t.Errorf("second Commit: %v, want %v", err, fs.ErrExist)
		}
		if got, err := root.ReadFile("new"); err != nil || string(got) != "two" {
			t.Errorf("stored %q, %v", got, err)
		}
		if err := root.Remove("new"); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		for name, want := range map[string]error{
			"file": fs.ErrExist, "inside": fs.ErrExist, "outside": fs.ErrExist, "sub": fs.ErrPermission, "/": fs.ErrPermission,
			"none/new": fs.ErrNotExist, "../new": fs.ErrPermission, "a\rb": fs.ErrPermission, "up/new": nil,
		} {
			if _, err := folder.Create(t.Context(), &tftp.Request{Name: name}); err == nil || want != nil && !errors.Is(err, want) {
				t.Errorf("Create %q: %v, want %v", name, err, want)
			}
		}
	})
	t.Run("overwrite", func(t *testing.T) {
		over := tftp.Dir(root)
		over.Overwrite = true
		if err := create(t, over, "file", "replaced").Commit(); err != nil {
			t.Fatal(err)
		}
		if got, err := root.ReadFile("file"); err != nil || string(got) != "replaced" {
			t.Errorf("stored %q, %v", got, err)
		}
		// A link is replaced, and what it leads to stays.
		if err := create(t, over, "outside", "mine").Commit(); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "../secret")); err != nil || string(got) != "secret" {
			t.Errorf("outside of the root is %q, %v", got, err)
		}
		if _, err := over.Create(t.Context(), &tftp.Request{Name: "sub"}); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("Create of a folder: %v", err)
		}
	})
	if got := names(t, dir); !slices.Equal(got, before) {
		t.Errorf("the folder has %q, want %q", got, before)
	}
}

// An upload that breaks off leaves nothing in the folder, however it ends.
func TestBrokenUploadsLeaveNothing(t *testing.T) {
	for name, end := range map[string]func(p *path, g *guest){
		"silence":  func(*path, *guest) {},
		"ERROR":    func(_ *path, g *guest) { g.send(&tftp.Error{Message: "stop"}) },
		"overlong": func(_ *path, g *guest) { g.send(data(2, 600)) },
		"Close":    func(p *path, _ *guest) { p.server.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			withServer(t, func(t *testing.T, p *path) {
				dir := t.TempDir()
				root, err := os.OpenRoot(dir)
				if err != nil {
					t.Fatal(err)
				}
				defer root.Close()
				p.server.Create = tftp.Dir(root).Create
				p.serve(t, func() {
					g := p.guest(t, 2000)
					g.request(write)
					g.expect("ACK 0")
					g.send(data(1, 512))
					g.expect("ACK 1")
					if got := names(t, dir); len(got) != 1 {
						t.Errorf("in the folder is %q", got)
					}
					end(p, g)
				})
				if got := names(t, dir); len(got) != 0 {
					t.Errorf("left behind %q", got)
				}
			})
		})
	}
}

// A source that gets shorter while it is read fails, and never looks like a whole
// file.
func TestFileThatShrinks(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		name := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(name, make([]byte, 2000), 0o600); err != nil {
			t.Fatal(err)
		}
		p.server.Open = func(context.Context, *tftp.Request) (io.ReadCloser, error) { return os.Open(name) }
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(read + "tsize\x000\x00")
			g.expect("OACK [{tsize 2000}]")
			g.ack(0)
			g.expect("DATA 1 of 512")
			if err := os.Truncate(name, 700); err != nil {
				t.Fatal(err)
			}
			g.ack(1)
			g.expect("ERROR 0 transfer failed")
		})
		if !errors.Is(p.reports[0].Err, io.ErrUnexpectedEOF) {
			t.Errorf("reported %v", p.reports[0].Err)
		}
	})
}

// One that grows is sent as large as it was.
func TestFileThatGrows(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		name := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(name, make([]byte, 600), 0o600); err != nil {
			t.Fatal(err)
		}
		p.server.Open = func(context.Context, *tftp.Request) (io.ReadCloser, error) { return os.Open(name) }
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(read)
			g.expect("DATA 1 of 512")
			if err := os.WriteFile(name, bytes.Repeat([]byte("x"), 5000), 0o600); err != nil {
				t.Fatal(err)
			}
			g.ack(1)
			g.expect("DATA 2 of 88")
			g.ack(2)
		})
		p.noFailures(t)
	})
}
