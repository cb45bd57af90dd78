package httpmw

import (
	"net/http"
	"strings"
)

// AllowPaths returns a middleware that passes these paths alone, and answers everything
// else as [http.FileServer] does for a missing file. A path that ends with "/" allows
// everything below it too, so "/" allows all clean paths; "/static" is not below "/static/".
// Paths are compared with the decoded path of the URL, which must be clean: one with empty,
// "." or ".." segments, "\", NUL, "%" or overlong UTF-8 is not allowed, whatever it would
// resolve to. Neither are segments that other servers take for those, because they ignore
// what follows ("..;x", ".. ", "..."). Below [http.StripPrefix] paths may lack their first
// "/"; it counts as there.
//
// Without a path it allows nothing. AllowPaths panics if a path does not begin with "/" or
// is not clean.
func AllowPaths(paths ...string) Middleware {
	// Without the first "/", which a request's path may lack.
	exact := make(map[string]bool)
	var below []string
	for _, path := range paths {
		name, ok := strings.CutPrefix(path, "/")
		if !ok || !cleanPath(name) {
			panic(`httpmw: AllowPaths: "` + path + `" does not begin with "/" or is not clean`)
		}
		exact[name] = true
		if strings.HasSuffix(path, "/") {
			below = append(below, name)
		}
	}
	allows := func(name string) bool {
		if exact[name] {
			return true // and clean
		}
		for _, dir := range below {
			if strings.HasPrefix(name, dir) {
				return cleanPath(name)
			}
		}
		return false
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Opaque != "" || !allows(strings.TrimPrefix(r.URL.Path, "/")) {
				missingFile(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// cleanPath reports whether the path "/"+name is clean: it is "/", or segments with "/"
// between them and perhaps behind them.
func cleanPath(name string) bool {
	content := name == "" // whether the segment has what makes it a name
	params := false       // whether a ";" has begun what some servers cut off
	for i := range len(name) {
		switch c := name[i]; {
		case c == '\\' || c == 0 || c == '%' || c >= 0xC0 && overlong(name[i:]):
			return false
		case c == '/':
			if !content {
				return false
			}
			content, params = i == len(name)-1, false
		case c == ';':
			params = true
		case c != '.' && c != ' ' && !params:
			content = true
		}
	}
	return content
}
