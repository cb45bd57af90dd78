package main

import (
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/netparts/netparts/httpmw"
)

// say is a handler that says one word.
func say(word string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, word) })
}

// ask returns what a handler answers for a path, without a network.
func ask(h http.Handler, path string) (status int, body string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

// In a list of routes the default comes last: if it stands first, it takes what is the
// backend's, and a user who asks for the backend is told that there is no such file. To
// an http.ServeMux the order does not matter.
func TestDefaultRouteIsLast(t *testing.T) {
	backend, files := route{"/backend", say("backend")}, route{"", say("files")}
	mux := http.NewServeMux()
	mux.Handle("/", files.handler)
	mux.Handle("/backend", backend.handler)
	mux.Handle("/backend/", backend.handler)
	for _, tt := range []struct{ path, last, first, mux string }{
		{"/", "files", "files", "files"},
		{"/style.css", "files", "files", "files"},
		{"/backends", "files", "files", "files"},
		{"/backend", "backend", "files", "backend"},
		{"/backend/", "backend", "files", "backend"},
		{"/backend/this/is/a/test", "backend", "files", "backend"},
	} {
		for name, h := range map[string]struct {
			http.Handler
			want string
		}{
			"the default is last":  {inOrder([]route{backend, files}), tt.last},
			"the default is first": {inOrder([]route{files, backend}), tt.first},
			"a ServeMux":           {mux, tt.mux},
		} {
			if _, got := ask(h, tt.path); got != h.want {
				t.Errorf("%s, %s: %q, want %q", name, tt.path, got, h.want)
			}
		}
	}
	if status, _ := ask(inOrder([]route{backend}), "/other"); status != 404 {
		t.Errorf("a path without a route: %d, want 404", status)
	}
}

// The guard is what hides the file: without it a file server serves the very same path.
func TestTheGuardHidesTheSecret(t *testing.T) {
	root, err := os.OpenRoot("files")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	open := http.FileServerFS(root.FS())
	for _, path := range []string{"/.secret", "/.dir/secret"} {
		if status, _ := ask(open, path); status != 200 {
			t.Errorf("%s without the guard: %d, want 200", path, status)
		}
		if status, _ := ask(static(root.FS()), path); status != 404 {
			t.Errorf("%s: %d, want 404", path, status)
		}
		// Each of the two guards does it alone.
		if status, _ := ask(httpmw.RestrictPrefix(".", nil)(open), path); status != 404 {
			t.Errorf("%s with RestrictPrefix: %d, want 404", path, status)
		}
		if status, _ := ask(http.FileServerFS(httpmw.RestrictFS(root.FS(), ".", nil)), path); status != 404 {
			t.Errorf("%s with RestrictFS: %d, want 404", path, status)
		}
	}
}

// Each guard sees what the other does not: the one of files a link with another name, and
// the one of paths a hidden folder that a path only passes through.
func TestBothGuardsAreNeeded(t *testing.T) {
	h := static(fstest.MapFS{
		".dir/secret": {Data: []byte("secret")},
		"page.html":   {Data: []byte("page")},
		"link":        {Data: []byte(".dir/secret"), Mode: fs.ModeSymlink | 0o777},
	})
	for path, want := range map[string]int{"/page.html": 200, "/link": 404, "/.dir/../page.html": 404} {
		if status, body := ask(h, path); status != want {
			t.Errorf("%s: %d, %q, want %d", path, status, body, want)
		}
	}
}

// TRACE and CONNECT go to no route, whatever the backend would make of them.
func TestRefusedMethods(t *testing.T) {
	for _, method := range []string{http.MethodTrace, http.MethodConnect} {
		w := httptest.NewRecorder()
		front(nil, []route{{"", say("your cookies")}}).ServeHTTP(w, httptest.NewRequest(method, "/backend", nil))
		if w.Code != 405 {
			t.Errorf("%s: %d, want 405", method, w.Code)
		}
	}
}

// What is no file is not opened: a pipe would be waited for. And no browser guesses the type of
// what is one.
func TestOnlyFilesAreServed(t *testing.T) {
	h := static(fstest.MapFS{"pipe": {Mode: fs.ModeNamedPipe}, "page.html": {Data: []byte("page")}})
	if status, _ := ask(h, "/pipe"); status != 404 {
		t.Errorf("a pipe: %d, want 404", status)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/page.html", nil))
	if got := w.Header().Get("X-Content-Type-Options"); w.Code != 200 || got != "nosniff" {
		t.Errorf("a page: %d, X-Content-Type-Options %q", w.Code, got)
	}
}

// Folders without an index are missing, rather than listed.
func TestFoldersAreNotListed(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, folder := range []string{"with", "without"} {
		if err := root.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"with/index.html", "without/file.txt"} {
		if err := root.WriteFile(name, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]int{
		"/": 404, "/with/": 200, "/with": 301, "/without/": 404, "/without": 404, "/without/file.txt": 200, "/without/file.txt/": 301,
	} {
		if status, body := ask(static(root.FS()), path); status != want {
			t.Errorf("%s: %d, %q, want %d", path, status, body, want)
		}
	}
}

// Whatever the path, what reaches the backend is below its path, also for a backend that
// resolves "..", takes one separator for the other, or cuts parameters off.
func FuzzBackendGetsItsOwn(f *testing.F) {
	for _, p := range []string{"/backend", "/backend/../x", `/backend\..\x`, "/backend/.../x", "/backend//..", "backend", "", "/backend/..x", "/backend\x00/../x", "/backend/..;a/x", "/backend/;/..;/x"} {
		f.Add(p)
	}
	params := regexp.MustCompile(`;[^/]*`)
	f.Fuzz(func(t *testing.T, p string) {
		reached := false
		h := front(nil, []route{
			{"/backend", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })},
			{"", http.NotFoundHandler()},
		})
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = &url.URL{Path: p}
		h.ServeHTTP(httptest.NewRecorder(), r)
		clean := path.Clean(params.ReplaceAllString(strings.ReplaceAll(p, `\`, "/"), ""))
		if own := clean == "/backend" || strings.HasPrefix(clean, "/backend/"); reached && !own {
			t.Errorf("the backend got %q, which is %q", p, clean)
		}
		if p == "/backend/..x" && !reached {
			t.Errorf("the backend did not get %q", p)
		}
	})
}
