package main

import (
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

// newFolder makes a folder of files by their names.
func newFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, contents := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(contents), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// raw sends a request as it is, and returns all of the response but its date.
func raw(t *testing.T, addr, method, target string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, method+" "+target+" HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^Date: .*\r\n`).ReplaceAllString(string(b), "")
}

// To a client what is hidden differs in nothing from what is not there: neither do names
// with a dot, nor folders without a page, nor what leads out of the folder.
func TestHiddenIsMissing(t *testing.T) {
	dir := newFolder(t, map[string]string{
		"page/index.html":     "page",
		"folder/file":         "file",
		".secret":             "secret",
		".dir/secret":         "secret",
		".dir/index.html":     "secret",
		"folder/.git/config":  "secret",
		"page/.hidden/x/file": "secret",
		"%2esecret":           "what a server behind might decode once more",
	})
	targets := []string{
		".secret", "%2esecret", "%252esecret", "%25252esecret", "%2Esecret", ".secret/",
		".dir", ".dir/", ".dir/secret", ".dir/secret/", ".dir%2fsecret", ".dir%5csecret", "folder/.git/config",
		"page/.hidden/x/file", "page/.hidden/", ".none", ".dir/none",
		"folder", "folder/", // whose files would be listed
		"page/index.html/below", "%00", "page%00",
	}
	if runtime.GOOS != "windows" { // where it takes a privilege to make links
		for link, target := range map[string]string{
			"link": ".secret", "folder/links": "../.dir", "out": "/", "relative": "../..", "loop": "loop",
		} {
			if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
				t.Fatal(err)
			}
		}
		targets = append(targets, "link", "folder/links/secret", "folder/links/", "out/etc/passwd", "out/", "relative/", "loop")
	}
	d := start(t, "http", "-files", dir)
	for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "PROPFIND"} {
		want := raw(t, d.Addr, method, "/static/none")
		if method == "GET" && !strings.HasPrefix(want, "HTTP/1.1 404 Not Found\r\n") {
			t.Errorf("a missing file: %q", want)
		}
		for _, target := range targets {
			if got := raw(t, d.Addr, method, "/static/"+target); got != want {
				t.Errorf("%s %s: %q, want %q", method, target, got, want)
			}
		}
	}
	for target, want := range map[string]string{"page/": "page", "folder/file": "file"} {
		if got := raw(t, d.Addr, "GET", "/static/"+target); !strings.HasSuffix(got, "\r\n\r\n"+want) {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
	d.End(t)
}

// Without the restriction the two files of the repository are served, so that it is
// the restriction that TestRoutes shows.
func TestSecretsAreThere(t *testing.T) {
	for _, name := range []string{".secret", ".dir/secret"} {
		f, err := folder{os.DirFS("files")}.Open("/" + name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil || !strings.Contains(string(b), "passed the restriction") {
			t.Errorf("%s is %q, %v", name, b, err)
		}
	}
}

// The pictures are XML that browsers take.
func TestPictures(t *testing.T) {
	for _, name := range []string{"hiking.svg", "sage.svg"} {
		b, err := os.ReadFile(filepath.Join("files", name))
		if err != nil {
			t.Fatal(err)
		}
		var svg struct {
			XMLName xml.Name
			Title   string `xml:"title"`
		}
		if err := xml.Unmarshal(b, &svg); err != nil || svg.XMLName.Space != "http://www.w3.org/2000/svg" || svg.Title == "" {
			t.Errorf("%s: %+v, %v", name, svg, err)
		}
	}
}

// A file is what the kernel can send by itself.
func TestFilesOfTheSystem(t *testing.T) {
	root, err := os.OpenRoot("files")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	f, err := folder{visible(root.FS())}.Open("/sage.svg")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, ok := f.(syscall.Conn); !ok {
		t.Errorf("%T is no syscall.Conn, which sendfile needs", f)
	}
}

// Other file systems do too.
func TestFilesInMemory(t *testing.T) {
	f, err := folder{fstest.MapFS{"a/index.html": {Data: []byte("page")}}}.Open("/a/index.html")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil || string(b) != "page" {
		t.Errorf("%q, %v", b, err)
	}
}

// Want of descriptors is a failure of the server, which passes; a client must not take
// the file for missing.
func TestFailureToOpen(t *testing.T) {
	for _, err := range []error{syscall.EMFILE, syscall.ENFILE} {
		if got := missing(&fs.PathError{Op: "open", Path: "a", Err: err}); !errors.Is(got, err) {
			t.Errorf("missing(%v) = %v", err, got)
		}
	}
	if got := missing(fs.ErrPermission); !errors.Is(got, fs.ErrNotExist) {
		t.Errorf("missing(%v) = %v", fs.ErrPermission, got)
	}
}

// A page that is not in the folder is missing, not a failure.
func TestFolderWithoutPages(t *testing.T) {
	d := start(t, "http", "-files", t.TempDir())
	for _, path := range []string{"/", "/2", "/static/"} {
		resp, body := send(t, newClient(t, false, nil), http.MethodGet, "http://"+d.Addr+path)
		if resp.StatusCode != 404 || body != "404 page not found\n" {
			t.Errorf("%s: %s, %q", path, resp.Status, body)
		}
	}
	d.End(t)
}
