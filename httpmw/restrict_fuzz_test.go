package httpmw_test

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/netparts/netparts/httpmw"
)

// A restrictDecoder serves files as a backend behind a proxy may do: it decodes the path
// again, so many times, and takes for a separator whatever the most careless one would.
type restrictDecoder struct {
	files   fs.FS
	times   int
	lenient bool // leaves what is not valid as it is, in place of refusing the path
}

func (h restrictDecoder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path
	for range h.times {
		next, err := url.PathUnescape(name)
		if err != nil && h.lenient {
			next, err = restrictUnescape(name), nil
		}
		if err != nil {
			http.NotFound(w, r)
			return
		}
		name = next
	}
	// Overlong forms first, then what Windows and C take for the end of a name.
	name = strings.NewReplacer("\xc0\xae", ".", "\xc0\xaf", "/", "\xc1\x9c", `\`, "\xc0\x80", "\x00").Replace(name)
	for _, name := range []string{name, strings.ReplaceAll(name, `\`, "/"), strings.ReplaceAll(name, "\x00", "/")} {
		data, err := fs.ReadFile(h.files, strings.TrimPrefix(path.Clean("/"+name), "/"))
		if err == nil {
			_, _ = w.Write(data) // to a recorder
		}
	}
	name, _, _ = strings.Cut(name, "\x00")
	if data, err := fs.ReadFile(h.files, strings.TrimPrefix(path.Clean("/"+name), "/")); err == nil {
		_, _ = w.Write(data)
	}
}

// restrictUnescape decodes what can be decoded.
func restrictUnescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c, err := url.PathUnescape(s[i:min(i+3, len(s))]); s[i] == '%' && err == nil {
			b.WriteString(c)
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// restrictServed returns what handlers answer that decode the path of a request not at all
// to three times.
func restrictServed(m httpmw.Middleware, files fs.FS, path string) string {
	var all strings.Builder
	backends := []http.Handler{http.FileServerFS(files), http.StripPrefix("/dir/", m(http.FileServerFS(files)))}
	for times := range 4 {
		backends = append(backends, restrictDecoder{files, times, false}, restrictDecoder{files, times, true})
	}
	for _, h := range backends {
		w := httptest.NewRecorder()
		w.Body.Reset()
		m(h).ServeHTTP(w, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}, Header: http.Header{}, Host: "example.com"})
		if w.Header().Get("Content-Type") != "text/html; charset=utf-8" { // a listing
			all.WriteString(w.Body.String())
		}
	}
	return all.String()
}

// FuzzRestrictPrefix states what it is for: the content of a restricted file never leaves,
// whatever decodes the path behind it. Besides, paths without anything of interest pass.
func FuzzRestrictPrefix(f *testing.F) {
	for _, table := range restrictTables {
		if table.prefix == "." {
			for _, tt := range table.cases {
				if p, err := url.PathUnescape(tt.path); err == nil {
					f.Add(p) // as net/http hands it on
				}
				f.Add(tt.path)
			}
		}
	}
	files := restrictFiles()
	names := restrictedNames(f, files)
	for _, name := range names {
		f.Add("/" + strings.ReplaceAll(name, ".", "%2e"))
		f.Add("/" + strings.ReplaceAll(name, ".", "%25252e"))
		f.Add("/dir/../" + name)
		f.Add("/" + strings.ReplaceAll(name, "/", `%5c`))
		f.Add("/" + strings.ReplaceAll(name, "/", "%2500"))
		f.Add("/" + strings.ReplaceAll(name, ".", "\xc0\xae"))
	}
	restrict := httpmw.RestrictPrefix(".", nil)
	f.Fuzz(func(t *testing.T, path string) {
		if got := restrictServed(restrict, files, path); strings.Contains(got, secret) {
			t.Errorf("%q: %s", path, got)
		}
		if strings.ContainsAny(path, "%.") || strings.ContainsFunc(path, func(r rune) bool { return r >= 0x80 }) {
			return
		}
		passed := false
		restrict(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true })).ServeHTTP(
			httptest.NewRecorder(), &http.Request{URL: &url.URL{Path: path}})
		if !passed {
			t.Errorf("%q is blocked, and has no dot", path)
		}
	})
}

// The invariant of FuzzRestrictPrefix is worth something: without the middleware each
// restricted file leaves, in each of these ways.
func TestRestrictPrefixWithoutItAllLeaves(t *testing.T) {
	files := restrictFiles()
	none := func(h http.Handler) http.Handler { return h }
	restrict := httpmw.RestrictPrefix(".", nil)
	for _, name := range restrictedNames(t, files) {
		for what, path := range map[string]string{
			"plain":       "/" + name,
			"once":        "/" + strings.ReplaceAll(strings.ReplaceAll(name, "%", "%25"), ".", "%2e"),
			"twice":       "/" + strings.ReplaceAll(strings.ReplaceAll(name, "%", "%2525"), ".", "%252e"),
			"three times": "/" + strings.ReplaceAll(strings.ReplaceAll(name, "%", "%252525"), ".", "%25252e"),
			"backslash":   "/" + strings.ReplaceAll(name, "/", `\`),
			"NUL":         "/" + name + "\x00.txt",
			"overlong":    "/" + strings.ReplaceAll(name, ".", "\xc0\xae"),
			"dots":        "/dir/../" + name,
		} {
			if got := restrictServed(none, files, path); !strings.Contains(got, secret+" "+name) {
				t.Errorf("%s: %q does not leave without the middleware", what, path)
			}
			for _, path := range []string{path, path[1:]} { // as below http.StripPrefix
				if got := restrictServed(restrict, files, path); strings.Contains(got, secret) {
					t.Errorf("%s: %q: %s", what, path, got)
				}
			}
		}
	}
}

// FuzzRestrictFS opens a name in a tree with two links to any target, and states the same.
func FuzzRestrictFS(f *testing.F) {
	for _, target := range []string{
		"pub.txt",               // a file
		".secret",               // a restricted one
		"dir",                   // a directory
		"dir/..",                // the root
		"..",                    // out of the tree, or up
		"../.dir",               //
		"link",                  // a loop
		"dir/link",              // the other link
		"../dir/../../.secret",  //
		"/.secret",              // absolute
		"", ".", "dir/./sub/..", //
		`dir\.secret`, // another system's name
	} {
		for _, name := range []string{"link", "dir/link", "link/link", "link/.secret", "dir/link/pub.txt", "link/dir/link", ".secret", "..", "/", "dir/", "link/../.secret"} {
			f.Add(name, target)
		}
	}
	f.Fuzz(func(t *testing.T, name, target string) {
		files := restrictFiles()
		link := &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
		files["link"], files["dir/link"] = link, link
		restricted := httpmw.RestrictFS(files, ".", nil)
		data, err := fs.ReadFile(restricted, name)
		if strings.Contains(string(data), secret) {
			t.Errorf("%q, links to %q: %s", name, target, data)
		}
		if err != nil {
			data = nil
		}
		restrictSame(t, restricted, name, data)
		list, err := fs.ReadDir(restricted, name)
		for _, e := range list {
			if _, err := fs.Stat(restricted, path.Join(name, e.Name())); strings.HasPrefix(e.Name(), ".") || err != nil {
				t.Errorf("%q, links to %q: lists %q: %v", name, target, e.Name(), err)
			}
		}
		if e := (*fs.PathError)(nil); err != nil && (!errors.As(err, &e) || e.Path != name) {
			t.Errorf("ReadDir(%q): %v", name, err)
		}
	})
}

// restrictSame checks that Open sees what ReadFile saw: content, or nil for nothing.
func restrictSame(t *testing.T, fsys fs.FS, name string, content []byte) {
	t.Helper()
	file, err := fsys.Open(name)
	if err != nil {
		if content != nil {
			t.Errorf("Open(%q): %v, but ReadFile has %q", name, err, content)
		}
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if info.Name() != path.Base(name) {
		t.Errorf("Open(%q) is called %q", name, info.Name())
	}
	if got := make([]byte, 6); !info.IsDir() {
		if _, err := file.Read(got); err != nil || string(got) == secret {
			t.Errorf("Open(%q) reads %q, %v", name, got, err)
		}
	}
}
