// Package gcp is the service of package xkcd as a function of Google Cloud. The platform
// wants a function of a request and a writer, and brings the server.
package gcp

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"

	"github.com/netparts/netparts/examples/cloud/xkcd"
)

// handler is made by the first request, and serves all that the instance gets: the
// platform sends it several at once.
var handler = sync.OnceValue(func() http.Handler {
	logger := newLogger(os.Stderr)
	service, err := xkcd.NewService(os.Getenv(xkcd.FeedVariable), logger)
	if err != nil {
		logger.Error("there is no service", "error", err)
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		})
	}
	return service.Handler()
})

// LatestXKCD answers POST requests, as [xkcd.Service.Handler] says.
func LatestXKCD(w http.ResponseWriter, r *http.Request) { handler().ServeHTTP(w, r) }

// newLogger returns a logger whose lines Cloud Logging understands: it looks for the keys
// "severity" and "message", and calls a warning WARNING.
func newLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			switch {
			case len(groups) > 0:
			case a.Key == slog.MessageKey:
				a.Key = "message"
			case a.Key == slog.LevelKey && a.Value.String() == "WARN":
				return slog.String("severity", "WARNING")
			case a.Key == slog.LevelKey:
				a.Key = "severity"
			}
			return a
		},
	}))
}
