package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/netparts/netparts/httpmw"
)

const (
	pageTime = 10 * time.Second // that a page may take
	maxBody  = 64 << 10         // of requests, which no route reads
)

// newHandler returns everything that the program serves from files.
func newHandler(files fs.FS, logger *slog.Logger, connections *httpmw.ConnGauge) http.Handler {
	metrics := &httpmw.Metrics{Connections: connections}
	return httpmw.Chain(
		// What reports stands outside of what answers in the handler's place.
		httpmw.WideEvent(logger, nil),
		httpmw.Instrument(metrics, nil),
		httpmw.Recover(logger),
		httpmw.NoSniff,
		// A file may take as long as its client goes on reading it.
		httpmw.Timeout(pageTime, &httpmw.TimeoutOptions{Skip: isStatic}),
		httpmw.DrainAndClose(nil),
		httpmw.MaxBody(maxBody),
	)(routes(files, metrics))
}

func isStatic(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/static/") }

func routes(files fs.FS, metrics http.Handler) http.Handler {
	files = visible(files)
	first := announce(
		httpmw.Hint{Target: "/static/style.css", As: "style"},
		httpmw.Hint{Target: "/static/hiking.svg", As: "image"},
	)(page(files, "index.html"))
	static := httpmw.RestrictPrefix(".", nil)(http.FileServer(folder{files}))

	mux := http.NewServeMux()
	// "/" alone would match every path, so that a missing icon were a page.
	mux.Handle("/{$}", get(first))
	mux.Handle("/2", get(page(files, "index2.html")))
	mux.Handle("/static/", get(http.StripPrefix("/static/", static)))
	// Whoever may see the pages sees this; a service of more weight has it on a listener
	// of its own.
	mux.Handle("/metrics", get(metrics))
	mux.Handle("/metrics/{$}", get(metrics))
	return mux
}

// visible hides what the check of a path does not see: links to hidden files.
func visible(files fs.FS) fs.FS { return httpmw.RestrictFS(files, ".", nil) }

// get passes GET and HEAD on.
func get(h http.Handler) http.Handler {
	return httpmw.Methods(map[string]http.Handler{http.MethodGet: h})
}

// page serves one file.
func page(files fs.FS, name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, name)
	})
}

// announce returns a middleware that sends what a page needs ahead of it to clients of
// HTTP/2 that take pushes, and a 103 response about it to all. The page is served whether
// that works or not.
func announce(hints ...httpmw.Hint) httpmw.Middleware {
	var targets []string
	for _, h := range hints {
		targets = append(targets, h.Target)
	}
	return func(page http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// The pushes come first: a client that had read the hints, and knew of no
			// push, would ask for the files itself.
			err := errors.Join(httpmw.Push(w, r, targets...), httpmw.EarlyHints(w, r, hints...))
			if err != nil {
				httpmw.AddFields(r.Context(), slog.String("announce_error", err.Error()))
			}
			page.ServeHTTP(w, r)
		})
	}
}
