//go:build linux

package bench

import (
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/netparts/netparts/httpmw"
)

// cleanAndSplit is the middleware that is usually written: the path is cleaned, and each of
// its segments compared.
func cleanAndSplit(prefix string) httpmw.Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			segments := strings.Split(path.Clean(r.URL.Path), "/")
			if slices.ContainsFunc(segments, func(s string) bool { return strings.HasPrefix(s, prefix) }) {
				http.NotFound(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// greet is a handler of one line.
func greet(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, greeting) }

const greeting = "Hello, friend!\n"

// BenchmarkHTTPMWRestrictPrefix has paths checked that pass.
func BenchmarkHTTPMWRestrictPrefix(b *testing.B) {
	paths := []string{
		"/",
		"/favicon.ico",
		"/static/js/vendor/react.production.min.js",
		"/api/v1/customers/8675309/orders/42/items/17/parts/4/drawings/assembly-front-view.svg",
	}
	for _, row := range []struct {
		name  string
		paths []string
	}{{"all", paths}, {"root", paths[:1]}, {"short", paths[1:2]}, {"four", paths[2:3]}, {"long", paths[3:]}} {
		b.Run(row.name, func(b *testing.B) {
			c := &callContest{batch: of(40_000, 4000), targets: []target{{"clean-and-split", 0.35, 0}}}
			done := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
			restricts := map[string]httpmw.Middleware{kindOurs: httpmw.RestrictPrefix(".", nil), "clean-and-split": cleanAndSplit(".")}
			for _, name := range []string{kindOurs, "clean-and-split"} {
				h := restricts[name](http.HandlerFunc(greet))
				for _, p := range paths {
					answers(b, name, h, newCall(1, p), http.StatusOK, greeting)
				}
				answers(b, name, h, newCall(1, "/static/.git/config"), http.StatusNotFound, "404 page not found\n")
				c.side(name, restricts[name](done))
			}
			c.side(kindNothing, done)
			for _, p := range row.paths {
				c.requests = append(c.requests, newCall(1, p))
			}
			c.run(b)
		})
	}
}

// BenchmarkHTTPMWMethods has the handler chosen by the method. Methods does that alone;
// routers look at the path as well, so it is also there behind one.
func BenchmarkHTTPMWMethods(b *testing.B) {
	done := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete}
	const place = "/api/v1/chores"
	sides := []struct {
		name string
		make func(http.Handler) http.Handler
	}{
		{kindOurs, func(h http.Handler) http.Handler {
			handlers := make(map[string]http.Handler)
			for _, m := range methods {
				handlers[m] = h
			}
			return httpmw.Methods(handlers)
		}},
		{"ours-in-ServeMux", nil},
		{"ServeMux", func(h http.Handler) http.Handler {
			mux := http.NewServeMux()
			for _, m := range methods {
				mux.Handle(m+" "+place, h)
			}
			return mux
		}},
		{"chi", func(h http.Handler) http.Handler {
			router := chi.NewRouter()
			for _, m := range methods {
				router.Method(m, place, h)
			}
			return router
		}},
	}
	sides[1].make = func(h http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle(place, sides[0].make(h))
		return mux
	}
	c := &callContest{batch: of(20_000, 2000), targets: []target{{"", 0, 0}}}
	for _, m := range methods {
		r := newCall(1, place)
		r.Method = m
		c.requests = append(c.requests, r)
	}
	refused := newCall(1, place)
	refused.Method = http.MethodPatch
	for _, s := range sides {
		h := s.make(http.HandlerFunc(greet))
		for _, r := range c.requests {
			answers(b, s.name, h, r, http.StatusOK, greeting)
		}
		text := "Method Not Allowed\n"
		if s.name == "chi" {
			text = ""
		}
		answers(b, s.name, h, refused, http.StatusMethodNotAllowed, text)
		c.side(s.name, s.make(done))
	}
	c.side(kindNothing, done)
	c.run(b)
}
