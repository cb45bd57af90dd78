package httpmw_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	pathpkg "path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/netparts/netparts/httpmw"
)

var allowTables = []struct {
	name   string
	prefix string // that http.StripPrefix takes away first
	paths  []string
	cases  map[string]bool // which of the paths in a request line are allowed
}{
	{"a few", "", []string{"/index.html", "/static/", "/a/b", "/é", "/two  spaces", "/.well-known/x"}, map[string]bool{
		"/index.html":      true,
		"/index.html?q=1":  true,
		"/%69ndex.html":    true,
		"/static/":         true,
		"/static/a":        true,
		"/static/a/b/":     true,
		"/static/a/b.c":    true,
		"/static/.a":       true, // a name like any other
		"/static/a..":      true,
		"/static/a;b":      true,
		"/static/a;b/c":    true,
		"/static/..a":      true,
		"/static/caf%e9":   true,
		"/a/b":             true,
		"/%c3%a9":          true,
		"/two%20%20spaces": true,
		"/.well-known/x":   true,

		"/":                 false,
		"/static":           false,
		"/Static/a":         false,
		"/staticx":          false,
		"/index.html/":      false,
		"/index.htm":        false,
		"/index.html%00":    false,
		"/a":                false,
		"/a/":               false,
		"/a/b/":             false,
		"/a/b/c":            false,
		"/.well-known/":     false,
		"//index.html":      false,
		"/./index.html":     false,
		"/x/../index.html":  false,
		"/%2e/index.html":   false,
		"/index%252ehtml":   false,
		"/static/..":        false,
		"/static/.":         false,
		"/static/../x":      false,
		"/static/./x":       false,
		"/static//x":        false,
		"/static/x//":       false,
		"/static/%2e%2e/x":  false,
		"/static/%2f":       false,
		"/static/a%2f..":    false,
		"/static/%252e":     false,
		"/static/100%25":    false,
		`/static/a\b`:       false,
		"/static/..%5cx":    false,
		"/static/%00":       false,
		"/static/..;/x":     false,
		"/static/..;a=b/x":  false,
		"/static/..;a;b":    false,
		"/static/;x/y":      false,
		"/static/..%20/x":   false,
		"/static/%20":       false,
		"/static/.../x":     false,
		"/static/%c0%ae":    false,
		"/static/x%c0%afy":  false,
		"/static/%e0%80%ae": false,
		"http:static/a":     false,
	}},
	{"everything", "", []string{"/"}, map[string]bool{
		"/": true, "/a": true, "/a/b/": true, "//": false, "/..": false, "/a/../b": false, "/a//": false, "/a%25": false, "http:a": false,
	}},
	{"nothing", "", nil, map[string]bool{
		"/": false, "/a": false, "//": false, "http:a": false,
	}},
	{"below StripPrefix", "/files/", []string{"/a", "/dir/"}, map[string]bool{
		"/files/a": true, "/files/dir/": true, "/files/dir/x": true,
		"/files//a": true, // StripPrefix leaves "/a" of it
		"/files/":   false, "/files/b": false, "/files/dir": false, "/files///a": false, "/files/../a": false, "/a": false,
	}},
	{"below StripPrefix, all of it", "/files", []string{"/"}, map[string]bool{
		"/files": true, "/files/": true, "/files/a": true, "/files//a": false, "/files/..": false,
	}},
}

func TestAllowPaths(t *testing.T) {
	var handlers []http.Handler
	for _, table := range allowTables {
		paths := slices.Clone(table.paths)
		m := httpmw.AllowPaths(paths...)
		clear(paths) // which m no longer needs
		handlers = append(handlers, http.StripPrefix(table.prefix, m(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
		}))))
	}
	choose := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i, err := strconv.Atoi(r.Header.Get("Table"))
		if err != nil {
			panic(err)
		}
		handlers[i].ServeHTTP(w, r)
	})
	h1, h2 := serve(t, choose, false), serve(t, choose, true)
	for i, table := range allowTables {
		for path, allowed := range table.cases {
			t.Run(table.name+" "+path, func(t *testing.T) {
				header := "Table: " + strconv.Itoa(i)
				want := http.StatusNotFound
				if allowed {
					want = http.StatusNoContent
				}
				for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "get"} {
					if got := restrictStatus(t, restrictRaw(t, h1, method+" "+path+" HTTP/1.1", header)); got != want {
						t.Errorf("HTTP/1.1, %s: status %d, want %d", method, got, want)
					}
				}
				if path[0] != '/' {
					return
				}
				if got, _ := restrictGet(t, h2, "GET", path, header); got != want {
					t.Errorf("HTTP/2: status %d, want %d", got, want)
				}
			})
		}
	}
}

// A file that is not allowed is served without the middleware, and with it the answer is
// that for a file that is missing.
func TestAllowPathsBlockedEqualsMissing(t *testing.T) {
	files := http.FileServerFS(restrictFiles())
	allow := httpmw.AllowPaths("/dir/", "/missing")
	for _, h2 := range []bool{false, true} {
		bare, srv := serve(t, files, h2), serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60") // for the files that there are
			allow(files).ServeHTTP(w, r)
		}), h2)
		for _, method := range []string{"GET", "HEAD"} {
			for _, path := range []string{"/pub.txt", "/.secret", "/.dir/secret"} {
				if status, all := restrictGet(t, bare, method, path); status != 200 {
					t.Errorf("without the middleware: %s %s: %s", method, path, all)
				}
				_, missing := restrictGet(t, srv, method, "/missing") // allowed, and not there
				if status, all := restrictGet(t, srv, method, path); status != 404 || all != missing {
					t.Errorf("%s %s:\n%s\nwant\n%s", method, path, all, missing)
				}
			}
			if status, all := restrictGet(t, srv, method, "/dir/pub.txt"); status != 200 || !strings.Contains(all, "max-age=60") {
				t.Errorf("%s of an allowed file: %s", method, all)
			}
		}
	}
	srv := serve(t, allow(files), false)
	missing := restrictRaw(t, srv, "GET /missing HTTP/1.1")
	if raw := restrictRaw(t, srv, "GET /pub.txt HTTP/1.1"); raw != missing || restrictStatus(t, raw) != 404 {
		t.Errorf("%s\nwant\n%s", raw, missing)
	}
}

func TestAllowPathsPanics(t *testing.T) {
	for _, path := range []string{"", "a", "a/", "//", "/a//b", "/.", "/..", "/a/../b", "/./a", `/a\b`, "/a%20b", "/a\x00", "/\xc0\xae", "/...", "/..;x", "/ "} {
		func() {
			defer func() {
				if s, ok := recover().(string); !ok || !strings.HasPrefix(s, "httpmw: AllowPaths: ") {
					t.Errorf("AllowPaths(%q) panics with %q", path, s)
				}
			}()
			httpmw.AllowPaths("/fine", path)
		}()
	}
}

// FuzzAllowPaths states that what passes is below a path that is allowed however it is
// cleaned.
func FuzzAllowPaths(f *testing.F) {
	for _, table := range allowTables {
		for path := range table.cases {
			if p, err := url.PathUnescape(path); err == nil {
				f.Add(p)
			}
		}
	}
	files := restrictFiles()
	f.Fuzz(func(t *testing.T, path string) {
		// Of what can be asked for, it is in "dir/sub" alone.
		m := httpmw.AllowPaths("/dir/sub/pub.txt", "/dir/sub/x/", "/index")
		got := restrictServed(func(h http.Handler) http.Handler { return m(h) }, files, path)
		if got = strings.ReplaceAll(got, "public dir/sub/pub.txt", ""); strings.Contains(got, "public") || strings.Contains(got, secret) {
			t.Errorf("%q: %s", path, got)
		}
		passed := false
		m(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true })).ServeHTTP(
			httptest.NewRecorder(), &http.Request{URL: &url.URL{Path: path}})
		clean := pathpkg.Clean("/" + path)
		listed := clean == "/index" || clean == "/dir/sub/pub.txt" || clean == "/dir/sub/x" || strings.HasPrefix(clean, "/dir/sub/x/")
		if same := clean == "/"+strings.Trim(path, "/"); passed && (!listed || !same) {
			t.Errorf("%q passes", path)
		}
	})
}
