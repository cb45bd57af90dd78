package service

import (
	_ "embed"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/netparts/netparts/httpmw"
)

//go:embed index.html
var index string

const (
	pageTime = 10 * time.Second // that the page may take
	maxBody  = 64 << 10         // of requests, which nothing reads

	// maxClaim is how many bytes are logged of what X-Forwarded-For claims.
	maxClaim = 256
)

// NewHandler returns what the service answers, and tells logger about each request.
func NewHandler(logger *slog.Logger) http.Handler {
	return httpmw.Chain(
		// It logs remote_addr, uri and more; what claim adds comes last.
		httpmw.WideEvent(logger, nil),
		claim,
		httpmw.Recover(logger),
		httpmw.NoSniff,
		httpmw.Timeout(pageTime, nil),
		httpmw.DrainAndClose(nil),
		httpmw.MaxBody(maxBody),
	)(httpmw.Methods(map[string]http.Handler{http.MethodGet: http.HandlerFunc(page)}))
}

// claim adds to the record of a request whom it claims to come from. It is beside the
// address of the connection, and not in its place: anybody can send this header.
func claim(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A header may stand there several times, which means the same as one with commas.
		claimed := strings.Map(printable, strings.Join(r.Header.Values("X-Forwarded-For"), ", "))
		if cut := len(claimed) - maxClaim; cut > 0 {
			claimed = "..." + claimed[cut:] // its end is what the nearest proxy says
		}
		httpmw.AddFields(r.Context(), slog.String("x_forwarded_for", claimed))
		next.ServeHTTP(w, r)
	})
}

// printable leaves what addresses consist of. Handlers of slog quote, but some pass
// characters on that turn the line around on a terminal.
func printable(c rune) rune {
	if c < ' ' || c > '~' {
		return '?'
	}
	return c
}

func page(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "index.html", time.Time{}, strings.NewReader(index))
}
