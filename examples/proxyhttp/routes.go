package main

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/netparts/netparts/httpmw"
)

// A route is a part of the front.
type route struct {
	// prefix is the path of the route: it has that path, and all below it. The empty one
	// has every path.
	prefix  string
	handler http.Handler
}

// matches compares whole segments: "/backend" has nothing to do with "/backends".
func (rt route) matches(path string) bool {
	rest, ok := strings.CutPrefix(path, rt.prefix)
	return ok && (rt.prefix == "" || rest == "" || rest[0] == '/')
}

// inOrder returns a handler that gives a request to the first route that matches, as the
// configurations of most fronts do. One that matches everything must be the last of them:
// those behind it would never be asked.
//
// An [http.ServeMux] has no such trap, since the most specific pattern wins wherever it
// stands, and for two routes it would do. It is the order that is to be shown here.
func inOrder(routes []route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, rt := range routes {
			if rt.matches(r.URL.Path) {
				rt.handler.ServeHTTP(w, r)
				return
			}
		}
		http.NotFound(w, r)
	})
}

// front returns everything that the program serves.
func front(logger *slog.Logger, routes []route) http.Handler {
	return httpmw.Chain(
		httpmw.WideEvent(logger, nil),
		httpmw.Recover(logger),
		// TRACE would repeat the cookies of a browser to a script that may not see them. A 200 to
		// CONNECT would be a tunnel to what stands before the front, and not to the front.
		httpmw.RejectMethods(http.MethodTrace, http.MethodConnect),
		refuseUpward,
	)(inOrder(routes))
}

// refuseUpward is the middleware that refuses paths with a ".." segment. The routes are
// chosen by what a path begins with, and "/backend/../x" begins with what it is not below:
// the backend would get it, and might take it for "/x".
func refuseUpward(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The path has been decoded, so "%2e%2e%2f" is seen, too. Some systems take "\" for
		// "/", and some "..;a" for "..", with a parameter.
		for segment := range strings.FieldsFuncSeq(r.URL.Path, func(c rune) bool { return c == '/' || c == '\\' }) {
			if name, _, _ := strings.Cut(segment, ";"); name == ".." {
				http.Error(w, "Bad Request", http.StatusBadRequest)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
