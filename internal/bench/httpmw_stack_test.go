//go:build linux

package bench

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	sloghttp "github.com/samber/slog-http"

	"github.com/netparts/netparts/httpmw"
)

// The kinds of HTTP servers, besides kindOurs, which is the full stack in an http.Server.
const (
	kindNewServer = "ours-NewServer" // the full stack in the server of NewServer
	kindChi       = "chi"            // slog-http, go-http-metrics, and chi's for the rest
)

// stackPath is what the client asks for.
const stackPath = "/lists/home/chores"

// stackHandlers are the handlers of the servers.
var stackHandlers = map[string]http.Handler{
	"text": http.HandlerFunc(greet),
	"json": encodeChores(newChores(12, 2)),
}

// fullStack is all of the middleware.
func fullStack(h http.Handler) http.Handler {
	return httpmw.Chain(
		httpmw.WideEvent(slog.New(slog.NewJSONHandler(io.Discard, nil)), nil),
		httpmw.Instrument(new(httpmw.Metrics), nil),
		httpmw.Recover(slog.New(slog.DiscardHandler)),
		httpmw.Timeout(time.Minute, nil),
		httpmw.DrainAndClose(nil),
		httpmw.NoSniff,
		httpmw.MaxBody(1<<20),
		httpmw.RestrictPrefix(".", nil),
	)(httpmw.Methods(map[string]http.Handler{http.MethodGet: h}))
}

// chiStack is what does the same jobs with chi, as far as there is something for them: its
// Timeout does not answer, nothing drains, and no path is restricted.
func chiStack(h http.Handler) http.Handler {
	counted, _ := goHTTPMetrics(true)
	router := chi.NewRouter()
	router.Use(
		sloghttp.NewWithConfig(slog.New(slog.NewJSONHandler(io.Discard, nil)), sloghttp.Config{WithUserAgent: true}),
		counted,
		middleware.Recoverer,
		middleware.Timeout(time.Minute),
		middleware.SetHeader("X-Content-Type-Options", "nosniff"),
		middleware.RequestSize(1<<20),
	)
	router.Method(http.MethodGet, stackPath, h)
	return router
}

// serveHTTP starts a server.
func serveHTTP(o *order, a *answer) error {
	h := stackHandlers[o.Handler]
	if h == nil {
		return fmt.Errorf("no handler is called %q", o.Handler)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	switch o.Kind {
	case kindNothing:
	case kindOurs:
		srv.Handler = fullStack(h)
	case kindNewServer:
		srv = httpmw.NewServer(fullStack(h), nil)
	case kindChi:
		srv.Handler = chiStack(h)
	default:
		return fmt.Errorf("no HTTP server is called %q", o.Kind)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	a.Addr = l.Addr().String()
	go serveOn(o.Kind, func() error { return srv.Serve(l) })
	return nil
}

// BenchmarkHTTPMWStack has 16 connections that are kept alive ask for a greeting, or for
// some KB of JSON, one request under way on each, of the full stack and of the bare
// handler. The target is on the CPU time of the server.
func BenchmarkHTTPMWStack(b *testing.B) {
	for _, name := range []string{"text", "json"} {
		b.Run(name, func(b *testing.B) {
			c := &serverContest{client: startClient(b)}
			for _, kind := range []string{kindOurs, kindNewServer, kindChi, kindNothing} {
				p := start(b, kind, nil)
				p.addr = p.tell(b, order{Do: "httpmw-serve", Kind: kind, Handler: name}).Addr
				c.sides = append(c.sides, &serverSide{server: p})
				c.client.tell(b, order{Do: "httpmw-open", Kind: kind, Handler: name, Addrs: []string{p.addr}, Count: 16})
			}
			c.each(b, order{Do: "httpmw-requests", Count: 500}) // to warm up
			before := c.mallocs(b)
			for b.Loop() {
				c.turns(b, 40, order{Do: "httpmw-requests", Count: of(2500, 500)})
			}
			c.reportStack(b, before, c.mallocs(b))
		})
	}
}

// mallocs is how much each server has allocated.
func (c *serverContest) mallocs(b *testing.B) []usage {
	b.Helper()
	var list []usage
	for _, s := range c.sides {
		list = append(list, s.server.use(b))
	}
	return list
}

// reportStack prints a table, in which the bare handler is the last.
func (c *serverContest) reportStack(b *testing.B, before, after []usage) {
	b.Helper()
	t := newTable("", "requests/s", "server CPU-µs/request", "client's", "allocs", "B", "times bare", "at most")
	bare := c.sides[len(c.sides)-1]
	for i, s := range c.sides {
		use, n := after[i].since(before[i]), float64(s.done)
		times, most := ratios(s.costs, bare.costs), any("")
		if i == 0 {
			most = 1.35
		}
		if s != bare {
			b.ReportMetric(times, s.server.kind+"-x-bare")
		}
		t.row(s.server.kind, median(s.rates), median(s.costs)*1e6, median(s.client)*1e6,
			float64(use.Mallocs)/n, float64(use.Bytes)/n, times, most)
	}
	t.print(b)
}
