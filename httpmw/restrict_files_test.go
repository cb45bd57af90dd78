package httpmw_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

// restrictedNames returns the files that hold the secret.
func restrictedNames(tb testing.TB, files fs.FS) (names []string) {
	tb.Helper()
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		if strings.Contains(string(data), secret) {
			names = append(names, name)
		}
		return err
	})
	if err != nil || len(names) < 5 {
		tb.Fatalf("%d restricted files, %v", len(names), err)
	}
	return names
}

// restrictMounts are the ways in which files are served behind, or without, a middleware.
func restrictMounts(m httpmw.Middleware) map[string]http.Handler {
	if m == nil {
		m = func(h http.Handler) http.Handler { return h }
	}
	files := http.FileServerFS(restrictFiles())
	inside, outside := http.NewServeMux(), http.NewServeMux()
	inside.Handle("/static/", http.StripPrefix("/static", m(files)))
	outside.Handle("/static/", http.StripPrefix("/static/", files))
	return map[string]http.Handler{
		"strip with a slash":    http.StripPrefix("/static/", m(files)), // as in the book
		"strip without a slash": http.StripPrefix("/static", m(files)),
		"behind a mux":          inside,
		"before a mux":          m(outside),
		"http.FileServer":       http.StripPrefix("/static/", m(http.FileServer(http.FS(restrictFiles())))),
	}
}

// A restricted file is served without the middleware, and with it the answer is, byte for
// byte, that for a file that is missing.
func TestRestrictPrefixBlockedEqualsMissing(t *testing.T) {
	names := restrictedNames(t, restrictFiles())
	open := restrictMounts(nil)
	for mount, h := range restrictMounts(httpmw.RestrictPrefix(".", nil)) {
		// What outer middleware sets for all files, FileServer takes back from a 404.
		outer := func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for _, name := range []string{"Cache-Control", "Etag", "Last-Modified", "Content-Encoding", "X-Other"} {
					w.Header().Set(name, `"outer"`)
				}
				h.ServeHTTP(w, r)
			})
		}
		for _, h2 := range []bool{false, true} {
			closed, bare := serve(t, outer(h), h2), serve(t, open[mount], h2)
			for _, method := range []string{"GET", "HEAD"} {
				for _, name := range names {
					path := "/static/" + url.PathEscape(name)
					if strings.Contains(name, "/") {
						path = "/static/" + name
					}
					if got, all := restrictGet(t, bare, method, path); got != 200 || method == "GET" && !strings.HasSuffix(all, secret+" "+name) {
						t.Errorf("%s, without the middleware: %s %s: %s", mount, method, path, all)
					}
					_, missing := restrictGet(t, closed, method, "/static/missing", "Range: bytes=0-1")
					if got, all := restrictGet(t, closed, method, path, "Range: bytes=0-1"); got != 404 || all != missing {
						t.Errorf("%s: %s %s:\n%s\nwant\n%s", mount, method, path, all, missing)
					}
					if h2 {
						continue
					}
					missing = restrictRaw(t, closed, method+" /static/missing HTTP/1.1")
					if raw := restrictRaw(t, closed, method+" "+path+" HTTP/1.1"); raw != missing || !strings.Contains(raw, "404") {
						t.Errorf("%s: %s %s:\n%s\nwant\n%s", mount, method, path, raw, missing)
					}
				}
			}
		}
	}
}

// The book's version answers 404 for the root itself below StripPrefix, which cleans to ".".
func TestRestrictPrefixRootUnderStripPrefix(t *testing.T) {
	for mount, h := range restrictMounts(httpmw.RestrictPrefix(".", nil)) {
		srv := serve(t, h, false)
		for _, path := range []string{"/static/", "/static/..", "/static/dir/..", "/static/.", "/static/pub.txt", "/static/./dir/pub.txt", "/static/100%25.txt", "/static/a+b"} {
			raw := restrictRaw(t, srv, "GET "+path+" HTTP/1.1")
			// FileServer and ServeMux redirect what is not canonical.
			if got := restrictStatus(t, raw); got == 404 || got != 200 && !strings.Contains(path, "/.") {
				t.Errorf("%s: %s: %s", mount, path, raw)
			}
		}
	}
}

func TestRestrictPrefixNotFound(t *testing.T) {
	var opts httpmw.RestrictOptions
	opts.NotFound = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	m := httpmw.RestrictPrefix(".", &opts)
	opts.NotFound, opts.AllowEncodedPercent = nil, true // options are read once
	for path, want := range map[string]int{"/.secret": 418, "/%252esecret": 418, "/missing": 404, "/pub.txt": 200} {
		w := httptest.NewRecorder()
		m(http.FileServerFS(restrictFiles())).ServeHTTP(w, httptest.NewRequest("GET", path, http.NoBody))
		if w.Code != want {
			t.Errorf("%s: status %d, want %d", path, w.Code, want)
		}
	}
}

// A check of paths cannot see what a listing names. RestrictFS hides it.
func TestRestrictPrefixListing(t *testing.T) {
	restrict := httpmw.RestrictPrefix(".", nil)
	files := restrictFiles()
	for _, path := range []string{"/", "/dir/", "/dir/sub/"} {
		_, leaks := restrictGet(t, serve(t, restrict(http.FileServerFS(files)), false), "GET", path)
		if !strings.Contains(leaks, `href="./.`) && !strings.Contains(leaks, `href=".`) {
			t.Errorf("%s: no restricted name, so this shows nothing:\n%s", path, leaks)
		}
		hidden := http.FileServerFS(httpmw.RestrictFS(files, ".", nil))
		status, list := restrictGet(t, serve(t, restrict(hidden), false), "GET", path)
		if status != 200 || strings.Contains(list, `>.`) || !strings.Contains(list, ">pub.txt<") {
			t.Errorf("%s: %s", path, list)
		}
	}
}

func TestRestrictPanics(t *testing.T) {
	bad := []string{"", "/", "a/b", `\`, "a\\", "\x00", "%", "%2e"}
	for _, name := range bad {
		for what, f := range map[string]func(){
			"RestrictPrefix":           func() { httpmw.RestrictPrefix(name, nil) },
			"RestrictFS":               func() { httpmw.RestrictFS(restrictFiles(), name, nil) },
			"RestrictPrefix, exempt":   func() { httpmw.RestrictPrefix(".", &httpmw.RestrictOptions{Exempt: []string{".a", name}}) },
			"RestrictFS, exempt names": func() { httpmw.RestrictFS(restrictFiles(), ".", &httpmw.RestrictOptions{Exempt: []string{name}}) },
		} {
			func() {
				defer func() {
					if s, ok := recover().(string); !ok || !strings.HasPrefix(s, "httpmw: Restrict") {
						t.Errorf("%s(%q) panics with %v", what, name, s)
					}
				}()
				f()
			}()
		}
	}
}
