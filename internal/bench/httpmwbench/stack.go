//go:build linux

package httpmwbench

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	router "github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	sloghttp "github.com/samber/slog-http"

	"github.com/netparts/netparts/httpmw"
	"github.com/netparts/netparts/internal/bench/lab"
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

// chiStack is what does the same jobs with chi, as far as there is something for them.
func chiStack(h http.Handler) http.Handler {
	counted, _ := goHTTPMetrics(true)
	mux := router.NewRouter()
	mux.Use(
		sloghttp.NewWithConfig(slog.New(slog.NewJSONHandler(io.Discard, nil)), sloghttp.Config{WithUserAgent: true}),
		counted,
		middleware.Recoverer,
		middleware.Timeout(time.Minute),
		middleware.SetHeader("X-Content-Type-Options", "nosniff"),
		middleware.RequestSize(1<<20),
	)
	mux.Method(http.MethodGet, stackPath, h)
	return mux
}

// newServer returns a server of a side around a handler.
func newServer(kind, handler string) (*http.Server, error) {
	h := stackHandlers[handler]
	if h == nil {
		return nil, fmt.Errorf("no handler is called %q", handler)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	switch kind {
	case bare:
	case lab.Ours:
		srv.Handler = fullStack(h)
	case inNewServer:
		srv = httpmw.NewServer(fullStack(h), nil)
	case chi:
		srv.Handler = chiStack(h)
	default:
		return nil, fmt.Errorf("no HTTP server is called %q", kind)
	}
	return srv, nil
}

// serve starts a server, and returns its address.
func serve(kind, handler string, failed func(error)) (string, error) {
	srv, err := newServer(kind, handler)
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() { failed(srv.Serve(l)) }() // until the process ends
	return l.Addr().String(), nil
}

// ports are servers, each in a process of its own, and a client for each.
type ports struct {
	lab.Contest
	clients map[string]*lab.Process // by side
}

// newPorts starts the servers of all sides, and clients.
func newPorts(t *lab.T, handler string) *ports {
	p := &ports{
		Contest: lab.Contest{T: t, Scale: lab.Requests, Servers: make(map[string]*lab.Process)},
		clients: make(map[string]*lab.Process),
	}
	for _, side := range t.Present() {
		server := t.Start(side)
		server.Addr = p.tell(server, order{Do: "serve", Kind: side, Handler: handler}).Addr
		p.Servers[side] = server
		p.clients[side] = t.Start("client of " + side)
	}
	return p
}

func (p *ports) tell(to *lab.Process, o order) answer {
	a, used := lab.Tell[answer](to, o)
	a.Done.CPU = used.CPU
	return a
}

// open has the client of a server open connections that are kept alive.
func (p *ports) open(server *lab.Process, handler string, count int) {
	p.tell(p.clients[server.Kind], order{Do: "open", Kind: server.Kind, Handler: handler, Addr: server.Addr, Count: count})
}

// ask returns what has the client of a server make so many requests.
func (p *ports) ask(count int) func(server *lab.Process) lab.Done {
	return func(server *lab.Process) lab.Done {
		return p.tell(p.clients[server.Kind], order{Do: "ask", Count: count}).Done
	}
}

// round has each side answer so many requests, and counts what it allocates, too.
func (p *ports) round(count int) {
	before := make(map[string]lab.Usage)
	for side, server := range p.Servers {
		before[side] = server.Use()
	}
	p.Round(p.ask(count))
	for side, server := range p.Servers {
		use := server.Use().Since(before[side])
		p.T.Record(side, lab.Allocs, float64(use.Mallocs)/float64(count))
		p.T.Record(side, lab.Bytes, float64(use.Bytes)/float64(count))
	}
}

// stackMetrics have the allocations of the server besides.
func stackMetrics() []lab.Metric {
	return append(lab.Requests.Metrics(), lab.Metric{Name: lab.Allocs, Best: lab.Low}, lab.Metric{Name: lab.Bytes, Best: lab.None})
}

// stackCase has connections that are kept alive ask for something, one request under way
// on each, of the full stack and of the bare handler.
func stackCase(handler, what string) lab.Case {
	return lab.Case{
		Name: "full stack, " + what,
		About: fmt.Sprintf("16 connections over loopback that are kept alive ask for %s (GET), one request under way on each. "+
			"WideEvent, Instrument, Recover, Timeout, DrainAndClose, NoSniff, MaxBody, RestrictPrefix and Methods are around the handler. "+
			"The first response is checked, and each other one has to have the same bytes, but for the date.", what),
		Sides:   lab.Sides(lab.Ours, inNewServer, chi, bare),
		Metrics: stackMetrics(),
		Targets: []lab.Target{{
			Metric: lab.Requests.Server, Than: bare, AtMost: 1.35,
			Reason: "A greeting leaves the bare handler little but the system calls and the parsing of net/http. Of what is added within the handlers about half is WideEvent, " +
				"the greater part of that slog.JSONHandler, and a third Timeout, whose handler has headers of its own until the response begins. About as much " +
				"again is added around them: the collector, as the stack allocates about three times as much, and net/http and its system calls, which take longer then.",
		}},
		Run: func(t *lab.T) {
			p := newPorts(t, handler)
			p.Each(func(server *lab.Process) lab.Done {
				p.open(server, handler, lab.Of(t, 16, 2))
				return p.ask(lab.Of(t, 1000, 10))(server) // to warm up
			})
			for t.Round() {
				p.round(lab.Of(t, 5000, 10))
			}
		},
	}
}
