//go:build linux

package httpmwbench

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	router "github.com/go-chi/chi/v5"

	"github.com/netparts/netparts/httpmw"
	"github.com/netparts/netparts/internal/bench/lab"
)

// noAllocs is the target of what must allocate nothing.
var noAllocs = lab.Target{
	Metric: lab.AddedAllocs, Zero: true,
	Reason: "The runtime has allocated something meanwhile: the package's own tests count none.",
}

// byCleanAndSplit cleans the path, and compares each of its segments.
func byCleanAndSplit(prefix string) httpmw.Middleware {
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

// restrictions have paths checked that pass.
func restrictions() []lab.Case {
	paths := []string{
		"/",
		"/favicon.ico",
		"/static/js/vendor/react.production.min.js",
		"/api/v1/customers/8675309/orders/42/items/17/parts/4/drawings/assembly-front-view.svg",
	}
	var cases []lab.Case
	for _, row := range []struct {
		name  string
		paths []string
	}{
		{"four paths in turn", paths},
		{"the root", paths[:1]},
		{"a short path", paths[1:2]},
		{"four segments", paths[2:3]},
		{"twelve segments", paths[3:]},
	} {
		cases = append(cases, restriction(row.name, row.paths, paths))
	}
	return cases
}

// restriction measures with some of the paths. All of them must pass.
func restriction(name string, measured, all []string) lab.Case {
	return lab.Case{
		Name: "RestrictPrefix, " + name,
		About: "Checks paths that have no segment with the prefix, and calls the handler, which counts. " +
			"Before, a path of `.git` has to be refused.",
		Sides:   lab.Sides(lab.Ours, cleanAndSplit, bare),
		Metrics: lab.AddedMetrics("ns"),
		Targets: []lab.Target{{
			Metric: added, Than: cleanAndSplit, AtMost: 0.35,
			Reason: "Ours looks at each byte, for a prefix behind any number of percent-encodings too, which the other does not see.",
		}, noAllocs},
		Run: func(t *lab.T) {
			c := newContest(t, 0)
			done := c.reach()
			for name, m := range map[string]httpmw.Middleware{
				lab.Ours: httpmw.RestrictPrefix(".", nil), cleanAndSplit: byCleanAndSplit("."),
			} {
				h := m(http.HandlerFunc(greet))
				for _, p := range all {
					answers(t, name, h, newCall(1, http.MethodGet, p), http.StatusOK, greeting)
				}
				refused := newCall(1, http.MethodGet, "/static/.git/config")
				answers(t, name, h, refused, http.StatusNotFound, "404 page not found\n")
				c.handlers[name] = m(done)
			}
			c.handlers[bare] = done
			for _, p := range measured {
				c.requests = append(c.requests, newCall(1, http.MethodGet, p))
			}
			c.run(600_000, 40_000)
		},
	}
}

// added is the metric of the targets.
var added = lab.AddedMetrics("ns")[0].Name

// reach returns a handler that only counts, and has each call reach it. Contexts are not
// looked at by anybody, so that the calls share one.
func (c *contest) reach() http.Handler {
	reached := new(int)
	c.fresh = false
	c.tallies = append(c.tallies, tally{"calls that reached the handler", reached, 1})
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { *reached++ })
}

// methodsPath is what the handlers of methodsCase are for.
const methodsPath = "/api/v1/chores"

var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete}

// byMethods is ours.
func byMethods(h http.Handler) http.Handler {
	handlers := make(map[string]http.Handler)
	for _, m := range methods {
		handlers[m] = h
	}
	return httpmw.Methods(handlers)
}

// methodsSides are ways to have one handler for some methods.
var methodsSides = map[string]func(http.Handler) http.Handler{
	lab.Ours: byMethods,
	inServeMux: func(h http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle(methodsPath, byMethods(h))
		return mux
	},
	serveMux: func(h http.Handler) http.Handler {
		mux := http.NewServeMux()
		for _, m := range methods {
			mux.Handle(m+" "+methodsPath, h)
		}
		return mux
	},
	chi: func(h http.Handler) http.Handler {
		mux := router.NewRouter()
		for _, m := range methods {
			mux.Method(m, methodsPath, h)
		}
		return mux
	},
}

// methodsCase has the handler chosen by the method. Methods does that alone; routers look
// at the path as well, so it is also there behind one.
func methodsCase() lab.Case {
	return lab.Case{
		Name: "Methods",
		About: fmt.Sprintf("Chooses the handler of %s in turn, which counts. Before, each has to answer, and PATCH has to be refused. ",
			strings.Join(methods, ", ")) + "Ours alone does not look at the path; the others do.",
		Sides:   lab.Sides(lab.Ours, inServeMux, serveMux, chi, bare),
		Metrics: lab.AddedMetrics("ns"),
		Targets: []lab.Target{noAllocs},
		Run: func(t *lab.T) {
			c := newContest(t, 0)
			done := c.reach()
			for _, m := range methods {
				c.requests = append(c.requests, newCall(1, m, methodsPath))
			}
			refused := newCall(1, http.MethodPatch, methodsPath)
			for name, side := range methodsSides {
				h := side(http.HandlerFunc(greet))
				for _, r := range c.requests {
					answers(t, name, h, r, http.StatusOK, greeting)
				}
				text := "Method Not Allowed\n"
				if name == chi {
					text = ""
				}
				answers(t, name, h, refused, http.StatusMethodNotAllowed, text)
				c.handlers[name] = side(done)
			}
			c.handlers[bare] = done
			c.run(320_000, 20_000)
		},
	}
}
